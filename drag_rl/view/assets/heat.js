// Why a page matched: heat maps laid over the pictures of hits, for a whole query or one of its words.

const COOL = [255, 205, 0]; // as in drag_rl/retrieval/late/heat_drawing.py
const HOT = [205, 0, 60];
const STRONGEST = 0.72; // opacity

let HEATED = []; // the searches of the shown trajectory that have heat maps
let HEAT_WORD = null; // what the key h shows of all of them: null nothing, 0 the whole query, n its nth word

/** The heat maps of one search's hits; those of one word, or of the whole query, are shown at a time. */
function heatOf(words) {
  const heat = { words, word: null, layers: [], buttons: [] };
  heat.show = (word) => {
    heat.word = word !== null && word > words.length ? 0 : word;
    heat.buttons.forEach((button, place) => button.setAttribute("aria-pressed", place === heat.word));
    heat.layers.forEach(([canvas, number]) => paint(canvas, number, heat.word));
  };
  return heat;
}

/** Of a turn's hits, or null where none has a heat map. */
function heatOfTurn(turn) {
  const numbers = Object.values(turn.heat || {});
  if (!numbers.length) return null;
  const heat = heatOf(DATA.heat[numbers[0]][2]);
  HEATED.push(heat);
  return heat;
}

/** A row of buttons, the whole query and each of its words; the one that is pressed is shown. */
function heatBar(heat) {
  heat.buttons = ["whole query", ...heat.words].map((name, word) => el("button.chip", { type: "button", dir: "auto",
    "aria-pressed": String(heat.word === word), onclick: () => heat.show(heat.word === word ? null : word) }, line(name, 40)));
  const bar = el("div.heat-bar", { role: "toolbar", "aria-label": "Show where the hits match the query" },
    el("span.label", {}, "where it matches"), heat.buttons);
  bar.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = heat.buttons.indexOf(event.target);
    if (!by || place < 0) return;
    const next = (place + by + heat.buttons.length) % heat.buttons.length;
    heat.buttons[next].focus();
    heat.show(next);
    event.preventDefault();
    event.stopPropagation();
  });
  return bar;
}

/** A picture with a layer for its heat map over it; the picture alone where it has none. */
function layered(image, heat, number) {
  if (!heat || number === undefined) return image;
  const [rows, columns] = DATA.heat[number];
  const canvas = el("canvas.heat", { width: columns, height: rows, "aria-hidden": "true", hidden: true });
  heat.layers.push([canvas, number]);
  if (heat.word !== null) paint(canvas, number, heat.word);
  return el("span.layers", {}, image, canvas);
}

/** Draw a map, a pixel a cell; the browser makes it as large as the picture, and smooth. */
function paint(canvas, number, word) {
  canvas.hidden = word === null;
  if (word === null) return;
  const [rows, columns, words] = DATA.heat[number];
  const cells = atob(byId(`heat-${number}`).textContent); // in a script block of its own, so that it is read when looked at
  const start = (word <= words.length ? word : 0) * rows * columns;
  const picture = new ImageData(columns, rows);
  for (let cell = 0; cell < rows * columns; cell++) {
    const heat = cells.charCodeAt(start + cell) / 255;
    COOL.forEach((cool, channel) => { picture.data[4 * cell + channel] = Math.round(cool + (HOT[channel] - cool) * heat); });
    picture.data[4 * cell + 3] = Math.round(255 * STRONGEST * Math.sqrt(heat));
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** The key h: the whole query, then its words one after the other, then nothing. */
function nextHeat() {
  if (!HEATED.length) return;
  const most = Math.max(...HEATED.map((heat) => heat.words.length));
  HEAT_WORD = HEAT_WORD === null ? 0 : HEAT_WORD < most ? HEAT_WORD + 1 : null;
  HEATED.forEach((heat) => heat.show(HEAT_WORD));
}

/** Another trajectory is drawn: what was on stays on, for its whole queries. */
function keepHeat() {
  if (HEAT_WORD === null) return;
  HEAT_WORD = 0;
  HEATED.forEach((heat) => heat.show(0));
}

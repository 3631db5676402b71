// Which trajectories match, and in what order.

const RANKS = [["1", (rank) => rank === 1], ["2–3", (rank) => rank === 2 || rank === 3],
  ["4–10", (rank) => rank >= 4 && rank <= 10], ["11–100", (rank) => rank > 10 && rank <= 100],
  ["over 100", (rank) => rank > 100], ["unranked", (rank) => rank === null]];
const ENDS = { answered: "answered", enough: "enough", max_turns: "out of turns", malformed: "malformed", length: "cut short", error: "error" };
const END_TITLES = { answered: "ended with an answer", enough: "the policy said that it has enough", max_turns: "the turn budget was spent",
  malformed: "a message was no action", length: "a token budget was spent", error: "the server or engine failed" };

/** Facets: a trajectory passes if for each facet one of its values is chosen, or none is. */
const FACETS = [
  { key: "gold", name: "Gold page", chips: true, of: (r) => [r.found ? "found" : "not found"], order: ["found", "not found"] },
  { key: "end", name: "Ended", chips: true, of: (r) => r.ends.map((end) => ENDS[end] || end), order: Object.values(ENDS) },
  { key: "rank", name: "Gold rank", chips: true, of: (r) => [RANKS.find(([, test]) => test(r.rank))?.[0] ?? "unranked"],
    order: RANKS.map(([name]) => name) },
  { key: "turns", name: "Turns", of: (r) => [String(r.turns.length)] },
  { key: "data", name: "Data source", of: (r) => [r.asked.data_source] },
  { key: "from", name: "From", of: (r) => [r.source] },
  { key: "step", name: "Step", of: (r) => (r.step === null ? [] : [String(r.step)]) },
  { key: "model", name: "Model", of: (r) => (r.model ? [r.model] : []) },
];
for (const facet of FACETS) {
  facet.values = ROLLOUTS.map(facet.of);
  const found = new Set(facet.values.flat());
  const known = (facet.order || []).filter((value) => found.has(value));
  const rest = [...found].filter((value) => !known.includes(value));
  facet.options = [...known, ...rest.sort((a, b) => a.localeCompare(b, "en", { numeric: true }))];
  facet.shown = facet.options.length > 1;
}

const LAST = Number.MAX_SAFE_INTEGER;
const SORTS = {
  "file order": (r) => r.number,
  "gold rank": (r) => r.rank ?? LAST,
  [VALUE]: (r) => r.value ?? -LAST,
  "advantage": (r) => r.advantage ?? -LAST,
  "turns": (r) => r.turns.length,
  "step": (r) => r.step ?? -1,
  "question": null, // by text
  "spread in group": (r) => spreadOf(r.group),
};
const SPREADS = new Map();

function spreadOf(group) {
  if (!SPREADS.has(group)) {
    const values = GROUPS[group].map((number) => ROLLOUTS[number].value ?? 0);
    SPREADS.set(group, Math.max(...values) - Math.min(...values));
  }
  return SPREADS.get(group);
}

const STATE = { text: "", chosen: Object.fromEntries(FACETS.map(({ key }) => [key, new Set()])), sort: "file order", down: false };

/** Words of a search: white space separates, quotes hold together. */
function words(text) {
  return [...text.toLowerCase().matchAll(/"([^"]+)"?|(\S+)/g)].map((match) => match[1] || match[2]);
}

/** The matching trajectories in order, and for each facet how many each of its values would leave. */
function filter() {
  performance.mark("filter");
  const wanted = words(STATE.text);
  const counts = FACETS.map(() => new Map());
  const matches = [];
  for (let number = 0; number < ROLLOUTS.length; number++) {
    let failed = -1; // the one facet that it fails; -2: more than one
    for (let facet = 0; facet < FACETS.length && failed > -2; facet++) {
      const chosen = STATE.chosen[FACETS[facet].key];
      if (chosen.size && !FACETS[facet].values[number].some((value) => chosen.has(value))) failed = failed === -1 ? facet : -2;
    }
    if (failed === -2) continue;
    if (wanted.length) {
      const text = haystack(number);
      if (!wanted.every((word) => text.includes(word))) continue;
    }
    if (failed === -1) matches.push(number);
    FACETS.forEach((facet, index) => {
      if (failed !== -1 && failed !== index) return;
      for (const value of facet.values[number]) counts[index].set(value, (counts[index].get(value) || 0) + 1);
    });
  }
  order(matches);
  performance.measure("filter", "filter");
  return { matches, counts };
}

function order(matches) {
  const key = SORTS[STATE.sort];
  const sign = STATE.down ? -1 : 1;
  if (key === null) {
    const keys = new Map(matches.map((number) => [number, head(ROLLOUTS[number].asked.text, 100).toLowerCase()]));
    matches.sort((a, b) => sign * (keys.get(a) < keys.get(b) ? -1 : keys.get(a) > keys.get(b) ? 1 : 0) || a - b);
  } else {
    const keys = new Map(matches.map((number) => [number, key(ROLLOUTS[number])]));
    matches.sort((a, b) => sign * (keys.get(a) - keys.get(b)) || a - b);
  }
}

/** Draw the filters once; returns what brings their marks and counts up to date. */
function drawFilters(changed) {
  const updates = [];
  for (const [index, facet] of FACETS.entries()) {
    if (!facet.shown) continue;
    const chosen = STATE.chosen[facet.key];
    const toggle = (value) => { if (!chosen.delete(value)) chosen.add(value); changed(); };
    byId("facets").append(facet.chips ? chips(facet, index, chosen, toggle, updates) : choice(facet, index, chosen, changed, updates));
  }
  return (counts) => updates.forEach((update) => update(counts));
}

function chips(facet, index, chosen, toggle, updates) {
  const buttons = facet.options.map((value) => {
    const tally = el("span.tally", {});
    const key = Object.keys(ENDS).find((end) => ENDS[end] === value);
    const button = el("button.chip", { type: "button", "data-value": value, title: END_TITLES[key], onclick: () => toggle(value) }, line(value, 40), " ", tally);
    updates.push((counts) => {
      button.setAttribute("aria-pressed", chosen.has(value));
      tally.textContent = number(counts[index].get(value) || 0);
    });
    return button;
  });
  return el("fieldset.facet", {}, el("legend", {}, facet.name), el("div.chips", {}, buttons));
}

function choice(facet, index, chosen, changed, updates) {
  const select = el("select", { "aria-label": facet.name, onchange: () => {
    chosen.clear();
    if (select.value !== "") chosen.add(facet.options[Number(select.value)]);
    changed();
  } }, el("option", { value: "" }, "any"));
  facet.options.forEach((value, place) => {
    const option = el("option", { value: place }, "");
    select.append(option);
    updates.push((counts) => { option.textContent = `${line(value, 40)} (${number(counts[index].get(value) || 0)})`; });
  });
  updates.push(() => {
    const place = facet.options.findIndex((value) => chosen.has(value));
    select.value = place < 0 ? "" : String(place);
    select.classList.toggle("set", place >= 0);
  });
  return el("label.facet.choice", {}, el("span", {}, facet.name), select);
}

// The page: what happens on keys, clicks and changes.

let update = () => {};

function refresh() {
  const { matches, counts } = filter();
  update(counts);
  showMatches(matches);
  const chosen = FACETS.filter(({ key }) => STATE.chosen[key].size).length;
  byId("active").textContent = chosen ? `${chosen} on` : "";
  byId("count").textContent = matches.length === ROLLOUTS.length ? plural(matches.length, "trajectory", "trajectories")
    : `${number(matches.length)} of ${number(ROLLOUTS.length)}`;
  drawSummary(matches);
}

function changed() {
  byId("list").scrollTop = 0;
  refresh();
  if (!ORIGIN.has(SELECTED) && MATCHES.length && wide()) select(MATCHES[0]);
  else reveal(SELECTED);
  remember();
}

function drawSummary(matches) {
  const rollouts = matches.map((number) => ROLLOUTS[number]);
  const share = (test, of = rollouts) => percent(of.filter(test).length, of.length);
  const asked = rollouts.filter((rollout) => rollout.answer_asked);
  const facts = [
    ["questions", number(new Set(rollouts.map((rollout) => rollout.asked.id)).size)],
    ["found", share((rollout) => rollout.found)],
    ["rank 1", share((rollout) => rollout.rank === 1)],
    [`mean ${VALUE}`, number(mean(rollouts.map((rollout) => rollout.value).filter((value) => value !== null)))],
    asked.length ? ["answered", share((rollout) => rollout.ends.includes("answered"), asked)] : null,
    ["malformed", share((rollout) => rollout.ends.includes("malformed"))],
  ].filter(Boolean);
  byId("summary").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function wide() {
  return matchMedia("(min-width: 761px)").matches;
}

/** Show a trajectory; on a narrow screen only when asked to. */
function select(number, open = false) {
  if (number === undefined) return;
  SELECTED = number;
  reveal(number);
  drawRows();
  drawDetail(number);
  if (open || document.body.classList.contains("reading")) openDetail();
  remember();
}

function openDetail() {
  document.body.classList.add("reading");
  if (!wide()) { scrollTo(0, 0); byId("detail").focus({ preventScroll: true }); }
}

function closeDetail() {
  document.body.classList.remove("reading");
  byId("list").focus({ preventScroll: true });
  drawRows(true);
  reveal(SELECTED);
}

function clearFilters() {
  STATE.text = "";
  byId("text").value = "";
  for (const chosen of Object.values(STATE.chosen)) chosen.clear();
  changed();
}

/** Selection and filters stay in the address, so that a reload or a link comes back to them. */
function remember() {
  const words = new URLSearchParams();
  if (SELECTED >= 0) words.set("r", SELECTED);
  if (STATE.text) words.set("text", STATE.text);
  for (const [key, chosen] of Object.entries(STATE.chosen)) for (const value of chosen) words.append(key, value);
  if (STATE.sort !== "file order") words.set("sort", STATE.sort);
  if (STATE.down) words.set("down", "1");
  if (!byId("curves").hidden) words.set("view", "curves");
  history.replaceState(null, "", `#${words}`);
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  STATE.text = words.get("text") || "";
  for (const facet of FACETS) for (const value of words.getAll(facet.key)) if (facet.options.includes(value)) STATE.chosen[facet.key].add(value);
  if (Object.hasOwn(SORTS, words.get("sort") || "")) STATE.sort = words.get("sort");
  STATE.down = words.has("down");
  const number = Number(words.get("r") ?? -1);
  return { number: Number.isInteger(number) && number >= 0 && number < ROLLOUTS.length ? number : -1, curves: words.get("view") === "curves" };
}

function show(view) {
  const curves = view === "curves" && DATA.panels.length > 0;
  byId("curves").hidden = !curves;
  byId("rollouts").hidden = curves;
  for (const [id, on] of [["tab-rollouts", !curves], ["tab-curves", curves]]) {
    byId(id).setAttribute("aria-selected", on);
    byId(id).tabIndex = on ? 0 : -1;
  }
  if (!curves) { drawRows(true); reveal(SELECTED); }
  remember();
}

function inGroup(by) {
  if (SELECTED < 0) return;
  const members = GROUPS[ROLLOUTS[SELECTED].group];
  const place = members.indexOf(SELECTED) + by;
  if (place >= 0 && place < members.length) select(members[place]);
}

const KEYS = {
  j: () => select(neighbour(1)), ArrowDown: () => select(neighbour(1)),
  k: () => select(neighbour(-1)), ArrowUp: () => select(neighbour(-1)),
  "]": () => inGroup(1), "[": () => inGroup(-1),
  "/": () => { show("rollouts"); document.body.classList.remove("reading"); byId("text").focus(); byId("text").select(); },
  x: clearFilters,
  h: nextHeat,
  c: () => show(byId("curves").hidden ? "curves" : "rollouts"),
  "?": () => byId("help").showModal(),
  Escape: closeDetail,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const place = event.target;
  if (place.matches("input, select, textarea")) {
    if (place.id === "text" && event.key === "Enter") { event.preventDefault(); select(ORIGIN.has(SELECTED) ? SELECTED : MATCHES[0], true); byId(wide() ? "list" : "detail").focus(); }
    if (place.id === "text" && event.key === "Escape" && !place.value) byId("list").focus();
    return;
  }
  const list = place.id === "list";
  if (list && event.key === "Enter") openDetail();
  else if (list && (event.key === "Home" || event.key === "End")) select(MATCHES[event.key === "Home" ? 0 : MATCHES.length - 1]);
  else if (list && (event.key === "PageDown" || event.key === "PageUp")) select(neighbour((event.key === "PageDown" ? 1 : -1) * Math.max(1, Math.floor(place.clientHeight / ROW))));
  else if (event.key.startsWith("Arrow") && (place.closest("#detail, .tabs, svg"))) return; // they scroll, or read values, there
  else if (KEYS[event.key] && (byId("curves").hidden || ["c", "?", "/"].includes(event.key))) KEYS[event.key]();
  else return;
  event.preventDefault();
}

function start() {
  const { number, curves } = recall();
  update = drawFilters(changed);
  const sort = byId("sort");
  sort.append(...Object.keys(SORTS).map((name) => el("option", { value: name }, name)));
  sort.value = STATE.sort;
  const direction = () => {
    byId("direction").textContent = STATE.down ? "↓" : "↑";
    byId("direction").setAttribute("aria-pressed", STATE.down);
  };
  direction();
  byId("text").value = STATE.text;
  byId("text").addEventListener("input", () => { STATE.text = byId("text").value; changed(); });
  sort.addEventListener("change", () => { STATE.sort = sort.value; changed(); });
  byId("direction").addEventListener("click", () => { STATE.down = !STATE.down; direction(); changed(); });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("help-button").addEventListener("click", KEYS["?"]);
  byId("list").addEventListener("scroll", () => drawRows(), { passive: true });
  new ResizeObserver(() => drawRows(true)).observe(byId("list"));
  document.addEventListener("keydown", onKey);
  byId("notes").append(...DATA.notes.map((note) => el("p", {}, line(note, 400))));
  byId("tabs").hidden = !DATA.panels.length;
  byId("tab-rollouts").addEventListener("click", () => show("rollouts"));
  byId("tab-curves").addEventListener("click", () => show("curves"));
  byId("tabs").addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    show(byId("curves").hidden ? "curves" : "rollouts");
    byId(byId("curves").hidden ? "tab-rollouts" : "tab-curves").focus();
  });
  if (!wide()) byId("more").open = false;
  drawCurves();
  refresh();
  if (number >= 0) select(number, true);
  else if (wide()) select(MATCHES[0]);
  show(curves ? "curves" : "rollouts");
  warm();
  document.documentElement.dataset.ready = "yes";
}

start();

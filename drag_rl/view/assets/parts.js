// The parts of a trajectory: pages, hits, citations, scores.

/** A page's picture, with its heat map for a search where there is one; opens large. Null where there is no picture. */
function pagePicture(page, gold, heat, number) {
  const picture = DATA.pictures[page];
  const label = `page ${line(PAGES[page], 120)}${gold ? ", gold" : ""}`;
  if (!picture) return null;
  const [width, height] = picture;
  return el("button.thumb", { type: "button", "aria-label": `Enlarge ${label}`, onclick: () => enlarge(page, gold, heat, number) },
    layered(el("img", { src: pictureUrl(page), width, height, alt: label, loading: "lazy", decoding: "async" }), heat, number));
}

/** A page's picture lies in a script block of its own, so that only those looked at are read. */
function pictureUrl(page) {
  return byId(`picture-${page}`).textContent;
}

function enlarge(page, gold, heat, number) {
  const dialog = byId("picture");
  const [width, height] = DATA.pictures[page];
  const own = number === undefined ? null : heatOf(heat.words);
  if (own) own.word = heat.word;
  dialog.replaceChildren(...[
    el("header", {}, bdi(PAGES[page]), gold ? el("span.tag.gold", {}, "gold") : null,
      el("button.round", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "×")),
    own ? heatBar(own) : null,
    layered(el("img", { src: pictureUrl(page), width, height, alt: `page ${line(PAGES[page])}` }), own, number),
  ].filter(Boolean));
  dialog.showModal();
}

/** Pages by name, with pictures where there are: the gold pages, hints. */
function pageStrip(pages, gold = new Set()) {
  return el("ul.strip", {}, pages.map((page) => el(`li.sheet${gold.has(page) ? ".gold" : ""}`, {},
    pagePicture(page, gold.has(page)), el("span.page-id", {}, bdi(PAGES[page])))));
}

function hitList(turn, gold, topK) {
  const pictured = turn.hits.some(([page]) => DATA.pictures[page]);
  const heat = heatOfTurn(turn);
  const hits = el(`ol.hits${pictured ? ".pictured" : ""}`, { "aria-label": "Hits, best first" }, turn.hits.map(([page, rank, score, snippet]) => {
    const right = gold.has(page);
    return el(`li.hit${right ? ".gold" : ""}`, {},
      el("div.hit-head", {},
        el(`span.rank.${right ? rankClass(rank, topK) : "plain"}`, { title: `rank ${rank}` }, String(rank)),
        el("span.page-id", {}, bdi(PAGES[page])),
        right ? el("span.tag.gold", {}, "gold") : null,
        el("span.score", { title: "the index's score" }, number(score, 2))),
      pagePicture(page, right, heat, heat ? turn.heat[page] : undefined) || (pictured ? el("div.thumb.blank", {}, "no picture") : null),
      snippet ? prose("p.snippet", snippet, 420) : null);
  }));
  return heat ? [heatBar(heat), hits] : hits;
}

/** Where the gold pages stood for one search: in the whole corpus, or among the pages that no earlier one had listed. */
function goldRanks(turn, rollout) {
  if (!turn.gold_ranks.length) return null;
  const items = rollout.asked.gold.slice(0, turn.gold_ranks.length).map((page, place) => {
    const rank = turn.gold_ranks[place];
    return el("span.gold-rank", {}, bdi(PAGES[page], 60),
      el(`span.rank.${rankClass(rank, rollout.top_k)}`, {}, rank === null ? "unranked" : number(rank)));
  });
  const others = turn.ranked_pages < rollout.corpus_pages ? " not listed before" : "";
  return el("p.gold-ranks", {}, el("span.label", {}, `gold rank of ${number(turn.ranked_pages)} pages${others}`), items);
}

/** The cited pages: right only if gold and shown to the policy. */
function citations(turn, label = "cites", none = "no citations", unseen = "never shown") {
  if (!turn.citations.length) return el("p.citations.muted", {}, none);
  return el("p.citations", {}, el("span.label", {}, label), turn.citations.map(([page, gold, shown]) => {
    const right = gold && shown;
    const verdict = `${gold ? "gold page" : "not a gold page"}${shown ? "" : `, ${gold ? "but" : "and"} ${unseen}`}`;
    return el(`span.cite.${right ? "right" : "wrong"}`, { title: verdict },
      el("span", { "aria-label": verdict }, right ? "✓" : "✗"), bdi(PAGES[page], 80),
      shown ? null : el("em", {}, unseen));
  }));
}

function scores(rollout) {
  const names = Object.keys(rollout.scores);
  if (!names.length) return null;
  return el("section.scores", {}, el("h3", {}, rollout.trained ? "Reward breakdown" : "Metrics of the question, mean of its samples"),
    el("dl.scores-list", {}, names.map((name) => el("div", {}, el("dt", {}, line(name, 60).replace(/_/g, " ")), el("dd", {}, number(rollout.scores[name]))))));
}

/** A bar: of a share in [0, 1], or of a signed value with zero in the middle. */
function bar(value, kind, scale = 1) {
  const fill = el("i", {});
  const size = Math.min(1, Math.abs(value || 0) / scale);
  if (kind === "share") {
    fill.style.width = `${100 * size}%`;
  } else {
    fill.style.width = `${50 * size}%`;
    fill.style.insetInlineStart = value < 0 ? `${50 - 50 * size}%` : "50%";
    fill.className = value < 0 ? "minus" : "plus";
  }
  return el(`span.bar.${kind}`, { "aria-hidden": "true" }, fill);
}

// One trajectory, read from top to bottom: question, group, turns, scores.

function drawDetail(number) {
  const place = byId("detail");
  if (number < 0 || number === undefined) {
    place.replaceChildren(el("p.empty", {}, "No trajectory selected."));
    return;
  }
  const rollout = ROLLOUTS[number];
  HEATED = [];
  place.replaceChildren(...[
    el("button.back", { type: "button", onclick: closeDetail }, "← list"),
    questionPart(rollout),
    groupPart(rollout),
    turnsPart(rollout),
    rollout.generated ? generatedPart(rollout) : null,
    rollout.error ? el("section.failure", {}, el("h3", {}, "Error"), prose("pre", rollout.error)) : null,
    scores(rollout),
  ].filter(Boolean));
  keepHeat();
  place.scrollTop = 0;
  place.setAttribute("aria-label", `Trajectory: ${line(rollout.asked.text, 120)}`);
}

function questionPart(rollout) {
  const { asked } = rollout;
  const facts = [["data source", asked.data_source], ["from", batchName(rollout)], ["model", rollout.model],
    ["sampling", rollout.sampling], ["trajectory", rollout.id], ["searched only in", rollout.scope]];
  return el("section.question", {},
    el("div.verdict", {},
      el(`span.tag.${rollout.found ? "good" : "bad"}`, {}, rollout.found ? "found" : "not found"),
      rankBadge(rollout.rank, rollout.top_k),
      rollout.ends.map((end) => el(`span.tag.end.${ENDS[end] ? end : "other"}`, { title: END_TITLES[end] }, ENDS[end] || line(end, 20))),
      el("span.tag.plain", {}, `${valueName(rollout)} ${number(rollout.value)}`)),
    prose("h2", asked.text, 600),
    el("dl.meta", {}, facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, bdi(value, 120))))),
    el("div.golds", {}, el("span.label", {}, plural(asked.gold.length, "gold page")), pageStrip(asked.gold, new Set(asked.gold))),
    asked.answers.length ? el("div.accepted", {}, el("span.label", {}, "accepted answers"), asked.answers.map((answer) => prose("p", answer, 600))) : null,
    asked.images.length ? el("div.accepted", {}, el("span.label", {}, "question images"), asked.images.map((path) => el("p", {}, bdi(path)))) : null,
    rollout.hints.length ? el("div.golds.hint", {}, el("span.label", {}, "told beforehand (rationalisation)"), pageStrip(rollout.hints)) : null);
}

/** All rollouts of the question in this batch, and the question's other batches. */
function groupPart(rollout) {
  const members = GROUPS[rollout.group];
  const others = BY_ID.get(rollout.asked.id).filter((group) => group !== rollout.group);
  if (members.length < 2 && !others.length) return null;
  const values = members.map((number) => ROLLOUTS[number].value).filter((value) => value !== null);
  const top = Math.max(1, ...values.map(Math.abs));
  const reach = Math.max(1, ...members.map((number) => Math.abs(ROLLOUTS[number].advantage || 0)));
  const flat = values.length > 1 && Math.max(...values) - Math.min(...values) < 1e-9;
  return el("section.group", {},
    members.length < 2 ? null : [
      el("h3", {}, plural(members.length, "rollout"), " of this question", el("small", {}, ` ${line(batchName(rollout))} · mean ${valueName(rollout)} ${number(mean(values))}`,
        flat ? el("span.tag.warn", { title: "All values are equal: nothing to learn from in GRPO" }, "no spread") : null)),
      el("div.group-table", {},
        el("div.member.headings", { "aria-hidden": "true" }, el("span", {}, "#"), el("span", {}, valueName(rollout)),
          el("span", { title: "(value − mean) / (standard deviation + 1e-6), in the group" }, "advantage"), el("span", {}, "rank"), el("span", {}, "first query")),
        members.map((number) => memberRow(ROLLOUTS[number], number === rollout.number, top, reach))),
    ],
    others.length ? otherBatches(others) : null);
}

function memberRow(member, current, top, reach) {
  const query = firstQuery(member);
  const said = query || (member.turns.length ? member.turns[0].text : "");
  return el(`button.member${current ? ".current" : ""}`, { type: "button", "aria-current": current ? "true" : null,
    "aria-label": `Rollout ${member.sample + 1}: ${valueName(member)} ${number(member.value)}, advantage ${signed(member.advantage)}`,
    onclick: () => select(member.number) },
  el("span.index", {}, String(member.sample + 1)),
  el("span.pair", {}, el("b", {}, fixed(member.value)), bar(member.value, "share", top)),
  el("span.pair", {}, el("b", {}, signed(member.advantage)), bar(member.advantage, "signed", reach)),
  rankBadge(member.rank, member.top_k),
  el(`span.said${query ? "" : ".muted"}`, { dir: "auto" }, line(said, 160) || "no message"));
}

function otherBatches(groups) {
  return el("div.others", {}, el("span.label", {}, "same question in"), groups.slice(0, 60).map((group) => {
    const members = GROUPS[group].map((number) => ROLLOUTS[number]);
    const value = mean(members.map((member) => member.value).filter((value) => value !== null));
    return el("button.chip", { type: "button", onclick: () => select(members[0].number) }, line(batchName(members[0]), 60), " ", el("span.tally", {}, fixed(value)));
  }), groups.length > 60 ? ` and ${groups.length - 60} more` : null);
}

function turnsPart(rollout) {
  const gold = new Set(rollout.asked.gold);
  const parts = rollout.turns.map((turn) => turnPart(turn, rollout, gold));
  return el("section.turns", {}, el("h3", {}, plural(rollout.turns.length, "turn"), el("small", {}, ` of at most ${number(rollout.max_turns)}, top ${number(rollout.top_k)} hits each`)),
    parts.length ? el("ol", {}, parts) : el("p.muted", {}, "The policy wrote no message."));
}

/** What a message cost, in words. */
function costOf(made) {
  return made && [made.completion_tokens === null ? null : plural(made.completion_tokens, "token"), made.seconds >= 0.01 ? `${number(made.seconds, 2)} s` : null]
    .filter(Boolean).join(" · ");
}

/** What a generator answered from the pages that it was given. */
function generatedPart({ generated, asked }) {
  const gold = new Set(asked.gold);
  const cost = costOf(generated);
  return el("section.generated", {}, el("h3", {}, "Generator", el("small", {}, ` given ${plural(generated.given.length, "page")}, ${plural(generated.given.filter((page) => gold.has(page)).length, "gold page")} among them`)),
    el(`div.turn.${generated.error ? "malformed" : "answer"}`, {},
      el("header", {}, el("b", {}, generated.error ? "failed" : generated.refused ? "refused" : "answer"),
        generated.cut ? el("span.tag.warn", {}, "cut by the token limit") : null, cost ? el("span.cost", {}, cost) : null),
      generated.error ? el("div.broken", {}, prose("p", generated.error)) : [el("div.answer", {}, prose("p", generated.text)), citations(generated, "cites", "no citations", "never given")],
      generated.given.length ? el("div.golds", {}, el("span.label", {}, "pages given, best first"), pageStrip(generated.given, gold)) : null));
}

function turnPart(turn, rollout, gold) {
  const made = turn.generation;
  const cost = costOf(made);
  return el(`li.turn.${turn.kind}`, {},
    el("header", {}, el("span.step", {}, String(turn.step)), el("b", {}, turn.kind),
      turn.repeat ? el("span.tag.warn", { title: "The same words, in any order, were searched before, and no page is new" }, "repeated query") : null,
      made && made.cut ? el("span.tag.warn", {}, "cut by the token limit") : null,
      cost ? el("span.cost", {}, cost) : null),
    turn.thought ? el("div.thought", {}, el("span.label", {}, "reasoning"), prose("p", turn.thought)) : null,
    turn.kind === "search" ? el("div.query", {}, el("span.label", {}, "query"), prose("p", turn.query)) : null,
    turn.kind === "answer" ? [el("div.answer", {}, prose("p", turn.answer)), citations(turn)] : null,
    turn.kind === "enough" ? citations(turn, "keeps", "no pages named") : null,
    turn.kind === "malformed" ? el("div.broken", {}, el("span.label", {}, "no action"), prose("p", turn.reason), prose("pre", turn.text)) : null,
    turn.kind === "search" ? goldRanks(turn, rollout) : null,
    turn.hits.length ? hitList(turn, gold, rollout.top_k) : turn.kind === "search" ? el("p.muted", {}, "No hits.") : null,
    verbatim(turn));
}

/** What was written and given back, as it was; drawn when opened. */
function verbatim(turn) {
  const details = el("details.verbatim", {}, el("summary", {}, "verbatim message", turn.observation ? " and observation" : "",
    turn.images.length ? `, ${plural(turn.images.length, "page image")}` : ""));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    details.append(...[el("span.label", {}, "message"), prose("pre", turn.text),
      turn.observation ? el("span.label", {}, "observation") : null, turn.observation ? prose("pre", turn.observation) : null,
      turn.images.length ? el("span.label", {}, "images given back") : null, turn.images.length ? pageStrip(turn.images) : null].filter(Boolean));
  });
  return details;
}

// The page of an agent: a question, its searches as they happen, the answer, and the pages that it cites.

import { events, request } from "./agent.js";
import { keep, list } from "./earlier.js";
import { closePage, pageLink, titleOf } from "./pages.js";
import { byId, el, line, marked, visible, wordsOf } from "./text.js";

let running = null; // what ends the question that is being answered
let found = new Map(); // page id -> passage and words of the search that found it best

function say(progress, failure = "") {
  byId("progress").textContent = progress;
  byId("failure").textContent = failure;
}

function clear(question) {
  closePage(true);
  found = new Map();
  byId("asked").textContent = line(question, 1000);
  byId("searches").replaceChildren();
  byId("answer").hidden = true;
  byId("told").hidden = false;
}

/** What each event of the stream shows; returns what is said of it. */
const SHOW = {
  query({ step, queries }) {
    const item = el("li", { "data-step": step }, el("p.query", {}, queries.map((query) => el("bdi", {}, line(query, 500)))),
      el("p.soft", {}, "Searching …"));
    item.words = wordsOf(queries);
    byId("searches").append(item);
    return `Searching: ${line(queries.join(" · "), 300)}`;
  },

  hits({ step, hits }) {
    const item = byId("searches").querySelector(`[data-step="${Number(step)}"]`);
    const count = `${hits.length} ${hits.length === 1 ? "page" : "pages"} found`;
    if (!item) return "";
    item.lastChild.replaceWith(hits.length ? el("ol.hits", { "aria-label": count }, hits.map((hit) => hitOf(hit, item.words)))
      : el("p.soft", {}, "No page was found."));
    return `${hits.length ? count : "No page was found"}. The searcher reads on …`;
  },

  stop() {
    return "The searches are done. Answering …";
  },

  answer(event) {
    byId("answer-title").textContent = event.by === "nobody" ? "Pages found" : "Answer";
    byId("answer-text").replaceChildren(el("p", { dir: "auto" }, visible(event.content ?? "")));
    byId("answer").hidden = false;
    return "Answered.";
  },

  end({ answer, refused, citations, pages, seconds }) {
    const cites = answer === null ? pages.map(placeOf) : citations;
    const parts = answer === null ? [el("p", {}, pages.length ? "Best first; nobody answers here:" : "No page was found.")]
      : [el("p", { dir: "auto" }, cited(answer, cites))];
    if (refused) parts.push(el("p.soft", {}, "The pages do not hold the answer."));
    if (cites.length) parts.push(el("ol.sources", { "aria-label": answer === null ? "Pages found" : "Cited pages" },
      cites.map((place) => el("li", {}, pageLink(place, () => foundIn(place))))));
    else if (answer !== null) parts.push(el("p.soft", {}, "It cites no page."));
    byId("answer-text").replaceChildren(...parts);
    const time = seconds ? ` after ${seconds.toFixed(1)} s` : "";
    return answer === null ? `Done${time}: ${pages.length} pages found.`
      : `Answered${time}, with ${cites.length === 1 ? "one cited page" : `${cites.length} cited pages`}.`;
  },
};

function hitOf(hit, words) {
  if (!found.has(hit.page_id)) found.set(hit.page_id, { place: hit, passage: hit.snippet, words });
  const here = { passage: hit.snippet, words };
  return el("li.hit", {}, el("p.hit-head", {}, el("span.rank", { "aria-hidden": "true" }, String(hit.rank)), pageLink(hit, () => here)),
    hit.snippet ? el("p.snippet", { dir: "auto" }, marked(hit.snippet.slice(0, 600), words)) : null);
}

function foundIn({ page_id }) {
  return found.get(page_id) ?? { passage: "", words: new Set() };
}

function placeOf(page_id) {
  return found.get(page_id)?.place ?? { page_id, document: page_id, page: null };
}

const PART = /[\p{L}\p{N}]/u; // beside an id it is part of a longer one

/** An answer's text, where each id of a page that it cites is a link to the page. */
function cited(text, places) {
  const nodes = [];
  const byLength = [...places].sort((a, b) => b.page_id.length - a.page_id.length);
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const place = byLength.find(({ page_id }) => page_id && text.startsWith(page_id, at));
    if (!place || PART.test(text[at - 1] ?? "") || PART.test(text[at + place.page_id.length] ?? "")) continue;
    const number = places.indexOf(place) + 1;
    nodes.push(visible(text.slice(from, at)), pageLink(place, () => foundIn(place), String(number)));
    nodes.at(-1).setAttribute("aria-label", `Source ${number}: ${titleOf(place)}`);
    nodes.at(-1).title = titleOf(place);
    from = at + place.page_id.length;
    at = from - 1;
  }
  return [...nodes, visible(text.slice(from))];
}

async function ask(question) {
  cancel();
  const mine = running = new AbortController();
  const told = { question, time: Date.now(), events: [], failure: "" };
  const started = performance.now();
  clear(question);
  say("Asking …");
  byId("cancel").disabled = false;
  try {
    for await (const event of events(question, mine.signal)) {
      if (running !== mine) break;
      const kept = slim(event, (performance.now() - started) / 1000);
      told.events.push(kept);
      say(SHOW[kept.event]?.(kept) ?? "");
    }
  } catch (error) {
    if (running === mine) say("", told.failure = line(error.message, 500));
  }
  if (mine.signal.aborted) told.failure = "Cancelled.";
  if (running === mine) {
    unfinished();
    if (document.activeElement === byId("cancel")) byId(told.failure ? "question" : "answer-title").focus();
    byId("cancel").disabled = true;
    running = null;
  }
  keep(told);
  list(again);
}

/** End the question that is being answered, here and at the agent. */
function cancel() {
  if (!running) return;
  running.abort();
  running = null;
  unfinished();
  if (document.activeElement === byId("cancel")) byId("question").focus();
  byId("cancel").disabled = true;
  say("Cancelled.");
}

/** An event as it is shown and kept: the end holds much more, for programs. */
function slim(event, seconds) {
  if (event.event !== "end") return event;
  const { answer, refused, citations, pages } = event;
  return { event: "end", answer, refused, citations, pages, seconds };
}

/** No search goes on once the stream has ended. */
function unfinished() {
  for (const item of byId("searches").children) {
    if (item.lastChild.textContent === "Searching …") item.lastChild.textContent = "Not finished.";
  }
}

/** Show a question that was asked earlier. */
function again(told) {
  cancel();
  clear(told.question);
  let progress = "";
  for (const event of told.events) progress = SHOW[event.event]?.(event) ?? "";
  unfinished();
  const time = new Date(told.time).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  say(`Asked ${time}. ${told.failure || progress}`);
  byId("asked").focus();
}

async function about() {
  const response = await fetch("health").catch(() => null);
  if (!response?.ok) return say("", "The agent cannot be reached; is it still running?");
  const { pages, searcher, generator, page_images: images, needs_token: locked } = await response.json();
  byId("about").textContent = line(`${pages.toLocaleString("en")} pages, searched by ${searcher}`
    + (generator ? `, answered by ${generator}` : ""), 300);
  if (images) document.body.dataset.images = "yes";
  if (locked) await request("v1/models").catch((error) => say("", error.message));
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = byId("question").value.trim();
  if (question) ask(question);
});
byId("question").addEventListener("keydown", (event) => {
  if (event.key === "Escape") cancel();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("ask").requestSubmit();
});
byId("cancel").addEventListener("click", cancel);
list(again);
await about();
document.documentElement.dataset.ready = "yes";

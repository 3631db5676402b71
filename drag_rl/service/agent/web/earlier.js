// Earlier questions, kept in this browser: each with the events of its answer, so that it is told again without asking.

import { byId, el, line } from "./text.js";

const KEY = "drag.questions";
const KEPT = 50;

/** The questions, latest first; what cannot be read is as if it had never been. */
function stored() {
  try {
    const read = JSON.parse(localStorage.getItem(KEY)) ?? [];
    return read.filter((told) => typeof told.question === "string" && Array.isArray(told.events));
  } catch {
    return [];
  }
}

/** Keep a question that has been told; the oldest ones go where there is no room. */
export function keep(told) {
  for (let questions = [told, ...stored()].slice(0, KEPT); questions.length; questions = questions.slice(0, -1)) {
    try {
      localStorage.setItem(KEY, JSON.stringify(questions));
      return;
    } catch { /* full: try with one less */ }
  }
}

/** List them; ``show`` is called with the one that is chosen. */
export function list(show) {
  const questions = stored();
  const time = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
  byId("earlier").hidden = !questions.length;
  byId("questions").replaceChildren(...questions.map((told) => el("li", {},
    el("button", { type: "button", onclick: () => show(told) }, el("bdi", {}, line(told.question, 120))),
    el("span.soft", {}, [time.format(told.time), told.failure ? "not answered" : null].filter(Boolean).join(" · ")))));
  asksAgain(false);
}

/** The button that forgets is pressed twice: once to be asked, once to say yes. */
function asksAgain(again) {
  byId("forget").dataset.again = again ? "yes" : "";
  byId("forget").textContent = again ? "Really forget them all?" : "Forget them all";
}

byId("forget").addEventListener("click", () => {
  if (!byId("forget").dataset.again) return asksAgain(true);
  localStorage.removeItem(KEY);
  byId("question").focus();
  return list(() => {});
});
byId("forget").addEventListener("blur", () => asksAgain(false));

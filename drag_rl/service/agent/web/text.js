// Text of documents and models reaches the page through these functions only, as text nodes and attributes.

const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const STACKED = /(\p{M}{8})\p{M}+/gu; // no script stacks as many marks on a letter: they would cover other lines
const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const COMMON = new Set(("a an and are as at about be by can do does for from has have how i in into is it its me my of on or "
  + "say that the their there these they this to was we were what when where which who why will with you your").split(" "));

/** The element that has an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** An element: el("p.class", {attribute: value, onclick: f}, child, "text"); nothing is ever parsed as markup. */
export function el(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

/** The text with what cannot be seen, or would turn the text around, as visible signs. */
export function visible(text) {
  return text.replace(INVISIBLE, "\ufffd").replace(STACKED, "$1\ufffd");
}

/** One line: white space folded, cut. */
export function line(text, length = 200) {
  const folded = text.slice(0, 4 * length).replace(/\s+/g, " ").trim();
  const letters = [...folded].slice(0, length).join("");
  return visible(letters) + (letters.length < folded.length ? " …" : "");
}

/** The words of queries that are worth marking, without their endings. */
export function wordsOf(queries) {
  const words = (queries.join(" ").toLowerCase().match(WORD) || []).filter((word) => !COMMON.has(word));
  return new Set(words.map(stem));
}

/** The text as nodes, those of the words in <mark>. */
export function marked(text, words) {
  const nodes = [];
  let from = 0;
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (!words.has(stem(word.toLowerCase()))) continue;
    nodes.push(visible(text.slice(from, index)), el("mark", {}, visible(word)));
    from = index + word.length;
  }
  return [...nodes, visible(text.slice(from))];
}

/** A whole page's text as nodes: the passage that a search showed of it stands out, and the words in it are marked. */
export function withPassage(text, passage, words) {
  const nodes = [];
  let from = 0;
  for (const [start, end] of places(text, passage)) {
    nodes.push(...marked(text.slice(from, start), words), el("span.passage", {}, marked(text.slice(start, end), words)));
    from = end;
  }
  return [...nodes, ...marked(text.slice(from), words)];
}

/** Where the parts of a passage stand in a text, in order: it may be cut, and its white space is folded. */
function places(text, passage) {
  const found = [];
  let from = 0;
  for (const part of passage.split(/…|\.\.\./)) {
    const words = part.trim().split(/\s+/);
    if (words[0] === "") continue;
    const pattern = new RegExp(words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("\\s+"), "gu");
    pattern.lastIndex = from;
    const match = pattern.exec(text);
    if (!match) continue;
    from = pattern.lastIndex;
    found.push([match.index, from]);
  }
  return found;
}

function stem(word) {
  const cut = word.replace(/(?:ing|ed|es|s|e)$/, "");
  return cut.length < 3 ? word : cut;
}

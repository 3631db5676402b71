// A page of a document beside the answer: its text with what was found in it marked, and its image.

import { request } from "./agent.js";
import { byId, el, line, withPassage } from "./text.js";

let opened = 0; // pages so far: what comes late for an earlier one is dropped
let from = null; // the link that opened the page
let picture = null; // the address of the image's bytes

/** "manuals/pump, page 12", or the id where it is not made of both. */
export function titleOf({ page_id, document, page }) {
  return line(page === null ? page_id : `${document}, page ${page}`, 120);
}

/** A link to a page; ``found()`` gives what was found in it, when it is opened. */
export function pageLink(place, found, label = titleOf(place)) {
  const href = `pages/${encodeURIComponent(place.page_id)}`;
  return el("a.page-link", { href, onclick: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // elsewhere, as the reader wishes
    event.preventDefault();
    from = event.currentTarget;
    open(place, found());
  } }, el("bdi", {}, label));
}

async function open(place, { passage, words }) {
  const number = ++opened;
  const [title, text] = [byId("page-title"), byId("page-text")];
  byId("page").hidden = false;
  document.body.classList.add("with-page");
  for (const link of document.querySelectorAll(".page-link[aria-current]")) link.removeAttribute("aria-current");
  from.setAttribute("aria-current", "true");
  title.textContent = titleOf(place);
  byId("page-failure").textContent = "";
  text.replaceChildren();
  text.scrollTop = 0;
  dropPicture();
  title.focus({ preventScroll: true });
  const { top, bottom } = title.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) byId("page").scrollIntoView();
  const id = encodeURIComponent(place.page_id);
  if (document.body.dataset.images) showPicture(id, titleOf(place), number);
  try {
    const response = await request(`pages/${id}`);
    const body = await response.text();
    if (number !== opened) return;
    if (!response.ok) throw new Error(line(body));
    if (!body.trim()) text.replaceChildren(el("p.soft", {}, "This page has no text."));
    else text.replaceChildren(...withPassage(body, passage, words));
    const first = text.querySelector(".passage") ?? text.querySelector("mark");
    if (first) text.scrollTop = first.offsetTop - text.offsetTop - 40;
  } catch (error) {
    if (number === opened) byId("page-failure").textContent = error.message;
  }
}

async function showPicture(id, title, number) {
  const response = await request(`page-images/${id}`).catch(() => null); // the text tells what is wrong
  const bytes = response?.ok ? await response.blob() : null;
  if (number !== opened) return;
  if (bytes === null) {
    byId("page-image").replaceChildren(el("p.soft", {}, response ? line(await response.text()) : ""));
    return;
  }
  picture = URL.createObjectURL(bytes);
  byId("page-image").replaceChildren(el("img", { src: picture, alt: `Image of ${title}` }));
}

function dropPicture() {
  byId("page-image").replaceChildren();
  if (picture) URL.revokeObjectURL(picture);
  picture = null;
}

/** Close the page and go back to where it was opened; ``stay`` leaves the focus where it is. */
export function closePage(stay = false) {
  if (byId("page").hidden) return;
  opened += 1;
  byId("page").hidden = true;
  document.body.classList.remove("with-page");
  dropPicture();
  from.removeAttribute("aria-current");
  if (!stay) from.focus();
}

byId("page-close").addEventListener("click", () => closePage());
byId("page").addEventListener("keydown", (event) => { if (event.key === "Escape") closePage(); });

// Talking to the agent: its addresses, its token, and its stream of events.

import { byId } from "./text.js";

const TOKEN = "drag.token";
let asking = null; // the token, while its dialog is open

/** A request; where the agent wants a token, or another one, its user is asked first. Throws one line. */
export async function request(address, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(address, { ...options, headers }).catch((error) => { throw told(error); });
    if (response.status !== 401) return response;
    asking ??= askToken(token).finally(() => { asking = null; });
    if (!(await asking)) throw new Error("Without its token the agent does not answer.");
    options.signal?.throwIfAborted();
  }
}

/** Whether the user has given a token. */
function askToken(refused) {
  const dialog = byId("token");
  byId("token-why").textContent = refused ? "The agent does not take this token." : "";
  byId("token-value").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((settle) => dialog.addEventListener("close", () => {
    if (dialog.returnValue) sessionStorage.setItem(TOKEN, dialog.returnValue);
    else sessionStorage.removeItem(TOKEN);
    dialog.returnValue = byId("token-value").value = ""; // it stays in no field
    settle(sessionStorage.getItem(TOKEN) !== null);
  }, { once: true }));
}

/** The events of a question as they happen. Throws one line where it is refused, fails, or breaks off. */
export async function* events(question, signal) {
  const body = JSON.stringify({ model: "drag", stream: true, messages: [{ role: "user", content: question }] });
  const headers = { "Content-Type": "application/json" };
  const response = await request("v1/chat/completions", { method: "POST", headers, body, signal });
  if (!response.ok) throw new Error(await reason(response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let kept = ""; ;) {
      const { done, value } = await reader.read().catch((error) => { throw told(error); });
      if (done) throw new Error("The connection broke off before the answer.");
      const messages = (kept + value).split("\n\n");
      kept = messages.pop();
      for (const message of messages) {
        const data = message.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new Error(chunk.error.message);
        if (chunk.drag) yield { ...chunk.drag, content: chunk.choices[0].delta.content };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Why a request was refused. */
async function reason(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error.message;
  } catch {
    return `The agent's address answers with status ${response.status}.`;
  }
}

function told(error) {
  return error.name === "AbortError" ? error : new Error("The agent cannot be reached; is it still running?");
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("token").close(byId("token-value").value);
});
byId("token-cancel").addEventListener("click", () => byId("token").close(""));

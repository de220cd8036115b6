// Buttons that do something to an object: the row or header says at once what is being done, the answer then replaces it.
//
// A button belongs to the form #act and has its address as formaction, so it works without scripts too. A dialog's form
// is marked data-act and names its object by data-for; one with fields that may be refused is action-form.js's.
import { valuesOf } from "./action-form.js";

const spinner = '<svg class="icon" aria-hidden="true"><use href="#"/></svg>';

function shownFor(element) {
  const named = element.closest("[data-for]")?.dataset.for;
  if (named) return document.querySelector(`[data-subject="${CSS.escape(named)}"]`);
  return element.closest("[data-subject]");
}

function sayDoing(shown, doing) {
  const state = shown.querySelector(".state");
  if (!state || !doing) return () => {};
  const before = state.cloneNode(true);
  state.className = "state state-blue is-busy";
  state.title = "";
  const icon = state.querySelector("use");
  if (icon) icon.setAttribute("href", `${icon.getAttribute("href").split("#")[0]}#loader-2`);
  else state.insertAdjacentHTML("afterbegin", spinner);
  const words = state.querySelector("span:not(.visually-hidden)");
  if (words) words.textContent = `${doing}…`;
  shown.setAttribute("aria-busy", "true");
  return () => {
    if (state.isConnected) state.replaceWith(before);
    shown.removeAttribute("aria-busy");
  };
}

async function send(address, values, shown, doing) {
  const restore = sayDoing(shown, doing);
  const failed = (event) => { if (event.detail.target === shown) restore(); };
  const kinds = ["htmx:responseError", "htmx:sendError", "htmx:timeout"];
  kinds.forEach((kind) => document.body.addEventListener(kind, failed));
  try {
    await window.htmx.ajax("POST", address, { source: shown, target: shown, swap: "outerHTML", values });
  } catch {
    // errors.js has said it, and the state is as it was.
  } finally {
    kinds.forEach((kind) => document.body.removeEventListener(kind, failed));
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "act" && !form.matches("[data-act]")) return;
  const button = event.submitter;
  const shown = shownFor(button ?? form);
  // Nothing on this page to replace: the browser sends it and the next page tells.
  if (!shown || !window.htmx) return;
  event.preventDefault();
  if (button?.getAttribute("aria-disabled") === "true") return;
  const values = valuesOf(form);
  const address = button?.getAttribute("formaction") ?? form.getAttribute("action");
  form.closest("dialog")?.close();
  document.dispatchEvent(new CustomEvent("kvweb:acted"));
  send(address, values, shown, button?.dataset.doing ?? form.dataset.doing);
});

// A greyed button says why instead of doing anything.
document.addEventListener("click", (event) => {
  const off = event.target.closest("[aria-disabled=true]");
  if (off) event.preventDefault();
}, true);

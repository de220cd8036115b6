// <form data-kept>: what was typed into a form that is sent as a page of its own is not lost. Before it is sent the portal
// is asked whether it would be taken: an ended session, a portal that starts anew or a network that is away leave the page
// as it is and say so. Who leaves with something typed is asked by the browser.
import { tellStanding } from "./errors.js";
import { standing } from "./standing.js";

const TYPED = "input[name]:not([type=radio], [type=checkbox], [type=range], [type=hidden]), textarea[name]";
const changed = new Set();
const asking = new WeakSet();
let passing = null;

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-kept]") || form === passing) return;
  // The others at this form hear of it when it is really sent.
  event.preventDefault();
  event.stopImmediatePropagation();
  if (asking.has(form)) return;
  const button = event.submitter;
  asking.add(form);
  button?.classList.add("btn-loading");
  const found = await standing();
  button?.classList.remove("btn-loading");
  asking.delete(form);
  if (found !== "here") return tellStanding(found);
  passing = form;
  changed.delete(form);
  form.requestSubmit(button);
  passing = null;
  return undefined;
}, true);

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.matches("[data-kept]") && event.target.matches(TYPED)) changed.add(form);
});
// What was refused is still only here.
document.querySelectorAll("form[data-kept]").forEach((form) => {
  if (form.querySelector("[aria-invalid=true]")) changed.add(form);
});
// Cancel says it already.
document.addEventListener("click", (event) => {
  const form = event.target.closest("[data-kept] a")?.closest("form");
  if (form && event.target.closest("a").textContent.trim() === "Cancel") changed.delete(form);
});
addEventListener("beforeunload", (event) => {
  if ([...changed].some((form) => form.isConnected)) event.preventDefault();
});

// <button data-copy>: a press copies its text, or the attribute's value.
import { toast } from "./toasts.js";

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Plain HTTP has no clipboard interface; the old way still works there.
  const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "visually-hidden" });
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const worked = document.execCommand("copy");
  field.remove();
  if (!worked) throw new Error("refused");
  return undefined;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  try {
    await write(button.dataset.copy || button.textContent.trim());
    button.classList.add("is-copied");
    setTimeout(() => button.classList.remove("is-copied"), 1200);
  } catch {
    toast("The browser did not allow copying; select the text instead.", "warning");
  }
});

// <a data-dialog href>: shows the question of that address in a dialog; without scripts it is a page of its own.
const dialog = document.getElementById("dialog");

export async function ask(address, verb = "GET", values = {}) {
  if (!dialog) { location.href = address; return; }
  await window.htmx.ajax(verb, address, { target: "#dialog", swap: "innerHTML", values }).catch(() => { /* errors.js has said it */ });
}

export function showDialog() {
  if (!dialog.open) dialog.showModal();
  const first = "[data-act-form] .dialog-body :is(input:not([type=hidden], [type=radio], [type=checkbox]), select, textarea)";
  const wrong = dialog.querySelector(".is-invalid");
  (wrong ?? dialog.querySelector("[autofocus]") ?? dialog.querySelector(first) ?? dialog.querySelector("button[type=submit]"))?.focus();
}

if (dialog) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.button) return;
    event.preventDefault();
    ask(link.href);
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog && dialog.children.length) showDialog();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  // The button that cannot be taken back waits until the name was typed.
  dialog.addEventListener("input", (event) => {
    const wanted = event.target.dataset.mustEqual;
    if (wanted === undefined) return;
    dialog.querySelector("button[type=submit]").disabled = event.target.value.trim() !== wanted;
  });
  // The event comes with the next frame: by then another question may stand in it.
  dialog.addEventListener("close", () => { if (!dialog.open) dialog.replaceChildren(); });
}

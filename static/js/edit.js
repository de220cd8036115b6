// A form that is being filled in is not replaced by news; a filter that is empty does not stand in the address.
document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filters") return;
  for (const [name, value] of Object.entries(event.detail.parameters)) {
    if (value === "") delete event.detail.parameters[name];
  }
});
document.addEventListener("input", (event) => {
  event.target.closest("form[data-editable]")?.classList.add("is-changed");
});
document.addEventListener("submit", (event) => {
  event.target.closest("form[data-editable]")?.classList.remove("is-changed");
}, true);

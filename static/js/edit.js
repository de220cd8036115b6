// A form that is being filled in is not replaced by news; a filter that is empty does not stand in the address.
document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.elt.id !== "filters") return;
  for (const [name, value] of Object.entries(event.detail.parameters)) {
    if (value === "") delete event.detail.parameters[name];
  }
});
const differs = (field) => field.defaultValue === undefined || field.value !== field.defaultValue;
document.addEventListener("input", (event) => {
  event.target.closest("form[data-editable]")?.classList.toggle("is-changed", differs(event.target));
});
document.addEventListener("reset", (event) => {
  event.target.closest("form[data-editable]")?.classList.remove("is-changed");
});
// What could not be saved is still only here.
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.body.addEventListener(failure, (event) => event.detail.elt.closest("form[data-editable]")?.classList.add("is-changed"));
}
document.addEventListener("submit", (event) => {
  event.target.closest("form[data-editable]")?.classList.remove("is-changed");
}, true);

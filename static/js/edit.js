// A form that is being filled in is not replaced by news; the search field of the frame gives way to the list's own.
document.addEventListener("input", (event) => {
  event.target.closest("form[data-editable]")?.classList.add("is-changed");
});
document.addEventListener("submit", (event) => {
  event.target.closest("form[data-editable]")?.classList.remove("is-changed");
}, true);

// <button data-fill="cidr" data-value="10.50.0.0/24">: puts a suggestion into its field.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fill]");
  if (!button) return;
  const field = button.closest("form").elements[button.dataset.fill];
  field.value = button.dataset.value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
});

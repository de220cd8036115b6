// The create page while one types: what belongs to the chosen image is shown, a long list of images can be searched,
// and the form is sent once.

const form = document.querySelector("[data-create-form]");

function chosen(name) {
  return form.querySelector(`input[name="${name}"]:checked`);
}

function fit() {
  const image = chosen("image");
  form.dataset.starts = image?.dataset.starts ?? "image";
  form.dataset.size = chosen("size")?.value ?? "";
  const user = form.elements.username;
  if (user) user.placeholder = image?.dataset.user || "the image’s own user";
  const disk = form.elements.disk_gib;
  if (disk) disk.placeholder = image?.dataset.starts === "image" ? `as large as the image (${wholeGib(image)} GiB)` : "";
}

function wholeGib(image) {
  return Math.max(1, Math.ceil(Number(image.dataset.gib) || 1));
}

function search(input) {
  const words = input.value.toLowerCase().split(/\s+/);
  for (const choice of document.getElementById(input.dataset.createFilter).children) {
    const text = choice.textContent.toLowerCase();
    const isChosen = choice.querySelector("input")?.checked;
    choice.hidden = !isChosen && !words.every((word) => text.includes(word));
  }
}

if (form) {
  form.addEventListener("input", (event) => {
    if (event.target.matches("[data-create-filter]")) search(event.target);
    fit();
  });
  form.addEventListener("change", fit);
  document.addEventListener("htmx:afterSettle", fit);
  document.addEventListener("htmx:oobAfterSwap", fit);

  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    const button = event.submitter;
    // Buttons are disabled only after the browser has read which one was pressed.
    setTimeout(() => {
      for (const other of form.querySelectorAll("button[name=then]")) other.disabled = true;
      button?.classList.add("btn-loading");
    });
  });
  // Coming back with the browser's button shows the page as it was left: ready again.
  addEventListener("pageshow", () => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button[name=then]")) {
      button.disabled = false;
      button.classList.remove("btn-loading");
    }
  });
  const errors = document.querySelector("[data-create-errors]");
  if (errors) errors.focus();
  else if (!form.elements.name.value && matchMedia("(pointer: fine)").matches) form.elements.name.focus({ preventScroll: true });
  // A link to a field in the folded section opens it first.
  form.addEventListener("click", (event) => {
    const target = event.target.closest("[data-create-errors] a")?.getAttribute("href");
    const field = target && document.getElementById(target.slice(1));
    if (!field) return;
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    event.preventDefault();
    field.scrollIntoView({ block: "center" });
    field.focus({ preventScroll: true });
  });
  fit();
}

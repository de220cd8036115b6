// A dialog with fields: sent in place. What is wrong comes back as the same dialog with its sentences; when it is done,
// the answer's news (HX-Trigger: done) closes it and the page shows the rest.
const dialog = document.getElementById("dialog");

/** Fields by name; a name that occurs several times gives a list. */
export function valuesOf(form, submitter) {
  const values = {};
  for (const [name, value] of new FormData(form, submitter)) {
    if (name === "csrfmiddlewaretoken") continue;
    values[name] = name in values ? [].concat(values[name], value) : value;
  }
  return values;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-act-form]") || !form.closest("dialog") || !window.htmx) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button[type=submit]");
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  button?.classList.add("btn-loading");
  try {
    await window.htmx.ajax("POST", form.getAttribute("action"), { source: form, target: "#dialog", swap: "innerHTML", values: valuesOf(form, button) });
  } catch {
    // errors.js has said it; what was typed is still here.
  } finally {
    form.removeAttribute("aria-busy");
    button?.classList.remove("btn-loading");
  }
});

document.body.addEventListener("done", () => dialog?.close());

// A field that only matters with another's value: <div data-shown-when="where=new"> or data-shown-when="delete".
function fit(form) {
  for (const part of form.querySelectorAll("[data-shown-when]")) {
    const [name, wanted] = part.dataset.shownWhen.split("=");
    const field = form.elements[name];
    if (!field) continue;
    const value = field.type === "checkbox" ? (field.checked ? "on" : "") : field.value;
    part.hidden = wanted === undefined ? !value : !wanted.split("|").includes(value);
  }
  // What cannot be taken back waits until the name was typed, where it is asked for at all.
  const must = form.querySelector("[data-must-equal-when-shown]");
  if (must) {
    const isAsked = !must.closest("[hidden]");
    form.querySelector("button[type=submit]").disabled = isAsked && must.value.trim() !== must.dataset.mustEqualWhenShown;
  }
  // A slider and its number are one value.
  for (const slider of form.querySelectorAll("input[type=range][data-slides]")) {
    const number = form.elements[slider.dataset.slides];
    if (number && document.activeElement !== slider) slider.value = number.value;
  }
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-act], form[data-act-form], form[data-bulk]");
  if (!form) return;
  if (event.target.dataset.slides) form.elements[event.target.dataset.slides].value = event.target.value;
  fit(form);
});
document.body.addEventListener("htmx:afterSettle", () => document.querySelectorAll("dialog form").forEach(fit));
document.querySelectorAll("form[data-act-form], form[data-act]").forEach(fit);

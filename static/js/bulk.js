// Selecting rows: the bar at the bottom appears with the first one; Shift selects a range.
import { valuesOf } from "./action-form.js";

const bar = () => document.getElementById("bulk");
// Of the rows alone: a question that is open names its machines too, in fields that nobody sees.
const boxes = () => [...document.querySelectorAll("[data-row] input[name=vm]")];
let last = null;
// The filters of a list whose every machine is chosen, also those of its other pages; null while boxes say which.
let matching = null;

export function renew() {
  const found = bar();
  if (!found) return;
  const all = boxes();
  const chosen = all.filter((box) => box.checked);
  const list = document.querySelector("[data-matching]");
  const total = Number(list?.dataset.total);
  if (list?.dataset.matching !== matching || chosen.length < all.length || !all.length) matching = null;
  found.classList.toggle("is-idle", !chosen.length);
  found.querySelector("[data-count]").textContent = matching === null ? `${chosen.length} selected` : `All ${total} selected`;
  const more = found.querySelector("[data-select-matching]");
  more.hidden = matching !== null || chosen.length < all.length || total <= all.length;
  more.textContent = `Select all ${total} matching`;
  const head = document.querySelector("[data-check-all]");
  if (head) {
    head.checked = chosen.length > 0 && chosen.length === all.length;
    head.indeterminate = chosen.length > 0 && chosen.length < all.length;
  }
}

export function clear() {
  boxes().forEach((box) => { box.checked = false; });
  renew();
}

document.addEventListener("click", (event) => {
  const box = event.target.closest("[data-row] input[name=vm]");
  if (box) {
    const all = boxes();
    if (event.shiftKey && last?.isConnected) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      all.slice(from, to + 1).forEach((other) => { other.checked = box.checked; });
    }
    last = box;
    renew();
  } else if (event.target.matches("[data-check-all]")) {
    boxes().forEach((other) => { other.checked = event.target.checked; });
    renew();
  } else if (event.target.closest("[data-select-matching]")) {
    matching = document.querySelector("[data-matching]").dataset.matching;
    renew();
  } else if (event.target.closest("[data-clear-selection]")) {
    clear();
  }
});

// Sends the selection; a question comes back as a dialog, otherwise the rows are asked for anew.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("#bulk, [data-bulk]") || !window.htmx) return;
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  form.querySelector("details[open]")?.removeAttribute("open");
  form.closest("dialog")?.close();
  const values = valuesOf(form, event.submitter);
  const which = matching !== null && form.id === "bulk" ? { matching } : { vm: data.getAll("vm") };
  window.htmx.ajax("POST", form.getAttribute("action"), {
    target: "#dialog",
    swap: "innerHTML",
    values: { ...values, ...which },
  }).catch(() => { /* errors.js has said it */ });
});

document.addEventListener("kvweb:rows", renew);
document.body.addEventListener("htmx:afterSettle", renew);
document.addEventListener("kvweb:escape", clear);
renew();

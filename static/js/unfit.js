// Rows that the list's filter leaves out since something happened to them: they say so, dimmed, and go when nobody can be
// about to press something in the list. What is under a pointer stays where it is.
import { fadeOut } from "./rows.js";

const SHOWN_MS = 4000;
const canHover = matchMedia("(hover: hover)");
let timer = 0;

export function mark(row) {
  const before = document.getElementById(row.id);
  row.classList.add("is-unfit");
  row.dataset.unfitAt = before?.dataset.unfitAt ?? Date.now();
  const note = Object.assign(document.createElement("span"), { className: "unfit", textContent: "No longer fits the filter" });
  row.querySelector(".name")?.append(note);
  timer ||= setInterval(leave, 500);
}

/** Whether somebody is at this list with pointer, keyboard, an open menu or a selection. */
export const isInUse = (list) => (canHover.matches && list.matches(":hover"))
  || Boolean(list.querySelector(":focus-visible, .dropdown-menu.show, [data-row] input:checked"));

function leave() {
  const rows = [...document.querySelectorAll("[data-row].is-unfit:not(.is-going)")];
  if (!rows.length) {
    clearInterval(timer);
    timer = 0;
  }
  for (const row of rows) {
    if (Date.now() - row.dataset.unfitAt > SHOWN_MS && !isInUse(row.closest("[data-live-list]"))) fadeOut(row.id);
  }
}

// Selecting rows: the bar at the bottom appears with the first one; Shift selects a range.
const bar = () => document.getElementById("bulk");
const boxes = () => [...document.querySelectorAll("input[name=vm]")];
let last = null;

export function renew() {
  const found = bar();
  if (!found) return;
  const all = boxes();
  const chosen = all.filter((box) => box.checked);
  found.classList.toggle("is-idle", !chosen.length);
  found.querySelector("[data-count]").textContent = chosen.length === 1 ? "1 selected" : `${chosen.length} selected`;
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
  const box = event.target.closest("input[name=vm]");
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
  form.closest("dialog")?.close();
  window.htmx.ajax("POST", form.getAttribute("action"), {
    target: "#dialog",
    swap: "innerHTML",
    values: { action: data.get("action"), vm: data.getAll("vm"), typed: data.get("typed") ?? "", confirmed: data.get("confirmed") ?? "" },
  }).catch(() => { /* errors.js has said it */ });
});

document.addEventListener("kvweb:rows", renew);
document.body.addEventListener("htmx:afterSettle", renew);
document.addEventListener("kvweb:escape", clear);
renew();

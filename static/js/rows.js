// Replaces rows by id while what the person is doing with them stays: selection, focus, cursor, scroll.
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children].filter((element) => element.id);
}

const focusables = (element) => [...element.querySelectorAll("a[href], button, input, select, textarea, [tabindex]")];

const later = new Map();
document.addEventListener("hidden.bs.dropdown", () => {
  // After whatever the click that closed it does.
  setTimeout(() => { const fresh = [...later.values()]; later.clear(); fresh.forEach(swap); });
});

export function swap(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) return false;
  // Somebody is typing in it, or sends a file from it: what they do is worth more than news. The next change brings both.
  if (old.querySelector("[data-held], textarea:focus, input:not([type=checkbox]):focus, form.is-changed")) return false;
  // Nothing is taken away under a pointer: the news waits until the menu is closed.
  if (old.querySelector(".dropdown-menu.show")) { later.set(fresh.id, fresh); return false; }
  const hadFocus = old.contains(document.activeElement) ? focusables(old).indexOf(document.activeElement) : -1;
  const box = old.querySelector("input[name=vm]");
  const freshBox = fresh.querySelector("input[name=vm]");
  if (box && freshBox) freshBox.checked = box.checked;
  if (old.classList.contains("is-cursor")) fresh.classList.add("is-cursor");
  const known = new Set([...old.querySelectorAll("[data-row]")].map((row) => row.id));
  if (known.size) fresh.querySelectorAll("[data-row]").forEach((row) => row.classList.toggle("is-new", !known.has(row.id)));
  old.replaceWith(fresh);
  window.htmx.process(fresh);
  if (hadFocus >= 0) focusables(fresh)[hadFocus]?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("kvweb:rows"));
  return true;
}

export function fadeOut(id) {
  const row = document.getElementById(id);
  if (!row) return;
  row.classList.add("is-going");
  row.querySelectorAll("input").forEach((input) => { input.checked = false; });
  setTimeout(() => { row.remove(); document.dispatchEvent(new CustomEvent("kvweb:rows")); }, 700);
}

// A row that htmx replaces (the answer to a button) keeps its selection too.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { target, serverResponse, shouldSwap } = event.detail;
  if (!shouldSwap || !target?.matches?.("[data-row]")) return;
  event.detail.shouldSwap = false;
  const fresh = parse(serverResponse);
  if (!fresh.length) fadeOut(target.id);
  target.removeAttribute("aria-busy");
  fresh.forEach(swap);
});

// A list that news replaces as a whole keeps selection, cursor and focus; one that a filter replaces begins anew.
let kept = null;
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  kept = null;
  if (target?.id !== "results" || !requestConfig?.headers?.["X-Live"]) return;
  const row = document.activeElement?.closest("[data-row]");
  kept = {
    rows: new Set([...target.querySelectorAll("[data-row]")].map((one) => one.id)),
    checked: [...target.querySelectorAll("input[name=vm]:checked")].map((box) => box.value),
    cursor: target.querySelector(".is-cursor")?.id,
    row: row?.id,
    index: row ? focusables(row).indexOf(document.activeElement) : -1,
  };
});
document.body.addEventListener("htmx:afterSwap", () => {
  if (!kept) return;
  const { rows, checked, cursor, row, index } = kept;
  kept = null;
  document.querySelectorAll("[data-row] input[name=vm]").forEach((box) => { box.checked = checked.includes(box.value); });
  document.querySelectorAll("#results [data-row]").forEach((one) => one.classList.toggle("is-new", !rows.has(one.id)));
  if (cursor) document.getElementById(cursor)?.classList.add("is-cursor");
  const found = row && document.getElementById(row);
  if (found && index >= 0) focusables(found)[index]?.focus({ preventScroll: true });
});

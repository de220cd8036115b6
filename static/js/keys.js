// The keyboard: links and fields say their key by data-key; lists are walked with j and k.
const help = document.getElementById("keys-help");
let first = "";
let forget = 0;

const isTyping = (target) => target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) && !/^(checkbox|radio|button)$/i.test(target.type ?? "");
const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null || row.getClientRects().length);
const cursor = () => document.querySelector("[data-row].is-cursor");

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(cursor());
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
  cursor()?.classList.remove("is-cursor");
  next.classList.add("is-cursor");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("[data-open]")?.focus({ preventScroll: true });
}

const inRow = {
  x: (row) => row.querySelector("input[type=checkbox]")?.click(),
  m: (row) => row.querySelector("[data-menu]")?.click(),
  Enter: (row) => row.querySelector("[data-open]")?.click(),
};

function press(keys) {
  const target = document.querySelector(`main [data-key="${CSS.escape(keys)}"]`) ?? document.querySelector(`[data-key="${CSS.escape(keys)}"]`);
  if (!target) return false;
  if (target.matches("input")) { target.focus(); target.select(); } else target.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (isTyping(event.target)) event.target.blur();
    else document.dispatchEvent(new CustomEvent("kvweb:escape"));
    return;
  }
  if (isTyping(event.target) || event.target.closest(".console, [data-own-keys]")) return;
  if (event.key === "?" && help) { event.preventDefault(); help.showModal(); return; }
  if (!first && (event.key === "j" || event.key === "k")) { move(event.key === "j" ? 1 : -1); return; }
  const row = cursor();
  const isOnControl = event.target.closest("a, button") && !event.target.matches("[data-open]");
  if (!first && row && inRow[event.key] && !(event.key === "Enter" && (isOnControl || event.target.matches("[data-open]")))) {
    event.preventDefault();
    inRow[event.key](row);
    return;
  }
  if (event.key.length !== 1) return;
  const keys = first ? `${first} ${event.key}` : event.key;
  clearTimeout(forget);
  first = "";
  if (press(keys)) event.preventDefault();
  else if (event.key === "g") { first = "g"; forget = setTimeout(() => { first = ""; }, 1200); }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-help]")) help?.showModal();
  if (event.target === help) help.close();
});

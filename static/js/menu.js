// <a data-menu>: one menu for all rows, fetched when it is opened, so that a list stays small and a live row can be
// replaced below it. The link's own address is the page with the same actions.
const menu = document.getElementById("row-menu");
let opener = null;

function place() {
  const at = opener.getBoundingClientRect();
  // Where it stood it may have been squeezed by the window's edge; it is measured as wide as it likes to be.
  menu.style.left = "8px";
  const wide = menu.offsetWidth;
  const high = menu.offsetHeight;
  menu.style.left = `${Math.max(8, Math.min(at.right - wide, innerWidth - wide - 8))}px`;
  const below = at.bottom + 4;
  menu.style.top = `${below + high > innerHeight - 8 ? Math.max(8, at.top - high - 4) : below}px`;
}

// The page moves below an open menu: it stays with its row, and goes when that leaves the window.
function follow() {
  if (!opener.isConnected) {
    // The row was replaced by news.
    opener = document.querySelector(`[data-subject="${CSS.escape(menu.dataset.for)}"] a[data-menu]`) ?? opener;
    opener.setAttribute("aria-expanded", "true");
  }
  const at = opener.getBoundingClientRect();
  if (opener.isConnected && at.bottom > 0 && at.top < innerHeight) place();
  else closeMenu();
}

export function closeMenu(giveFocusBack = false) {
  if (!menu || menu.hidden) return;
  menu.hidden = true;
  opener?.setAttribute("aria-expanded", "false");
  if (giveFocusBack && opener?.isConnected) opener.focus();
  opener = null;
}

async function openMenu(link) {
  closeMenu();
  opener = link;
  const subject = link.closest("[data-subject]").dataset.subject;
  menu.dataset.for = subject;
  menu.innerHTML = '<div class="dropdown-item soft">Loading…</div>';
  menu.hidden = false;
  link.setAttribute("aria-expanded", "true");
  place();
  // Keys go to the menu from the start: what is pressed while it loads must not open the row.
  menu.tabIndex = -1;
  menu.focus({ preventScroll: true });
  try {
    await window.htmx.ajax("GET", `${link.getAttribute("href")}menu`, { target: menu, swap: "innerHTML" });
  } catch {
    // errors.js has said it.
    closeMenu(true);
    return;
  }
  if (menu.hidden || menu.dataset.for !== subject) return;
  place();
  menu.querySelector("[role=menuitem]")?.focus();
}

if (menu) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-menu]");
    if (link && !event.ctrlKey && !event.metaKey && window.htmx) {
      event.preventDefault();
      if (opener === link) closeMenu(true);
      else openMenu(link);
    } else if (!menu.hidden && (!menu.contains(event.target) || event.target.closest("a, button:not([aria-disabled])"))) {
      // After this click has done its work: the button still has to submit its form.
      setTimeout(() => closeMenu());
    }
  });
  // On its way down, before Bootstrap: to that every .dropdown-menu belongs to a button, and the arrows would open another's.
  addEventListener("keydown", (event) => {
    if (menu.hidden || !menu.contains(event.target)) return;
    const items = [...menu.querySelectorAll("[role=menuitem]")];
    const at = items.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (event.key in moves) {
      event.preventDefault();
      items[(moves[event.key] + items.length) % items.length]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      if (event.key === "Escape") event.preventDefault();
      closeMenu(true);
    }
    event.stopPropagation();
  }, true);
  document.addEventListener("kvweb:acted", () => closeMenu());
  addEventListener("resize", () => closeMenu());
  document.addEventListener("scroll", (event) => { if (!menu.hidden && !menu.contains(event.target)) follow(); }, true);
}

// Panels beside the screen: [data-console-panel-open="keys"] opens [data-console-panel="keys"], one at a time. Escape closes
// it and gives the focus back to its button.
export class Panels {
  #root; #onChange;

  constructor(root, { onOpen = () => {}, onClose = () => {} }) {
    this.#root = root;
    this.#onChange = { onOpen, onClose };
    root.addEventListener("click", (event) => {
      const opener = event.target.closest("[data-console-panel-open]");
      if (opener) this.toggle(opener.dataset.consolePanelOpen);
      else if (event.target.closest("[data-console-panel-close]")) this.close();
    });
    root.querySelectorAll("[data-console-panel]").forEach((panel) => panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.shiftKey) { event.stopPropagation(); this.close(); }
    }));
  }

  get open() { return this.#root.querySelector("[data-console-panel]:not([hidden])")?.dataset.consolePanel ?? ""; }

  panel(name) { return this.#root.querySelector(`[data-console-panel="${name}"]`); }

  toggle(name) {
    if (this.open === name) { this.close(); return; }
    if (this.open) this.close({ quietly: true });
    const panel = this.panel(name);
    panel.hidden = false;
    this.#mark(name, true);
    panel.querySelector("textarea:not([hidden]), input:not([hidden]), .btn:not(.btn-close)")?.focus();
    this.#onChange.onOpen(name, panel);
  }

  close({ quietly = false } = {}) {
    const name = this.open;
    if (!name) return;
    const hadFocus = this.panel(name).contains(document.activeElement);
    this.panel(name).hidden = true;
    this.#mark(name, false);
    this.#onChange.onClose(name);
    if (!quietly && hadFocus) this.#root.querySelector(`[data-console-panel-open="${name}"]`).focus();
  }

  #mark(name, isOpen) {
    this.#root.querySelector(`[data-console-panel-open="${name}"]`).setAttribute("aria-expanded", String(isOpen));
  }
}

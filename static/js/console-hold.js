// Keys as buttons: [data-keys] presses, [data-hold] keeps a modifier down until the next key, of a button or of the
// keyboard. Pressed twice in a row it stays until it is pressed again.
import { keyCalled } from "./console-keys.js";

export class Hold {
  #root; #screen; #held = new Map();

  constructor(root, screen) {
    this.#root = root;
    this.#screen = screen;
    root.addEventListener("click", (event) => {
      const hold = event.target.closest("[data-hold]");
      const key = event.target.closest("[data-keys]");
      if (hold) this.#toggle(hold.dataset.hold);
      else if (key) { this.#screen().press(key.dataset.keys, this.names); this.used(); }
    });
    // The button does not take the focus from the screen, nor the keyboard from a telephone's.
    root.addEventListener("pointerdown", (event) => { if (event.target.closest("[data-touch-keep], .console-touch .btn")) event.preventDefault(); });
    root.querySelector("[data-console-screen]").addEventListener("keyup", (event) => {
      if (!["Control", "Shift", "Alt", "AltGraph", "Meta"].includes(event.key)) setTimeout(() => this.used());
    }, true);
  }

  get names() { return new Set(this.#held.keys()); }

  #toggle(name) {
    const state = this.#held.get(name);
    if (!state) this.#down(name);
    else if (state === "once") this.#held.set(name, "locked");
    else this.#up(name);
    this.#show();
  }

  #down(name) {
    this.#held.set(name, "once");
    this.#screen().hold(...keyCalled(name), true);
  }

  #up(name) {
    this.#held.delete(name);
    this.#screen().hold(...keyCalled(name), false);
  }

  // A key was pressed: what was held for one key goes up.
  used() {
    [...this.#held].forEach(([name, state]) => { if (state === "once") this.#up(name); });
    this.#show();
  }

  releaseAll() {
    [...this.#held.keys()].forEach((name) => this.#up(name));
    this.#show();
  }

  #show() {
    this.#root.querySelectorAll("[data-hold]").forEach((button) => {
      const state = this.#held.get(button.dataset.hold);
      button.setAttribute("aria-pressed", String(Boolean(state)));
      button.classList.toggle("is-locked", state === "locked");
    });
  }
}

// The bar of keys below the screen of a telephone, and its own keyboard: a hidden field is written into, and what changed in
// it goes to the machine as keys. It always holds a few characters, so that there is something for Backspace to take away.
const FILLING = "\u00a0".repeat(40);

export class Touch {
  #text; #screen; #hold; #before = FILLING;

  constructor(bar, screen, hold) {
    this.#text = bar.querySelector("[data-touch-text]");
    this.#screen = screen;
    this.#hold = hold;
    bar.querySelector("[data-touch-keyboard]").addEventListener("click", () => this.#open());
    this.#text.addEventListener("input", () => this.#take());
    this.#text.addEventListener("blur", () => this.#fill());
    this.#text.addEventListener("keydown", (event) => {
      // Where a real keyboard writes into it, keys without a character are told apart here.
      const name = { Escape: "escape", Tab: "tab", ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" }[event.key];
      if (!name || event.shiftKey) return;
      event.preventDefault();
      this.#press(name);
    });
    this.#fill();
  }

  #open() {
    if (document.activeElement === this.#text) { this.#text.blur(); return; }
    this.#fill();
    this.#text.focus();
  }

  #fill() {
    this.#text.value = FILLING;
    this.#before = FILLING;
    this.#text.setSelectionRange(FILLING.length, FILLING.length);
  }

  #take() {
    const [before, now] = [this.#before, this.#text.value];
    let same = 0;
    while (same < Math.min(before.length, now.length) && before[same] === now[same]) same += 1;
    for (let count = same; count < before.length; count += 1) this.#press("backspace");
    for (const character of now.slice(same)) this.#press(character === "\n" ? "enter" : character);
    this.#before = now;
    // Not in the middle of a word that the telephone still completes.
    if (now.length < 5 || now.length > 200) this.#fill();
  }

  #press(name) {
    this.#screen().press(name === " " || name === "\u00a0" ? " " : name, this.#hold.names);
    this.#hold.used();
  }
}

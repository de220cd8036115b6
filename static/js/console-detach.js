// The console in a window of its own: this page lets go of the line, and takes it again when that window is closed.
const LOOK_MS = 700;

export class Detached {
  #name; #window = null; #timer = 0; #onBack;

  constructor(name, onBack) {
    this.#name = `kvweb-console-${name}`;
    this.#onBack = onBack;
  }

  get isOwnWindow() { return window.name.startsWith("kvweb-console-"); }

  // False when the browser opens no windows.
  open() {
    this.#window = window.open(location.href, this.#name, "popup,width=1060,height=860");
    if (!this.#window) return false;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => { if (this.#window.closed) this.back(); }, LOOK_MS);
    return true;
  }

  back() {
    clearInterval(this.#timer);
    this.#window?.close();
    this.#window = null;
    this.#onBack();
  }

  get isOpen() { return Boolean(this.#window && !this.#window.closed); }
}

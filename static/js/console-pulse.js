// Whether a console's line still lives. A service that hangs or a network that died without a word closes nothing: the page
// would say “Connected” for minutes. So a line that was quiet for a while is asked, and one that does not answer is given up.
const OPENS_WITHIN_MS = 20000;
const QUIET_MS = 15000;
const ANSWERS_WITHIN_MS = 8000;
const LOOK_MS = 2000;

export class Pulse {
  #ask; #onLost; #timer; #began = Date.now(); #heardAt = 0; #askedAt = 0;

  // `ask()` makes the service say something, `onLost()` is called once; whoever gives the line up calls `stop()`.
  constructor({ ask, onLost }) {
    this.#ask = ask;
    this.#onLost = onLost;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    addEventListener("online", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
  }

  // Anything at all came.
  heard() {
    this.#heardAt = Date.now();
    this.#askedAt = 0;
  }

  stop() {
    clearInterval(this.#timer);
    removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
  }

  // Somebody looks again, or the network is back: what was true before need not be.
  #wake = () => { if (!document.hidden && this.#heardAt && !this.#askedAt) this.#doubt(); };

  #doubt() {
    this.#askedAt = Date.now();
    this.#ask();
  }

  #look() {
    const now = Date.now();
    const isLost = this.#heardAt ? this.#askedAt && now - this.#askedAt > ANSWERS_WITHIN_MS : now - this.#began > OPENS_WITHIN_MS;
    if (isLost) {
      this.stop();
      this.#onLost();
    } else if (this.#heardAt && !this.#askedAt && !document.hidden && now - this.#heardAt > QUIET_MS) this.#doubt();
  }
}

// <section data-charts="address of values">: graphs that are renewed while somebody sees them. The drawing itself is a
// module of its own, loaded when a page has graphs.
const EVERY_MS = 10000;

const kept = new Map();
let drawing = null;

class Charts {
  #root; #range; #pictures = []; #asked = 0;

  constructor(root) {
    this.#root = root;
    this.#range = kept.get(root.dataset.charts)?.range ?? "hour";
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-range]");
      if (button) this.choose(button.dataset.range);
    });
    this.#press();
  }

  get isHere() { return this.#root.isConnected; }

  async start() {
    drawing ??= import("./charts-draw.js");
    const { Picture } = await drawing;
    this.#pictures = [...this.#root.querySelectorAll("[data-chart]")].map((figure) => new Picture(figure));
    // A part that news has replaced shows at once what it showed before.
    const before = kept.get(this.#root.dataset.charts);
    if (before) this.#show(before.data);
    else this.#pictures.forEach((picture) => picture.show([], 0, 10));
    await this.renew();
  }

  choose(range) {
    this.#range = range;
    this.#press();
    this.renew();
  }

  #press() {
    this.#root.querySelectorAll("[data-range]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.range === this.#range)));
  }

  async renew() {
    const number = ++this.#asked;
    const address = this.#root.dataset.charts;
    const answer = await fetch(`${address}?range=${this.#range}`, { credentials: "same-origin", headers: { "HX-Request": "true" } }).catch(() => null);
    // A later question, for another range, has its own answer.
    if (number !== this.#asked || !this.isHere) return;
    if (!answer?.ok) { this.#say("The graphs could not be renewed; trying again."); return; }
    const data = await answer.json();
    kept.set(address, { range: this.#range, data });
    this.#show(data);
  }

  #show(data) {
    this.#say({
      off: "It is off: there is nothing to measure.",
      silent: "The provider does not answer or is disabled: nothing is measured.",
      collecting: "Collecting: the first values come within half a minute.",
    }[data.nothing] ?? "");
    this.#pictures.forEach((picture) => picture.show(data.charts[picture.name] ?? [], data.begins, data.step_s, !data.nothing));
  }

  #say(words) {
    const place = this.#root.querySelector("[data-charts-state]");
    if (place.textContent !== words) place.textContent = words;
  }

  end() { this.#pictures.forEach((picture) => picture.end()); }
}

let shown = [];

function find() {
  shown = shown.filter((charts) => charts.isHere || charts.end());
  document.querySelectorAll("[data-charts]:not([data-drawn])").forEach((root) => {
    root.dataset.drawn = "";
    const charts = new Charts(root);
    shown.push(charts);
    charts.start();
  });
}

setInterval(() => { if (!document.hidden) shown.forEach((charts) => charts.isHere && charts.renew()); }, EVERY_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) shown.forEach((charts) => charts.renew()); });
document.addEventListener("kvweb:rows", find);
document.body.addEventListener("htmx:afterSettle", find);
find();

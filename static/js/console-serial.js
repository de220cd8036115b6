// A machine's serial line: xterm on the console's channel, with search, letter size and the clipboard.
// These files are no modules: imported, they leave their classes as globals.
import "../vendor/xterm/lib/xterm.js";
import "../vendor/xterm-fit/addon-fit.js";
import "../vendor/xterm-search/addon-search.js";
import { bytesOf } from "./console-keys.js";

const SIZES = [9, 10, 11, 12, 13, 14, 16, 18, 21, 24];
const SIZE_KEPT = "kvweb.console.size";
// A serial line has no flow control worth the name: long pastes go in portions that a guest can swallow.
const PORTION = 256;
const PORTION_MS = 20;
const SILENT_MS = 700;
const THEME = { background: "#0b0e14", foreground: "#d7dce5", cursor: "#91a7ff", selectionBackground: "#3b5bdb88" };
const MARKS = { decorations: { matchBackground: "#8a5a00", activeMatchBackground: "#f2c14e", matchOverviewRuler: "#f2c14e", activeMatchColorOverviewRuler: "#f2c14e" } };

export class Screen {
  #terminal; #fit = new window.FitAddon.FitAddon(); #search = new window.SearchAddon.SearchAddon();
  #channel = null; #isMuted = false; #sending = Promise.resolve(); #form; #release;

  constructor(place, { onRelease }) {
    this.#release = onRelease;
    this.#terminal = new window.Terminal({
      allowProposedApi: true,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace',
      fontSize: this.#keptSize(),
      scrollback: 10000,
      screenReaderMode: false,
      theme: THEME,
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(this.#search);
    this.#terminal.open(place);
    this.#terminal.onData((text) => this.#send(text));
    this.#terminal.attachCustomKeyEventHandler((event) => this.#key(event));
    this.#terminal.onResize(() => this.#showSize());
    new ResizeObserver(() => this.#fit.fit()).observe(place);
    this.#fit.fit();
    this.#showSize();
    this.#prepareSearch();
  }

  attach(channel, { view_only: viewOnly }) {
    this.#channel = channel;
    this.#isMuted = Boolean(viewOnly);
    let isSilent = true;
    channel.onmessage = (event) => {
      isSilent = false;
      this.#terminal.write(new Uint8Array(event.data));
    };
    // Guests say nothing to who just came; Enter brings the prompt. One that talks already is left alone.
    setTimeout(() => { if (isSilent && this.#channel === channel) this.#send("\r"); }, SILENT_MS);
    this.focus();
  }

  detach() {
    if (this.#channel) this.#terminal.write("\r\n\x1b[2m— the line was closed —\x1b[0m\r\n");
    this.#channel = null;
  }

  focus() { this.#terminal.focus(); }

  release() { this.#terminal.blur(); }

  press(names, held) { this.#send(bytesOf(names, held)); }

  // A serial line knows no keys that are held.
  hold() {}

  // What the service tells of this line beside its bytes.
  heard({ type, bytes }) {
    if (type === "replay") this.#terminal.reset();
    else if (type === "skipped") this.#terminal.write(`\r\n\x1b[2m— ${bytes} bytes were left out: this browser was too slow —\x1b[0m\r\n`);
  }

  async do(what) {
    const index = SIZES.indexOf(this.#terminal.options.fontSize);
    if (what === "larger") this.#setSize(SIZES[Math.min(index + 1, SIZES.length - 1)]);
    else if (what === "smaller") this.#setSize(SIZES[Math.max(index - 1, 0)]);
    else if (what === "search") this.#openSearch();
    else if (what === "copy") await this.#copy();
    else if (what === "paste") await this.#paste();
    else if (what === "size") this.#send(`stty rows ${this.#terminal.rows} cols ${this.#terminal.cols}\r`);
    if (what !== "search") this.focus();
  }

  // -- keys and the clipboard ------------------------------------------------------------------------------------------

  #key(event) {
    if (event.type !== "keydown") return true;
    if (event.key === "Escape" && event.shiftKey) { this.#release(); return false; }
    if (!event.ctrlKey || !event.shiftKey) return true;
    const what = { KeyC: "copy", KeyV: "paste", KeyF: "search" }[event.code];
    if (!what) return true;
    event.preventDefault();
    this.do(what);
    return false;
  }

  #send(text) {
    if (this.#isMuted) return;
    const channel = this.#channel;
    const data = new TextEncoder().encode(text);
    if (data.length <= PORTION) { this.#sending = this.#sending.then(() => channel?.send(data)); return; }
    this.#sending = this.#sending.then(async () => {
      for (let start = 0; start < data.length && channel === this.#channel; start += PORTION) {
        channel?.send(data.slice(start, start + PORTION));
        await new Promise((done) => { setTimeout(done, PORTION_MS); });
      }
    });
  }

  async #copy() {
    const text = this.#terminal.getSelection();
    if (!text) return;
    try { await navigator.clipboard.writeText(text); } catch { document.execCommand("copy"); }
  }

  async #paste() {
    try { this.#terminal.paste(await navigator.clipboard.readText()); } catch {
      // Without TLS browsers keep the clipboard to themselves; their own paste key still works.
      this.#terminal.write("\r\n\x1b[2m(paste with Ctrl V or the browser's menu)\x1b[0m\r\n");
    }
  }

  // -- size ------------------------------------------------------------------------------------------------------------

  #keptSize() {
    let kept = 0;
    try { kept = Number(localStorage.getItem(SIZE_KEPT)); } catch { /* private window */ }
    return SIZES.includes(kept) ? kept : matchMedia("(max-width: 40rem)").matches ? 11 : 14;
  }

  #setSize(size) {
    this.#terminal.options.fontSize = size;
    this.#fit.fit();
    try { localStorage.setItem(SIZE_KEPT, size); } catch { /* not kept */ }
  }

  #showSize() {
    const place = document.querySelector("[data-console-size]");
    if (place) place.textContent = `${this.#terminal.cols} × ${this.#terminal.rows}`;
  }

  // -- search ----------------------------------------------------------------------------------------------------------

  #prepareSearch() {
    this.#form = document.querySelector("[data-console-search]");
    const text = this.#form.querySelector("[data-console-search-text]");
    const go = (where) => {
      if (where === "close") { this.#form.hidden = true; this.#search.clearDecorations(); this.focus(); return; }
      if (where === "next") this.#search.findNext(text.value, MARKS);
      else this.#search.findPrevious(text.value, MARKS);
    };
    const found = this.#form.querySelector("[data-console-found]");
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) => {
      found.textContent = text.value ? (resultCount ? `${resultIndex + 1} of ${resultCount}` : "Not found") : "";
    });
    this.#form.addEventListener("click", (event) => { const where = event.target.closest("[data-console-search-go]")?.dataset.consoleSearchGo; if (where) go(where); });
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    text.addEventListener("input", () => this.#search.findPrevious(text.value, { ...MARKS, incremental: true }));
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); go(event.shiftKey ? "next" : "previous"); }
      else if (event.key === "Escape") { event.stopPropagation(); go("close"); }
    });
  }

  #openSearch() {
    this.#form.hidden = false;
    const text = this.#form.querySelector("[data-console-search-text]");
    text.focus();
    text.select();
  }
}

// <section data-console="vnc|serial">: the strip, the card over the screen, the panels and the buttons; the screen itself is
// a module of its own, loaded when the page has a console.
import { Clipboard } from "./console-clipboard.js";
import { Connection } from "./console-connection.js";
import { Detached } from "./console-detach.js";
import { Hold } from "./console-hold.js";
import { Lock } from "./console-lock.js";
import { Panels } from "./console-panel.js";
import { People } from "./console-people.js";
import { latencyWords, leftWords, wordsOf } from "./console-status.js";
import { Touch } from "./console-touch.js";
import { TypePanel } from "./console-type-panel.js";
import { typeThroughProvider } from "./console-typing.js";

const MODULES = { vnc: "./console-vnc.js", serial: "./console-serial.js" };

// What the service says of a machine that is off (vms/console/closing.py); the badge may not know it yet.
const IT_IS_OFF = "The machine is off.";
const LOAD_MS = 20000;

class Page {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-console-${name}]`);
    this.drives = false;
    this.endsAt = this.unusedEndsAt = 0;
    this.connection = new Connection({
      grant: root.dataset.grant,
      csrf: this.find("csrf").querySelector("input").value,
      onState: (state, detail = {}) => this.show(state, detail),
      onOpen: (channel, said) => this.opened(channel, said),
      onSaid: (said) => this.heard(said),
    });
  }

  async start() {
    const { Screen } = await this.load();
    const { root } = this;
    this.screen = new Screen(this.find("screen"), {
      name: root.dataset.name,
      onRelease: () => this.release(),
      onClipboard: (text) => this.clipboard.heard(text),
      onReady: () => this.ready(),
    });
    this.hold = new Hold(root, () => this.screen);
    this.touch = new Touch(this.find("touch"), () => this.screen, this.hold);
    this.people = new People(this.find, (message) => this.connection.say(message));
    this.detached = new Detached(`${root.dataset.grant.split("/").slice(2, 5).join("-")}`, () => this.connection.connect());
    root.classList.toggle("is-own-window", this.detached.isOwnWindow);
    if (root.dataset.console === "vnc") this.furnish();
    root.addEventListener("click", (event) => this.click(event));
    this.find("start")?.addEventListener("submit", (event) => this.powerOn(event));
    this.watchFocus();
    this.watchMachine();
    setInterval(() => this.showLeft(), 10000);
    root.querySelector('[data-console-do="full"]').hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => this.showFull());
    addEventListener("pagehide", () => this.connection.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.connection.connect(); });
    this.connection.connect();
  }

  // What only a screen has: its panels.
  furnish() {
    const panels = new Panels(this.root, {
      onOpen: (name) => { if (name === "type") this.typing.opened(); },
      onClose: (name) => { if (name === "type") this.typing.closed(); if (name === "keys") this.hold.releaseAll(); },
    });
    this.panels = panels;
    this.typing = new TypePanel(panels.panel("type"), (plan, options) => this.type(plan, options));
    this.clipboard = new Clipboard(panels.panel("clipboard"), {
      send: (text) => this.screen.paste(text),
      type: (text) => { panels.toggle("type"); this.typing.take(text); },
    });
  }

  // The screen's own program; says so when it cannot be had, since nothing else on the page would.
  async load() {
    const late = new Promise((_, reject) => { setTimeout(() => reject(new Error("late")), LOAD_MS); });
    try {
      return await Promise.race([import(MODULES[this.root.dataset.console]), late]);
    } catch (error) {
      console.warn("The console was not loaded:", error);
      if (window.reloadConsole()) return new Promise(() => {});
      this.show("ended", { sentence: "The console's own program could not be loaded" });
      this.find("again").addEventListener("click", () => location.reload());
      return new Promise(() => {});
    }
  }

  // -- what the service tells ------------------------------------------------------------------------------------------

  opened(channel, said) {
    this.endsAt = said.life_s ? Date.now() + said.life_s * 1000 : 0;
    this.unusedEndsAt = 0;
    this.drives = said.drives ?? !said.view_only;
    this.screen.attach(channel, said);
    this.showLeft();
    this.enable();
  }

  // The first picture is there: the keyboard is the machine's, unless somebody is busy elsewhere on the page.
  ready() {
    const at = document.activeElement;
    if (!at || at === document.body || !this.root.contains(at) || at.closest("[data-console-card]")) this.screen.focus();
  }

  heard(said) {
    if (said.type === "latency") this.showLatency(said.ms);
    else if (said.type === "idle") this.heardOfIdling(said.seconds);
    // The line above the screen says that already, with its answers.
    else if (said.type === "notice") { if (!/asks for the keyboard\.$/.test(said.sentence)) this.notice(said.sentence); }
    else if (said.type === "people") {
      this.people.heard(said);
      if (said.drives !== this.drives) { this.drives = said.drives; this.screen.drive?.(said.drives); this.lock.look(); }
      this.enable();
    } else this.screen.heard?.(said);
  }

  notice(sentence) {
    document.body.dispatchEvent(new CustomEvent("toast", { detail: { level: "info", text: sentence }, bubbles: true }));
  }

  // -- what is shown ---------------------------------------------------------------------------------------------------

  show(state, { sentence = "", seconds = 0, url = "", isFinal = false, viewOnly = false }) {
    this.root.dataset.state = state;
    if (state !== "open") { this.screen?.detach(); this.people?.forget(); this.find("latency").hidden = true; this.find("left").hidden = true; }
    const { doing, power } = this.root.querySelector(".console-state")?.dataset ?? {};
    // It runs and cannot be joined yet: somebody else is at its serial line, for instance.
    const reason = state === "off" && power === "running" && !doing && sentence !== IT_IS_OFF ? sentence : "";
    this.reason = reason;
    const [words, title, text] = wordsOf(state, { sentence, seconds, viewOnly, doing, reason });
    if (this.find("words").textContent !== words) this.find("words").textContent = words;
    this.find("title").textContent = title;
    this.find("text").textContent = text;
    this.find("card").hidden = state === "open";
    this.find("again").hidden = !["waiting", "ended", "detached"].includes(state) || isFinal;
    this.find("again").querySelector("span").textContent = { waiting: "Try now", detached: "Bring it back" }[state] ?? "Connect again";
    if (this.find("sign-in")) this.find("sign-in").hidden = state !== "signed-out";
    this.find("link").hidden = state !== "link";
    if (url && /^https?:/.test(url)) this.find("link").href = url;
    if (this.find("start")) this.find("start").hidden = state !== "off" || Boolean(doing || reason);
    this.enable();
  }

  enable() {
    const isOpen = this.root.dataset.state === "open";
    this.root.querySelectorAll("[data-needs-line]").forEach((button) => { button.disabled = !isOpen; });
    this.root.querySelectorAll("[data-needs-keys]").forEach((button) => { button.disabled = !isOpen || !this.drives; });
    this.root.classList.toggle("is-driver", isOpen && this.drives);
  }

  showLatency(ms) {
    const place = this.find("latency");
    place.hidden = false;
    place.textContent = latencyWords(ms);
    place.title = "Time from the portal to this browser and back";
  }

  // Null: it was used again.
  heardOfIdling(seconds) {
    this.unusedEndsAt = seconds === null ? 0 : Date.now() + seconds * 1000;
    const minutes = Math.max(1, Math.round(seconds / 60));
    if (seconds !== null) this.notice(`Nobody used this console for a long time. It ends in ${minutes} minute${minutes === 1 ? "" : "s"}.`);
    this.showLeft();
  }

  showLeft() {
    const place = this.find("left");
    place.hidden = !this.endsAt || this.root.dataset.state !== "open";
    if (place.hidden) return;
    const isUnused = this.unusedEndsAt > 0 && this.unusedEndsAt < this.endsAt;
    const [words, isSoon] = leftWords(((isUnused ? this.unusedEndsAt : this.endsAt) - Date.now()) / 1000);
    place.textContent = isUnused ? `not used, ${words}` : words;
    place.title = isUnused ? "Nobody used this console for a long time; it ends then, unless somebody does" : "Until this console ends by itself and has to be opened again";
    place.classList.toggle("is-soon", isSoon);
  }

  showFull() {
    const isFull = Boolean(document.fullscreenElement);
    this.root.classList.toggle("is-full", isFull);
    this.root.querySelector('[data-console-do="full"]').setAttribute("aria-pressed", String(isFull));
    this.lock.look();
  }

  // -- what is done ----------------------------------------------------------------------------------------------------

  click(event) {
    const button = event.target.closest("[data-console-do], [data-console-again]");
    if (!button) return;
    const what = button.dataset.consoleDo ?? "again";
    if (what === "again") { if (this.detached.isOpen) this.detached.back(); else this.connection.connect(); }
    else if (what === "full") this.full();
    else if (what === "detach") this.detach();
    else this.screen.do(what, button);
  }

  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    // The whole page, so that dialogs and menus are on it too.
    else document.documentElement.requestFullscreen?.().then(() => this.screen.focus());
  }

  detach() {
    if (!this.detached.open()) { this.notice("The browser opens no windows for this page."); return; }
    this.connection.close();
    this.show("detached", {});
  }

  type(plan, options) {
    if ("sendsKeys" in this.root.dataset) return typeThroughProvider((message) => this.connection.request(message), plan, options);
    return this.screen.type(plan, options);
  }

  async powerOn(event) {
    event.preventDefault();
    const form = event.target;
    form.hidden = true;
    this.find("title").textContent = "Starting…";
    this.find("text").textContent = "The console opens by itself.";
    const answer = await fetch(form.action, {
      method: "POST", body: new FormData(form), credentials: "same-origin", headers: { "HX-Request": "true" },
    }).catch(() => null);
    // The answer names what pages shall say about it, as it does for htmx.
    const said = JSON.parse(answer?.headers.get("HX-Trigger") || "{}");
    Object.entries(said).forEach(([name, detail]) => document.body.dispatchEvent(new CustomEvent(name, { detail, bubbles: true })));
    if (answer?.ok) this.connection.connect({ quietly: true });
    else this.show("off", {});
  }

  // Shift Esc gives the keyboard back to the page, wherever the screen keeps it.
  release() {
    this.hold.releaseAll();
    this.screen.release();
    this.root.querySelector(".console-back").focus();
  }

  watchFocus() {
    const screen = this.find("screen");
    const hint = this.find("hint");
    this.lock = new Lock(screen, hint, () => this.drives);
    screen.addEventListener("focusin", () => { hint.hidden = false; this.lock.look(); });
    screen.addEventListener("focusout", () => { hint.hidden = true; this.lock.look(); });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.shiftKey || !screen.contains(document.activeElement)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.release();
    }, true);
  }

  // The badge is fetched anew when the machine changes; when it runs again, so does its console.
  watchMachine() {
    const seen = () => { const { power = "", doing = "" } = this.root.querySelector(".console-state")?.dataset ?? {}; return { power, doing }; };
    let before = seen();
    new MutationObserver(() => {
      const now = seen();
      // What this page itself writes into the strip is no news.
      if (now.power === before.power && now.doing === before.doing) return;
      const isOn = now.power === "running" && before.power !== "running";
      before = now;
      if (isOn && !["open", "detached"].includes(this.root.dataset.state)) this.connection.connect();
      else if (this.root.dataset.state === "off") this.show("off", { sentence: this.reason });
    }).observe(this.root.querySelector(".console-strip"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-power", "data-doing"] });
  }
}

document.dispatchEvent(new CustomEvent("console:started"));
document.querySelectorAll("[data-console]").forEach((root) => new Page(root).start());

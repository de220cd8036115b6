// <section data-console="vnc|serial">: the strip, the card over the screen, and the buttons; the screen itself is a module
// of its own, loaded when the page has a console.
import { Connection } from "./console-connection.js";

const MODULES = { vnc: "./console-vnc.js", serial: "./console-serial.js" };

const LOAD_MS = 20000;
const RELOAD_AT_MOST_EVERY_MS = 15000;

class Page {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`[data-console-${name}]`);
    this.connection = new Connection({
      grant: root.dataset.grant,
      csrf: this.find("csrf").querySelector("input").value,
      onState: (state, detail = {}) => this.show(state, detail),
      onOpen: (channel, said) => this.screen.attach(channel, said),
      onLatency: (ms) => this.showLatency(ms),
    });
  }

  async start() {
    const { Screen } = await this.load();
    this.screen = new Screen(this.find("screen"), { name: this.root.dataset.name, onRelease: () => this.release() });
    this.root.addEventListener("click", (event) => this.click(event));
    this.find("start")?.addEventListener("submit", (event) => this.powerOn(event));
    this.watchFocus();
    this.watchMachine();
    document.addEventListener("fullscreenchange", () => this.showFull());
    addEventListener("pagehide", () => this.connection.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.connection.connect(); });
    this.connection.connect();
  }

  // The screen's own program; says so when it cannot be had, since nothing else on the page would.
  async load() {
    const late = new Promise((_, reject) => { setTimeout(() => reject(new Error("late")), LOAD_MS); });
    try {
      return await Promise.race([import(MODULES[this.root.dataset.console]), late]);
    } catch (error) {
      console.warn("The console was not loaded:", error);
      if (this.reloadOnce()) return new Promise(() => {});
      this.show("ended", { sentence: "The console's own program could not be loaded" });
      this.find("again").addEventListener("click", () => location.reload());
      return new Promise(() => {});
    }
  }

  // A machine that starts on this very computer changes its network, and browsers then drop what they were loading.
  reloadOnce() {
    const last = Number(sessionStorage.getItem("console-reloaded-at") ?? 0);
    if (Date.now() - last < RELOAD_AT_MOST_EVERY_MS) return false;
    sessionStorage.setItem("console-reloaded-at", String(Date.now()));
    location.reload();
    return true;
  }

  // -- what is shown ---------------------------------------------------------------------------------------------------

  show(state, { sentence = "", seconds = 0, url = "", isFinal = false, viewOnly = false }) {
    this.root.dataset.state = state;
    if (state !== "open") { this.screen?.detach(); this.find("latency").hidden = true; }
    const { doing, power } = this.root.querySelector(".console-state")?.dataset ?? {};
    // It runs and cannot be joined yet: somebody else is at its serial line, for instance.
    const reason = state === "off" && power === "running" && !doing ? sentence : "";
    this.reason = reason;
    const [words, title, text] = {
      connecting: ["Connecting", "Connecting…", "The portal asks the provider for this console."],
      open: [viewOnly ? "Connected, watching only" : "Connected", "", ""],
      waiting: [`Trying again in ${seconds} s`, sentence, `Trying again in ${seconds} second${seconds === 1 ? "" : "s"}.`],
      off: doing ? [`${doing}…`, `${doing}…`, "The console opens by itself."]
        : reason ? ["Not open yet", reason, "The console opens by itself when it can."] : ["Off", "It is off", "The console opens by itself when the machine runs."],
      ended: ["Closed", sentence, ""],
      "signed-out": ["Signed out", "You are signed out", "Sign in again to go on; the machine was not touched."],
      link: ["On the provider's page", "This console opens at the provider", "The provider shows it on a page of its own."],
    }[state];
    if (this.find("words").textContent !== words) this.find("words").textContent = words;
    this.find("title").textContent = title;
    this.find("text").textContent = text;
    this.find("card").hidden = state === "open";
    this.find("again").hidden = !["waiting", "ended"].includes(state) || isFinal;
    this.find("again").querySelector("span").textContent = state === "waiting" ? "Try now" : "Connect again";
    this.find("sign-in").hidden = state !== "signed-out";
    this.find("link").hidden = state !== "link";
    if (url && /^https?:/.test(url)) this.find("link").href = url;
    if (this.find("start")) this.find("start").hidden = state !== "off" || Boolean(doing || reason);
    this.root.querySelectorAll("[data-needs-line]").forEach((button) => { button.disabled = state !== "open"; });
  }

  showLatency(ms) {
    const place = this.find("latency");
    place.hidden = false;
    place.textContent = `${ms < 10 ? Math.max(ms, 0.1).toFixed(1) : Math.round(ms)} ms`;
    place.title = "Time from the portal to this browser and back";
  }

  showFull() {
    const isFull = document.fullscreenElement === this.root;
    this.root.querySelector('[data-console-do="full"]').setAttribute("aria-pressed", String(isFull));
  }

  // -- what is done ----------------------------------------------------------------------------------------------------

  click(event) {
    const button = event.target.closest("[data-console-do], [data-console-again]");
    if (!button) return;
    const what = button.dataset.consoleDo ?? "again";
    if (what === "again") this.connection.connect();
    else if (what === "full") {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.root.requestFullscreen?.().then(() => this.screen.focus());
    } else this.screen.do(what, button);
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
    this.screen.release();
    this.root.querySelector(".console-back").focus();
  }

  watchFocus() {
    const screen = this.find("screen");
    const hint = this.find("hint");
    screen.addEventListener("focusin", () => { hint.hidden = false; });
    screen.addEventListener("focusout", () => { hint.hidden = true; });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.shiftKey || !screen.contains(document.activeElement)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.release();
    }, true);
  }

  // The badge is fetched anew when the machine changes; when it runs again, so does its console.
  watchMachine() {
    let power = this.root.querySelector(".console-state")?.dataset.power;
    new MutationObserver(() => {
      const state = this.root.querySelector(".console-state");
      if (!state) return;
      if (state.dataset.power !== power && state.dataset.power === "running" && this.root.dataset.state !== "open") this.connection.connect();
      else if (this.root.dataset.state === "off") this.show("off", { sentence: this.reason });
      power = state.dataset.power;
    }).observe(this.root.querySelector(".console-strip"), { childList: true, subtree: true, attributes: true, attributeFilter: ["data-power", "data-doing"] });
  }
}

document.querySelectorAll("[data-console]").forEach((root) => new Page(root).start());

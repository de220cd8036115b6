// The machine's clipboard, where its guest has an agent for it: shown, copied to this computer, and sent the other way.
export class Clipboard {
  #panel; #text; #note;

  constructor(panel, { send, type }) {
    this.#panel = panel;
    this.#text = panel.querySelector("[data-clipboard-text]");
    this.#note = panel.querySelector("[data-clipboard-note]");
    panel.addEventListener("click", async (event) => {
      const what = event.target.closest("[data-clipboard-do]")?.dataset.clipboardDo;
      if (what === "send") { send(this.#text.value); this.#say("Sent. It can be pasted there now."); }
      else if (what === "type") type(this.#text.value);
      else if (what === "copy") this.#say(await this.#copy() ? "Copied." : "Press Ctrl C: the browser lets no page copy here.");
    });
  }

  // The machine copied something. The browser may keep its own clipboard to itself; then it stands here. So it does for who
  // only watches: what others copy there replaces nothing of theirs.
  heard(text) {
    this.#text.value = text;
    if (!this.#panel.closest("[data-console]").classList.contains("is-driver")) { this.#say("Copied in the machine."); return; }
    navigator.clipboard?.writeText(text).then(() => this.#say("Copied in the machine, and here."), () => this.#say("Copied in the machine."));
    if (!navigator.clipboard) this.#say("Copied in the machine.");
  }

  async #copy() {
    this.#text.select();
    try { await navigator.clipboard.writeText(this.#text.value); return true; } catch { return document.execCommand("copy"); }
  }

  #say(words) { this.#note.textContent = words; }
}

// A machine's screen: noVNC on the console's channel, and what the buttons above it do.
import "./console-plain-video.js";
import RFB from "../vendor/novnc/core/rfb.js";
import { typeText } from "./console-keys.js";

export class Screen {
  #place; #name; #rfb = null; #isScaled = true;

  constructor(place, { name }) {
    this.#place = place;
    this.#name = name;
  }

  attach(channel, { view_only: viewOnly }) {
    this.detach();
    const rfb = new RFB(this.#place, channel, { shared: true });
    rfb.background = "transparent";
    rfb.scaleViewport = this.#isScaled;
    rfb.viewOnly = Boolean(viewOnly);
    rfb.addEventListener("connect", () => this.focus());
    rfb.addEventListener("disconnect", () => { if (this.#rfb === rfb) this.#rfb = null; });
    rfb.addEventListener("clipboard", (event) => navigator.clipboard?.writeText(event.detail.text).catch(() => {}));
    // Only a screen whose password the portal does not know asks for one here.
    rfb.addEventListener("credentialsrequired", () => {
      const password = prompt("The machine's screen asks for its password:");
      if (password === null) rfb.disconnect();
      else rfb.sendCredentials({ password });
    });
    this.#rfb = rfb;
  }

  detach() {
    this.#rfb?.disconnect();
    this.#rfb = null;
  }

  focus() { this.#rfb?.focus({ preventScroll: true }); }

  // Keys that are held go up at the machine, as when the window is left.
  release() {
    window.dispatchEvent(new Event("blur"));
    this.#rfb?.blur();
  }

  do(what, button) {
    if (what === "ctrl-alt-del") this.#rfb?.sendCtrlAltDel();
    else if (what === "type") this.#askForText();
    else if (what === "screenshot") this.#save();
    else if (what === "scale") {
      this.#isScaled = !this.#isScaled;
      button.setAttribute("aria-pressed", String(this.#isScaled));
      this.#place.classList.toggle("is-real-size", !this.#isScaled);
      if (this.#rfb) this.#rfb.scaleViewport = this.#isScaled;
    }
    if (what === "ctrl-alt-del" || what === "scale") this.focus();
  }

  #askForText() {
    const dialog = document.querySelector("[data-console-type]");
    const text = dialog.querySelector("[data-console-type-text]");
    dialog.returnValue = "";
    dialog.onclose = () => {
      const typed = text.value + (dialog.querySelector("[data-console-type-enter]").checked ? "\n" : "");
      text.value = "";
      this.focus();
      const rfb = this.#rfb;
      if (dialog.returnValue === "type" && rfb) typeText((...key) => rfb.sendKey(...key), typed, () => this.#rfb === rfb);
    };
    dialog.showModal();
    text.focus();
  }

  #save() {
    this.#rfb?.toBlob((blob) => {
      const link = document.createElement("a");
      const moment = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
      link.href = URL.createObjectURL(blob);
      link.download = `${this.#name} ${moment}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, "image/png");
  }
}

// A machine's screen: noVNC on the console's channel, and what the buttons around it do.
import "./console-plain-video.js";
import RFB from "../vendor/novnc/core/rfb.js";
import { press } from "./console-keys.js";
import { typeAsKeyEvents } from "./console-typing.js";

export class Screen {
  #place; #name; #rfb = null; #isScaled = true; #onClipboard; #onReady;

  constructor(place, { name, onClipboard, onReady }) {
    this.#place = place;
    this.#name = name;
    this.#onClipboard = onClipboard;
    this.#onReady = onReady;
  }

  attach(channel, { view_only: viewOnly, drives = true }) {
    this.detach();
    const rfb = new RFB(this.#place, channel, { shared: true });
    rfb.background = "transparent";
    rfb.scaleViewport = this.#isScaled;
    rfb.viewOnly = Boolean(viewOnly) || !drives;
    rfb.addEventListener("connect", () => this.#onReady());
    rfb.addEventListener("disconnect", () => { if (this.#rfb === rfb) this.#rfb = null; });
    rfb.addEventListener("clipboard", (event) => this.#onClipboard(event.detail.text));
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

  // Whether this page's keys and mouse are let through now.
  drive(isDriver) { if (this.#rfb) this.#rfb.viewOnly = !isDriver; }

  focus() { this.#rfb?.focus({ preventScroll: true }); }

  // Keys that are held go up at the machine, as when the window is left.
  release() {
    window.dispatchEvent(new Event("blur"));
    this.#rfb?.blur();
  }

  press(names, held) { if (this.#rfb) press((...key) => this.#rfb.sendKey(...key), names, held); }

  hold(keysym, code, isDown) { this.#rfb?.sendKey(keysym, code, isDown); }

  paste(text) { this.#rfb?.clipboardPasteFrom(text); }

  type(plan, options) {
    const rfb = this.#rfb;
    if (!rfb) throw new Error("The console is not open.");
    // noVNC knows whether the machine takes places of keys, and tells nobody.
    const hasPlaces = Boolean(rfb._qemuExtKeyEventSupported);
    return typeAsKeyEvents((...key) => rfb.sendKey(...key), hasPlaces, plan, { ...options, isOn: () => this.#rfb === rfb && options.isOn() });
  }

  do(what, button) {
    if (what === "screenshot") this.#save();
    else if (what === "scale") {
      this.#isScaled = !this.#isScaled;
      button.setAttribute("aria-pressed", String(this.#isScaled));
      this.#place.classList.toggle("is-real-size", !this.#isScaled);
      if (this.#rfb) this.#rfb.scaleViewport = this.#isScaled;
      this.focus();
    }
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

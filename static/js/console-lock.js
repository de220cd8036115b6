// In full screen, where the browser can (Keyboard Lock), the keys that are otherwise its own or the desktop's go to the
// machine: Escape, Alt Tab, Ctrl W. Only while the screen has the keyboard, so that whoever gave it back can leave.
export class Lock {
  #screen; #hint; #drives; #wanted = false; #shown;

  // `drives()`: whether the machine gets this page's keys.
  constructor(screen, hint, drives) {
    this.#screen = screen;
    this.#hint = hint;
    this.#drives = drives;
  }

  // Something changed: full screen, the focus, or who has the keyboard.
  async look() {
    const isFull = Boolean(document.fullscreenElement);
    const wanted = isFull && this.#drives() && this.#screen.contains(document.activeElement);
    this.#tell(isFull, wanted && Boolean(navigator.keyboard?.lock));
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (!wanted) navigator.keyboard?.unlock?.();
    else {
      const isLocked = await navigator.keyboard?.lock?.().then(() => true, () => false);
      if (wanted === this.#wanted) this.#tell(Boolean(document.fullscreenElement), Boolean(isLocked));
    }
  }

  // With the lock Escape is the machine's, and leaves when it is held; without it Escape leaves at once.
  #tell(isFull, isLocked) {
    const shown = isFull && (isLocked ? "locked" : "free");
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#hint.querySelectorAll("[data-console-leave]").forEach((one) => { one.hidden = one.dataset.consoleLeave !== shown; });
    // What it says is new, so it fades from the beginning again.
    this.#hint.getAnimations().forEach((fading) => { fading.cancel(); fading.play(); });
  }
}

// Typing a text as keys of a US keyboard: each character as [keysym, code, needs Shift].
const SHIFT = [0xffe1, "ShiftLeft"];
const PLAIN = "`1234567890-=[]\\;',./ ";
const SHIFTED = "~!@#$%^&*()_+{}|:\"<>? ";
const CODES = ["Backquote", ..."1234567890".split("").map((digit) => `Digit${digit}`), "Minus", "Equal", "BracketLeft", "BracketRight", "Backslash", "Semicolon", "Quote", "Comma", "Period", "Slash", "Space"];
const PAUSE_MS = 14;

function keyOf(character) {
  if (character === "\n") return [0xff0d, "Enter", false];
  if (character === "\t") return [0xff09, "Tab", false];
  const point = character.codePointAt(0);
  const keysym = point < 0x100 ? point : 0x01000000 | point;
  if (/[a-z]/.test(character)) return [keysym, `Key${character.toUpperCase()}`, false];
  if (/[A-Z]/.test(character)) return [keysym, `Key${character}`, true];
  const plain = PLAIN.indexOf(character);
  if (plain >= 0) return [keysym, CODES[plain], false];
  const shifted = SHIFTED.indexOf(character);
  if (shifted >= 0) return [keysym, CODES[shifted], true];
  // No key of a US keyboard: servers that know the symbol find one.
  return [keysym, null, false];
}

const pause = () => new Promise((done) => { setTimeout(done, PAUSE_MS); });

export async function typeText(send, text, isOpen = () => true) {
  for (const character of text.replace(/\r\n?/g, "\n")) {
    if (!isOpen()) return;
    const [keysym, code, shift] = keyOf(character);
    if (shift) send(...SHIFT, true);
    send(keysym, code, true);
    send(keysym, code, false);
    if (shift) send(...SHIFT, false);
    await pause();
  }
}

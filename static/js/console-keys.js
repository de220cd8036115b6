// Keys by the names that buttons have (vms/typing_keys.py): what RFB calls them, where they are on a keyboard, and what a
// terminal gets of them.
const KEYS = {
  ctrl: [0xffe3, "ControlLeft"],
  alt: [0xffe9, "AltLeft"],
  altgr: [0xfe03, "AltRight"],
  shift: [0xffe1, "ShiftLeft"],
  super: [0xffeb, "MetaLeft"],
  escape: [0xff1b, "Escape", "\x1b"],
  tab: [0xff09, "Tab", "\t"],
  enter: [0xff0d, "Enter", "\r"],
  backspace: [0xff08, "Backspace", "\x7f"],
  insert: [0xff63, "Insert", "\x1b[2~"],
  delete: [0xffff, "Delete", "\x1b[3~"],
  home: [0xff50, "Home", "\x1b[H"],
  end: [0xff57, "End", "\x1b[F"],
  pageup: [0xff55, "PageUp", "\x1b[5~"],
  pagedown: [0xff56, "PageDown", "\x1b[6~"],
  left: [0xff51, "ArrowLeft", "\x1b[D"],
  up: [0xff52, "ArrowUp", "\x1b[A"],
  right: [0xff53, "ArrowRight", "\x1b[C"],
  down: [0xff54, "ArrowDown", "\x1b[B"],
  print: [0xff61, "PrintScreen"],
  menu: [0xff67, "ContextMenu"],
};
for (let number = 1; number <= 12; number += 1) KEYS[`f${number}`] = [0xffbd + number, `F${number}`];
const MODIFIERS = new Set(["ctrl", "alt", "altgr", "shift", "super"]);

// A letter's place on a keyboard, as good as the page can know it: that of the American one.
const place = (letter) => (/[a-z]/i.test(letter) ? `Key${letter.toUpperCase()}` : /\d/.test(letter) ? `Digit${letter}` : null);

export const keyCalled = (name) => KEYS[name] ?? [name.codePointAt(0), place(name)];

// A character as RFB names it.
export const keysymOf = (character) => {
  const point = character.codePointAt(0);
  if (character === "\n") return KEYS.enter[0];
  if (character === "\t") return KEYS.tab[0];
  return point < 0x100 ? point : 0x01000000 | point;
};

// Presses "ctrl alt delete" on a screen: down in this order, up in the other. What is held already stays so.
export function press(send, names, held = new Set()) {
  const keys = names.split(" ").filter((name) => !held.has(name)).map(keyCalled);
  keys.forEach(([keysym, code]) => send(keysym, code, true));
  keys.reverse().forEach(([keysym, code]) => send(keysym, code, false));
}

// What a terminal gets for "ctrl c" or "up"; empty for what a serial line cannot say.
export function bytesOf(names, held = new Set()) {
  const parts = names.split(" ");
  const key = parts.find((name) => !MODIFIERS.has(name)) ?? "";
  const text = KEYS[key]?.[2] ?? (KEYS[key] ? "" : key);
  const isHeld = (name) => parts.includes(name) || held.has(name);
  if (isHeld("ctrl") && text.length === 1 && /[@-_a-z]/i.test(text)) return String.fromCharCode(text.toUpperCase().charCodeAt(0) & 0x1f);
  return isHeld("alt") && text ? `\x1b${text}` : text;
}

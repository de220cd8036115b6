// Typing a text into the machine: planned with the table of the guest's layout, pressed through the provider where it can
// (the machine's own keyboard, right on every layout) and as key events of the screen elsewhere.
import { keysymOf } from "./console-keys.js";

const SHIFT = 42;
const ALTGR = 100;
const ENTER = 28;
const TAB = 15;
// Places of keys for RFB, by Linux's numbers; the rows of a keyboard one after the other.
const ROWS = [
  [2, ["Digit1", "Digit2", "Digit3", "Digit4", "Digit5", "Digit6", "Digit7", "Digit8", "Digit9", "Digit0", "Minus", "Equal"]],
  [15, ["Tab", "KeyQ", "KeyW", "KeyE", "KeyR", "KeyT", "KeyY", "KeyU", "KeyI", "KeyO", "KeyP", "BracketLeft", "BracketRight", "Enter"]],
  [30, ["KeyA", "KeyS", "KeyD", "KeyF", "KeyG", "KeyH", "KeyJ", "KeyK", "KeyL", "Semicolon", "Quote", "Backquote", "ShiftLeft", "Backslash"]],
  [44, ["KeyZ", "KeyX", "KeyC", "KeyV", "KeyB", "KeyN", "KeyM", "Comma", "Period", "Slash"]],
  [57, ["Space"]], [86, ["IntlBackslash"]], [89, ["IntlRo"]], [100, ["AltRight"]], [124, ["IntlYen"]],
];
const CODES = new Map(ROWS.flatMap(([first, codes]) => codes.map((code, index) => [first + index, code])));
// One message to the service for about so long a piece of typing; it takes two a second at most.
const PIECE_MS = 700;
const MOST_STROKES = 48;

const tables = new Map();

export async function tableAt(address) {
  if (!tables.has(address)) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.statusText);
    tables.set(address, await answer.json());
  }
  return tables.get(address);
}

const strokesOf = (keys) => Array.from({ length: keys.length / 2 }, (_, index) => {
  const [key, held] = [keys[index * 2], keys[index * 2 + 1]];
  return [...(held & 1 ? [SHIFT] : []), ...(held & 2 ? [ALTGR] : []), key];
});

// [{character, strokes}], and the characters that this keyboard cannot type, each once.
export function planned(text, table) {
  const missing = new Set();
  const plan = [];
  for (const character of text.replace(/\r\n?/g, "\n").normalize("NFC")) {
    if (character === "\n") plan.push({ character, strokes: [[ENTER]] });
    else if (character === "\t") plan.push({ character, strokes: [[TAB]] });
    else if (table[character]) plan.push({ character, strokes: strokesOf(table[character]) });
    else missing.add(character);
  }
  return { plan, missing: [...missing] };
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const lasts = (strokes, holdMs) => strokes.reduce((sum, stroke) => sum + 2 * stroke.length * holdMs, 0);

// Both ways: `isOn()` says whether to go on, `onProgress(done, of)` is told after each piece. They return how many
// characters were typed; an Error says why it ended early.

export async function typeThroughProvider(request, plan, { holdMs, isOn, onProgress }) {
  let done = 0;
  while (done < plan.length && isOn()) {
    const strokes = [];
    let upTo = done;
    while (upTo < plan.length && strokes.length + plan[upTo].strokes.length <= MOST_STROKES && (upTo === done || lasts(strokes, holdMs) < PIECE_MS)) {
      strokes.push(...plan[upTo].strokes);
      upTo += 1;
    }
    const began = Date.now();
    const sentence = await request({ type: "keys", strokes, hold_ms: holdMs });
    if (sentence) throw new Error(sentence);
    done = upTo;
    onProgress(done, plan.length);
    // A provider that answers before its keys are up would be asked too often.
    if (done < plan.length) await pause(Math.max(0, PIECE_MS - (Date.now() - began)));
  }
  return done;
}

// `hasPlaces`: the machine's screen takes places of keys and not only their symbols; then the guest's layout decides, as with
// a keyboard. Otherwise the symbol is sent, and the machine looks for a key that has it.
export async function typeAsKeyEvents(send, hasPlaces, plan, { holdMs, isOn, onProgress }) {
  let done = 0;
  for (const { character, strokes } of plan) {
    if (!isOn()) break;
    if (hasPlaces || strokes.length === 1) {
      for (const stroke of strokes) {
        const keys = stroke.filter((key) => hasPlaces || key !== ALTGR).map((key) => [key === SHIFT ? 0xffe1 : key === ALTGR ? 0xfe03 : hasPlaces && strokes.length > 1 ? 0 : keysymOf(character), CODES.get(key)]);
        keys.forEach(([keysym, code]) => send(keysym, code, true));
        await pause(holdMs);
        keys.reverse().forEach(([keysym, code]) => send(keysym, code, false));
      }
    } else {
      send(keysymOf(character), null, true);
      await pause(holdMs);
      send(keysymOf(character), null, false);
    }
    await pause(holdMs);
    done += 1;
    onProgress(done, plan.length);
  }
  return done;
}

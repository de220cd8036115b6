// askGrant(address, csrf): the right to open a console once, {token, path}, or {code, sentence} as a closing console says it.
import { standing, token } from "./standing.js";

export const SIGNED_OUT = 4401;
const NO_ANSWER = 1006;

const WITHIN_MS = 15000;

const post = (address, csrf) => fetch(address, {
  method: "POST",
  headers: { "X-CSRFToken": csrf, Accept: "application/json" },
  credentials: "same-origin",
  redirect: "manual",
  // A portal that hangs says nothing: whoever waits must try again by themselves.
  signal: AbortSignal.timeout(WITHIN_MS),
});

export async function askGrant(address, csrf) {
  let answer;
  try {
    answer = await post(address, csrf);
    // The person signed in again since this page was opened.
    if (answer.headers.get("X-Old-Page") && await standing() === "here") answer = await post(address, token());
  } catch {
    return { code: NO_ANSWER, sentence: "The portal does not answer." };
  }
  if (answer.type === "opaqueredirect" || answer.status === 401) return { code: SIGNED_OUT, sentence: "You are signed out." };
  try {
    const told = await answer.json();
    if (answer.ok || told.code) return told;
  } catch { /* a page instead of an answer: said below */ }
  if (answer.status === 404) return { code: 4404, sentence: "The machine does not exist any more." };
  return { code: answer.status < 500 ? 4403 : NO_ANSWER, sentence: "The portal could not open the console." };
}

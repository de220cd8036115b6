// Sending a file in chunks to the transfer process. Each chunk goes with its SHA-256, and both sides keep a chain of them
// over the whole file; after a break the browser reads what has arrived already again, and so knows whether this is the
// same file. Without a secure context browsers offer no hashes, and only the length and place of a chunk are checked.
const PATIENCE = 8;

export class Refused extends Error {}

const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const sha256 = (bytes) => crypto.subtle.digest("SHA-256", bytes);

async function link(chain, digest) {
  const before = Uint8Array.from(chain.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const both = new Uint8Array(before.length + 32);
  both.set(before);
  both.set(new Uint8Array(digest), before.length);
  return hex(await sha256(both));
}

async function answerOf(response) {
  const said = (response.headers.get("Content-Type") ?? "").includes("json") ? await response.json() : {};
  if (response.ok) return said;
  if (response.status === 401 || response.redirected) throw new Refused("You are signed out; sign in and continue.");
  const error = new (response.status < 500 && response.status !== 409 && response.status !== 429 ? Refused : Error)(said.reason ?? response.statusText);
  throw Object.assign(error, { state: said });
}

const post = (address, body, headers, signal) => fetch(address, { method: "POST", body, signal, credentials: "same-origin", redirect: "error", headers: { "X-CSRFToken": token(), ...headers } }).then(answerOf);
const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

/** The chain over the first `end` bytes of a file; empty where the browser has no hashes. */
async function chainOf(file, end, chunkBytes, signal, tell) {
  let chain = "";
  for (let offset = 0; crypto.subtle && offset < end; offset += chunkBytes) {
    signal.throwIfAborted();
    chain = await link(chain, await sha256(await file.slice(offset, Math.min(offset + chunkBytes, end)).arrayBuffer()));
    tell(offset, "Comparing with what has arrived");
  }
  return chain;
}

/** Send what is missing, then say that all is there; returns the address of the image's page. */
export async function send(file, address, done, { signal, tell }) {
  let state = await fetch(address, { credentials: "same-origin", signal }).then(answerOf);
  if (state.size !== file.size) throw new Refused("This is another file: its size is not the same.");
  let chain = await chainOf(file, state.received, state.chunk_bytes, signal, tell);
  if (chain && chain !== state.chain) throw new Refused("This is another file: what has arrived already is not its beginning.");
  let failures = 0;
  async function read(offset) {
    const chunk = await file.slice(offset, offset + state.chunk_bytes).arrayBuffer();
    return { offset, chunk, digest: crypto.subtle ? await sha256(chunk) : null };
  }
  let ahead = read(state.received);
  while (state.received < file.size) {
    const offset = state.received;
    let next = await ahead;
    if (next.offset !== offset) next = await read(offset);
    const { chunk, digest } = next;
    // The next one is read and hashed while this one is on its way.
    ahead = read(offset + state.chunk_bytes);
    ahead.catch(() => {});
    try {
      state = await post(`${address}/${offset}`, chunk, { "Content-Type": "application/octet-stream", ...(digest && { "X-Chunk-SHA256": hex(digest) }) }, signal);
      chain = digest ? await link(chain, digest) : "";
      if (chain && chain !== state.chain) throw new Refused("What has arrived is not what was sent.");
      failures = 0;
      tell(state.received, "");
    } catch (error) {
      if (signal.aborted || error instanceof Refused || (failures += 1) > PATIENCE) throw error;
      tell(offset, `${error.message}. Trying again…`);
      await pause(Math.min(500 * 2 ** failures, 30000), signal);
      // The answer may have been lost on its way, and the chunk not.
      state = await fetch(address, { credentials: "same-origin", signal }).then(answerOf).catch(() => state);
      if (state.received !== offset) chain = await chainOf(file, state.received, state.chunk_bytes, signal, tell);
    }
  }
  return finish(done, chain, signal);
}

/** Say that all is there. */
export async function finish(address, chain = "", signal = undefined) {
  return (await post(address, new URLSearchParams({ chain }), {}, signal)).page;
}

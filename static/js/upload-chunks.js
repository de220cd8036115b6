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
  const ask = () => fetch(address, { credentials: "same-origin", signal }).then(answerOf);
  let state = await ask();
  if (state.size !== file.size) throw new Refused("This is another file: its size is not the same.");
  let chain = await chainOf(file, state.received, state.chunk_bytes, signal, tell);
  if (chain && chain !== state.chain) throw new Refused("This is another file: what has arrived already is not its beginning.");
  let failures = 0;
  while (state.received < file.size) {
    try {
      chain = await sendFrom(file, address, state, chain, signal, (received) => { failures = 0; tell(received, ""); });
      state = { ...state, received: file.size };
    } catch (error) {
      if (signal.aborted || error instanceof Refused || (failures += 1) > PATIENCE) throw error;
      tell(state.received, `${error.message}. Trying again…`);
      await pause(Math.min(500 * 2 ** failures, 30000), signal);
      // Answers may have been lost on their way, and what they were about not.
      state = await ask().catch(() => state);
      chain = await chainOf(file, state.received, state.chunk_bytes, signal, tell);
    }
  }
  return finish(done, chain, signal);
}

/** Send all chunks from where it stands, two at a time: one is on its way while the other is being stored. */
async function sendFrom(file, address, { received, chunk_bytes: length }, chain, signal, tell) {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  async function fly(offset) {
    const chunk = await file.slice(offset, offset + length).arrayBuffer();
    const digest = crypto.subtle ? await sha256(chunk) : null;
    const headers = { "Content-Type": "application/octet-stream", ...(digest && { "X-Chunk-SHA256": hex(digest) }) };
    return { digest, state: await post(`${address}/${offset}`, chunk, headers, both) };
  }
  const flights = [];
  let offset = received;
  try {
    while (flights.length || offset < file.size) {
      for (; flights.length < 2 && offset < file.size; offset += length) {
        flights.push(fly(offset));
        // One that fails before its turn is heard of in its turn.
        flights.at(-1).catch(() => {});
      }
      const { digest, state } = await flights.shift();
      chain = digest ? await link(chain, digest) : "";
      if (chain && chain !== state.chain) throw new Refused("What has arrived is not what was sent.");
      tell(state.received);
    }
    return chain;
  } finally {
    stop.abort();
    await Promise.allSettled(flights);
  }
}

/** Say that all is there. */
export async function finish(address, chain = "", signal = undefined) {
  return (await post(address, new URLSearchParams({ chain }), {}, signal)).page;
}

// <form data-volume-upload="/transfer/volumes/<uuid>/" data-chunk-bytes>: sends a file into a volume, piece by piece.
//
// The same file is sent on where it stopped, also after the page was loaded again: it is known by name, size and time.
const form = document.querySelector("[data-volume-upload]");
const AGAIN = [1000, 3000, 8000];

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function ask(address, options = {}) {
  const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value, ...options.headers };
  const answer = await fetch(form.dataset.volumeUpload + address, { credentials: "same-origin", ...options, headers });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.reason || "The portal did not take it."), { status: answer.status });
  return told;
}

async function sendPiece(file, key, offset, size) {
  const piece = await file.slice(offset, offset + size).arrayBuffer();
  const headers = { "Content-Type": "application/octet-stream", "X-File-Key": key };
  if (crypto.subtle) headers["X-Chunk-SHA256"] = hex(await crypto.subtle.digest("SHA-256", piece));
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask(`upload/${offset}`, { method: "POST", body: piece, headers });
    } catch (error) {
      // A refusal stays one; a network that broke may be back in a moment.
      if (error.status && error.status < 500 || attempt === AGAIN.length) throw error;
      await pause(AGAIN[attempt]);
    }
  }
}

async function send(file, say) {
  const key = `${encodeURIComponent(file.name).slice(0, 200)}|${file.size}|${file.lastModified}`;
  const known = await ask("upload");
  let offset = known.key === key ? known.received : 0;
  const began = performance.now();
  const first = offset;
  while (offset < file.size) {
    ({ received: offset } = await sendPiece(file, key, offset, Number(form.dataset.chunkBytes)));
    const perSecond = (offset - first) / 1048576 / ((performance.now() - began) / 1000);
    say(offset / file.size, `${Math.floor(100 * offset / file.size)} % sent, ${perSecond.toFixed(1)} MiB a second`);
  }
  const { page } = await ask("finish", { method: "POST", body: new URLSearchParams({ size: String(file.size) }) });
  location.assign(page);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = form.querySelector("input[type=file]").files[0];
  const button = form.querySelector("button[type=submit]");
  if (!file || button.disabled) return;
  const shown = form.querySelector("[data-progress]");
  const words = shown.querySelector("[data-words]");
  shown.hidden = false;
  button.disabled = true;
  words.classList.remove("is-wrong");
  try {
    await send(file, (part, sentence) => { shown.querySelector("progress").value = 100 * part; words.textContent = sentence; });
  } catch (error) {
    words.textContent = `${error.message} What arrived is kept: send the same file again to go on.`;
    words.classList.add("is-wrong");
    button.disabled = false;
  }
});

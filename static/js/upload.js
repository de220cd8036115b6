// The form that sends an image from this computer, and the part of an image's page that goes on with it after a break.
//
//   <form data-upload-form>                      chooses the file, begins the upload, and leads to the image's page
//   <section data-upload data-upload-finish>     sends it there; the file is handed over inside this tab, or chosen again
import { Refused, finish, send } from "./upload-chunks.js";
import { look } from "./upload-look.js";

const CHOSEN = "kvweb-upload";

const KIB = 1024, MIB = 1024 ** 2, GIB = 1024 ** 3;
const size = (bytes) => (bytes < MIB ? `${(bytes / KIB).toFixed(1)} KiB` : bytes < GIB ? `${(bytes / MIB).toFixed(bytes < 100 * MIB ? 1 : 0)} MiB` : `${(bytes / GIB).toFixed(2)} GiB`);

function choosing(form) {
  const input = form.querySelector("[data-upload-file]");
  const drop = form.querySelector("[data-upload-drop]");
  const button = form.querySelector("button[type=submit]");
  const errors = form.querySelector("[data-upload-errors]");
  const note = form.querySelector("[data-upload-note]");
  let file = null;

  async function take(chosen) {
    file = chosen ?? file;
    if (!file) return;
    form.elements.file_name.value = file.name;
    form.elements.size.value = file.size;
    form.elements.modified_ms.value = file.lastModified;
    form.querySelector("[data-upload-chosen]").textContent = `${file.name}, ${size(file.size)}`;
    button.disabled = true;
    tellDoubt(await look(file).catch(() => ({ isCertain: true, sentence: "The file cannot be read." })), file);
  }
  function tellDoubt(doubt, about) {
    // Another one was chosen meanwhile.
    if (about !== file) return;
    note.textContent = doubt?.sentence ?? "";
    note.hidden = !doubt;
    note.classList.toggle("is-wrong", Boolean(doubt?.isCertain));
    drop.classList.toggle("is-wrong", Boolean(doubt?.isCertain));
    button.disabled = Boolean(doubt?.isCertain);
  }
  input.addEventListener("change", () => take(input.files[0]));
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("is-over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0]); });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!file || form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    button.classList.add("btn-loading");
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" }).catch(() => null);
    const said = answer?.headers.get("Content-Type")?.includes("json") ? await answer.json() : {};
    if (answer?.ok) return begin(said.page, file);
    form.removeAttribute("aria-busy");
    button.classList.remove("btn-loading");
    tellErrors(form, errors, said.errors ?? { __all__: ["The portal does not answer. Nothing was sent."] });
    return undefined;
  });
  take(input.files[0]);
}

function tellErrors(form, banner, errors) {
  form.querySelectorAll(".is-invalid").forEach((field) => field.classList.remove("is-invalid"));
  for (const name of Object.keys(errors)) if (name !== "__all__") form.elements[name]?.classList?.add("is-invalid");
  banner.querySelector("p").textContent = Object.values(errors).flat().join(" ");
  banner.hidden = false;
  banner.scrollIntoView({ block: "center" });
}

/** The image's page takes this one's place without a load, because a file does not survive one. */
async function begin(page, file) {
  const html = await (await fetch(page, { credentials: "same-origin" })).text();
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const sheet of fresh.querySelectorAll('link[rel="stylesheet"]')) {
    if (!document.querySelector(`link[href="${CSS.escape(sheet.getAttribute("href"))}"]`)) document.head.append(document.adoptNode(sheet));
  }
  document.getElementById("content").replaceWith(document.adoptNode(fresh.getElementById("content")));
  document.title = fresh.title;
  history.pushState({ [CHOSEN]: true }, "", page);
  sending(document.querySelector("[data-upload]"), file);
  document.body.dispatchEvent(new CustomEvent("htmx:afterSettle"));
}

function sending(part, file = null) {
  if (!part || part.dataset.uploadReady) return;
  part.dataset.uploadReady = "yes";
  const find = (name) => part.querySelector(`[data-upload-${name}]`);
  const [words, percent, meter, hint, choose, halt] = ["words", "percent", "meter", "hint", "choose", "pause"].map(find);
  const whole = Number(part.dataset.uploadSize);
  let stop = null;

  async function run(chosen) {
    if (stop) return;
    const since = { at: performance.now(), received: null };
    stop = new AbortController();
    part.dataset.held = "sending";
    choose.hidden = true;
    halt.hidden = false;
    hint.classList.remove("is-wrong");
    words.textContent = `Sending “${chosen.name}”`;
    function tell(received, sentence) {
      since.received ??= received;
      const speed = (received - since.received) / Math.max(performance.now() - since.at, 1) * 1000 / MIB;
      meter.value = (100 * received) / whole;
      percent.textContent = `${Math.floor(meter.value)} %`;
      hint.textContent = sentence || `${size(received)} of ${size(whole)}${speed > 0 ? `, ${speed.toFixed(speed < 10 ? 1 : 0)} MiB/s` : ""}. Keep this page open.`;
    }
    try {
      const page = await send(chosen, part.dataset.upload, part.dataset.uploadFinish, { signal: stop.signal, tell });
      stop = null;
      location.replace(page);
    } catch (error) {
      const wasPaused = stop.signal.aborted;
      stop = null;
      choose.hidden = false;
      halt.hidden = true;
      words.textContent = wasPaused ? "Paused" : "Stopped";
      hint.textContent = wasPaused ? "Choose the same file to go on; what has arrived is kept for a day." : error.message;
      hint.classList.toggle("is-wrong", !wasPaused);
      if (!(error instanceof Refused) && !wasPaused) hint.textContent = `${error.state?.reason ?? "The portal does not answer."} Choose the same file to go on.`;
    }
  }
  // News would put a fresh part in the place of the one that is sending, or for which a file is just being looked for.
  find("file").addEventListener("click", () => { part.dataset.held = "choosing"; });
  find("file").addEventListener("cancel", () => { if (!stop) delete part.dataset.held; });
  find("file").addEventListener("change", (event) => { if (event.target.files[0]) run(event.target.files[0]); event.target.value = ""; });
  halt.addEventListener("click", () => stop?.abort());
  addEventListener("beforeunload", (event) => { if (stop) event.preventDefault(); });
  if (file) run(file);
  // All had arrived when the page was closed, and nobody said so.
  else if ("uploadComplete" in part.dataset) finish(part.dataset.uploadFinish).then((page) => location.replace(page), () => {});
}

const form = document.querySelector("[data-upload-form]");
if (form) choosing(form);
sending(document.querySelector("[data-upload]"));
// The part that news brought has to listen as the one before it did.
document.body.addEventListener("htmx:afterSettle", () => sending(document.querySelector("[data-upload]")));
document.addEventListener("kvweb:rows", () => sending(document.querySelector("[data-upload]")));
addEventListener("popstate", () => location.reload());

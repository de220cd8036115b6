// <button data-viewer-file="where to ask for a grant">: the file with which a viewer on this computer opens a machine's
// screen by itself. It comes over the consoles' websocket, where rights are checked, and goes straight into a download.
import { askGrant } from "./console-grant.js";
import { toast } from "./toasts.js";

const WAIT_MS = 15000;

// {text, valid_s}, or {sentence} when there is none.
function fileOf(grant) {
  const address = new URL(grant.path, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return new Promise((done) => {
    const socket = new WebSocket(address, ["kvweb.console", `kvweb.token.${grant.token}`]);
    const timer = setTimeout(() => { done({ sentence: "The console service did not answer." }); socket.close(); }, WAIT_MS);
    socket.onmessage = (event) => {
      const said = typeof event.data === "string" ? JSON.parse(event.data) : {};
      if (said.type === "viewer") done(said);
    };
    socket.onclose = (event) => { clearTimeout(timer); done({ sentence: event.reason || "The console service does not answer." }); };
  });
}

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-virt-viewer" }));
  link.download = `${name.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-") || "machine"}.vv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-viewer-file]");
  if (!button) return;
  button.disabled = true;
  try {
    const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
    const grant = await askGrant(button.dataset.viewerFile, token);
    const file = grant.token ? await fileOf(grant) : grant;
    if (!file.text) { toast(file.sentence || "There is no file for a viewer.", "warning"); return; }
    save(file.text, button.dataset.name);
    toast(`Open the file within ${file.valid_s} seconds, with remote-viewer for instance.`, "success");
  } finally {
    button.disabled = false;
  }
});

// <div data-reading="/volumes/read">: somebody looks at what is read only while somebody looks. The portal decides whether
// it was read just now; what it finds comes as news.
const AGAIN_MS = 60000;
const token = () => document.querySelector("#act input[name=csrfmiddlewaretoken]")?.value;

function ask() {
  if (document.hidden) return;
  const addresses = new Set([...document.querySelectorAll("[data-reading]")].map((part) => part.dataset.reading));
  addresses.forEach((address) => {
    fetch(address, { method: "POST", headers: { "X-CSRFToken": token(), "HX-Request": "true" }, credentials: "same-origin" })
      .catch(() => { /* The page stays as it is; the next minute tries again. */ });
  });
}

if (token() && document.querySelector("[data-reading]")) {
  ask();
  setInterval(ask, AGAIN_MS);
}

// Pictures of running machines' screens: before the names in a list, and on a machine's page ([data-screen]). Asked for while
// the page is looked at, which is also what has them taken; whoever may not see one gets none.
const PAGE_MS = 5000;
const LIST_MS = 15000;
const FIRST_MS = 1500;

const taken = new Map();
let timer = 0;
let tries = 0;

const rows = () => [...document.querySelectorAll('[data-live-list~="vms"] [data-row][data-subject^="vm:"]')];
const screens = () => [...document.querySelectorAll("[data-screen]")];
const address = (uuid, size) => `/vms/${uuid}/screen?size=${size}&at=${taken.get(uuid)}`;

function showInRow(row) {
  const uuid = row.dataset.subject.slice(3);
  const name = row.querySelector("td.name");
  const at = taken.get(uuid);
  let thumb = name?.querySelector(".screen-thumb");
  if (!name || (!at && !thumb)) return;
  if (!at) { thumb.remove(); return; }
  if (!thumb) {
    thumb = document.createElement("span");
    thumb.className = "screen-thumb";
    const small = Object.assign(document.createElement("img"), { alt: "", width: 44, height: 28, decoding: "async" });
    thumb.append(small);
    name.prepend(thumb);
    thumb.addEventListener("pointerenter", () => enlarge(thumb, uuid, row.querySelector("[data-open]")?.textContent ?? ""));
    thumb.addEventListener("pointerleave", () => document.querySelector(".screen-large")?.remove());
  }
  const image = thumb.querySelector("img");
  if (image.dataset.at !== String(at)) { image.dataset.at = at; image.src = address(uuid, "row"); }
}

// The picture in readable size beside the small one, while the pointer is on it; a table would cut it off.
function enlarge(thumb, uuid, name) {
  document.querySelector(".screen-large")?.remove();
  const place = document.createElement("span");
  place.className = "screen-large";
  const { top, bottom, left } = thumb.getBoundingClientRect();
  const image = Object.assign(document.createElement("img"), { alt: `The screen of ${name}`, src: address(uuid, "page") });
  image.onload = () => { place.style.top = `${innerHeight - bottom > place.offsetHeight + 12 ? bottom + 6 : Math.max(6, top - place.offsetHeight - 6)}px`; };
  place.style.left = `${left}px`;
  place.style.top = `${bottom + 6}px`;
  place.append(image);
  document.body.append(place);
}

function showOnPage(link) {
  const at = taken.get(link.dataset.screen);
  const image = link.querySelector("img");
  if (!at || image.dataset.at === String(at)) return;
  image.dataset.at = at;
  // The next picture comes in place of the last when it is whole.
  const next = new Image();
  next.onload = () => { image.src = next.src; image.hidden = false; link.classList.add("has-picture"); };
  next.src = address(link.dataset.screen, "page");
}

function show() {
  const found = rows();
  found.forEach(showInRow);
  const list = document.querySelector('[data-live-list~="vms"]');
  list?.classList.toggle("has-screens", found.some((row) => row.querySelector(".screen-thumb")));
  screens().forEach(showOnPage);
}

async function ask(uuids, place) {
  const answer = await fetch(`/vms/screens?place=${place}&ids=${uuids.join(",")}`, { credentials: "same-origin", headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return false;
  const told = await answer.json();
  uuids.forEach((uuid) => { if (told[uuid]) taken.set(uuid, told[uuid]); else taken.delete(uuid); });
  return Object.values(told).some((at) => !at);
}

async function renew() {
  clearTimeout(timer);
  if (document.hidden) return;
  const [pages, listed] = [screens().map((link) => link.dataset.screen), rows().map((row) => row.dataset.subject.slice(3))];
  if (!pages.length && !listed.length) { timer = setTimeout(renew, LIST_MS); return; }
  const missing = [pages.length && await ask(pages, "page"), listed.length && await ask(listed, "list")].some(Boolean);
  show();
  // The first pictures are taken because this page asked: they are there in a moment.
  tries = missing ? tries + 1 : 0;
  timer = setTimeout(renew, missing && tries < 8 ? FIRST_MS : pages.length ? PAGE_MS : LIST_MS);
}

document.addEventListener("visibilitychange", renew);
document.addEventListener("kvweb:rows", () => { document.querySelector(".screen-large")?.remove(); show(); });
document.body.addEventListener("htmx:afterSettle", (event) => { show(); if (event.target.id === "results" || event.target.querySelector?.("[data-screen]")) { tries = 0; renew(); } });
renew();

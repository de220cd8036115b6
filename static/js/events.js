// News of the portal: one stream while the tab is visible; what changed is fetched once as parts of this page.
//
//   <table data-live-list="vms" data-live-rows="/vms/rows" data-live-page="results">   rows with data-subject
//   <div id data-live="vm:<uuid>" data-live-src="/vms/<uuid>/header">                   a part that is fetched anew
//   <ol data-log="job:<uuid>" data-log-src="/jobs/<uuid>/lines">                        lines that are appended
//
// Where a stream cannot pass, the same address is asked every few seconds.
import { fadeOut, parse, swap } from "./rows.js";
import { isInUse, mark } from "./unfit.js";

const POLL_MS = 4000;
const GATHER_MS = 50;
// While much happens, a page asks at most this often.
const AT_MOST_EVERY_MS = 400;
const CHIPS_AT_MOST_EVERY_MS = 1500;
const SAY_LOST_AFTER_MS = 4000;

const sign = document.querySelector("[data-live-state]");
const signedIn = Boolean(document.getElementById("act"));
let source = null;
let since = "";
let heardAt = (Number(document.body.dataset.renderedAt) || Date.now() / 1000) * 1000;
let failures = 0;
let poll = 0;
let lostTimer = 0;
const waiting = new Map();
let gather = 0;
let workedAt = 0;

function say(state, words) {
  if (!sign || sign.dataset.liveState === state && state === "on") return;
  sign.dataset.liveState = state;
  sign.querySelector("[data-live-words]").textContent = words;
}

const clock = () => new Date(heardAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function address() {
  const lists = new Set(["jobs"]);
  const subjects = new Set();
  document.querySelectorAll("[data-live-list]").forEach((list) => list.dataset.liveList.split(" ").forEach((name) => lists.add(name)));
  // A machine's row also shows whether its provider answers.
  if (lists.has("vms") || document.querySelector('[data-live^="vm:"]')) lists.add("providers");
  document.querySelectorAll("[data-live], [data-log]").forEach((part) => (part.dataset.live ?? part.dataset.log).split(" ").forEach((name) => {
    if (name.includes(":")) subjects.add(name);
  }));
  const query = new URLSearchParams({ list: [...lists].join(",") });
  if (subjects.size) query.set("subjects", [...subjects].join(","));
  if (since) query.set("since", since);
  else query.set("at", (heardAt / 1000).toFixed(2));
  return `/events?${query}`;
}

async function answerTo(url, headers = {}) {
  const answer = await fetch(url, { headers: { "HX-Request": "true", ...headers }, credentials: "same-origin" });
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
  return answer;
}

const text = async (url, headers) => (await answerTo(url, headers)).text();

async function fetchRows(list, ids) {
  const asked = new Set(ids.map((id) => `${list.dataset.rowPrefix ?? "vm-"}${id}`));
  // What the list was asked for goes along: the portal says which rows it leaves out now.
  const query = new URLSearchParams(location.search);
  query.set("ids", ids.join(","));
  const answer = await answerTo(`${list.dataset.liveRows}?${query.toString().replaceAll("%2C", ",")}`);
  const unfit = new Set((answer.headers.get("X-Unfit") ?? "").split(","));
  const fresh = parse(await answer.text());
  fresh.forEach((row) => {
    asked.delete(row.id);
    if (unfit.has(row.dataset.subject?.split(":")[1])) mark(row);
    swap(row);
  });
  asked.forEach(fadeOut);
}

// The last row has left: the page says what an empty list means, and counts anew.
document.addEventListener("kvweb:rows", () => {
  for (const list of document.querySelectorAll("[data-live-list][data-live-page]")) {
    if (list.querySelector("table") && !list.querySelector("[data-row]")) renewPage(list);
  }
});

const renewPage = (list) => window.htmx.ajax("GET", location.pathname + location.search, { target: `#${list.dataset.livePage}`, swap: "outerHTML", headers: { "X-Live": "1" } });

async function fetchLines(log) {
  const last = log.lastElementChild?.dataset.line ?? "0";
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const template = document.createElement("template");
  template.innerHTML = await text(`${log.dataset.logSrc}?after=${last}`);
  const known = new Set([...log.children].map((line) => line.dataset.line));
  log.append(...[...template.content.children].filter((line) => !known.has(line.dataset.line)));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

async function work() {
  gather = 0;
  workedAt = Date.now();
  const news = new Map(waiting);
  waiting.clear();
  const has = (name) => news.has(name) || [...news.keys()].some((subject) => subject.startsWith(`${name}:`));
  const tasks = [];
  for (const list of document.querySelectorAll("[data-live-list]")) {
    const prefix = `${list.dataset.livePrefix ?? "vm"}:`;
    const shown = [...list.querySelectorAll("[data-subject]")].map((row) => row.dataset.subject).filter((subject) => news.has(subject));
    const created = [...news].some(([subject, topic]) => subject.startsWith(prefix) && topic === "created" && !shown.includes(subject));
    const all = [...list.querySelectorAll("[data-subject]")].map((row) => row.dataset.subject);
    const health = prefix === "vm:" && has("provider");
    if ((created || health) && list.dataset.livePage) tasks.push(renewPage(list));
    else if (shown.length || (health && all.length)) tasks.push(fetchRows(list, (health ? all : shown).map((subject) => subject.slice(prefix.length))));
    if (!(created || health) && has(prefix.slice(0, -1))) renewChips();
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    const names = part.dataset.live.split(" ");
    if (names.some(has) || (names[0].startsWith("vm:") && has("provider"))) tasks.push(text(part.dataset.liveSrc).then((html) => parse(html).forEach(swap)));
  }
  for (const log of document.querySelectorAll("[data-log]")) {
    if (news.has(log.dataset.log)) tasks.push(fetchLines(log));
  }
  if (has("job")) tasks.push(renewCounts());
  const ends = await Promise.allSettled(tasks);
  if (ends.some((end) => end.reason?.status === 401)) stop("Signed out: sign in again for news");
}

// The counts around a list, beside its filters and below it: also rows of its other pages change them.
let chipsTimer = 0;
function renewChips() {
  if (!document.getElementById("chips") && !document.getElementById("list-foot")) return;
  chipsTimer ||= setTimeout(async () => {
    chipsTimer = 0;
    const html = await text(location.pathname + location.search, { "HX-Target": "chips" }).catch(() => "");
    const scrolled = document.getElementById("chips")?.scrollLeft;
    parse(html).forEach(swap);
    if (scrolled) document.getElementById("chips").scrollLeft = scrolled;
    fillUp();
  }, CHIPS_AT_MOST_EVERY_MS);
}

// What fits now and is not shown comes in, as what is new does; below a pointer that is at a row that leaves it waits.
function fillUp() {
  const { first, last, total } = document.getElementById("list-foot")?.dataset ?? {};
  const list = document.querySelector("[data-live-list][data-total]");
  if (!list || total === undefined) return;
  list.dataset.total = total;
  document.dispatchEvent(new CustomEvent("kvweb:rows"));
  const shown = list.querySelectorAll("[data-row]:not(.is-unfit, .is-going)").length;
  const expected = Number(total) && Number(last) - Number(first) + 1;
  if (list.dataset.livePage && shown < expected && !(list.querySelector(".is-unfit") && isInUse(list))) renewPage(list);
}

let countsTimer = 0;
function renewCounts() {
  clearTimeout(countsTimer);
  countsTimer = setTimeout(async () => {
    const { active } = JSON.parse(await text("/jobs/active"));
    document.querySelectorAll('[data-nav-count="jobs:list"]').forEach((count) => {
      count.hidden = !active;
      count.querySelector("span").textContent = active;
    });
    document.querySelectorAll("[data-activity-dot]").forEach((dot) => { dot.hidden = !active; });
  }, 400);
}

function take(message) {
  since = String(message.id);
  heardAt = Date.now();
  if (message.topic !== "changed" || !waiting.has(message.subject)) waiting.set(message.subject, message.topic);
  gather ||= setTimeout(work, Math.max(GATHER_MS, AT_MOST_EVERY_MS - (Date.now() - workedAt)));
}

async function ask() {
  try {
    const answer = await fetch(address(), { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (answer.status === 401 || answer.redirected) return stop("Signed out: sign in again for news");
    const { events, last } = await answer.json();
    events.forEach(take);
    since = String(last || since);
    heardAt = Date.now();
    say("poll", "Live, asking every few seconds");
  } catch {
    say("lost", `Reconnecting; state as of ${clock()}`);
  }
  return undefined;
}

function stop(words) {
  close();
  clearInterval(poll);
  poll = 0;
  if (words) say("lost", words);
}

function close() {
  source?.close();
  source = null;
  clearTimeout(lostTimer);
}

function open() {
  close();
  if (document.hidden || !signedIn) return;
  if (sign?.dataset.liveState === "off") say("off", "Connecting…");
  source = new EventSource(address());
  source.onopen = () => {
    failures = 0;
    clearTimeout(lostTimer);
    clearInterval(poll);
    poll = 0;
    heardAt = Date.now();
    say("on", "Live");
  };
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onerror = () => {
    failures += 1;
    clearTimeout(lostTimer);
    lostTimer = setTimeout(() => say("lost", `Reconnecting; state as of ${clock()}`), SAY_LOST_AFTER_MS);
    if (source?.readyState === EventSource.CLOSED || failures >= 3) {
      close();
      if (!poll) { ask(); poll = setInterval(() => { if (!document.hidden) ask(); }, POLL_MS); }
      // Now and then see whether a stream passes again.
      setTimeout(() => { if (!source) open(); }, 30000);
    }
  };
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : open()));
document.addEventListener("kvweb:signed-in", open);
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) open(); });
document.body.addEventListener("rows", (event) => (event.detail.ids ?? []).forEach((id) => take({ id: since || 0, subject: `vm:${id}`, topic: "changed" })));
document.body.addEventListener("done", (event) => event.detail.subject && take({ id: since || 0, subject: event.detail.subject, topic: "changed" }));
// What the page was made with: jobs that were active then.
const active = document.querySelector('[data-nav-count="jobs:list"]');
document.querySelectorAll("[data-activity-dot]").forEach((dot) => { dot.hidden = active?.hidden ?? true; });
// Lists and parts that came in by htmx may want news of other objects.
let known = signedIn ? new URL(address(), location).searchParams.get("subjects") : "";
document.body.addEventListener("htmx:afterSettle", () => {
  const now = new URL(address(), location).searchParams.get("subjects");
  if (now !== known && source) { known = now; open(); }
});
open();

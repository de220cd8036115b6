// Beside the number of CPUs in lists of machines: how busy they were in the last ten minutes. Asked for when the list is
// there, so that the list itself waits for nothing; rows that news replaces get their line again at once.
const EVERY_MS = 30000;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 56;
const HEIGHT = 18;

let lines = {};

function points(values) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const runs = [];
  let run = [];
  values.forEach((value, index) => {
    if (value === null) { if (run.length) runs.push(run); run = []; return; }
    run.push(`${(index * step).toFixed(1)},${(HEIGHT - 1 - (Math.min(value, 100) / 100) * (HEIGHT - 2)).toFixed(1)}`);
  });
  if (run.length) runs.push(run);
  return runs;
}

function drawn(values) {
  const known = values.filter((value) => value !== null);
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", "spark");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  const said = `CPU: ${known.at(-1)} % now, at most ${Math.max(...known)} % in the last ten minutes`;
  picture.setAttribute("aria-label", said);
  const title = document.createElementNS(SVG, "title");
  title.textContent = said;
  picture.append(title);
  for (const run of points(values)) {
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", run.length > 1 ? run.join(" ") : `${run[0]} ${run[0]}`);
    picture.append(line);
  }
  return picture;
}

const rows = () => [...document.querySelectorAll('[data-live-list~="vms"] [data-row][data-subject^="vm:"]')];

function show() {
  for (const row of rows()) {
    const values = lines[row.dataset.subject.slice(3)];
    const cell = row.querySelector('[data-label="CPU"]');
    if (!cell || !values || cell.querySelector(".spark")?.values === values) continue;
    cell.querySelector(".spark")?.remove();
    const picture = drawn(values);
    picture.values = values;
    cell.prepend(picture);
  }
}

async function renew() {
  const ids = rows().map((row) => row.dataset.subject.slice(3));
  if (!ids.length || document.hidden) return;
  const answer = await fetch(`/vms/sparklines?ids=${ids.join(",")}`, { credentials: "same-origin", headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return;
  lines = await answer.json();
  show();
}

setInterval(renew, EVERY_MS);
document.addEventListener("visibilitychange", renew);
document.addEventListener("kvweb:rows", show);
document.body.addEventListener("htmx:afterSettle", (event) => {
  show();
  // Another page of the list, or other filters: machines that were not asked for yet.
  if (event.target.id === "results" && rows().some((row) => !(row.dataset.subject.slice(3) in lines))) renew();
});
renew();

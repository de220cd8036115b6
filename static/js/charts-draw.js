// One graph: its lines in the page's colours, a tip under the pointer, and the table of words below it.
import uPlot from "../vendor/uplot/uPlot.esm.js";

const DAY_S = 86400;
const together = uPlot.sync("charts");

const scaled = (value, step, units) => {
  let rest = value;
  let unit = 0;
  while (rest >= (unit ? step : 1000) && unit < units.length - 1) { rest /= step; unit += 1; }
  return `${rest >= 9.95 || rest === 0 || !unit ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
};

// The same words as kvweb/metrics/charts.py.
export const WORDS = {
  percent: (value) => `${value >= 9.95 || value === 0 ? Math.round(value) : value.toFixed(1)} %`,
  bytes: (value) => scaled(value, 1024, ["B/s", "KiB/s", "MiB/s", "GiB/s"]),
  mib: (value) => (value < 1024 ? `${Math.round(value)} MiB` : `${(value / 1024).toFixed(1).replace(/\.0$/, "")} GiB`),
  count: (value) => (value >= 9.95 || value === 0 ? String(Math.round(value)) : value.toFixed(1)),
};

const colour = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

function moment(seconds, span) {
  const options = span > DAY_S * 2 ? { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", ...(span < DAY_S / 2 ? { second: "2-digit" } : {}) };
  return new Date(seconds * 1000).toLocaleString("en-GB", { ...options, hourCycle: "h23" });
}

export class Picture {
  #figure; #place; #words; #plot = null; #size; #theme; #lines = []; #begins = 0; #step = 10; #othersTell = false;

  constructor(figure) {
    this.#figure = figure;
    this.#place = figure.querySelector("[data-picture]");
    this.#words = WORDS[figure.dataset.unit] ?? String;
    this.#size = new ResizeObserver(() => this.#plot?.setSize(this.#room()));
    this.#size.observe(this.#place);
    this.#theme = new MutationObserver(() => this.#draw());
    this.#theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  }

  get name() { return this.#figure.dataset.chart; }

  show(lines, begins, step, othersTell = false) {
    const isSameShape = this.#plot && this.#hasValues && lines.length === this.#lines.length && step === this.#step;
    this.#lines = lines;
    this.#begins = begins;
    this.#step = step;
    this.#othersTell = othersTell;
    if (isSameShape && this.#hasValues) this.#plot.setData(this.#data());
    else this.#draw();
    this.#tell();
  }

  end() {
    this.#size.disconnect();
    this.#theme.disconnect();
    this.#plot?.destroy();
  }

  #room() { return { width: Math.max(120, this.#place.clientWidth), height: this.#place.clientHeight }; }

  #data() {
    const count = this.#lines[0]?.values.length ?? 0;
    const times = Array.from({ length: count }, (_, index) => this.#begins + index * this.#step);
    return [times, ...this.#lines.map((line) => line.values)];
  }

  get #hasValues() { return this.#lines.some((line) => line.values.some((value) => value !== null)); }

  #draw() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#place.replaceChildren();
    if (!this.#hasValues) {
      const empty = document.createElement("p");
      empty.className = "chart-empty";
      empty.textContent = (this.#othersTell && this.#figure.dataset.silence) || "No values yet";
      this.#place.append(empty);
      return;
    }
    const soft = colour(this.#figure, "--ink-soft");
    const grid = { stroke: colour(this.#figure, "--line-soft"), width: 1 };
    const axis = { stroke: soft, grid, ticks: { show: false }, font: `11px ${getComputedStyle(this.#figure).fontFamily}` };
    const most = Number(this.#figure.dataset.most) || 0;
    this.#plot = new uPlot({
      ...this.#room(),
      legend: { show: false },
      cursor: { sync: { key: together.key }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
      padding: [8, 18, 0, 0],
      scales: { y: { range: (_, __, top) => [0, most || Math.max(top * 1.1, this.#figure.dataset.unit === "bytes" ? 1024 : 1)] } },
      axes: [
        { ...axis, space: 70, size: 28, values: (_, splits) => this.#clock(splits) },
        { ...axis, size: 62, space: 34, gap: 6, values: (_, splits) => splits.map((value) => this.#words(value)), ...this.#steps() },
      ],
      series: [{}, ...this.#lines.map((line, index) => {
        const stroke = colour(this.#figure, `--line-${index + 1}`);
        return { label: line.label, stroke, width: 1.6, fill: this.#lines.length === 1 ? `${stroke}22` : undefined, points: { show: false }, spanGaps: false };
      })],
      plugins: [this.#tip()],
    }, this.#data(), this.#place);
  }

  #clock(splits) {
    const span = this.#step * (this.#lines[0]?.values.length ?? 0);
    return splits.map((at) => new Date(at * 1000).toLocaleString("en-GB", span > DAY_S * 2 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }));
  }

  // Round numbers of the unit: a quarter of a percent scale, powers of two where 1024 make the next unit.
  #steps() {
    const unit = this.#figure.dataset.unit;
    if (unit === "percent") return { splits: () => [0, 25, 50, 75, 100] };
    if (unit === "count") return {};
    return { incrs: Array.from({ length: 41 }, (_, power) => 2 ** power) };
  }

  #tip() {
    const tip = document.createElement("div");
    tip.className = "chart-tip";
    tip.hidden = true;
    const renew = (plot) => {
      const { idx, left } = plot.cursor;
      const values = idx === null || idx === undefined || left < 0 ? [] : this.#lines.map((line) => line.values[idx]);
      tip.hidden = !values.some((value) => value !== null && value !== undefined);
      if (tip.hidden) return;
      const when = document.createElement("p");
      when.textContent = moment(plot.data[0][idx], this.#step * plot.data[0].length);
      const lines = this.#lines.map((line, index) => {
        const words = document.createElement("div");
        const mark = document.createElement("i");
        mark.className = `chart-colour colour-${index + 1}`;
        const value = document.createElement("b");
        value.textContent = values[index] === null ? "–" : this.#words(values[index]);
        words.append(mark, `${line.label} `, value);
        return words;
      });
      tip.replaceChildren(when, ...lines);
      const x = left + plot.bbox.left / devicePixelRatio;
      tip.style.top = "4px";
      tip.style.left = `${x < plot.width / 2 ? x + 12 : x - tip.offsetWidth - 12}px`;
    };
    return { hooks: { init: (plot) => plot.root.append(tip), setCursor: renew, setData: renew } };
  }

  #tell() {
    const said = [];
    for (const line of this.#lines) {
      const row = this.#figure.querySelector(`[data-line="${CSS.escape(line.label)}"]`);
      for (const name of ["now", "average", "peak"]) {
        const cell = row?.querySelector(`[data-${name}]`);
        if (cell && cell.textContent !== line[name]) cell.textContent = line[name];
      }
      said.push(`${line.label}: now ${line.now}, average ${line.average}, peak ${line.peak}`);
    }
    const title = this.#figure.querySelector("h2").textContent;
    this.#place.setAttribute("aria-label", `Graph of ${title}. ${said.join(". ")}`);
  }
}

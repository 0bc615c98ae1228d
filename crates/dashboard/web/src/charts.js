// Use over time: processor, memory, processes. Drag to zoom, double click to see all again.
import uPlot from "uplot";
import { load } from "./styles.js";

const EVERY_MS = 2000;
const KEPT = 4000;

const whole = (v) => (v == null ? "" : String(v));
const fixed = (digits) => (v) => (v == null ? "" : v.toFixed(digits));
const unlimited = () => NaN;

async function json(path, query) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`).catch(() => undefined);
  return answer?.ok ? answer.json() : undefined;
}

/** Where points come from, and what of them is drawn. */
const sources = {
  usage: {
    figures: [
      { title: "Processors", of: (p) => p.cpu_millis / 1000, limit: (d) => d.cpuLimit / 1000, say: fixed(2) },
      { title: "Memory, MiB", of: (p) => p.memory / 1048576, limit: (d) => d.memoryLimit / 1048576, say: fixed(1) },
      { title: "Processes", of: (p) => p.pids, limit: unlimited, say: whole },
    ],
    more: async (target, last) => (await json("/v1/usage/history", { target, since: last?.at ?? 0 }))?.points ?? [],
  },
  // What a runtime says of itself is kept nowhere: its charts begin when the page is opened.
  runtime: {
    figures: [
      { title: "Memory of the runtime, MiB", of: (p) => p.memory.total / 1048576, limit: unlimited, say: fixed(1) },
      { title: "Processes of the runtime", of: (p) => p.processes.count, limit: unlimited, say: whole },
      { title: "Ready to run", of: (p) => p.run_queue, limit: unlimited, say: whole },
      { title: "Reductions a second, thousands", of: (p) => p.work, limit: unlimited, say: fixed(1) },
    ],
    async more(target, last) {
      const sample = (await json("/v1/beam", { target }))?.[0]?.sample;
      if (!sample || sample.uptime_ms === last?.uptime_ms) return [];
      // Counters begin anew with the runtime.
      const goesOn = last && sample.uptime_ms > last.uptime_ms;
      const work = goesOn ? (sample.reductions - last.reductions) / (sample.uptime_ms - last.uptime_ms) : null;
      return [{ ...sample, at: Date.now(), work }];
    },
  },
};

/** Fills the place with the charts of its target. */
export async function start(place) {
  await load("./chart.css");
  place.replaceChildren();
  const points = [];
  const source = sources[place.dataset.figures ?? "usage"];
  const charts = source.figures.map((figure) => chart(place, figure, points));
  const style = new MutationObserver(() => charts.forEach((c) => c.redraw(false)));
  style.observe(document.documentElement, { attributes: true });

  async function more() {
    if (!place.isConnected) return;
    if (!document.hidden) {
      const come = await source.more(place.dataset.target, points.at(-1));
      if (come.length) {
        points.push(...come);
        points.splice(0, Math.max(0, points.length - KEPT));
        charts.forEach((c) => c.take());
      }
    }
    setTimeout(more, EVERY_MS);
  }
  more();
}

/** Times of day, with seconds where the span is short. */
function hours(_, moments) {
  const short = moments.length > 1 && moments[1] - moments[0] < 60;
  return moments.map((s) => new Date(s * 1000).toTimeString().slice(0, short ? 8 : 5));
}

function chart(place, figure, points) {
  const box = document.createElement("figure");
  const caption = document.createElement("figcaption");
  box.append(caption);
  place.append(box);
  const ink = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: ink("--dim"), grid: { stroke: ink("--line"), width: 1 }, ticks: { stroke: ink("--line") }, font: "11px system-ui" };
  const plot = new uPlot({
    width: Math.max(220, box.clientWidth),
    height: 150,
    cursor: { sync: { key: "lace" }, drag: { x: true, y: false } },
    legend: { show: false },
    scales: { y: { range: (_, min, max) => [0, Math.max(max ?? 0, 0.01) * 1.1] } },
    axes: [{ ...axis, space: 70, values: hours }, { ...axis, size: 54 }],
    series: [{}, { stroke: ink("--accent"), fill: ink("--accent-soft"), width: 1.5, points: { show: false } }],
    hooks: { setCursor: [(u) => u.cursor.idx != null && say(points[u.cursor.idx])] },
  }, [[], []], box);
  new ResizeObserver(() => plot.setSize({ width: Math.max(220, box.clientWidth), height: 150 })).observe(box);

  function say(point) {
    const limit = figure.limit(place.dataset);
    const most = Number.isFinite(limit) ? ` of ${figure.say(limit)}` : "";
    caption.textContent = `${figure.title}: ${point ? figure.say(figure.of(point)) + most : "nothing heard yet"}`;
  }
  say();
  return {
    redraw: (...args) => plot.redraw(...args),
    take() {
      const [from, to] = [plot.scales.x.min, plot.scales.x.max];
      const all = plot.data[0];
      const zoomed = all.length > 1 && (from > all[0] || to < all.at(-1));
      plot.setData([points.map((p) => p.at / 1000), points.map(figure.of)], !zoomed);
      if (plot.cursor.idx == null) say(points.at(-1));
      box.dataset.points = points.length;
    },
  };
}

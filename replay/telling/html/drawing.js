// Draws what is in sight: once for each frame at most, and only what differs by a pixel.

/** Pixels of a row; half of it is where its marks stand. */
const ROW = 20;

/** Marks that are nearer than this become one, with their number. */
const NEAREST = 9;

/** Pixels between two ticks, at least; and of half a tick's text. */
const BETWEEN_TICKS = 100;
const HALF_TEXT = 36;

/** Pixels from the top of the chart: below the ticks, below the whole axis. */
const TICKS_END = 46;
const AXIS_END = 64;

/** Pixels of an average letter in a bar, and of a digit in a mark. */
const LETTER = 6.2;
const DIGIT = 6;

const under = svg("svg", { class: "under", "aria-hidden": "true" });
const over = svg("svg", { class: "over", "aria-hidden": "true" });
const axis = chart.querySelector(".ticks .live");

const plot = { width: 1, left: 0, isPlanned: false };

/** Pixels from the left edge of the plot. */
function xOf(at) {
  return ((at - view.since) / view.span) * plot.width;
}

function timeAt(x) {
  return view.since + (x / plot.width) * view.span;
}

function plan() {
  if (plot.isPlanned) return;
  plot.isPlanned = true;
  requestAnimationFrame(() => {
    plot.isPlanned = false;
    draw();
  });
}

/** Where everything stands: to be called when the layout has changed. */
function measure() {
  const ticks = chart.querySelector(".ticks");
  plot.left = ticks.getBoundingClientRect().left - chart.getBoundingClientRect().left;
  plot.width = Math.max(ticks.getBoundingClientRect().width, 1);
  for (const row of rows) {
    row.isFolded = row.element.offsetParent === null;
    // A folded row's marks are where its member stands.
    const shown = row.isFolded ? row.element.parentElement.querySelector(".member") : row.element;
    row.top = shown.offsetTop + (row.isFolded ? 14 : 0);
  }
}

function draw() {
  drawAxis();
  for (const row of rows) {
    if (row.isFolded || !row.isInSight) continue;
    if (row.bars.length > 0) drawBars(row);
    else drawPoints(row);
  }
  drawOver();
  drawOverview();
}

function drawAxis() {
  const { step, at } = ticksOf(view.since, view.until, Math.max(plot.width / BETWEEN_TICKS, 2));
  const between = (step / view.span) * plot.width;
  const marks = [];
  const lines = [];
  for (const seconds of at) {
    const x = xOf(seconds).toFixed(1);
    lines.push(svg("line", { class: "grid-line", x1: x, x2: x, y1: TICKS_END, y2: "100%" }));
    marks.push(svg("line", { x1: x, x2: x, y1: 32, y2: 38 }));
    const middle = Math.min(Math.max(x, HALF_TEXT), plot.width - HALF_TEXT);
    if (between < 2 * HALF_TEXT + Math.abs(middle - x)) continue; // moved from the edge, it would meet the next
    marks.push(
      svg("text", { class: "relative", x: middle, y: 14 }, relativeText(seconds, step)),
      svg("text", { class: "absolute", x: middle, y: 28 }, clockText(report.zero + seconds, step < 60 ? 3 : 0)),
    );
  }
  report.phases.forEach(([since, until], number) => {
    const [left, right] = clipped(since, until);
    if (right > left) {
      marks.push(svg("rect", { class: `phase phase-${number}`, x: left, width: Math.max(right - left, 1.5), y: 40, height: 6 }));
    }
  });
  axis.replaceChildren(...marks, ...shading(TICKS_END, true));
  under.replaceChildren(...lines, ...shading(AXIS_END, false));
}

/** Where nobody could write: in the axis, which stays in sight, with how long it was. */
function shading(y, isNamed) {
  if (report.outage === null) return [];
  const [left, right] = clipped(report.outage.since, report.outage.until);
  if (right <= left) return [];
  const drawn = [svg("rect", { class: "no-writes", x: left, width: right - left, y, height: "100%" })];
  for (const at of [report.outage.since, report.outage.until]) {
    const x = xOf(at);
    if (x >= 0 && x <= plot.width) drawn.push(svg("line", { class: "edge", x1: x, x2: x, y1: y, y2: "100%" }));
  }
  const { text } = report.outage;
  if (isNamed && right - left > text.length * LETTER + 20) {
    drawn.push(svg("text", { class: "edge-text", x: Math.max(left, 0) + 8, y: y + 13 }, text));
  }
  return drawn;
}

/** Both ends in pixels, no further away than just outside. */
function clipped(since, until) {
  const within = (x) => Math.min(Math.max(x, -4), plot.width + 4);
  return [within(xOf(since)), within(xOf(until))];
}

function drawBars(row) {
  const drawn = [];
  let covered = -Infinity;
  for (const bar of row.bars) {
    if (bar.until < view.since || bar.since > view.until) continue;
    const [left, right] = clipped(bar.since, bar.until);
    if (right < covered) continue; // another one has this pixel
    const width = Math.max(right - left, 1);
    covered = left + width;
    drawn.push(svg("rect", { class: `bar ${bar.look}`, x: left.toFixed(1), y: 3, width: width.toFixed(1), height: 14 }));
    const begin = Math.max(left, 0);
    if (Math.min(right, plot.width) - begin > bar.text.length * LETTER + 12) {
      drawn.push(svg("text", { x: (begin + 6).toFixed(1), y: 13.8 }, bar.text));
    }
  }
  row.live.replaceChildren(...drawn);
}

function drawPoints(row) {
  row.clusters = clustersOf(row.points);
  const paths = new Map();
  const digits = [];
  const add = (kind, shape) => paths.set(kind, (paths.get(kind) ?? "") + shape);
  for (const point of row.points) {
    if (!point.isShown && point.at >= view.since && point.at <= view.until) add("faded", dot(xOf(point.at), 1.5));
  }
  for (const cluster of row.clusters) {
    const chained = cluster.points.some((point) => point.link !== null) ? " chained" : "";
    if (cluster.points.length === 1) {
      const x = (cluster.left + cluster.right) / 2;
      if (cluster.points[0].isDecision) add(`decision${chained}`, diamond(x));
      else add(`message${chained}`, dot(x, 3.5));
    } else {
      const text = String(cluster.points.length);
      const middle = (cluster.left + cluster.right) / 2;
      add(`many${chained}`, pill(middle, Math.max(cluster.right - cluster.left + 8, text.length * DIGIT + 9)));
      for (const [place, digit] of [...text].entries()) digits.push([digit, middle + (place - text.length / 2) * DIGIT]);
    }
  }
  const drawn = [...paths].map(([kind, d]) => svg("path", { class: `mark ${kind}`, d }));
  // All numbers of a row are one text with a place for each digit: a text is dear.
  const places = digits.map(([, x]) => x.toFixed(1)).join(" ");
  drawn.push(svg("text", { class: "count", x: places, y: 13.4 }, digits.map(([digit]) => digit).join("")));
  row.live.replaceChildren(...drawn);
}

/** Marks that would overlap, together: { left, right, points }. */
function clustersOf(told) {
  const clusters = [];
  let last = null;
  for (const point of told) {
    if (!point.isShown || point.at < view.since || point.at > view.until) continue;
    const x = xOf(point.at);
    if (last !== null && x - last.right < NEAREST) {
      last.right = x;
      last.points.push(point);
    } else {
      last = { left: x, right: x, points: [point] };
      clusters.push(last);
    }
  }
  return clusters;
}

function dot(x, radius) {
  return `M${(x - radius).toFixed(1)} ${ROW / 2}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0z`;
}

function pill(middle, width) {
  const straight = width - 13;
  return `M${(middle - straight / 2).toFixed(1)} 3.5h${straight.toFixed(1)}a6.5 6.5 0 0 1 0 13h${(-straight).toFixed(1)}a6.5 6.5 0 0 1 0 -13z`;
}

function diamond(x) {
  return `M${x.toFixed(1)} ${ROW / 2 - 5.5}l5.5 5.5l-5.5 5.5l-5.5 -5.5z`;
}

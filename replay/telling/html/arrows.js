// Arrows from causes to effects, the selected mark, and the strip that shows the whole.

/** Pixels between an arrow's end and the middle of its mark. */
const GAP = 7;

/** Bars of events in the overview. */
const DENSITY = 240;

/** Arrows of what is selected, on either side; more would be a thicket. */
const MOST_CAUSES = 60;
const MOST_EFFECTS = 200;

const shown = { chain: true, selected: null, hovered: null, cursor: null };

const overview = document.getElementById("overview");

function drawOver() {
  const drawn = [];
  if (shown.cursor !== null) {
    const x = xOf(shown.cursor);
    drawn.push(svg("line", { class: "cursor", x1: x, x2: x, y1: TICKS_END, y2: "100%" }));
  }
  if (shown.chain) {
    for (let link = 1; link < chain.length; link += 1) drawn.push(...arrow(chain[link - 1], chain[link], "of-chain"));
  }
  if (shown.selected !== null) {
    const path = causesOf(shown.selected);
    for (let step = 1; step < path.length; step += 1) drawn.push(...arrow(path[step], path[step - 1], "of-cause"));
    for (const effect of shown.selected.effects.slice(0, MOST_EFFECTS)) drawn.push(...arrow(shown.selected, points[effect], "of-effect"));
    drawn.push(...circle(shown.selected, "ring", 9));
  }
  if (shown.hovered !== null && shown.hovered !== shown.selected) drawn.push(...circle(shown.hovered, "hovered", 8));
  over.replaceChildren(...drawn);
}

/** The point, its cause, the cause of that, and so on. */
function causesOf(point) {
  const path = [point];
  while (path.at(-1).cause !== null && path.length <= MOST_CAUSES) {
    const cause = points[path.at(-1).cause];
    if (path.includes(cause)) break; // a journal that was tampered with may go round
    path.push(cause);
  }
  return path;
}

function placeOf(point) {
  return [xOf(point.at), rows[point.row].top + ROW / 2];
}

function circle(point, kind, radius) {
  const [x, y] = placeOf(point);
  if (x < -radius || x > plot.width + radius) return [];
  return [svg("circle", { class: kind, cx: x.toFixed(1), cy: y, r: radius })];
}

/** Nothing where both ends are out of sight on the same side. */
function arrow(from, to, kind) {
  const far = 400;
  const within = (x) => Math.min(Math.max(x, -far), plot.width + far);
  const [fromX, y1] = placeOf(from);
  const [toX, y2] = placeOf(to);
  if (Math.max(fromX, toX) < 0 || Math.min(fromX, toX) > plot.width) return [];
  const x1 = within(fromX);
  const x2 = within(toX);
  if (y1 === y2 && Math.abs(x2 - x1) < 2 * GAP) return [];
  return [svg("path", { class: `arrow ${kind}`, d: curve(x1, y1, x2, y2) })];
}

function curve(x1, y1, x2, y2) {
  const round = (...numbers) => numbers.map((number) => number.toFixed(1)).join(" ");
  if (y1 === y2) {
    const high = y1 - Math.min(14, Math.abs(x2 - x1) / 4);
    return `M${round(x1 + GAP, y1)}C${round(x1 + 2 * GAP, high, x2 - 2 * GAP, high, x2 - GAP, y2)}`;
  }
  if (x2 - x1 < 4 * GAP) {
    // Nearly at once: around the right side, so that it can be told from the row's edge.
    const out = Math.max(x1, x2) + 26;
    return `M${round(x1 + GAP, y1)}C${round(out, y1, out, y2, x2 + GAP, y2)}`;
  }
  const bend = Math.min((x2 - x1) / 2, 80);
  return `M${round(x1 + GAP, y1)}C${round(x1 + bend, y1, x2 - bend, y2, x2 - GAP, y2)}`;
}

function drawOverview() {
  const { width } = plot; // the two stand in the same column
  const scale = (at) => ((at - report.since) / (report.until - report.since)) * width;
  const drawn = [];
  if (report.outage !== null) {
    const left = scale(report.outage.since);
    drawn.push(svg("rect", { class: "no-writes", x: left, width: scale(report.outage.until) - left, height: "100%" }));
  }
  drawn.push(svg("path", { class: "density", d: densityOf(width) }));
  if (!view.isWhole) {
    const left = scale(view.since);
    const right = Math.max(scale(view.until), left + 3);
    drawn.push(
      svg("rect", { class: "out-of-sight", x: 0, width: left, height: "100%" }),
      svg("rect", { class: "out-of-sight", x: right, width: Math.max(width - right, 0), height: "100%" }),
      svg("rect", { class: "sight", x: left, y: 1, width: right - left, height: 38, rx: 3 }),
    );
  }
  overview.replaceChildren(...drawn);
}

const density = { width: 0, d: "" };

/** How many events there are where, as one path. */
function densityOf(width) {
  if (density.width === width) return density.d;
  const counts = new Array(DENSITY).fill(0);
  for (const point of points) {
    const share = (point.at - report.since) / (report.until - report.since);
    counts[Math.min(Math.floor(share * DENSITY), DENSITY - 1)] += 1;
  }
  const most = Math.max(...counts, 1);
  const bar = width / DENSITY;
  density.width = width;
  density.d = counts
    .map((count, number) => {
      const height = count === 0 ? 0 : 4 + 28 * Math.sqrt(count / most);
      return height === 0 ? "" : `M${(number * bar).toFixed(1)} 37v-${height.toFixed(1)}h${Math.max(bar - 0.6, 0.6).toFixed(1)}v${height.toFixed(1)}z`;
    })
    .join("");
  return density.d;
}

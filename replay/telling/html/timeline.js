// The timeline: pointers, wheel and keys; and the beginning of it all.

/** Milliseconds without a movement; a browser refuses many changes of the address, and
 * nobody wants to hear each of them. */
const SETTLED = 300;

/** Pixels that a pointer may move in a click. */
const STEADY = 4;

/** Pixels around a mark that count as it. */
const NEAR = 10;

/** How much closer one notch of a wheel comes. */
const NOTCH = 0.0018;

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;

const pointers = new Map();
let drag = null;

function plotX(event) {
  return event.clientX - chart.getBoundingClientRect().left - plot.left;
}

function rowAt(event) {
  const element = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-row]");
  return element ? rows[Number(element.dataset.row)] : null;
}

function clusterAt(row, x) {
  if (row === null) return null;
  let nearest = null;
  let distance = NEAR;
  for (const cluster of row.clusters) {
    const away = Math.max(cluster.left - x, x - cluster.right, 0);
    if (away < distance) [nearest, distance] = [cluster, away];
  }
  return nearest;
}

// Pointers: one drags, two pinch.

chart.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || event.target.closest("button") || plotX(event) < 0) return;
  pointers.set(event.pointerId, event.clientX);
  drag = { x: event.clientX, from: [view.since, view.until], spread: spread(), moved: false };
});

chart.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) {
    hover(event);
    return;
  }
  pointers.set(event.pointerId, event.clientX);
  const [since, until] = drag.from;
  if (pointers.size > 1) {
    const factor = drag.spread / Math.max(spread(), 1);
    const around = (since + until) / 2;
    view.set(around - ((until - since) / 2) * factor, around + ((until - since) / 2) * factor);
    drag.moved = true;
    return;
  }
  const by = event.clientX - drag.x;
  if (!drag.moved && Math.abs(by) < STEADY) return;
  if (!drag.moved) chart.setPointerCapture(event.pointerId);
  drag.moved = true;
  chart.classList.add("dragged");
  unhover();
  const moved = (by / plot.width) * (until - since);
  view.set(since - moved, until - moved);
});

for (const kind of ["pointerup", "pointercancel"]) {
  chart.addEventListener(kind, (event) => {
    if (!pointers.delete(event.pointerId)) return;
    chart.classList.remove("dragged");
    if (kind === "pointerup" && !drag.moved) click(event);
    // The finger that stays goes on from here.
    drag = { x: [...pointers.values()][0], from: [view.since, view.until], spread: spread(), moved: true };
  });
}

function spread() {
  const [one, other] = pointers.values();
  return other === undefined ? 0 : Math.max(Math.abs(one - other), 1);
}

function click(event) {
  const cluster = clusterAt(rowAt(event), plotX(event));
  if (cluster === null) {
    select(null);
    return;
  }
  const [earliest, latest] = [cluster.points[0], cluster.points.at(-1)];
  const canPart = latest.at - earliest.at > CLOSEST / 20 && view.span > CLOSEST * 1.01;
  if (cluster.points.length > 1 && canPart) view.frame(earliest.at, latest.at, 0.4);
  else open(cluster.points.find((point) => point.isDecision) ?? earliest);
}

chart.addEventListener("dblclick", (event) => {
  const x = plotX(event);
  if (x >= 0 && clusterAt(rowAt(event), x) === null) view.show(...view.zoom(0.4, timeAt(x)));
});

chart.addEventListener(
  "wheel",
  (event) => {
    const x = plotX(event);
    if (x < 0) return;
    const size = event.deltaMode === 0 ? 1 : 30; // lines, in some browsers
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      view.set(...view.pan((((event.deltaX || event.deltaY) * size) / plot.width) * 0.8));
    } else if (event.ctrlKey || event.metaKey || chart.contains(document.activeElement)) {
      event.preventDefault();
      const pinched = event.ctrlKey && Math.abs(event.deltaY) < 50 ? 5 : 1;
      view.set(...view.zoom(Math.exp(event.deltaY * size * NOTCH * pinched), timeAt(x)));
    }
  },
  { passive: false },
);

// What is under the pointer.

function hover(event) {
  const x = plotX(event);
  if (x < 0 || event.pointerType === "touch") {
    unhover();
    return;
  }
  const row = rowAt(event);
  const cluster = clusterAt(row, x);
  shown.cursor = timeAt(x);
  shown.hovered = cluster === null ? null : cluster.points[0];
  chart.classList.toggle("on-mark", cluster !== null);
  tip.textContent = cluster === null ? barText(row, shown.cursor) : clusterText(cluster);
  tip.hidden = false;
  const box = chart.getBoundingClientRect();
  const left = event.clientX - box.left + 14;
  tip.style.left = `${Math.max(Math.min(left, box.width - tip.offsetWidth - 4), 0)}px`;
  tip.style.top = `${event.clientY - box.top + 18}px`;
  plan();
}

function unhover() {
  shown.cursor = null;
  shown.hovered = null;
  tip.hidden = true;
  chart.classList.remove("on-mark");
  plan();
}

function barText(row, at) {
  const here = `${clockText(report.zero + at)} ${zoneText()}  ${relativeText(at, view.span / 1000)}`;
  const bar = row?.bars.find((one) => one.since <= at && at < one.until);
  if (bar === undefined) return here;
  const record = bar.record > 0 ? `, record ${bar.record}` : "";
  return `${row.member}, ${row.label}: ${bar.text}\n${spanText(bar.until - bar.since)} from ${clockText(report.zero + bar.since)}${record}\n${here}`;
}

function clusterText(cluster) {
  const told = cluster.points.slice(0, 5).map((point) => {
    const text = headlineOf(point).querySelector(".text").textContent;
    return `${clockText(report.zero + point.at)}  ${relativeText(point.at, 0.001)}  ${text}`;
  });
  const more = cluster.points.length - told.length;
  return more > 0 ? `${told.join("\n")}\nand ${more} more` : told.join("\n");
}

chart.addEventListener("pointerleave", unhover);

// The overview: the window can be dragged, or another one drawn.

overview.addEventListener("pointerdown", (event) => {
  const box = overview.getBoundingClientRect();
  const timeOf = (x) => report.since + ((x - box.left) / box.width) * (report.until - report.since);
  const began = timeOf(event.clientX);
  const from = [view.since, view.until];
  const isInside = began > from[0] && began < from[1] && !view.isWhole;
  overview.setPointerCapture(event.pointerId);
  const move = (moved) => {
    const now = timeOf(moved.clientX);
    if (isInside) view.set(from[0] + now - began, from[1] + now - began);
    else if (Math.abs(moved.clientX - event.clientX) > STEADY) view.set(Math.min(began, now), Math.max(began, now));
  };
  const end = (ended) => {
    overview.removeEventListener("pointermove", move);
    const isClick = Math.abs(ended.clientX - event.clientX) <= STEADY;
    if (isClick && !isInside) view.show(began - view.span / 2, began + view.span / 2);
  };
  overview.addEventListener("pointermove", move);
  overview.addEventListener("pointerup", end, { once: true });
});

// Keys.  Those that scroll a page elsewhere belong to the timeline only while it has the focus.

const anywhere = {
  "+": () => does.closer(),
  "=": () => does.closer(),
  "-": () => does.further(),
  0: () => does.all(),
  j: () => step(1),
  k: () => step(-1),
  c: () => document.querySelector("[data-does=chain]").click(),
  o: () => does.outage(),
  "/": () => search.focus(),
  "?": () => does.help(),
  Escape: () => (dock.hidden ? select(null) : closeDock()),
};

const onTheTimeline = {
  Home: () => first(false),
  End: () => first(true),
  Enter: () => shown.selected !== null && open(shown.selected),
  ArrowLeft: (event) => (event.shiftKey ? step(-1) : view.show(...view.pan(-0.2))),
  ArrowRight: (event) => (event.shiftKey ? step(1) : view.show(...view.pan(0.2))),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.closest("input");
  if (isTyping && event.key !== "Escape") return;
  if (document.querySelector("dialog[open]")) return;
  const own = event.target === chart ? onTheTimeline[event.key] : undefined;
  const call = own ?? anywhere[event.key];
  if (call === undefined) return;
  event.preventDefault();
  if (isTyping) event.target.blur();
  else call(event);
});

const visible = document.getElementById("visible");

function writeVisible() {
  const { step: precise } = ticksOf(view.since, view.until, 100);
  const digits = digitsOf(precise);
  visible.textContent =
    `${clockText(report.zero + view.since, digits)} to ${clockText(report.zero + view.until, digits)} ${zoneText()}, ${spanText(view.span)}`;
}

let settling = 0;

/** When all is quiet: the address leads here, and those who hear the page are told. */
function settleSoon() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    writeAddress();
    if (document.activeElement === chart && shown.selected === null) said.textContent = visible.textContent;
  }, SETTLED);
}

/** Of more members, those that never led are folded at first. */
const CROWD = 4;

function foldable(group) {
  const name = group.querySelector(".name");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "fold";
  button.setAttribute("aria-expanded", "true");
  name.replaceWith(button);
  button.append(name);
  button.addEventListener("click", () => fold(group, !group.classList.contains("folded")));
}

function fold(group, isFolded) {
  group.classList.toggle("folded", isFolded);
  group.querySelector(".fold").setAttribute("aria-expanded", String(!isFolded));
  measure();
  plan();
}

/** Phases are names that lead to their stretch of the timeline. */
function leadTo(name) {
  const [since, until] = report.phases[Number(name.dataset.phase)];
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Show it in the timeline";
  button.append(...name.childNodes);
  name.append(button);
  button.addEventListener("click", () => {
    document.getElementById("timeline").scrollIntoView({ block: "start" });
    view.frame(since, until, 0.5);
  });
}

/** Rows that are not on the screen need not be drawn. */
function watchRows() {
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) rows[Number(target.dataset.row)].isInSight = isIntersecting;
      plan();
    },
    { rootMargin: "15%" },
  );
  for (const row of rows) watch.observe(row.element);
}

function begin() {
  document.documentElement.classList.add("scripted");
  for (const hidden of document.querySelectorAll(".controls[hidden], .overview[hidden]")) hidden.hidden = false;
  const groups = [...chart.querySelectorAll(".group")];
  groups.forEach(foldable);
  for (const name of document.querySelectorAll("[data-phase]")) leadTo(name);
  document.querySelector("[data-does=chain]").setAttribute("aria-pressed", String(shown.chain));
  document.querySelector("[data-does=outage]").hidden = report.outage === null;
  chart.append(under, over, tip);
  document.body.append(said);
  chart.tabIndex = 0;
  chart.setAttribute("role", "application");
  chart.setAttribute("aria-label", "Timeline. Plus and minus zoom, arrows move, j and k go from event to event, Enter opens one, question mark shows all keys.");
  view.changed.push(plan, writeVisible, settleSoon);
  selectionChanged.push(settleSoon);
  new ResizeObserver(() => {
    measure();
    plan();
  }).observe(chart);
  for (const group of groups.length > CROWD ? groups : []) if (group.matches(".aside")) fold(group, true);
  watchRows();
  measure();
  draw();
  writeVisible();
  readAddress();
}

begin();

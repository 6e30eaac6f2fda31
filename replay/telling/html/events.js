// Events: selecting one, opening it, going from one to the next, searching.

const list = document.getElementById("events");
const dock = document.getElementById("dock");
const search = document.getElementById("search");
const onlyDecisions = document.getElementById("decisions");
const found = document.getElementById("found");

/** Tells those who hear the page what was selected. */
const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("role", "status");

const byId = new Map(points.map((point) => [point.id, point]));

/** Where the focus goes when the dock is closed. */
let focusedBefore = null;

/** Called when the selection has changed. */
const selectionChanged = [];

function select(point) {
  if (shown.selected !== null) items[shown.selected.number].classList.remove("selected");
  shown.selected = point;
  if (point !== null) {
    const item = items[point.number];
    item.classList.add("selected");
    view.reveal(point.at);
    if (rows[point.row].isFolded) fold(rows[point.row].element.parentElement, false);
    // Within the list alone: the page stays where it is.
    if (!item.contains(document.activeElement)) list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 3;
    said.textContent = headlineOf(point).textContent;
    if (!dock.hidden) fillDock(point);
  } else {
    closeDock();
  }
  plan();
  for (const call of selectionChanged) call();
}

/** Shows what the point rests on. */
function open(point) {
  select(point);
  focusedBefore = document.activeElement;
  fillDock(point);
  dock.hidden = false;
  document.body.classList.add("docked");
  document.getElementById("opened").focus({ preventScroll: true });
  keepInSight(rows[point.row]);
}

function fillDock(point) {
  const item = items[point.number];
  const title = document.getElementById("opened");
  title.className = `shown ${item.className}`;
  title.replaceChildren(...[...headlineOf(point).childNodes].map((node) => node.cloneNode(true)));
  dock.querySelector(".grounds-of-it").replaceChildren(item.querySelector(".body").cloneNode(true));
  dock.scrollTop = 0;
}

function closeDock() {
  if (dock.hidden) return;
  dock.hidden = true;
  document.body.classList.remove("docked");
  (focusedBefore?.isConnected ? focusedBefore : chart).focus({ preventScroll: true });
}

/** The row above the dock, if it would be hidden by it. */
function keepInSight(row) {
  const box = (row.isFolded ? row.element.parentElement : row.element).getBoundingClientRect();
  const free = innerHeight - dock.offsetHeight;
  if (box.bottom > free || box.top < 100) {
    scrollBy({ top: box.top - free / 2, behavior: wantsNoMotion.matches ? "auto" : "smooth" });
  }
}

/** The next one of those that are shown, or the one before. */
function step(by) {
  const among = points.filter((point) => point.isShown);
  if (among.length === 0) return;
  const from = shown.selected;
  let index;
  if (from === null) {
    const inSight = among.findIndex((point) => point.at >= view.since);
    index = by > 0 ? Math.max(inSight, 0) : inSight <= 0 ? among.length - 1 : inSight - 1;
  } else {
    const place = among.findIndex((point) => point.number >= from.number);
    const exact = place >= 0 && among[place] === from;
    index = by > 0 ? (exact ? place + 1 : place) : place < 0 ? among.length - 1 : place - 1;
    if (by > 0 && place < 0) return;
  }
  if (index >= 0 && index < among.length) select(among[index]);
}

function first(isLast) {
  const among = points.filter((point) => point.isShown);
  if (among.length > 0) select(among.at(isLast ? -1 : 0));
}

/** Leaves the events that have all the words. */
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const point of points) {
    const isWanted = !onlyDecisions.checked || point.isDecision;
    point.isShown = isWanted && words.every((word) => textOf(point).includes(word));
    items[point.number].hidden = !point.isShown;
    count += point.isShown;
  }
  for (const chunk of list.children) chunk.hidden = !chunk.querySelector("li[id]:not([hidden])");
  found.textContent = count === points.length ? `${count} events` : `${count} of ${points.length} events`;
  plan();
}

const texts = new Map();

function textOf(point) {
  let text = texts.get(point);
  if (text === undefined) {
    text = items[point.number].textContent.toLowerCase();
    texts.set(point, text);
  }
  return text;
}

search.addEventListener("input", filter);
onlyDecisions.addEventListener("change", filter);

list.addEventListener("focusin", (event) => {
  const item = event.target.closest("#events li[id]");
  const point = points[items.indexOf(item)];
  if (point !== undefined && point !== shown.selected) select(point);
});

// Wherever the page names an event.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-event]");
  if (link === null) return;
  event.preventDefault();
  open(points[Number(link.dataset.event)]);
});

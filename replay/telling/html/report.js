// What is told: the figures come as JSON, the texts stand in the page.

const report = JSON.parse(document.getElementById("report").textContent);

const chart = document.getElementById("chart");

/** Marks, in the order of their moments; `at` is seconds since the zero of the report. */
const points = report.points.map(([at, row, cause, isDecision, link, id], number) => ({
  number, at, row, cause, isDecision, link, id, effects: [], isShown: true,
}));
for (const point of points) {
  if (point.cause !== null) points[point.cause].effects.push(point.number);
}

/** The causal chain, from the first cause to the end of the outage. */
const chain = points.filter((point) => point.link !== null).sort((one, other) => one.link - other.link);

const rows = [...chart.querySelectorAll("[data-row]")].map((element, number) => ({
  element,
  label: element.querySelector(".label").textContent,
  member: element.parentElement.querySelector(".name").textContent,
  live: element.querySelector(".live"),
  track: element.querySelector(".track"),
  bars: report.rows[number].map(([since, until, look, text, record]) => ({ since, until, look, text, record })),
  points: [],
  clusters: [],
  top: 0,
  isFolded: false,
  isInSight: true,
}));
for (const point of points) rows[point.row].points.push(point);

const items = [...document.getElementById("events").querySelectorAll("li[id]")];

/** The line of the list that tells of a point. */
function headlineOf(point) {
  return items[point.number].querySelector("summary");
}

/** An element of SVG. */
function svg(name, attributes, ...content) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...content);
  return element;
}

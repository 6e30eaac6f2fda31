// The page as a whole: time zone, theme, the link to this moment.

const THEMES = ["Auto", "Light", "Dark"];

const does = {
  zone(button) {
    zone.isLocal = !zone.isLocal;
    writeTimes(document);
    button.textContent = zoneText();
    button.title = zone.isLocal ? "As this computer has them; times within sentences stay UTC" : "Times are UTC";
    texts.clear();
    plan();
  },

  theme(button) {
    const next = THEMES[(THEMES.indexOf(button.textContent) + 1) % THEMES.length];
    button.textContent = next;
    if (next === "Auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next.toLowerCase();
  },

  copy(button) {
    writeAddress();
    const label = button.textContent;
    const tell = (text) => {
      button.textContent = text;
      setTimeout(() => (button.textContent = label), 1600);
    };
    // Where a page may not write to the clipboard, the address bar has the link.
    const written = navigator.clipboard?.writeText(location.href) ?? Promise.reject();
    written.then(() => tell("Copied"), () => tell("See the address"));
  },

  help: () => document.getElementById("keys").showModal(),
  closer: () => view.show(...view.zoom(0.5)),
  further: () => view.show(...view.zoom(2)),
  all: () => view.whole(),
  outage: () => report.outage !== null && view.frame(report.outage.since, report.outage.until),
  before: () => step(-1),
  next: () => step(1),
  close: () => closeDock(),

  chain(button) {
    shown.chain = !shown.chain;
    button.setAttribute("aria-pressed", String(shown.chain));
    plan();
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-does]");
  if (button !== null) does[button.dataset.does]?.(button);
});

/** `#t=since,until&e=event`: what is in sight, and what is selected. */
function address() {
  const parts = [];
  if (!view.isWhole) parts.push(`t=${view.since.toFixed(4)},${view.until.toFixed(4)}`);
  if (shown.selected !== null) parts.push(`e=${encodeURIComponent(shown.selected.id)}`);
  return parts.length > 0 ? `#${parts.join("&")}` : "";
}

function writeAddress() {
  const now = address();
  // A link to a section stays until there is something to say.
  if (now === location.hash || (now === "" && !isOurs(location.hash))) return;
  history.replaceState(null, "", now || location.pathname + location.search);
}

function isOurs(hash) {
  return /^#[te]=/.test(hash);
}

function readAddress() {
  const anchor = /^#e(\d+)$/.exec(location.hash);
  if (anchor !== null) {
    if (points[Number(anchor[1])] !== undefined) open(points[Number(anchor[1])]);
    return;
  }
  if (!isOurs(location.hash)) return;
  const told = new URLSearchParams(location.hash.slice(1));
  const [since, until] = (told.get("t") ?? "").split(",").map(Number);
  if (Number.isFinite(since) && Number.isFinite(until) && since < until) view.set(since, until);
  const point = byId.get(told.get("e"));
  if (point !== undefined) select(point);
}

addEventListener("hashchange", readAddress);

// On paper nothing can be opened.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll(".account details")) details.open = true;
});

// Times as people read them, and the ticks of an axis.

/** Seconds between two ticks: what people count in. */
const STEPS = [
  ...[-6, -5, -4, -3, -2, -1, 0].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power)),
  10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
  ...[1, 2, 7, 30, 365].map((days) => days * 86400),
];

const zone = { isLocal: false };

/** Ticks in [since, until], at most `most` of them: { step, at: seconds[] }. */
function ticksOf(since, until, most) {
  const step = STEPS.find((one) => (until - since) / one <= most) ?? STEPS.at(-1);
  const at = [];
  for (let number = Math.ceil(since / step); number * step <= until; number += 1) {
    at.push(number * step);
  }
  return { step, at };
}

/** `+16.84 s`, `+1:30 min`, `−2:00 h`, with as many digits as the step has. */
function relativeText(seconds, step) {
  const sign = seconds < 0 ? "−" : "+";
  const size = Math.abs(seconds);
  const digits = digitsOf(step);
  if (size < 60) return `${sign}${size.toFixed(digits)} s`;
  if (size < 3600) {
    const rest = (size % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return `${sign}${Math.floor(size / 60)}:${rest} min`;
  }
  const minutes = Math.round(size / 60);
  return `${sign}${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}

function digitsOf(step) {
  return Math.min(Math.max(Math.ceil(-Math.log10(step) - 1e-9), 0), 6);
}

/** `16.93 s`, `120 ms`, `4 min 05 s`. */
function spanText(seconds) {
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const [size, unit, smaller, name] =
    seconds < 3600 ? [60, "min", 1, "s"] : seconds < 86400 ? [3600, "h", 60, "min"] : [86400, "d", 3600, "h"];
  const rest = Math.floor((seconds % size) / smaller);
  return `${Math.floor(seconds / size)} ${unit} ${String(rest).padStart(2, "0")} ${name}`;
}

/** The time of day of a moment in seconds since 1970, with so many digits of a second. */
function clockText(moment, digits = 3, isDated = false) {
  // Cut off, as everywhere in the page; a float may lie just below its millisecond.
  const when = new Date(Math.floor(moment * 1000 + 0.001));
  if (Number.isNaN(when.getTime())) return "?";
  const shifted = zone.isLocal ? new Date(when.getTime() - when.getTimezoneOffset() * 60000) : when;
  const [date, time] = shifted.toISOString().slice(0, -1).split("T");
  const shown = digits > 0 ? time.slice(0, 9 + Math.min(digits, 3)) : time.slice(0, 8);
  return isDated ? `${date} ${shown}` : shown;
}

/** `UTC`, or how far this computer's clock is from it. */
function zoneText() {
  if (!zone.isLocal) return "UTC";
  const minutes = -new Date(report.zero * 1000).getTimezoneOffset();
  const size = Math.abs(minutes);
  const two = (number) => String(number).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** Writes every time of the page anew, in the zone that was chosen. */
function writeTimes(within) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    element.textContent = clockText(Date.parse(element.dateTime) / 1000, 3, element.matches(".dated"));
  }
  for (const element of within.querySelectorAll(".zone")) element.textContent = zoneText();
}

// The view: which stretch of time is in sight.

/** Seconds; what is closer together than this was not measured. */
const CLOSEST = 0.0005;

/** Milliseconds that a jump takes, for eyes that want to follow it. */
const GLIDE = 180;

const wantsNoMotion = matchMedia("(prefers-reduced-motion: reduce)");

const view = {
  since: report.since,
  until: report.until,
  /** Called when it has changed. */
  changed: [],
  glide: 0,

  get span() {
    return this.until - this.since;
  },

  get isWhole() {
    return this.since === report.since && this.until === report.until;
  },

  /** Shows [since, until], or what is nearest to it within the report. */
  set(since, until) {
    const whole = report.until - report.since;
    const span = Math.min(Math.max(until - since, CLOSEST), whole);
    const middle = (since + until) / 2;
    const begin = Math.min(Math.max(middle - span / 2, report.since), report.until - span);
    [this.since, this.until] = span === whole ? [report.since, report.until] : [begin, begin + span];
    for (const call of this.changed) call();
  },

  /** The same, in a movement. */
  show(since, until) {
    cancelAnimationFrame(this.glide);
    if (wantsNoMotion.matches) {
      this.set(since, until);
      return;
    }
    const from = [this.since, this.until];
    const began = performance.now();
    const step = (now) => {
      const share = Math.min(Math.max((now - began) / GLIDE, 0), 1);
      const eased = 1 - (1 - share) ** 3;
      this.set(from[0] + (since - from[0]) * eased, from[1] + (until - from[1]) * eased);
      if (share < 1) this.glide = requestAnimationFrame(step);
    };
    this.glide = requestAnimationFrame(step);
  },

  /** Shows a stretch with some room around it. */
  frame(since, until, room = 0.12) {
    const around = Math.max((until - since) * room, CLOSEST);
    this.show(since - around, until + around);
  },

  whole() {
    this.show(report.since, report.until);
  },

  /** `factor` times as much time; what is at `around` stays where it is. */
  zoom(factor, around = (this.since + this.until) / 2) {
    const span = Math.min(Math.max(this.span * factor, CLOSEST), report.until - report.since);
    const share = (around - this.since) / this.span;
    return [around - share * span, around + (1 - share) * span];
  },

  /** Moves by a share of what is in sight. */
  pan(share) {
    return [this.since + share * this.span, this.until + share * this.span];
  },

  /** Moves only if the moment is not well in sight. */
  reveal(at) {
    const edge = this.span * 0.04;
    if (at >= this.since + edge && at <= this.until - edge) return;
    this.show(at - this.span / 2, at + this.span / 2);
  },
};

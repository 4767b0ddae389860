// The beat: about once a second what /events sends, or /snapshot.json where events cannot be had.
// Nothing is asked for while the page is hidden, and nothing is shown while it is held still.

import { ask, eventsOf, Refused } from "./api.js";

const PERIOD = 1000;
/** Milliseconds without a beat after which the server counts as lost: it may be late twice. */
const PATIENCE = 3500;
/** Milliseconds until events are tried again where polling had to step in. */
const RETRY = 15000;

export class Feed {
  /**
   * @param {(beat: any) => void} onBeat
   * @param {(link: "waiting"|"live"|"polling"|"lost", seconds: number) => void} onLink
   */
  constructor(onBeat, onLink) {
    this.onBeat = onBeat;
    this.onLink = onLink;
    this.last = performance.now();
    /** @type {AbortController|null} */
    this.events = null;
    this.streaming = false;
    this.locked = false;
    this.polling = false;
    this.retryAt = 0;
    this.previous = null;
  }

  start() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.rest() : this.wake()));
    setInterval(() => this.watch(), PERIOD);
    this.wake();
  }

  wake() {
    this.last = performance.now();
    this.previous = null;
    this.listen();
    this.poll();
  }

  rest() {
    this.events?.abort();
    this.events = null;
    this.streaming = false;
  }

  /** Nothing may be asked for any more, until the page is loaded again. */
  lock() {
    this.locked = true;
    this.rest();
  }

  async listen() {
    if (this.events || this.locked || document.hidden) return;
    const own = (this.events = new AbortController());
    let wait = RETRY;
    try {
      for await (const beat of eventsOf("events", own.signal)) {
        if (this.events !== own) return;
        this.streaming = true;
        this.take(beat, "live");
      }
      wait = PERIOD; // it has ended: the server has, too
    } catch (error) {
      if (!(error instanceof Refused) && this.streaming) wait = PERIOD;
    }
    if (this.events !== own) return;
    this.rest();
    this.retryAt = performance.now() + wait;
  }

  /** Once a second: poll while there are no events, and say so when nothing comes at all. */
  watch() {
    if (document.hidden || this.locked) return;
    const silent = performance.now() - this.last;
    if (!this.events && performance.now() > this.retryAt) this.listen();
    if (!this.streaming || silent > 2 * PERIOD) this.poll();
    if (silent > PATIENCE) this.onLink("lost", silent / 1000);
  }

  async poll() {
    if (this.polling || this.locked) return;
    this.polling = true;
    try {
      const beat = await ask("snapshot.json", { signal: AbortSignal.timeout(PATIENCE) });
      this.take(beat, this.streaming ? "live" : "polling");
    } catch {
      // watch() says so, when it lasts
    } finally {
      this.polling = false;
    }
  }

  take(beat, link) {
    if (this.previous && beat.now <= this.previous.now && beat.pid === this.previous.pid) return; // an older one
    beat.rates ??= ratesBetween(this.previous, beat);
    this.previous = beat;
    this.last = performance.now();
    this.onLink(link, 0);
    this.onBeat(beat);
  }
}

/** Passages a second by machine and row, between two beats of the same process. */
export function ratesBetween(before, after) {
  const seconds = before ? after.now - before.now : 0;
  if (!(seconds > 0) || before.pid !== after.pid) return {};
  return Object.fromEntries(
    Object.entries(after.edges).map(([name, counts]) => [
      name,
      counts.map((count, row) => Math.max(0, count - (before.edges[name]?.[row] ?? 0)) / seconds),
    ]),
  );
}

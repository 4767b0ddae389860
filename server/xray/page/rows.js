// Which rows the table has, and how they are fetched: only those that are looked at, a stretch at a time. The server
// filters, sorts, groups and counts; at ten thousand connections a page holds two hundred.

import { ask, query } from "./api.js";
import { parametersOf } from "./filters.js";

/** Rows fetched above and below what is seen: scrolling meets them before they are asked for. */
const AROUND = 60;
/** Rows kept at most of a stretch. */
const KEPT = 600;

/** @typedef {{key: string|null, count: number, oldest: number|null, open: boolean, rows: Map<number, any>, at: number}} Segment */

export class Rows {
  /** @param {import("./filters.js").View} view */
  constructor(view) {
    this.view = view;
    /** @type {Segment[]} */
    this.segments = [segment(null)];
    this.matched = 0;
    this.total = 0;
    this.stale = false;
    /** @type {AbortController|null} */
    this.running = null;
  }

  /** What is looked at is another thing now. What there is stays until that has come: a table does not go blank. */
  reset() {
    this.running?.abort();
    this.stale = true;
  }

  get lines() {
    return this.segments.reduce((sum, one) => sum + length(one), 0);
  }

  /** What stands in a line: the segment, and the row's place in it (-1: the group's head). */
  at(line) {
    if (line < 0) return null;
    let start = 0;
    for (const one of this.segments) {
      const size = length(one);
      if (line < start + size) {
        const place = line - start - (one.key === null ? 0 : 1);
        return { segment: one, place, row: one.rows.get(place) };
      }
      start += size;
    }
    return null;
  }

  /** The line of a row that is loaded, or -1. */
  lineOf(id) {
    let start = 0;
    for (const one of this.segments) {
      if (one.open) for (const [place, row] of one.rows) if (row.id === id) return start + place + (one.key === null ? 0 : 1);
      start += length(one);
    }
    return -1;
  }

  isMissing(first, last) {
    for (let line = first; line < last; line++) {
      const found = this.at(line);
      if (found && found.place >= 0 && !found.row) return true;
    }
    return false;
  }

  /**
   * Fetch the lines from `first` to `last`, and what lies around them. An earlier fetch that still runs is given up.
   * Raises Refused, TypeError, or AbortError when it was itself given up.
   */
  async fetch(first, last) {
    this.running?.abort();
    const own = (this.running = new AbortController());
    try {
      let segments = this.stale ? [segment(null)] : this.segments;
      if (this.view.group) segments = await this.fetchGroups(segments, own.signal);
      const wanted = stretches(segments, Math.max(0, first - AROUND), last + AROUND);
      await Promise.all(wanted.map((one) => this.fetchStretch(one, own.signal)));
      own.signal.throwIfAborted();
      this.segments = segments;
      this.stale = false;
    } finally {
      if (this.running === own) this.running = null;
    }
  }

  async fetchGroups(segments, signal) {
    const { group } = this.view;
    const answer = await ask(`connections.json${query({ ...parametersOf(this.view), group })}&limit=0`, { signal });
    this.take(answer);
    const before = new Map(segments.map((one) => [one.key, one]));
    // States stand in their table's order: by size they would change places under the hand that wants to click.
    const { names } = this.view;
    if (group === "state") answer.groups.sort((a, b) => names.indexOf(a.key) - names.indexOf(b.key));
    return answer.groups.map(({ key, count, oldest }) =>
      Object.assign(before.get(key) ?? segment(key), { count, oldest, at: performance.now() }));
  }

  async fetchStretch({ segment: one, from, to }, signal) {
    const { group, sort } = this.view;
    const parameters = { ...parametersOf(this.view), sort, offset: from, limit: to - from };
    if (one.key !== null && group === "state") parameters.state = one.key;
    // Groups are of peers without their ports; a filter is the beginning of a peer with its port.
    if (one.key !== null && group === "peer" && !parameters.peer.startsWith(`${one.key}:`)) parameters.peer = `${one.key}:`;
    const answer = await ask(`connections.json${query(parameters)}`, { signal });
    if (one.key === null) this.take(answer);
    one.count = answer.matched;
    one.at = performance.now();
    // What lies outside was sorted in another moment: near by it is better than nothing, far away it goes.
    if (one.rows.size > KEPT) one.rows.clear();
    for (const place of one.rows.keys()) if (place >= one.count) one.rows.delete(place);
    answer.rows.forEach((row, offset) => {
      one.rows.set(from + offset, row);
    });
  }

  take(answer) {
    this.matched = answer.matched;
    this.total = answer.total;
  }
}

/** The parts of segments that lie between two lines. */
function stretches(segments, first, last) {
  const found = [];
  let start = 0;
  for (const one of segments) {
    const begin = start + (one.key === null ? 0 : 1);
    const size = Math.max(one.count, one.key === null ? last : 0);
    const from = Math.max(first - begin, 0);
    const to = Math.min(last - begin, size);
    if (one.open && to > from) found.push({ segment: one, from, to });
    start += length(one);
  }
  return found;
}

/** @returns {Segment} */
function segment(key) {
  return { key, count: 0, oldest: null, open: key === null, rows: new Map(), at: performance.now() };
}

const length = (one) => (one.key === null ? one.count : 1 + (one.open ? one.count : 0));

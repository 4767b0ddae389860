// The server in figures, along the top: each says what it is and, where there is one, how near its bound it is.

import { byId, el, mark, say, style, svg } from "./dom.js";
import { bytes, count, rate, span } from "./format.js";

/** Beats that the small curve of requests shows: two minutes, and as long as there are fewer, half a minute. */
const KEPT = 120;
const FEWEST = 30;
const [WIDE, HIGH] = [72, 20];

/** @typedef {{element: HTMLElement, value: HTMLElement, bar: HTMLElement}} Tile */

export class Tiles {
  constructor() {
    /** @type {Map<string, Tile>} */
    this.tiles = new Map();
    this.element = byId("tiles");
    this.requests = /** @type {number[]} */ ([]);
    this.curve = svg("path", { class: "curve" });
    for (const [name, label] of [["connections", "Connections"], ["requests", "Requests"], ["lag", "Loop lag"], ["descriptors", "Descriptors"], ["bytes", "In / out"], ["uptime", "Up"]]) {
      const value = el("span", { class: "value", "data-tile": name });
      const bar = el("i");
      const element = el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, value, el("span", { class: "meter", "aria-hidden": "true", hidden: true }, bar)));
      this.tiles.set(name, { element, value, bar });
      this.element.append(element);
    }
    this.tiles.get("requests")?.element.querySelector("dd")?.append(svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "spark", "aria-hidden": "true" }, this.curve));
  }

  /** @param {any} beat @param {any} machine the connection's table */
  update(beat, machine) {
    const { bounds, loop, totals } = beat;
    const open = beat.machines.connection?.total ?? 0;
    this.show("connections", `${count(open)} of ${count(bounds.slots)}`, open / bounds.slots);
    const used = bounds.open_descriptors;
    this.show("descriptors", used === null ? `– of ${count(bounds.descriptors)}` : `${count(used)} of ${count(bounds.descriptors)}`, used / bounds.descriptors);
    this.show("lag", loop.blocked ? `blocked ${span(loop.blocked.seconds)}` : span(loop.lag));
    mark(this.tiles.get("lag")?.element, "data-bad", loop.blocked ? "" : null);
    this.show("bytes", totals.bytes_in === undefined ? "–" : `${bytes(totals.bytes_in)} / ${bytes(totals.bytes_out)}`);
    this.show("uptime", span(Math.floor(beat.uptime)).replace(".0", ""));
    const rates = beat.rates?.connection;
    if (rates && machine) {
      const passing = machine.rows.reduce((sum, row, at) => sum + (row.trigger === "HEAD_RECEIVED" ? (rates[at] ?? 0) : 0), 0);
      this.requests = [...this.requests, passing].slice(-KEPT);
      this.show("requests", rate(passing) || "0/s");
      this.draw();
    }
  }

  show(name, text, share) {
    const tile = /** @type {Tile} */ (this.tiles.get(name));
    say(tile.value, text);
    if (share === undefined || !Number.isFinite(share)) return;
    mark(tile.bar.parentElement, "hidden", null);
    style(tile.bar, "transform", `scaleX(${Math.min(1, share).toFixed(3)})`);
    mark(tile.element, "data-full", share >= 0.9 ? "" : null);
  }

  draw() {
    const most = Math.max(...this.requests, 1);
    const step = WIDE / (Math.max(FEWEST, this.requests.length) - 1);
    const start = WIDE - (this.requests.length - 1) * step;
    mark(this.curve, "d", this.requests.map((value, at) => `${at ? "L" : "M"}${(start + at * step).toFixed(1)} ${(HIGH - 1 - (value / most) * (HIGH - 3)).toFixed(1)}`).join(""));
  }
}

// The way that one connection has come: a strip of its stays, as long as the logarithm of what they lasted, and a list
// of its passages, the latest first.

import { el } from "./dom.js";
import { span, tone } from "./format.js";

/**
 * @typedef {{state: string, seconds: number|null, row: number, trigger: string, way: string, age: number}} Stay
 */

/**
 * The stays of a path: how long it was in each state, and by which row it left. The last is the present one.
 * @param {any[]} path passages, the oldest first
 * @param {{state: string, seconds: number}|null} now
 * @returns {Stay[]}
 */
export function staysOf(path, now) {
  const stays = path.map((one) => ({
    state: one.source, seconds: one.stayed, row: one.row, trigger: one.trigger, way: one.way, age: one.age,
  }));
  if (now) stays.push({ state: now.state, seconds: now.seconds, row: -1, trigger: "", way: "", age: 0 });
  return stays;
}

/** How wide a stay is drawn: a millisecond is worth seeing beside a minute, and the minute is seen to be longer. */
export const width = (seconds) => 0.3 + Math.log10(1 + Math.max(0, seconds ?? 0) / 0.001);

/** @param {Stay[]} stays */
export function strip(stays) {
  const pieces = stays.map((stay) => {
    const piece = el("i", { class: "stay", "data-tone": tone(stay.state), "data-way": stay.way, title: `${stay.state} ${stay.seconds === null ? "" : span(stay.seconds)}` });
    piece.style.flexGrow = width(stay.seconds).toFixed(2);
    return piece;
  });
  return el("div", { class: "strip", "aria-hidden": "true" }, ...pieces);
}

/**
 * @param {Stay[]} stays
 * @param {(row: number) => void} onPoint which row is pointed at; -1: none
 */
export function passages(stays, onPoint) {
  const longest = Math.max(...stays.map((stay) => width(stay.seconds)), 1);
  const items = [...stays].reverse().map((stay) => {
    const bar = el("i", { "data-tone": tone(stay.state) });
    bar.style.transform = `scaleX(${(width(stay.seconds) / longest).toFixed(3)})`;
    return el("li", {
      class: "passage", "data-way": stay.way, "data-present": stay.row < 0,
      onmouseenter: () => onPoint(stay.row), onmouseleave: () => onPoint(-1),
    },
      el("span", { class: "where" }, el("i", { class: "dot", "data-tone": tone(stay.state), "aria-hidden": "true" }), stay.state),
      el("span", { class: "long" }, stay.seconds === null ? "–" : span(stay.seconds)),
      el("span", { class: "scale", "aria-hidden": "true" }, bar),
      el("span", { class: "how quiet" }, stay.row < 0 ? "now" : stay.trigger),
      el("span", { class: "ago quiet" }, stay.row < 0 ? "" : `${span(stay.age)} ago`));
  });
  return el("ol", { class: "passages", reversed: true }, ...items);
}

// The way that one connection has come: a strip of its stays, as long as the logarithm of what they lasted, and a list
// of its passages, the latest first. Both are made once and then changed in place: they may be read, or pointed at.

import { el, mark, say, style } from "./dom.js";
import { span, tone } from "./format.js";
import { wordsOf } from "./words.js";

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

/** The strip: an element, and what brings it up to date. */
export function strip() {
  const element = el("div", { class: "strip", "aria-hidden": "true" });
  const update = (/** @type {Stay[]} */ stays) => {
    while (element.children.length > stays.length) element.lastChild?.remove();
    while (element.children.length < stays.length) element.append(el("i", { class: "stay" }));
    stays.forEach((stay, at) => {
      const piece = /** @type {HTMLElement} */ (element.children[at]);
      mark(piece, "data-tone", tone(stay.state));
      mark(piece, "data-way", stay.way);
      mark(piece, "title", `${stay.state} ${stay.seconds === null ? "" : span(stay.seconds)}`);
      style(piece, "flex-grow", width(stay.seconds).toFixed(2));
    });
  };
  return { element, update };
}

/**
 * The list: an element, and what brings it up to date.
 * @param {(row: number) => void} onPoint which row is pointed at; -1: none
 */
export function passages(onPoint) {
  const element = el("ol", { class: "passages", reversed: true });
  const make = () => {
    const bar = el("i");
    const parts = {
      row: -1, bar,
      dot: el("i", { class: "dot", "aria-hidden": "true" }), state: el("span"),
      long: el("span", { class: "long" }), how: el("span", { class: "how quiet" }), ago: el("span", { class: "ago quiet" }),
    };
    const item = el("li", { class: "passage", onmouseenter: () => onPoint(parts.row), onmouseleave: () => onPoint(-1) },
      el("span", { class: "where" }, parts.dot, parts.state), parts.long,
      el("span", { class: "scale", "aria-hidden": "true" }, bar), parts.how, parts.ago);
    return Object.assign(parts, { item });
  };
  const items = /** @type {ReturnType<typeof make>[]} */ ([]);
  const update = (/** @type {Stay[]} */ stays, kind = "connection") => {
    while (items.length > stays.length) items.pop()?.item.remove();
    while (items.length < stays.length) element.append(items[items.push(make()) - 1].item);
    const longest = Math.max(...stays.map((stay) => width(stay.seconds)), 1);
    [...stays].reverse().forEach((stay, at) => {
      const parts = items[at];
      const present = stay.row < 0;
      parts.row = stay.row;
      mark(parts.item, "data-way", stay.way);
      mark(parts.item, "data-present", String(present));
      for (const piece of [parts.dot, parts.bar]) mark(piece, "data-tone", tone(stay.state));
      style(parts.bar, "transform", `scaleX(${(width(stay.seconds) / longest).toFixed(3)})`);
      say(parts.state, wordsOf(stay.state, kind));
      say(parts.long, stay.seconds === null ? "–" : span(stay.seconds));
      say(parts.how, present ? stay.state : `${stay.state}: ${stay.trigger}`);
      say(parts.ago, present ? "now" : `${span(stay.age)} ago`);
    });
  };
  return { element, update };
}

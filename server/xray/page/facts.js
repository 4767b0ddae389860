// What is known of one connection, in words: its why line, its deadline, its facts, its request's fields.

import { el, mark, say } from "./dom.js";
import { bytes, count, span } from "./format.js";

const EXPORTS = [["text", "Text"], ["mermaid", "Mermaid"], ["perfetto", "Perfetto trace"], ["recording", "Recording"]];

/** The server's own words, a line for each that waits on the next. */
export function whyOf(element, why) {
  const links = why.split(" <- ");
  while (element.children.length > links.length) element.lastChild.remove();
  while (element.children.length < links.length) element.append(el("span"));
  links.forEach((link, at) => say(element.children[at], at ? `<- ${link}` : link));
}

/** `{before, after}` of the remaining time; without it `before` is all there is to say. */
export function dueOf({ deadline, true_while: truth }) {
  const state = truth ? `${truth[0].toUpperCase()}${truth.slice(1)}.` : "";
  if (!deadline) return { before: `${state} There is no deadline.`, timed: false };
  const seconds = Number(deadline.seconds.toPrecision(4));
  const clock = { time: `${seconds} s in this state`, idle: `${seconds} s without a byte`, rate: "bytes that come too slowly" }[deadline.by];
  return { before: `${state} Its ${deadline.name} deadline (${clock ?? deadline.by}) passes in `, timed: true };
}

/** How one ended. */
export function endOf({ ended, age, lasted }) {
  const by = ended.cause ? `Ended by the ${ended.cause}` : "Ended";
  return { before: `${by} in ${ended.state}, ${span(ended.ago ?? age)} ago, after ${span(lasted)}.`, timed: false };
}

/** When its deadline passes: it runs down between two looks. */
export class Due {
  constructor() {
    this.before = el("span");
    this.left = el("b");
    this.found = /** @type {any} */ (null);
    this.element = el("p", { class: "due" }, this.before, this.left);
  }

  show({ before, timed }, found) {
    this.found = timed ? found : null;
    say(this.before, before);
    if (timed) this.tick();
    else say(this.left, "");
  }

  tick() {
    if (!this.found) return;
    const left = this.found.deadline.remaining - (performance.now() - this.found.arrived) / 1000;
    say(this.left, `${Math.max(0, left).toFixed(1)} s`);
  }
}

/** The facts, each on a line, changed in place. */
export function facts(list, found) {
  const known = [
    ["Peer", found.peer], ["Request", found.request], ["Request id", found.request_id],
    ["Waits for", found.ended ? "" : found.chain?.join(" ← ")], ["Status", found.status],
    ["Open for", found.ended || typeof found.age !== "number" ? null : span(found.age)],
    ["Requests", count(found.requests)], ["Bytes", `${bytes(found.bytes_in)} in, ${bytes(found.bytes_out)} out`],
    ["Descriptor", found.descriptor < 0 ? "none" : found.descriptor],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  const names = known.map(([name]) => name).join();
  if (list.dataset.names !== names) {
    list.dataset.names = names;
    list.replaceChildren(...known.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  }
  known.forEach(([, value], at) => say(list.children[2 * at + 1], String(value)));
}

/** The request's fields: made again only when they are others. */
export function fields(place, found) {
  const key = JSON.stringify(found);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const rows = found.map(([name, value]) =>
    el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: value === "(redacted)" ? "quiet" : null }, value)));
  place.replaceChildren(...(rows.length
    ? [el("details", { open: true }, el("summary", {}, `Request fields (${rows.length})`), el("table", { class: "fields" }, el("tbody", {}, ...rows)))]
    : []));
  mark(place, "hidden", rows.length ? null : "");
}

/** How the last messages began: made again only when they are others. What came is left out where its fields are shown. */
export function messages(place, found) {
  const shown = [["What came last", found.fields?.length ? [] : found.received], ["What went last", found.sent]]
    .filter(([, lines]) => lines?.length);
  const key = JSON.stringify(shown);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...shown.map(([title, lines]) =>
    el("details", { open: true }, el("summary", {}, title), el("pre", { class: "message", tabindex: "0", "aria-label": title }, lines.join("\n")))));
  mark(place, "hidden", shown.length ? null : "");
}

/** Links to what can be kept of it. */
export function exportsOf(id) {
  const links = EXPORTS.map(([format, label]) =>
    el("a", { href: `connections/${encodeURIComponent(id)}?format=${format}`, target: "_blank", rel: "noopener" }, label));
  return el("p", { class: "exports" }, ...links);
}

// What is known of one connection, in words: its why line, its deadline, its facts, its request's fields.

import { el, mark, say } from "./dom.js";
import { save } from "./api.js";
import { bytes, count, span } from "./format.js";

const EXPORTS = [["text", "Text", "txt"], ["mermaid", "Mermaid", "mmd"], ["perfetto", "Perfetto trace", "perfetto.json"], ["recording", "Recording", "json"]];

/** The server's own words, a line for each that waits on the next. */
export function whyOf(element, why) {
  const links = why.split(" <- ");
  while (element.children.length > links.length) element.lastChild.remove();
  while (element.children.length < links.length) element.append(el("span"));
  links.forEach((link, at) => say(element.children[at], at ? `<- ${link}` : link));
}

/** `{before, after}` of the remaining time; without it `before` is all there is to say. */
export function dueOf({ deadline, seconds: stayed, true_while: truth }) {
  const state = truth ? `${truth[0].toUpperCase()}${truth.slice(1)}.` : "";
  if (!deadline) return { before: `${state} There is no deadline.`, timed: false };
  const seconds = Number(deadline.seconds.toPrecision(4));
  const own = deadline.by === "time" && Math.abs(deadline.seconds - deadline.remaining - stayed) > 0.1; // another machine's
  const clock = { time: own ? `${seconds} s` : `${seconds} s in this state`, idle: `${seconds} s without a byte`, rate: "bytes that come too slowly" }[deadline.by];
  return { before: `${state} Its ${deadline.name} deadline (${clock ?? deadline.by}) passes in `, timed: true };
}

/** How one ended. */
export function endOf({ ended, age, lasted }) {
  const by = ended.cause ? `Ended by the ${ended.cause}` : "Ended";
  return { before: `${by} in ${ended.state}, ${span(ended.ago ?? age)} ago, after ${span(lasted)}.`, timed: false };
}

/** When its deadline passes, as the server saw it. */
export class Due {
  constructor() {
    this.before = el("span");
    this.left = el("b");
    this.element = el("p", { class: "due" }, this.before, this.left);
  }

  show({ before, timed }, found) {
    say(this.before, before);
    say(this.left, timed ? `${Math.max(0, found.deadline.remaining).toFixed(1)} s` : "");
  }
}

/** The facts, each on a line, changed in place. */
export function facts(list, found) {
  const known = [
    ["Peer", found.peer], ["TLS", found.tls], ["Request", found.request], ["Request id", found.request_id],
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

/** The frames of a stack, in the order given. */
export const calls = (frames) => el("ol", { class: "stack" }, ...frames.map((frame) => el("li", {},
  el("code", { class: "quiet" }, `${frame.file}:${frame.line} ${frame.function}`), el("code", {}, frame.code))));

/** Where an application waits, the innermost call first; made again only when it is another. */
export function waiting(place, stack) {
  const frames = [...stack].reverse();
  const key = frames.map((frame) => `${frame.file}:${frame.line}`).join(" ");
  if (place.dataset.key === key) return;
  const open = place.querySelector("details")?.open ?? false;
  place.dataset.key = key;
  place.replaceChildren(...(frames.length ? [el("details", { open }, el("summary", {}, `Where it waits (${frames.length} calls)`), calls(frames))] : []));
  mark(place, "hidden", frames.length ? null : "");
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
  const shown = [["Last received", found.fields?.length ? [] : found.received], ["Last sent", found.sent]]
    .filter(([, lines]) => lines?.length);
  const key = JSON.stringify(shown);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...shown.map(([title, lines]) =>
    el("details", { open: true }, el("summary", {}, title), el("pre", { class: "message", tabindex: "0", "aria-label": title }, lines.join("\n")))));
  mark(place, "hidden", shown.length ? null : "");
}

/** Files that can be kept of it. @param {(error: Error) => void} onError */
export function exportsOf(id, onError) {
  const name = `connection-${id.replace(/[^\w-]/g, "-")}`;
  const buttons = EXPORTS.map(([format, label, ending]) =>
    el("button", {
      type: "button", title: `Save ${name}.${ending}`,
      onclick: () => save(`connections/${encodeURIComponent(id)}?format=${format}`, `${name}.${ending}`).catch(onError),
    }, label));
  return el("p", { class: "exports" }, ...buttons, el("a", { href: `page/play.html#connections/${encodeURIComponent(id)}`, target: "_blank", title: "Go through its recording step by step" }, "Play"));
}

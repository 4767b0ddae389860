// The columns of the table, and how a row is put into its cells. A cell's text is set only where it differs.

import { el, mark, say, style } from "./dom.js";
import { CARRIERS, age, bytes, count, tone } from "./format.js";
import { wordsOf } from "./words.js";

/**
 * `sort` is the server's name for the order. Columns go by their class: the style sheet says how wide they are, and
 * which are left out when there is little room.
 */
export const COLUMNS = [
  { name: "id", label: "Id", sort: "id" },
  { name: "peer", label: "Peer", sort: "peer" },
  { name: "state", label: "State", sort: "state" },
  { name: "seconds", label: "In state", sort: "seconds" },
  { name: "deadline", label: "Deadline", sort: "remaining" },
  { name: "request", label: "Request" },
  { name: "why", label: "Waits for" },
  { name: "bytes", label: "In / out", sort: "bytes_out" },
  { name: "served", label: "Served", sort: "requests" },
];

/** Those that the server sorts with the largest first. */
export const DESCENDING = new Set(["seconds", "age", "bytes_in", "bytes_out", "requests"]);

/** The heads of the columns: buttons that sort. `onSort` is given the server's name. */
export function makeHead(onSort) {
  const cells = COLUMNS.map((column) =>
    el("div", { role: "columnheader", class: `cell ${column.name}`, "data-sort": column.sort },
      column.sort ? el("button", { type: "button", class: "plain", onclick: () => onSort(column.sort) }, column.label) : column.label));
  return el("div", { role: "row", class: "head", "aria-rowindex": "1" }, ...cells);
}

/** Show by what is sorted, and which way. */
export function showSort(head, sort) {
  const turned = sort.startsWith("-");
  const name = sort.replace("-", "");
  for (const cell of head.children) {
    const chosen = cell.dataset.sort === name;
    const usual = sort === "wait" && cell.dataset.sort === "seconds"; // the longest first, those that idle last
    mark(cell, "aria-sort", usual ? "other" : chosen ? (DESCENDING.has(name) !== turned ? "descending" : "ascending") : null);
    mark(cell, "title", usual ? "The longest wait first; those that idle come last" : null);
  }
}

/** An empty line, used again and again for whatever row it has come to stand for. */
export function makeLine(number) {
  const cells = COLUMNS.map((column) => el("div", { role: "gridcell", class: `cell ${column.name}` }));
  const [id, , state, , deadline] = cells;
  const parts = {
    dot: el("i", { class: "dot", "aria-hidden": "true" }),
    state: el("span", { class: "words" }),
    code: el("span", { class: "code" }),
    bar: el("i"),
    left: el("span"),
    twist: el("i", { class: "twist", "aria-hidden": "true" }),
    id: el("span"),
  };
  id.append(parts.twist, parts.id);
  state.append(parts.dot, parts.state, parts.code);
  deadline.append(el("span", { class: "meter", "aria-hidden": "true" }, parts.bar), parts.left);
  const element = el("div", { role: "row", class: "line", id: `line-${number}` }, ...cells);
  return { element, cells, ...parts };
}

/** Put a connection into a line, as the server saw it. */
export function showRow(line, row) {
  mark(line.element, "data-kind", row ? "row" : "empty");
  const [, peer, , seconds, , request, why, size, served] = line.cells;
  say(line.id, row ? row.id : "");
  say(peer, row ? row.peer : "");
  say(line.state, row ? wordsOf(row.state, row.kind) : "");
  say(line.code, row ? row.state : "");
  say(request, row ? row.request : "");
  say(why, row ? waits(row) : "");
  say(size, row ? `${bytes(row.bytes_in)} / ${bytes(row.bytes_out)}` : "");
  say(served, row ? count(row.requests) : "");
  mark(line.dot, "data-tone", row ? tone(row.state) : null);
  if (row) mark(why, "title", row.why);
  if (row) showTimes(line, row);
  else {
    say(seconds, "");
    say(line.left, "");
    mark(line.element, "data-due", null);
    mark(line.element, "data-timed", null);
  }
}

/** What it waits for, from the nearest on; its own address stands in a column already, and how long an application runs
 * says less than the line where it waits. */
const waits = (row) =>
  row.chain.map((link) => (row.peer && link.startsWith(`${row.peer} `) ? peerOf(row, link.slice(row.peer.length + 1)) : link)).join(" ← ").replace(RUNS, "");

const CLIENT = { readable: "the client to send", writable: "the client to take bytes" };

/** Only a connection's peer is a client. */
const peerOf = (row, what) => (CARRIERS.includes(row.kind ?? "connection") ? (CLIENT[what] ?? `the client: ${what}`) : what);

const RUNS = /^application [A-Z_]+ (?:[\d.]+ (?:s|min|h) )+(?:← )?(?=\S)/;

/** The time in the state, and what is left of the deadline, when the server looked. They are not counted on between two
 * looks: by now it may have left that state, and a time would be shown that never was. */
function showTimes(line, row) {
  say(line.cells[3], age(row.seconds));
  const { deadline } = row;
  mark(line.element, "data-timed", deadline ? "" : null);
  if (!deadline) {
    say(line.left, "");
    mark(line.element, "data-due", null);
    return;
  }
  const left = Math.max(0, deadline.remaining);
  const share = deadline.seconds ? Math.min(1, left / deadline.seconds) : 0;
  style(line.bar, "transform", `scaleX(${share.toFixed(3)})`);
  say(line.left, left < 10 ? `${left.toFixed(1)} s` : age(left));
  mark(line.element, "data-due", share < 0.1 ? "now" : share < 0.34 ? "soon" : null);
}

/** Put the head of a group into a line. */
export function showGroup(line, group, open, { group: by, kind }) {
  mark(line.element, "data-kind", "group");
  mark(line.element, "data-due", null);
  mark(line.element, "data-timed", null);
  for (const cell of [line.cells[1], line.cells[5], line.cells[6], line.cells[7], line.cells[8]]) say(cell, "");
  say(line.left, "");
  say(line.id, by === "state" ? `${wordsOf(group.key, kind)} · ${group.key}` : group.key || "(none)");
  say(line.state, count(group.count));
  say(line.code, "");
  mark(line.dot, "data-tone", null);
  say(line.cells[3], group.oldest === null ? "" : age(group.oldest));
  mark(line.element, "data-open", String(open));
}

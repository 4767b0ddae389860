// The machine that runs, drawn: how many stand in each state, what passes along each edge, and how long they stay.

import { mark, say, style, svg } from "./dom.js";
import { age, count, limit, rate, span, tone } from "./format.js";
import { CONNECTION, fits } from "./layout.js";
import { tracks } from "./tracks.js";

const RADIUS = 12;
/** A small machine is not blown up beyond this. */
const LARGEST = 1.35;
const RANK = ["HAPPY", "NORMAL", "FAULT"];

/** @typedef {{key: string, rows: number[], way: string, late: boolean, element: Element, parts: Record<string, any>}} Edge */

export class Diagram {
  /**
   * @param {any} machine one of /machines.json
   * @param {(state: string) => void} onChoose a state was clicked
   */
  constructor(machine, onChoose) {
    this.machine = machine;
    this.layout = machine.name === "connection" && fits(CONNECTION, machine) ? CONNECTION : tracks(machine);
    /** @type {Edge[]} */
    this.edges = edgesOf(machine, this.layout).map((edge) => ({ ...edge, ...drawEdge(edge, machine) }));
    this.states = new Map(
      machine.states.map((state) => [state.name, drawState(state, this.layout.boxes[state.name], onChoose)]),
    );
    const { width, height } = this.layout;
    const usual = machine.states.find((state) => state.name === machine.initial);
    this.element = svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMin", role: "group", "aria-label": `The machine ${machine.name}, as it runs`, class: "machine" },
      ...this.layout.groups.map(drawGroup),
      svg("g", { class: "start", "aria-hidden": "true" },
        svg("circle", { cx: this.layout.start[0][0], cy: this.layout.start[0][1], r: 4.5 }),
        svg("path", { class: "line", d: way(this.layout.start) }),
        svg("path", { class: "head", d: head(this.layout.start, 8) })),
      // The usual path is drawn last, over what crosses it.
      ...[...this.edges].sort((a, b) => RANK.indexOf(b.way) - RANK.indexOf(a.way)).map((edge) => edge.element),
      ...[...this.states.values()].map((state) => state.element),
    );
    this.initial = usual?.name;
    this.element.style.maxWidth = `${Math.round(width * LARGEST)}px`;
    this.element.style.setProperty("--high", String(height));
    this.element.style.setProperty("--wide", String(width));
  }

  /** Show a beat. `dwell` is the machine's of the last whole snapshot, or undefined. */
  update(beat, dwell) {
    const name = this.machine.name;
    const standing = beat.machines[name];
    const passages = beat.edges[name] ?? [];
    const rates = beat.rates?.[name] ?? [];
    for (const edge of this.edges) updateEdge(edge, passages, rates);
    for (const [state, drawn] of this.states) {
      const spec = drawn.spec;
      if (spec.final) {
        const into = this.machine.rows.reduce((sum, row, at) => sum + (row.dest === state && row.source !== state ? (passages[at] ?? 0) : 0), 0);
        say(drawn.count, count(into));
        say(drawn.age, "so far");
        mark(drawn.element, "aria-label", `${spec.words}, ${count(into)}, so far`);
        continue;
      }
      const number = standing?.states[state] ?? 0;
      const oldest = standing?.oldest[state];
      const p99 = dwell?.[state]?.p99;
      say(drawn.count, count(number));
      say(drawn.age, oldest === undefined ? "" : `oldest ${age(oldest)}`);
      // As it is seen, so that it can be said by who sees it; then what there is no room for.
      const seen = [spec.words, state, count(number), drawn.age.textContent, drawn.limit.textContent];
      const more = [`waits for: ${spec.waits_for}`, p99 ? `99 % below ${span(p99)}` : ""];
      const warmth = heat(oldest, state === "HALF_CLOSED" ? this.longer(spec) : spec, state === this.initial);
      style(drawn.heat, "opacity", warmth.toFixed(2));
      mark(drawn.element, "data-hot", warmth > 0.4 ? "" : null);
      mark(drawn.element, "data-held", number > 0 ? "" : null);
      mark(drawn.element, "aria-label", [...seen, ...more, spec.true_while].filter(Boolean).join(", "));
    }
  }

  /** A client that sends no more is answered like any other: only some handlers are given up before. */
  longer(spec) {
    return this.machine.states.find((state) => state.name === "QUERYING_BACKEND") ?? spec;
  }

  /** Show which states the table is filtered by. */
  choose(states) {
    for (const [state, drawn] of this.states) {
      if (!drawn.spec.final) mark(drawn.element, "aria-pressed", String(states.has(state)));
    }
    mark(this.element, "data-chosen", states.size ? "" : null);
  }

  /** Light up the rows that one connection has come by, and where it is; `null` shows all alike again. */
  trace(rows, state, pointed = -1) {
    const found = new Set(rows ?? []);
    mark(this.element, "data-trace", rows ? "" : null);
    for (const edge of this.edges) {
      mark(edge.element, "data-on", edge.rows.some((row) => found.has(row)) ? "" : null);
      mark(edge.element, "data-pointed", edge.rows.includes(pointed) ? "" : null);
    }
    for (const [name, drawn] of this.states) mark(drawn.element, "data-here", rows && name === state ? "" : null);
  }
}

/**
 * How hot a state is, 0 to 0.9, by its oldest: against the state's deadline, or on a scale of minutes where there is
 * none. Where a connection begins it waits for its client to think: that is idle rather than slow, and half as hot.
 */
export function heat(oldest, spec, idle) {
  if (oldest === undefined || !spec.deadline) return 0;
  const share = Math.min(1, oldest / spec.deadline.seconds);
  return 0.9 * share ** 0.7 * (idle ? 0.35 : 1);
}

/** Rows between the same two states are one edge; what goes wrong has its own where the layout says so. */
function edgesOf(machine, layout) {
  const found = new Map();
  machine.rows.forEach((row, at) => {
    const plain = `${row.source}>${row.dest}`;
    const key = row.way === "FAULT" && `${plain}!` in layout.routes ? `${plain}!` : plain;
    if (!found.has(key)) found.set(key, { key, route: layout.routes[key], rows: [] });
    found.get(key).rows.push(at);
  });
  return [...found.values()].map((edge) => {
    const rows = edge.rows.map((at) => machine.rows[at]);
    const best = RANK.find((one) => rows.some((row) => row.way === one)) ?? "NORMAL";
    return { ...edge, way: best, late: rows.every((row) => row.trigger === "DEADLINE_PASSED") };
  });
}

function drawGroup({ phrase, tone: tint, x, y, w, h, end = false }) {
  return svg("g", { class: "group", "data-tone": tint, "aria-hidden": "true" },
    svg("rect", { x, y, width: w, height: h, rx: 12 }),
    svg("text", { x: end ? x + w - 10 : x + 14, y: y + 17, "text-anchor": end ? "end" : "start" }, phrase));
}

function drawEdge(edge, machine) {
  const { points, label, bare = false } = edge.route;
  const rows = edge.rows.map((at) => machine.rows[at]);
  const parts = {
    line: svg("path", { class: "line", d: way(points) }),
    head: svg("path", { class: "head", d: head(points, edge.way === "HAPPY" ? 10 : 7) }),
    title: svg("title"),
    rate: svg("text", { class: "rate" }),
  };
  const happy = edge.way === "HAPPY" && !bare;
  const [x, y, anchor = "start"] = label ?? [0, 0];
  // Only the usual path is told in words: those of all others would hide it. They are in the list, and where the pointer is.
  const words = label && happy ? svg("text", { class: "trigger", x, y, "text-anchor": anchor }, rows.find((row) => row.way === "HAPPY")?.trigger) : null;
  for (const [name, value] of [["x", x], ["y", happy ? y + 14 : y], ["text-anchor", anchor]]) parts.rate.setAttribute(name, value);
  parts.title.textContent = rows.map((row) => describe(row)).join("\n");
  const element = svg("g", { class: "edge", "data-way": edge.way, "data-late": String(edge.late), "aria-hidden": "true" },
    parts.title, svg("path", { class: "hit", d: way(points) }), parts.line, parts.head, words, label ? parts.rate : null);
  return { element, parts: { ...parts, rows } };
}

/** `TRIGGER [guard] / action` */
export const describe = (row) => row.trigger + (row.guard && ` [${row.guard}]`) + (row.action && ` / ${row.action}`);

function updateEdge(edge, passages, rates) {
  const passing = edge.rows.reduce((sum, row) => sum + (rates[row] ?? 0), 0);
  const passed = edge.rows.reduce((sum, row) => sum + (passages[row] ?? 0), 0);
  const base = edge.way === "HAPPY" ? 2.2 : 1.1;
  style(edge.parts.line, "stroke-width", (base + 1.5 * Math.log10(1 + passing)).toFixed(1));
  mark(edge.element, "data-flow", passing >= 0.05 ? "" : null);
  mark(edge.element, "data-used", passed ? "" : null);
  say(edge.parts.rate, rate(passing));
  say(edge.parts.title, edge.rows.map((at, n) => `${describe(edge.parts.rows[n])}: ${count(passages[at] ?? 0)} so far${rates[at] >= 0.05 ? `, ${rate(rates[at])}` : ""}`).join("\n"));
}

function drawState(spec, box, onChoose) {
  const { x, y, w, h } = box;
  const text = (name, dx, dy, anchor = "start", words = "") => svg("text", { class: name, x: x + dx, y: y + dy, "text-anchor": anchor }, words);
  const parts = {
    heat: svg("rect", { class: "heat", x, y, width: w, height: h, rx: 8 }),
    count: text("count", 10, h - 9),
    age: text("age", w - 10, h - (spec.final ? 10 : 22), "end"),
    limit: text("age", w - 10, h - 8, "end", within(spec.deadline)),
  };
  const press = () => onChoose(spec.name);
  const element = svg("g", {
    class: "state", "data-tone": tone(spec.name), "data-state": spec.name, "data-final": String(spec.final),
    ...(spec.final ? { role: "img" } : { role: "button", tabindex: "0", "aria-pressed": "false", onclick: press, onkeydown: pressed(press) }),
  },
    svg("title", {}, [`${spec.name}: ${spec.true_while}`, spec.final ? "" : `waits for: ${spec.waits_for}`, spec.deadline ? `${limit(spec.deadline)}: ${spec.deadline.why}` : ""].filter(Boolean).join("\n")),
    svg("rect", { class: "card", x, y, width: w, height: h, rx: 8 }),
    parts.heat,
    svg("rect", { class: "frame", x, y, width: w, height: h, rx: 8 }),
    text("name", 10, 17, "start", spec.words), " ", spec.final ? null : text("code", 10, 31, "start", spec.name), " ",
    parts.count, " ", parts.age, " ", parts.limit);
  return { element, spec, ...parts };
}

/** `within 75 s`, `75 s idle` */
const within = (deadline) => (deadline ? `${deadline.idle ? "" : "within "}${Number(deadline.seconds.toPrecision(4))} s${deadline.idle ? " idle" : ""}` : "");

const pressed = (press) => (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  press();
};

/** A line through points, its corners rounded. */
export function way(points) {
  let text = `M${points[0].join(" ")}`;
  for (let at = 1; at < points.length - 1; at++) {
    const [a, b] = [toward(points[at], points[at - 1]), toward(points[at], points[at + 1])];
    text += `L${a.join(" ")}Q${points[at].join(" ")} ${b.join(" ")}`;
  }
  return `${text}L${points[points.length - 1].join(" ")}`;
}

function toward([x, y], [toX, toY]) {
  const length = Math.hypot(toX - x, toY - y);
  const share = length ? Math.min(RADIUS, length / 2) / length : 0;
  return [x + (toX - x) * share, y + (toY - y) * share].map((one) => Math.round(one * 10) / 10);
}

/** The head of an arrow at the end of a line. */
function head(points, size) {
  const [[fromX, fromY], [x, y]] = points.slice(-2);
  const length = Math.hypot(x - fromX, y - fromY) || 1;
  const [ux, uy] = [((x - fromX) / length) * size, ((y - fromY) / length) * size];
  const corner = (sign) => `${(x - ux + sign * uy * 0.45).toFixed(1)} ${(y - uy - sign * ux * 0.45).toFixed(1)}`;
  return `M${x} ${y}L${corner(1)}L${corner(-1)}Z`;
}

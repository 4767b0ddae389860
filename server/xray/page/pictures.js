// The diagrams, one a machine, and the tabs that switch between them; and for each the same as a list, for those who
// would rather read, or have it read.

import { byId, chooseTab, el, mark, say } from "./dom.js";
import { describe, Diagram } from "./diagram.js";
import { age, count, rate, span } from "./format.js";
import { learn, named } from "./words.js";

const LOOKS = [
  ["HAPPY", "false", "the usual path"],
  ["NORMAL", "false", "other normal paths"],
  ["NORMAL", "true", "a deadline passed"],
  ["FAULT", "false", "something went wrong"],
];

/** Pixels of width below which the picture's letters could not be read: there is the list instead. */
const NARROW = 545;

export class Pictures {
  /**
   * @param {import("./filters.js").View} view
   * @param {(state: string) => void} onState
   * @param {(kind: string) => void} onKind
   */
  constructor(view, onState, onKind) {
    this.view = view;
    this.onState = onState;
    this.onKind = onKind;
    /** @type {Map<string, {machine: any, diagram: Diagram|null, tab: HTMLElement, count: HTMLElement}>} */
    this.machines = new Map();
    this.all = false;
    this.more = byId("unused");
    this.more.addEventListener("click", () => this.showAll());
    this.panel = /** @type {HTMLElement} */ (document.querySelector(".picture"));
    this.listed = byId("listed");
    this.listed.addEventListener("click", () => {
      mark(this.listed, "aria-pressed", String(this.listed.getAttribute("aria-pressed") !== "true"));
      this.arrange();
    });
    new ResizeObserver(() => this.arrange()).observe(this.panel);
    byId("legend").append(...LOOKS.map(([way, late, words]) =>
      el("span", {}, el("i", { class: "sample", "data-way": way, "data-late": String(late) }), words)),
      el("span", {}, el("i", { class: "sample warm" }), "its oldest is near the deadline"));
  }

  /** The picture; or the list, where there is no room for it, or it is wanted. */
  arrange() {
    const narrow = this.panel.clientWidth < NARROW;
    mark(this.panel, "data-list", narrow || this.listed.getAttribute("aria-pressed") === "true" ? "" : null);
    mark(this.listed, "hidden", narrow ? "" : null);
  }

  offer(machines) {
    learn(machines);
    for (const machine of machines) {
      const number = el("span", { class: "number" });
      const tab = el("button", { type: "button", role: "tab", "data-kind": machine.name, "aria-controls": "machine", onclick: () => this.onKind(machine.name) }, machine.name.replaceAll("_", " "), number);
      this.machines.set(machine.name, { machine, diagram: null, tab, count: number });
      byId("machines").append(tab);
    }
  }

  table(kind) {
    return this.machines.get(kind)?.machine;
  }

  get current() {
    return this.machines.get(this.view.kind);
  }

  /** The machine or the filter is another one. */
  choose() {
    const chosen = this.current;
    if (!chosen) return;
    chooseTab(byId("machines"), chosen.tab);
    chosen.diagram ??= new Diagram(chosen.machine, this.onState);
    const place = byId("diagram");
    if (place.firstChild !== chosen.diagram.element) place.replaceChildren(chosen.diagram.element);
    chosen.diagram.choose(this.view.states);
  }

  update(beat, dwell) {
    let unused = 0;
    for (const [kind, { count: number, tab }] of this.machines) {
      const total = beat.machines[kind]?.total ?? 0;
      const used = total > 0 || (beat.edges[kind] ?? []).some((passages) => passages > 0) || kind === this.view.kind;
      say(number, count(total));
      mark(tab, "hidden", used || this.all ? null : "");
      if (!used) unused += 1;
    }
    say(this.more, `${unused} not in use`);
    mark(this.more, "hidden", this.all || !unused ? "" : null);
    this.choose();
    this.current?.diagram?.update(beat, dwell[this.view.kind]);
    this.list(beat, dwell[this.view.kind] ?? {});
  }

  /** Show the machines that this server does not use as well. */
  showAll() {
    this.all = true;
    for (const { tab } of this.machines.values()) mark(tab, "hidden", null);
    mark(this.more, "hidden", "");
  }

  trace(rows, state, pointed, kind) {
    for (const [name, { diagram }] of this.machines) diagram?.trace(name === kind ? rows : null, state, pointed);
  }

  /** The same as a list: made once a machine, then only its texts change. Its states are buttons, as the cards are. */
  list(beat, dwell) {
    const kind = this.view.kind;
    const machine = this.table(kind);
    const place = byId("aslist");
    if (place.dataset.kind !== kind) {
      place.dataset.kind = kind;
      const head = (...names) => el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name))));
      const body = (rows, width) => el("tbody", {}, ...rows.map((title) => el("tr", {}, el("th", { scope: "row" }, title), ...Array.from({ length: width }, () => el("td")))));
      const button = ({ name, words }) => el("button", { type: "button", class: "plain", "data-state": name, onclick: () => this.onState(name) }, ...named(name, words));
      place.replaceChildren(
        el("table", { class: "states" }, el("caption", {}, "States"), head("State", "Now", "Oldest", "Half below", "99 % below"), body(machine.states.filter((one) => !one.final).map(button), 4)),
        el("table", { class: "edges" }, el("caption", {}, "Transitions"), head("Transition", "So far", "Rate"), body(machine.rows.map((row) => `${row.source} → ${row.dest}: ${describe(row)}`), 2)));
    }
    const [states, edges] = place.querySelectorAll("tbody");
    const put = (row, texts) => texts.forEach((text, at) => say(row.children[at + 1], text));
    const found = beat.machines[kind] ?? { states: {}, oldest: {} };
    machine.states.filter((one) => !one.final).forEach(({ name }, at) => {
      const oldest = found.oldest[name];
      const stays = dwell[name];
      mark(states.children[at].querySelector("button"), "aria-pressed", String(this.view.states.has(name)));
      mark(states.children[at], "data-held", found.states[name] ? "" : null);
      put(states.children[at], [count(found.states[name] ?? 0), oldest === undefined ? "–" : age(oldest), span(stays?.p50), span(stays?.p99)]);
    });
    machine.rows.forEach((_, at) => put(edges.children[at], [count(beat.edges[kind]?.[at] ?? 0), rate(beat.rates?.[kind]?.[at]) || "–"]));
    mark(place, "data-beat", Math.round(beat.now));
  }
}

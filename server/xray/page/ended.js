// Connections that have ended: how many by cause and state, and the latest, the abnormal ones first.

import { ask } from "./api.js";
import { byId, el, mark, say } from "./dom.js";
import { bytes, count, span, tone } from "./format.js";
import { named, wordsOf } from "./words.js";

/** Rows of each kind that are shown at most. */
const MOST = 100;

export class Ended {
  /** @param {(id: string) => void} onOpen */
  constructor(onOpen) {
    this.element = byId("ended");
    this.onOpen = onOpen;
    this.shown = "";
    this.ends = [];
    this.asked = 0;
    this.ages = /** @type {{cell: Element, age: number}[]} */ ([]);
  }

  async refresh(ends) {
    this.ends = ends ?? [];
    const key = JSON.stringify(this.ends);
    if (key === this.shown) return this.tick(); // nobody has ended since
    const answer = await ask("ended.json");
    this.shown = key;
    this.asked = performance.now();
    this.ages = [];
    const kept = document.activeElement?.getAttribute("data-ended");
    const scrolled = this.element.scrollTop;
    this.element.replaceChildren(
      this.matrix(),
      this.table("Abnormal", answer.abnormal, "None has ended abnormally."),
      this.table("Normal", answer.normal, "None has ended yet."),
    );
    this.element.scrollTop = scrolled;
    if (kept) /** @type {HTMLElement|null} */ (this.element.querySelector(`[data-ended="${CSS.escape(kept)}"]`))?.focus();
  }

  /** They only grow older. */
  tick() {
    const elapsed = (performance.now() - this.asked) / 1000;
    for (const { cell, age } of this.ages) say(cell, `${span(age + elapsed)} ago`);
  }

  /** Who ended them (rows), and in which state (columns). */
  matrix() {
    if (!this.ends.length) return el("p", { class: "quiet" }, "No connection has ended yet.");
    const causes = [...new Set(this.ends.map((one) => one.cause ?? "–"))].sort();
    const states = [...new Set(this.ends.map((one) => one.state))];
    const most = Math.max(...this.ends.map((one) => one.count));
    const cell = (cause, state) => {
      const number = this.ends.filter((one) => (one.cause ?? "–") === cause && one.state === state).reduce((sum, one) => sum + one.count, 0);
      const found = el("td", { class: number ? null : "quiet" }, number ? count(number) : "·");
      found.style.setProperty("--share", number ? (0.12 + (0.5 * Math.log(1 + number)) / Math.log(1 + most)).toFixed(2) : "0");
      return found;
    };
    return el("table", { class: "matrix" },
      el("caption", {}, "Ends so far: who ended them, and in which state"),
      el("thead", {}, el("tr", {}, el("td"), ...states.map((state) => el("th", { scope: "col", "data-tone": tone(state) }, wordsOf(state))))),
      el("tbody", {}, ...causes.map((cause) => el("tr", {}, el("th", { scope: "row" }, cause), ...states.map((state) => cell(cause, state))))));
  }

  table(title, rows, none) {
    if (!rows.length) return el("section", {}, el("h3", {}, title), el("p", { class: "quiet" }, none));
    const shown = rows.slice(0, MOST);
    const head = ["Id", "Ended", "By", "In state", "After", "Request", "Why", "In / out", "Served"];
    return el("section", { class: "ends" },
      el("h3", {}, title, el("span", { class: "quiet" }, rows.length > MOST ? `the latest ${MOST} of ${count(rows.length)}` : count(rows.length))),
      el("table", { class: "rows" },
        el("thead", {}, el("tr", {}, ...head.map((name, at) => el("th", { scope: "col", class: `end-${at}` }, name)))),
        el("tbody", {}, ...shown.map((one) => this.row(one)))));
  }

  row(one) {
    const open = () => this.onOpen(one.id);
    const cells = [`${span(one.age)} ago`, one.cause ?? "–", one.state, span(one.lasted), one.request, one.why, `${bytes(one.bytes_in)} / ${bytes(one.bytes_out)}`, count(one.requests)];
    const line = el("tr", { "data-way": one.way, onclick: open },
      el("td", { class: "end-0" }, el("button", { type: "button", class: "plain", "data-ended": one.id, onclick: (event) => { event.stopPropagation(); open(); } }, one.id)),
      ...cells.map((text, at) => el("td", { class: `end-${at + 1}`, title: at === 5 || at === 2 ? text : null }, ...(at === 2 ? named(one.state) : [text]))));
    this.ages.push({ cell: line.children[1], age: one.age });
    mark(line, "data-tone", tone(one.state));
    return line;
  }
}

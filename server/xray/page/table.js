// The table: a window over as many rows as there are. A few dozen lines are moved about and filled again; what they
// show is fetched for the stretch that is looked at (rows.js).
//
// To those who do not see it, it is a grid: rows are counted and numbered, the arrow keys go through them, and Enter
// opens one. The focus stays on the grid and the active row is pointed at, since lines are used again.

import { Refused } from "./api.js";
import { makeHead, makeLine, showGroup, showRow, showSort } from "./columns.js";
import { byId, el, mark, say, style } from "./dom.js";
import { plural } from "./format.js";
import { Rows } from "./rows.js";

/** Pixels; the style sheet has the same. */
const HEIGHT = 46;
const SPARE = 6;
/** Milliseconds between two fetches while scrolling. */
const PATIENCE = 90;
/** A page may take this share of the server's time: after a fetch of 20 ms the next waits for at least 240. */
const LEISURE = 12;

/** Milliseconds that rows stay where they are after the pointer moved over them: somebody is about to click. */
const AIM = 1200;

export class Table {
  /**
   * @param {import("./filters.js").View} view
   * @param {(id: string) => void} onOpen
   * @param {() => void} onChange the view has been changed here
   */
  constructor(view, onOpen, onChange) {
    this.view = view;
    this.onOpen = onOpen;
    this.onChange = onChange;
    this.rows = new Rows(view);
    this.element = byId("grid");
    this.head = makeHead((name) => this.sort(name));
    this.body = el("div", { class: "body", role: "rowgroup" });
    this.empty = el("p", { class: "empty quiet" });
    this.heads = el("div", { role: "rowgroup", class: "heads" }, this.head);
    this.element.append(this.heads, this.body, this.empty);
    mark(this.element, "aria-label", "Connections");
    /** @type {ReturnType<typeof makeLine>[]} */
    this.lines = [];
    this.active = -1;
    this.activeId = "";
    this.openId = "";
    this.next = 0;
    this.still = 0;
    this.body.addEventListener("pointermove", () => (this.still = performance.now() + AIM));
    this.element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.clicked(event));
    new ResizeObserver(() => this.render()).observe(this.element);
  }

  // --- what is shown

  get first() {
    return Math.max(0, Math.floor(this.element.scrollTop / HEIGHT));
  }

  get last() {
    return this.first + Math.ceil(this.element.clientHeight / HEIGHT) + 1;
  }

  /** Put the lines where they belong, and the rows into them. */
  render() {
    const total = this.rows.lines;
    style(this.body, "height", `${total * HEIGHT}px`);
    const from = Math.max(0, this.first - SPARE);
    const wanted = Math.min(this.last + SPARE, total) - from;
    while (this.lines.length < wanted) {
      const line = makeLine(this.lines.length);
      this.lines.push(line);
      this.body.append(line.element);
    }
    // A line keeps its element while it is in sight: its place in the pool is its number's remainder.
    for (let at = from; at < from + this.lines.length; at++) {
      const line = this.lines[at % this.lines.length];
      const there = at < total;
      mark(line.element, "hidden", there ? null : "");
      if (there) this.show(line, at);
    }
    mark(this.element, "aria-rowcount", total + 1);
    mark(this.element, "role", this.view.group ? "treegrid" : "grid"); // only rows of a tree can be closed
    const active = this.active >= from && this.active < from + wanted ? this.lines[this.active % this.lines.length] : null;
    mark(this.element, "aria-activedescendant", active ? active.element.id : null);
    showSort(this.head, this.view.sort);
  }

  show(line, at) {
    const { segment, place, row } = this.rows.at(at);
    line.row = row;
    line.at = at;
    style(line.element, "transform", `translateY(${at * HEIGHT}px)`);
    mark(line.element, "aria-rowindex", at + 2);
    mark(line.element, "data-active", at === this.active ? "" : null);
    mark(line.element, "aria-selected", String(Boolean(row && row.id === this.openId)));
    mark(line.element, "aria-expanded", place < 0 ? String(segment.open) : null);
    if (place < 0) showGroup(line, segment, segment.open, this.view);
    else showRow(line, row);
  }

  // --- fetching

  /** Another filter, order or machine: from the top. Who was chosen stays so, if it is still among them: a filter is
   * asked for while it is being typed, and a key may already have been pressed. */
  async restart() {
    mark(this.element, "data-kind", this.view.kind === "connection" ? "connection" : "other");
    this.rows.reset();
    this.element.scrollTop = 0;
    this.active = -1;
    this.next = 0;
    await this.refresh();
  }

  /** Fetch what is looked at, unless the last fetch was so long that the server is owed a rest. */
  async refresh(urgent = true) {
    const began = performance.now();
    if (!urgent && (began < this.next || began < this.still || this.rows.running)) return;
    const refused = byId("refused");
    try {
      await this.rows.fetch(this.first, this.last);
      mark(refused, "hidden", "");
    } catch (error) {
      if (!(error instanceof Refused)) return; // given up for another, or there is no server: the banner says so
      say(refused, error.message);
      mark(refused, "hidden", null);
    }
    this.next = performance.now() + LEISURE * (performance.now() - began);
    const line = this.activeId ? this.rows.lineOf(this.activeId) : -1;
    if (line >= 0) this.active = line;
    else if (this.active < 0) this.activeId = "";
    this.render();
    this.summarise();
  }

  summarise() {
    const { matched, total } = this.rows;
    const noun = this.view.kind === "connection" ? "connection" : `${this.view.kind} machine`;
    say(byId("matched"), matched === total ? plural(total, noun) : `${matched.toLocaleString("en")} of ${plural(total, noun)}`);
    say(this.empty, total ? "No connection matches the filter." : `No ${noun} is open.`);
    mark(this.empty, "hidden", matched ? "" : null);
  }

  scrolled() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.render();
      if (this.timer || !this.rows.isMissing(this.first, Math.min(this.last, this.rows.lines))) return;
      this.timer = setTimeout(() => {
        this.timer = 0;
        this.refresh();
      }, PATIENCE);
    });
  }

  // --- choosing

  sort(name) {
    const now = this.view.sort;
    this.view.sort = now === name ? `-${name}` : name;
    this.onChange();
  }

  clicked(event) {
    const found = this.lines.find((line) => line.element.contains(event.target));
    if (!found) return;
    this.move(found.at);
    this.enter();
  }

  /** Open the active row, or open or close the active group. */
  enter() {
    const found = this.rows.at(this.active);
    if (!found) {
      if (this.activeId) this.onOpen(this.activeId);
    } else if (found.place < 0) {
      found.segment.open = !found.segment.open;
      this.render();
      this.refresh();
    } else if (found.row) this.onOpen(found.row.id);
  }

  move(to) {
    const total = this.rows.lines;
    if (!total) return;
    this.active = Math.max(0, Math.min(total - 1, to));
    this.activeId = this.rows.at(this.active)?.row?.id ?? "";
    const top = this.active * HEIGHT;
    const room = this.element.clientHeight - this.heads.offsetHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + HEIGHT > this.element.scrollTop + room) this.element.scrollTop = top + HEIGHT - room;
    this.render();
  }

  key(event) {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / HEIGHT) - 2);
    const found = this.rows.at(this.active);
    const isGroup = found?.place === -1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.move(this.active < 0 && steps[event.key] > 0 ? Math.min(steps[event.key], this.rows.lines) - 1 : this.active + steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.enter();
    else if (event.key === "ArrowRight" && isGroup && !found.segment.open) this.enter();
    else if (event.key === "ArrowLeft" && isGroup && found.segment.open) this.enter();
    else return;
    event.preventDefault();
  }

  /** Mark the row that is open beside the table. */
  choose(id) {
    this.openId = id;
    this.render();
  }
}

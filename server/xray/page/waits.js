// Where the time goes: the routes with their median and slowest requests, a flame graph of what these waited for, and
// the slow requests that are kept, each with its path.

import { ask, Refused } from "./api.js";
import { byId, el, mark, say } from "./dom.js";
import { Flame, pathTo, treeOf } from "./flame.js";
import { count, duration, span } from "./format.js";
import { passages, staysOf, strip } from "./timeline.js";

/** Milliseconds between two looks. */
const EVERY = 2000;

const WHICH = { whole: "All requests", typical: "Around the median", slow: "The slowest hundredth" };

export class Waits {
  constructor() {
    this.element = byId("waits");
    this.which = /** @type {"whole"|"typical"|"slow"} */ ("whole");
    this.chosen = "";
    this.routes = /** @type {any[]} */ ([]);
    this.asked = -Infinity;
    this.example = "";
    this.flame = new Flame((key) => this.choose(key), (seconds) => duration(seconds));
    this.none = el("p", { class: "quiet" }, "No request has been answered yet.");
    this.title = el("h3");
    this.since = el("span", { class: "quiet" });
    this.buttons = Object.entries(WHICH).map(([name, words]) =>
      el("button", { type: "button", "data-which": name, onclick: () => this.turn(name) }, words));
    this.body = el("tbody");
    const heads = ["Route", "Requests", "Failed", "Median", "Slowest 1 %", "What these wait for"];
    this.table = el("table", { class: "rows" },
      el("thead", {}, el("tr", {}, ...heads.map((name, at) => el("th", { scope: "col", class: `wait-${at}` }, name)))), this.body);
    this.slow = el("div", { class: "slow" });
    this.shown = el("div", { class: "one" });
    this.others = el("div");
    this.filled = el("div", { hidden: true },
      this.table,
      el("div", { class: "which", role: "group", "aria-label": "Of which requests" }, ...this.buttons, this.since),
      this.flame.element, this.title, this.slow, this.shown);
    this.element.replaceChildren(this.others, this.none, this.filled);
    this.turn("whole");
  }

  async refresh() {
    if (performance.now() - this.asked < EVERY) return;
    this.asked = performance.now();
    const found = await ask("waits.json");
    this.routes = found.routes;
    say(this.since, `of the last ${span(found.seconds)}`);
    this.draw();
  }

  /** The upstreams of a reverse proxy, those that are down first. */
  upstreams(found) {
    if (!found?.length) return this.others.replaceChildren();
    const heads = ["Upstream", "State", "In use", "Waiting", "Failed", "Median", "Slowest 1 %", "Last failure"];
    const rows = [...found].sort((a, b) => Number(a.is_up) - Number(b.is_up)).map((one) => {
      const last = one.failed_ago === null ? "–" : `${one.failure}, ${span(one.failed_ago)} ago`;
      const state = `${one.is_up ? "up" : one.state.toLowerCase()} for ${span(one.since)}`;
      const times = [one.p50, one.p99].map((seconds) => (seconds === null ? "–" : duration(seconds)));
      const cells = [one.name, state, count(one.in_flight), count(one.waiting), count(one.failed), ...times, last];
      return el("tr", { "data-up": String(one.is_up) }, ...cells.map((text, at) => el("td", { class: `up-${at}`, title: text }, text)));
    });
    this.others.replaceChildren(el("table", { class: "rows upstreams" },
      el("thead", {}, el("tr", {}, ...heads.map((name, at) => el("th", { scope: "col", class: `up-${at}` }, name)))),
      el("tbody", {}, ...rows)));
  }

  turn(which) {
    this.which = which;
    for (const button of this.buttons) mark(button, "aria-pressed", String(button.getAttribute("data-which") === which));
    this.draw();
  }

  choose(key) {
    this.chosen = key;
    this.shown.replaceChildren();
    this.example = "";
    this.draw();
  }

  draw() {
    mark(this.none, "hidden", this.routes.length ? "" : null);
    mark(this.filled, "hidden", this.routes.length ? null : "");
    const root = treeOf(this.routes, this.which);
    this.flame.draw(root, this.chosen);
    const name = pathTo(root, this.chosen)[1]?.name ?? "";
    this.rows(name);
    const one = this.routes.find((route) => route.route === name);
    say(this.title, one ? `Slow requests of ${one.route}` : "Slow requests");
    this.examples(one ? one.examples : this.routes.flatMap((route) => route.examples).sort((a, b) => b.seconds - a.seconds).slice(0, 8));
  }

  rows(chosen) {
    const focused = document.activeElement?.getAttribute("data-route");
    this.body.replaceChildren(...this.routes.slice(0, 30).map((one) => {
      const key = `\n${one.route}`;
      const pick = () => this.choose(one.route === chosen ? "" : key);
      const worst = one.slow.slice(0, 2).map((part) => `${Math.round(part.share * 100)} % ${part.whom}${part.line ? ` at ${part.line}` : ""}`).join(", ");
      const cells = [count(one.requests), one.failed ? count(one.failed) : "–", duration(one.p50), duration(one.p99), worst];
      return el("tr", { onclick: pick, "aria-selected": one.route === chosen ? "true" : null },
        el("td", { class: "wait-0" }, el("button", { type: "button", class: "plain", title: one.route, "data-route": one.route, onclick: (event) => { event.stopPropagation(); pick(); } }, one.route)),
        ...cells.map((text, at) => el("td", { class: `wait-${at + 1}`, title: at === 4 ? text : null }, text)));
    }));
    if (focused) /** @type {HTMLElement|null} */ (this.body.querySelector(`[data-route="${CSS.escape(focused)}"]`))?.focus();
  }

  examples(found) {
    const focused = document.activeElement?.getAttribute("data-example");
    this.slow.replaceChildren(...found.map((one) =>
      el("button", { type: "button", class: "plain example", "data-example": one.id, "aria-expanded": String(one.id === this.example), onclick: () => this.open(one.id) },
        el("b", {}, duration(one.seconds)), el("span", {}, `${one.request}`), el("span", { class: "quiet" }, `${one.status ?? "no answer"}, ${span(one.age)} ago: ${one.why}`))));
    if (focused) /** @type {HTMLElement|null} */ (this.slow.querySelector(`[data-example="${CSS.escape(focused)}"]`))?.focus();
  }

  /** One slow request, with its whole path. */
  async open(id) {
    this.example = id === this.example ? "" : id;
    this.shown.replaceChildren();
    this.draw();
    if (!this.example) return;
    try {
      const found = await ask(`waits.json?example=${encodeURIComponent(id)}`);
      const stays = staysOf(found.path, null);
      const line = strip();
      const list = passages(() => {});
      line.update(stays);
      list.update(stays);
      this.shown.replaceChildren(
        el("h3", {}, `Request ${found.id} of ${found.peer}`),
        el("ul", { class: "parts" }, ...found.parts.map((part) => el("li", {}, el("b", {}, duration(part.seconds)), ` ${part.whom}${part.line ? ` at ${part.line}` : ""}`, el("span", { class: "quiet" }, ` ${part.state}`)))),
        line.element, list.element);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.shown.replaceChildren(el("p", { class: "quiet" }, error.message));
    }
  }
}

// One connection: what it waits for and why, the way it has come, its request's fields; and the order to close it.

import { ask, change, Refused } from "./api.js";
import { confirm } from "./dialog.js";
import { byId, el, mark, say } from "./dom.js";
import { bytes, count, span, tone } from "./format.js";
import { passages, staysOf, strip } from "./timeline.js";

const EXPORTS = [["text", "Text"], ["mermaid", "Mermaid"], ["perfetto", "Perfetto trace"], ["recording", "Recording"]];

export class Detail {
  /**
   * @param {(rows: number[]|null, state: string, pointed?: number, kind?: string) => void} onTrace
   * @param {(id: string) => void} onChange another one is open; "": none
   */
  constructor(onTrace, onChange) {
    this.element = byId("detail");
    this.onTrace = onTrace;
    this.onChange = onChange;
    this.id = "";
    this.document = null;
    this.opener = null;
    this.stale = "";
  }

  /** Open one beside the table; the focus goes there, and back when it is closed. */
  async open(id, focus = true) {
    if (!this.id) this.opener = document.activeElement;
    if (this.id !== id) this.element.replaceChildren();
    this.id = id;
    this.document = null;
    this.stale = "";
    mark(this.element, "hidden", null);
    document.body.dataset.detail = "open";
    this.onChange(id);
    await this.refresh();
    if (focus) byId("detail-title")?.focus();
  }

  close() {
    if (!this.id) return;
    this.id = "";
    this.document = null;
    mark(this.element, "hidden", "");
    delete document.body.dataset.detail;
    this.element.replaceChildren();
    this.onTrace(null, "");
    this.onChange("");
    (this.opener?.isConnected ? this.opener : byId("grid")).focus();
  }

  async refresh() {
    const { id } = this;
    if (!id || (this.document?.ended && !this.stale)) return; // what has ended does not change any more
    try {
      const found = await ask(`connections/${encodeURIComponent(id)}`);
      if (this.id !== id) return;
      found.received = performance.now();
      this.stale = "";
      this.document = found;
    } catch (error) {
      if (this.id !== id) return;
      if (!(error instanceof Refused)) return; // no server: the banner says so
      this.stale = error.status === 404 ? `Connection ${id} has ended, and is no longer remembered.` : error.message;
    }
    this.show();
  }

  /** Build it anew, keeping what the reader holds: the focus and the place scrolled to. */
  show() {
    const found = this.document;
    const focused = document.activeElement?.getAttribute("data-keep");
    const scrolled = this.element.querySelector(".scrolls")?.scrollTop ?? 0;
    const opened = this.element.querySelector("details")?.open;
    const parts = found ? this.parts(found) : [];
    this.element.replaceChildren(this.title(found), el("div", { class: "scrolls" },
      this.stale ? el("p", { class: "refused", role: "alert" }, this.stale) : null, ...parts));
    const fields = this.element.querySelector("details");
    if (fields && opened !== undefined) fields.open = opened;
    this.element.querySelector(".scrolls").scrollTop = scrolled;
    if (focused) /** @type {HTMLElement|null} */ (this.element.querySelector(`[data-keep="${focused}"]`))?.focus();
    if (found) this.trace();
  }

  trace(pointed = -1) {
    const found = this.document;
    if (found) this.onTrace(found.path.map((one) => one.row), found.ended ? "" : found.state, pointed, found.kind);
  }

  title(found) {
    const name = /^\d/.test(this.id) ? `Connection ${this.id}` : this.id;
    const live = found && !found.ended && !this.stale;
    return el("header", {},
      el("h2", { id: "detail-title", tabindex: "-1", "data-keep": "title" }, name,
        el("span", { class: "badge", "data-tone": found ? tone(found.state) : null }, found ? (found.ended ? "ended" : found.state) : "")),
      live && (found.kind ?? "connection") === "connection"
        ? el("button", { type: "button", class: "danger", "data-keep": "end", onclick: () => this.order() }, "Close connection…") : null,
      el("button", { type: "button", class: "plain dismiss", "data-keep": "dismiss", "aria-label": "Close this panel", title: "Escape", onclick: () => this.close() }, "×"));
  }

  parts(found) {
    const stays = staysOf(found.path, found.ended ? null : found);
    const point = (row) => this.trace(row);
    return [
      el("p", { class: "why", "data-ended": Boolean(found.ended) }, found.why),
      found.ended ? el("p", {}, `Ended by the ${found.ended.cause ?? "?"} in ${found.ended.state}, ${span(found.ended.ago ?? found.age)} ago, after ${span(found.lasted)}.`) : this.due(found),
      stays.length ? strip(stays) : null,
      el("h3", {}, "The way it has come", el("span", { class: "quiet" }, found.truncated ? "the latest part" : "from its beginning")),
      stays.length ? passages(stays, point) : el("p", { class: "quiet" }, "It has not left its first state yet."),
      this.facts(found),
      this.fields(found),
      el("h3", {}, "Take it with you"),
      el("p", { class: "exports" }, ...EXPORTS.map(([format, label]) =>
        el("a", { href: `connections/${encodeURIComponent(this.id)}?format=${format}`, target: "_blank", rel: "noopener", "data-keep": format }, label))),
    ].filter(Boolean);
  }

  due(found) {
    const { deadline } = found;
    if (!deadline) return el("p", { class: "quiet" }, `${sentence(found.true_while)} There is no deadline.`);
    const clock = { time: `${deadline.seconds} s in this state`, idle: `${deadline.seconds} s without a byte`, rate: "too few bytes a second" }[deadline.by] ?? deadline.by;
    const left = el("b", {});
    this.left = { element: left, found };
    this.tick();
    return el("p", { class: "due" }, `${sentence(found.true_while)} Its ${deadline.name} deadline (${clock}) passes in `, left, ".");
  }

  /** Between two looks: the deadline runs on. */
  tick() {
    const { element, found } = this.left ?? {};
    if (element && found.deadline) say(element, `${Math.max(0, found.deadline.remaining - (performance.now() - found.received) / 1000).toFixed(1)} s`);
  }

  facts(found) {
    const facts = [
      ["Peer", found.peer], ["Request", found.request], ["Request id", found.request_id],
      ["Waits for", found.chain?.join(" ← ")], ["Status", found.status],
      ["Open for", found.ended ? null : found.age === null || found.age === undefined ? null : span(found.age)],
      ["Requests", count(found.requests)], ["Bytes", `${bytes(found.bytes_in)} in, ${bytes(found.bytes_out)} out`],
      ["Descriptor", found.descriptor],
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
    return el("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
  }

  fields(found) {
    if (!found.fields?.length) return null;
    const rows = found.fields.map(([name, value]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", { class: value === "(redacted)" ? "quiet" : null }, value)));
    return el("details", { open: true }, el("summary", { "data-keep": "fields" }, `Request fields (${found.fields.length})`), el("table", { class: "fields" }, el("tbody", {}, ...rows)));
  }

  async order() {
    const { id, document: found } = this;
    const sure = await confirm({
      title: `Close connection ${id}?`,
      text: `${found.why}. Its client, ${found.peer}, sees the connection cut; the order is written to the log.`,
      yes: "Close it",
    });
    if (!sure) return;
    try {
      const answer = await change(`connections/${encodeURIComponent(id)}/close`);
      this.stale = answer.failed.length ? "It had ended before, or the loop is blocked and closes it when it goes on." : "";
    } catch (error) {
      this.stale = error instanceof Error ? error.message : String(error);
    }
    if (this.stale) this.show();
    await this.refresh();
  }
}

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "");

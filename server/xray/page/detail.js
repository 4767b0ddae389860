// One connection: what it waits for and why, the way it has come, its request's fields; and the order to close it.
// Its parts (facts.js, timeline.js) are changed in place every second, so that they can be read, copied and focused.

import { ask, change, Refused } from "./api.js";
import { confirm } from "./dialog.js";
import { byId, el, mark, say } from "./dom.js";
import { dueOf, Due, endOf, exportsOf, facts, fields, messages, waiting, whyOf } from "./facts.js";
import { CARRIERS, tone } from "./format.js";
import { wordsOf } from "./words.js";
import { passages, staysOf, strip } from "./timeline.js";

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
    this.opener = /** @type {HTMLElement|null} */ (null);
    this.gone = false;
  }

  /** Open one beside the table; the focus goes there, and back when it is closed. */
  async open(id, focus = true) {
    if (!this.id) this.opener = /** @type {HTMLElement} */ (document.activeElement);
    this.id = id;
    this.document = null;
    this.gone = false;
    this.make();
    mark(this.element, "hidden", null);
    document.body.dataset.detail = "open";
    this.onChange(id);
    await this.refresh();
    if (focus && this.id === id) this.heading.focus();
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
    const back = this.opener?.isConnected && this.opener !== document.body ? this.opener : byId("grid");
    back.focus();
  }

  /** An empty panel, to be filled and then changed in place. */
  make() {
    const name = /^\d/.test(this.id) ? `Connection ${this.id}` : this.id;
    this.badge = el("span", { class: "badge" });
    this.heading = el("h2", { id: "detail-title", tabindex: "-1" }, name, this.badge);
    this.end = el("button", { type: "button", class: "danger", hidden: true, onclick: () => this.order() }, "Close connection…");
    this.note = el("p", { class: "refused", role: "alert", hidden: true });
    this.why = el("p", { class: "why" });
    this.due = new Due();
    this.strip = strip();
    this.part = el("span", { class: "quiet" });
    this.passages = passages((row) => this.trace(row));
    this.facts = el("dl", { class: "facts" });
    this.stack = el("div");
    this.fields = el("div");
    this.messages = el("div");
    this.element.replaceChildren(
      el("header", {}, this.heading, this.end,
        el("button", { type: "button", class: "plain dismiss", "aria-label": "Close this panel", title: "Escape", onclick: () => this.close() }, "×")),
      el("div", { class: "scrolls" }, this.note, this.why, this.due.element, this.strip.element,
        el("h3", {}, "History", this.part), this.passages.element, this.facts, this.stack, this.fields, this.messages,
        el("h3", {}, "Export"), exportsOf(this.id, (error) => this.say(error.message))));
  }

  async refresh() {
    const { id } = this;
    if (!id || this.gone || this.document?.ended) return; // what has ended does not change any more
    try {
      const found = await ask(`connections/${encodeURIComponent(id)}`);
      if (this.id !== id) return;
      this.document = found;
      this.show(found);
    } catch (error) {
      if (this.id !== id || !(error instanceof Refused)) return; // another is open; or no server: the banner says so
      this.gone = error.status === 404;
      this.say(this.gone ? `${id} has ended, and is no longer remembered.` : error.message);
      mark(this.end, "hidden", "");
    }
  }

  /** What came of it; "" for nothing. */
  say(text) {
    say(this.note, text);
    mark(this.note, "hidden", text ? null : "");
  }

  show(found) {
    const kind = found.kind ?? "connection";
    say(this.badge, found.ended ? "ended" : wordsOf(found.state, kind));
    mark(this.badge, "data-tone", found.ended ? null : tone(found.state));
    mark(this.end, "hidden", found.ended || !CARRIERS.includes(kind) ? "" : null);
    whyOf(this.why, found.why);
    this.due.show(found.ended ? endOf(found) : dueOf(found), found);
    const stays = staysOf(found.path, found.ended ? null : found);
    this.strip.update(stays);
    this.passages.update(stays, kind);
    say(this.part, found.truncated ? "the latest part" : "from the beginning");
    facts(this.facts, found);
    waiting(this.stack, found.stack ?? []);
    fields(this.fields, found.fields ?? []);
    messages(this.messages, found);
    this.trace();
  }

  /** Light its way up on the diagram. */
  trace(pointed = -1) {
    const found = this.document;
    if (found) this.onTrace(found.path.map((one) => one.row), found.ended ? "" : found.state, pointed, found.kind);
  }

  async order() {
    const { id, document: found } = this;
    const sure = await confirm({
      title: `Close connection ${id}?`,
      text: `${found.why}. Its client, ${found.peer}, sees the connection closed; this is logged.`,
      yes: "Close it",
    });
    if (!sure || this.id !== id) return;
    try {
      const answer = await change(`connections/${encodeURIComponent(id)}/close`);
      this.say(answer.failed.length ? "It has ended already, or the loop is blocked and will close it when it runs again." : "");
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
    await this.refresh();
    this.heading.focus();
  }
}

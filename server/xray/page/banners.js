// What an operator should see before anything else. A banner stays the same element while it lasts: its text goes on,
// and is read out only when it comes and when it has gone.

import { byId, el, mark, say } from "./dom.js";
import { calls } from "./facts.js";
import { span } from "./format.js";

export class Banners {
  /** @param {(id: string) => void} onOpen */
  constructor(onOpen) {
    this.element = byId("banners");
    this.live = byId("live");
    this.onOpen = onOpen;
    /** @type {Map<string, {element: HTMLElement, text: HTMLElement, chips: HTMLElement, more: HTMLElement, shown: string}>} */
    this.shown = new Map();
  }

  /** @param {any[]} banners the server's. @param {any} blocked /snapshot.json's loop.blocked */
  update(banners, blocked) {
    const wanted = new Map(banners.map((one) => [one.kind, one]));
    for (const kind of [...this.shown.keys()]) {
      if (!wanted.has(kind) && kind !== "lost") this.remove(kind, GONE[kind] ?? `${kind}: over.`);
    }
    for (const [kind, one] of wanted) {
      const banner = this.ensure(kind, one.level, one.text);
      say(banner.text, one.text);
      this.chips(banner, one.connections);
      if (kind === "blocked") this.stack(banner, blocked);
    }
  }

  /** The page itself has lost the server. */
  lost(seconds) {
    if (seconds) say(this.ensure("lost", "critical", "The connection to the server is lost.").text, `The connection to the server is lost: no answer for ${span(seconds)}. What is shown is old; the page keeps trying.`);
    else if (this.shown.has("lost")) this.remove("lost", "The server answers again.");
  }

  ensure(kind, level, words) {
    const there = this.shown.get(kind);
    if (there) {
      mark(there.element, "data-level", level);
      return there;
    }
    const text = el("p", {});
    const chips = el("p", { class: "chips" });
    const more = el("div", {});
    const element = el("section", { class: "banner", "data-level": level, "data-kind": kind, "aria-label": `${level}: ${kind}` }, text, chips, more);
    const made = { element, text, chips, more, shown: "" };
    this.shown.set(kind, made);
    this.element[kind === "lost" ? "prepend" : "append"](element);
    say(this.live, words);
    return made;
  }

  remove(kind, words) {
    this.shown.get(kind)?.element.remove();
    this.shown.delete(kind);
    say(this.live, words);
  }

  chips(banner, ids) {
    const key = ids.join(" ");
    if (banner.chips.dataset.ids === key) return;
    banner.chips.dataset.ids = key;
    banner.chips.replaceChildren(...ids.map((id) => el("button", { type: "button", class: "chip", onclick: () => this.onOpen(id) }, `Open ${id}`)));
  }

  /** The Python stack of the handler that blocks; the innermost call first, since that is the one. */
  stack(banner, blocked) {
    const frames = [...(blocked?.stack ?? [])].reverse();
    const key = frames.map((frame) => `${frame.file}:${frame.line}`).join(" ");
    if (banner.shown === key) return;
    banner.shown = key;
    const open = banner.more.querySelector("details")?.open ?? false;
    banner.more.replaceChildren(...(frames.length ? [el("details", { open }, el("summary", {}, "The Python stack"), calls(frames))] : []));
  }
}

const GONE = {
  blocked: "The loop is running again.",
  capacity: "There are free connections again.",
  paused: "New connections are accepted again.",
  descriptors: "There are free file descriptors again.",
};

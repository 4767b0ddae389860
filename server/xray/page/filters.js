// What the table shows: chosen in the form above it, on the diagram, or by the address of the page (#state=…), which
// follows, so that a view can be kept and passed on.

import { byId, el, mark } from "./dom.js";
import { wordsOf } from "./words.js";

/**
 * @typedef {{kind: string, view: "open"|"ended"|"waits", states: Set<string>, path: string, peer: string, older: string,
 *            group: ""|"state"|"peer", sort: string, open: string, names: string[]}} View
 */

/** The choice of every state but the one in which a connection waits for its client's next wish. */
const BUSY = "busy";

const TEXTS = ["path", "peer", "older", "group", "sort", "open"];

/** @returns {View} what the address says */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const text = (name, usual = "") => given.get(name) ?? usual;
  return {
    kind: text("kind", "connection"),
    view: ["ended", "waits"].includes(text("view")) ? /** @type {"ended"|"waits"} */ (text("view")) : "open",
    states: new Set(text("state").split(",").filter(Boolean)),
    path: text("path"),
    peer: text("peer"),
    older: text("older"),
    group: ["state", "peer"].includes(text("group")) ? /** @type {"state"|"peer"} */ (text("group")) : "",
    sort: text("sort", "wait"),
    open: text("open"),
    names: [],
  };
}

/** @param {View} view */
export function writeAddress(view) {
  const given = new URLSearchParams();
  if (view.kind !== "connection") given.set("kind", view.kind);
  if (view.view !== "open") given.set("view", view.view);
  if (view.states.size) given.set("state", [...view.states].join(","));
  for (const name of TEXTS) if (view[name] && !(name === "sort" && view.sort === "wait")) given.set(name, view[name]);
  const hash = given.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

/** The parameters of /connections.json for a view. */
export function parametersOf(view) {
  const { kind, states, path, peer, older } = view;
  return { kind: kind === "connection" ? "" : kind, state: [...states].join(","), path, peer, older };
}

/** @param {View} view */
export const isNarrow = (view) => Boolean(view.states.size || view.path || view.peer || view.older);

export class Filters {
  /**
   * @param {View} view changed here
   * @param {() => void} onChange
   * @param {() => void} onCloseMatching
   */
  constructor(view, onChange, onCloseMatching) {
    this.view = view;
    this.onChange = onChange;
    this.form = byId("filters");
    this.names = /** @type {string[]} */ ([]);
    this.busy = /** @type {string[]} */ ([]);
    const input = (name, label, hint, size) =>
      el("label", {}, el("span", {}, label),
        el("input", { name, type: "text", size, placeholder: hint, spellcheck: "false", autocapitalize: "off", value: view[name] }));
    this.states = el("select", { name: "state" });
    this.group = el("select", { name: "group" },
      el("option", { value: "" }, "nothing"), el("option", { value: "state" }, "state"), el("option", { value: "peer" }, "peer"));
    this.clear = el("button", { type: "button", class: "plain", onclick: () => this.reset() }, "Clear");
    this.closing = byId("closing");
    this.closing.addEventListener("click", onCloseMatching);
    this.form.append(
      input("path", "Path", "/begins/with", 14),
      input("peer", "Peer", "10.0.", 10),
      input("older", "Older than", "5s, 2m", 6),
      el("label", {}, el("span", {}, "State"), this.states),
      el("label", {}, el("span", {}, "Group by"), this.group),
      this.clear,
    );
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.read());
    this.group.value = view.group;
  }

  /** The states of the machine that is looked at, and in which of them it only waits to be wanted. */
  offer(names, idle) {
    this.names = this.view.names = names;
    this.busy = names.filter((name) => name !== idle);
    this.show();
  }

  /** What was typed or chosen. A moment is waited: a person types faster than rows need to change. */
  read() {
    const chosen = this.states.value;
    if (chosen === BUSY) this.view.states = new Set(this.busy);
    else if (chosen !== "*") this.view.states = new Set(chosen ? [chosen] : []);
    for (const name of ["path", "peer", "older"]) {
      this.view[name] = /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name)).value.trim();
    }
    this.view.group = /** @type {any} */ (this.group.value);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onChange(), 180);
    this.buttons();
  }

  /** A state was clicked on the diagram: it alone, or, if it was it, all again. */
  toggle(state) {
    const { states } = this.view;
    this.view.states = states.has(state) && states.size === 1 ? new Set() : new Set([state]);
    this.view.view = "open";
    this.show();
    this.onChange();
  }

  reset() {
    Object.assign(this.view, { states: new Set(), path: "", peer: "", older: "" });
    this.show();
    this.onChange();
  }

  /** Show the view in the form. */
  show() {
    const { states } = this.view;
    const busy = this.busy.length > 1 && this.busy.length === states.size && this.busy.every((name) => states.has(name));
    const option = (value, text = value) => el("option", { value }, text);
    this.states.replaceChildren(
      option("", "any"),
      ...(this.busy.length > 1 ? [option(BUSY, "any but idle")] : []),
      ...this.names.map((name) => option(name, `${wordsOf(name, this.view.kind)} · ${name}`)),
      ...(states.size > 1 && !busy ? [option("*", [...states].map((name) => wordsOf(name, this.view.kind)).join(", "))] : []),
    );
    this.states.value = busy ? BUSY : states.size > 1 ? "*" : ([...states][0] ?? "");
    for (const name of ["path", "peer", "older"]) {
      /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name)).value = this.view[name];
    }
    this.buttons();
  }

  buttons() {
    mark(this.clear, "hidden", isNarrow(this.view) ? null : "");
    mark(this.closing, "hidden", isNarrow(this.view) && this.view.kind === "connection" && this.view.view === "open" ? null : "");
  }
}

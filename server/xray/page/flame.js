// A flame graph of waiting: route, state, what was waited for, line of the application; as wide as the time it took.

import { el, mark, style } from "./dom.js";
import { tone } from "./format.js";
import { wordsOf } from "./words.js";

/** Shares of the width below which nothing is drawn: it could be neither read nor hit. */
const SLIGHT = 0.003;

/** Shares of the width below which there is no room for words. */
const NARROW = 0.03;

/** Pixels of the width that can be hit; what is narrower is reached by way of what it is part of. */
const TARGET = 24;

/** Pixels of a level. */
const HIGH = 25;

/**
 * @typedef {{name: string, title: string, tone: string, seconds: number, key: string, children: Map<string, Node>}} Node
 */

/** @returns {Node} */
const node = (name, key, of, title = name) => ({ name, title, tone: of, seconds: 0, key, children: new Map() });

function into(parent, name, of, seconds, title) {
  const key = `${parent.key}\n${name}`;
  const child = parent.children.get(name) ?? node(name, key, of, title);
  parent.children.set(name, child);
  child.seconds += seconds;
  return child;
}

/**
 * The tree of what some requests of each route waited for.
 * @param {any[]} routes of /waits.json
 * @param {"whole"|"typical"|"slow"} which
 */
export function treeOf(routes, which) {
  const root = node("all routes", "", "other");
  for (const route of routes) {
    for (const part of route[which]) {
      root.seconds += part.seconds;
      let at = into(root, route.route, "other", part.seconds);
      const of = part.state ? tone(part.state) : "other";
      if (part.state) at = into(at, wordsOf(part.state), of, part.seconds, part.state);
      at = into(at, part.whom, of, part.seconds);
      if (part.line) into(at, part.line, of, part.seconds, `at ${part.line}`);
    }
  }
  return root;
}

/** The nodes from the root to the one of that key; as far as they are there. */
export function pathTo(root, key) {
  const path = [root];
  for (const name of key.split("\n").slice(1)) {
    const next = path[path.length - 1].children.get(name);
    if (!next) break;
    path.push(next);
  }
  return path;
}

export class Flame {
  /**
   * @param {(key: string) => void} onChoose a node was chosen
   * @param {(seconds: number) => string} amount how much is told
   */
  constructor(onChoose, amount) {
    this.element = el("div", { class: "flame", role: "group", "aria-label": "Where the time went: a wider bar is more time" });
    this.onChoose = onChoose;
    this.amount = amount;
  }

  /** Draw the tree; what is chosen has all of the width, and those that it is part of stand above it. */
  draw(root, chosen) {
    const focused = document.activeElement?.getAttribute("data-flame");
    const path = pathTo(root, chosen);
    const cells = path.map((one, level) => this.cell(one, root, level, 0, 1));
    this.below(path[path.length - 1], root, path.length, 0, 1, cells);
    const levels = Math.max(...cells.map((cell) => Number(cell.dataset.level))) + 1;
    style(this.element, "height", `${levels * HIGH}px`);
    this.element.replaceChildren(...cells);
    if (focused !== null && focused !== undefined) {
      /** @type {HTMLElement|null} */ (this.element.querySelector(`[data-flame="${CSS.escape(focused)}"]`))?.focus();
    }
  }

  below(parent, root, level, left, width, cells) {
    if (!parent.seconds) return;
    for (const child of [...parent.children.values()].sort((a, b) => b.seconds - a.seconds)) {
      const share = (width * child.seconds) / parent.seconds;
      if (share < SLIGHT) break;
      cells.push(this.cell(child, root, level, left, share));
      this.below(child, root, level + 1, left, share, cells);
      left += share;
    }
  }

  cell(one, root, level, left, width) {
    const share = root.seconds ? one.seconds / root.seconds : 0;
    const percent = `${share < 0.01 ? "<1" : Math.round(share * 100)} %`;
    const label = `${one.name} ${percent}: ${this.amount(one.seconds)}${one.title === one.name ? "" : `, ${one.title}`}`;
    const shown = { class: "flame-cell", title: label, "data-level": level };
    const text = width < NARROW ? "" : `${one.name}  ${percent}`;
    const cell = width * this.element.clientWidth < TARGET
      ? el("span", shown)
      : el("button", { ...shown, type: "button", "aria-label": label, "data-flame": one.key, onclick: () => this.onChoose(one.key) }, text);
    if (width < NARROW) cell.classList.add("narrow");
    mark(cell, "data-tone", one.tone);
    style(cell, "top", `${level * HIGH}px`);
    style(cell, "left", `${(left * 100).toFixed(3)}%`);
    style(cell, "width", `${(width * 100).toFixed(3)}%`);
    return cell;
  }
}

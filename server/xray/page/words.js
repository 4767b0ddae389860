// The states in plain words, as the tables have them (/machines.json).

import { el } from "./dom.js";

/** @type {Map<string, string>} */
const known = new Map();

/** @param {any[]} machines */
export function learn(machines) {
  for (const { name, states } of machines) for (const state of states) known.set(`${name} ${state.name}`, state.words);
}

/** The words, and then the name of the table. */
export const named = (state, words = wordsOf(state)) => [el("span", { class: "words" }, words), el("span", { class: "code" }, state)];

/** `waiting for a request`, of AWAITING_REQUEST */
export const wordsOf = (state, kind = "connection") =>
  known.get(`${kind} ${state}`) ?? state.replaceAll("_", " ").toLowerCase();

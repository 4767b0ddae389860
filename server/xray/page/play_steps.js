// Recordings, read: which machines there are, the steps of all of them in one order, and where each stands behind a
// number of steps. Nothing here knows of elements.

import { span } from "./format.js";

/** A file that is no recording; the message says what is wrong with it. */
export class NoRecording extends Error {}

/**
 * @typedef {{name: string, about: string, machine: any, state: string, begins: number, ended: boolean, cause: string|null, clock: string}} Actor
 * @typedef {{at: string, actor: number, source: string, dest: string, trigger: string, why: string, event: string, row: number, way: string}} Step
 * @typedef {{actors: Actor[], steps: Step[], fault: string, isShared: boolean}} Play
 */

/** The recording that a text is. Raises NoRecording. */
export function read(text, name) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new NoRecording(`${name} is not JSON.`);
  }
  if (found?.format !== "clerestory recording") throw new NoRecording(`${name} is not a recording.`);
  if (found.version !== 1) throw new NoRecording(`${name} is a recording of version ${found.version}: play it where it was made.`);
  const words = ["source", "trigger", "dest"];
  const whole = Array.isArray(found.passages) && found.passages.every((one) => typeof one?.at === "number" && words.every((word) => typeof one[word] === "string"));
  if (!whole) throw new NoRecording(`${name} has no list of transitions with at, source, trigger and dest.`);
  return found;
}

/**
 * What is played, of some recordings and the tables. Raises NoRecording where a table is missing.
 * @param {any[]} recordings
 * @param {any[]} machines
 * @returns {Play}
 */
export function playOf(recordings, machines) {
  const actors = recordings.map((recording) => actorOf(recording, machines));
  const steps = recordings.flatMap((recording, actor) => recording.passages.map((one) => ({ time: one.at, ...stepOf(one, actor, actors[actor]) })));
  steps.sort((a, b) => a.time - b.time);
  actors.forEach((actor, at) => (actor.begins = recordings[at].made ? steps.findIndex((step) => step.actor === at) + 1 : 0));
  const clocks = new Set(actors.map((actor) => actor.clock));
  return { actors, steps, fault: recordings.find((one) => one.fault)?.fault ?? "", isShared: actors.length === 1 || (clocks.size === 1 && !clocks.has("")) };
}

function actorOf(recording, machines) {
  const machine = machines.find((one) => one.name === recording.machine);
  if (!machine) throw new NoRecording(`There is no machine ${recording.machine}: the recording is of another version.`);
  const name = String(recording.id).startsWith(`${machine.name}:`) ? recording.id.slice(machine.name.length + 1) : `${machine.name} ${recording.id}`;
  const about = recording.clock ? machine.name : [recording.peer, recording.request].filter(Boolean).join(", ");
  const state = recording.whole ? machine.initial : (recording.passages[0]?.source ?? machine.initial);
  return { name, about, machine, state, begins: 0, ended: recording.ended, cause: recording.cause, clock: recording.clock ?? "" };
}

function stepOf(one, actor, { machine, clock }) {
  const row = machine.rows.findIndex((row) => row.source === one.source && row.trigger === one.trigger && row.dest === one.dest && row.guard === (one.guard ?? row.guard));
  const known = machine.rows[row];
  const guard = one.guard ? ` [${one.guard}]` : "";
  const why = known ? `${one.trigger}${guard}${known.action ? ` / ${known.action}` : ""}` : `${one.trigger}${guard}: the table has no such row`;
  const at = clock ? String(Math.floor(one.at)) : `+${span(one.at)}`;
  return { at, actor, source: one.source, dest: one.dest, trigger: one.trigger, why, event: one.event ?? "", row, way: known?.way ?? "" };
}

/**
 * Where each machine stands behind the first `count` steps: its state, the rows that it has passed, and whether it is
 * known to be there.
 * @param {Play} play
 */
export function standing({ actors, steps }, count) {
  const found = actors.map((actor) => ({ state: actor.state, rows: /** @type {number[]} */ ([]), isThere: actor.begins <= count }));
  for (const step of steps.slice(0, count)) {
    found[step.actor].state = step.dest;
    found[step.actor].rows.push(step.row);
  }
  return found;
}

/** The next step behind `count`, round the end, by which an actor comes to a state; -1 if there is none. */
export function nextTo({ steps }, actor, state, count) {
  const order = [...steps.keys()].map((at) => (at + count) % steps.length);
  return order.find((at) => steps[at].actor === actor && steps[at].dest === state) ?? -1;
}

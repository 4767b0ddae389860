// The player of recordings: what is opened, where it stands, and what moves it. The recordings are read here, and sent
// nowhere. A page that `clerestory replay --page` has written has the recordings and the tables in it; one that a server
// has sent asks that for its tables.

import { ask, fetched } from "./api.js";
import { Diagram } from "./diagram.js";
import { byId, el, mark, say } from "./dom.js";
import { limit } from "./format.js";
import { nextTo, NoRecording, playOf, read, standing } from "./play_steps.js";
import { learn, wordsOf } from "./words.js";

/** Milliseconds that a step is shown while it plays, at the speed 1. */
const PACE = 1100;

/** Where all stands in one column, and the page is what scrolls. */
const NARROW = matchMedia("(max-width: 880px)");

const OF_SERVER = /^#connections\/([\w:.%-]+)$/;

const slider = /** @type {HTMLInputElement} */ (byId("slider"));
const files = /** @type {HTMLInputElement} */ (byId("files"));
const speed = /** @type {HTMLSelectElement} */ (byId("speed"));
const page = {
  machines: /** @type {any[]} */ ([]),
  play: /** @type {import("./play_steps.js").Play|null} */ (null),
  actors: /** @type {{element: HTMLElement, state: HTMLElement, diagram: Diagram}[]} */ ([]),
  steps: /** @type {HTMLElement[]} */ ([]),
  at: 0,
  timer: 0,
};

// --- opening

/** @param {{name: string, text: () => Promise<string>}[]} found */
async function open(found) {
  if (!found.length) return;
  try {
    await begun;
    const recordings = [];
    for (const file of found) recordings.push(read(await file.text(), file.name));
    show(playOf(recordings, page.machines), found.map((file) => file.name).join(", "));
    slider.focus();
  } catch (error) {
    tell(error);
  }
}

function tell(error) {
  const text = error.status === 401 ? "The x-ray is locked: open its page by the link that `clerestory page` prints, then come back." : error.message;
  byId("banners").replaceChildren(el("p", { class: "banner", "data-level": "warning", role: "alert" }, text));
  if (!(error instanceof NoRecording) && error.status === undefined) throw error;
}

/** @param {import("./play_steps.js").Play} play */
function show(play, title) {
  pause();
  page.play = play;
  const notes = [];
  if (play.fault) notes.push(el("p", { class: "banner", "data-level": "critical" }, `Counter-example: ${play.fault}`));
  if (!play.isShared) notes.push(el("p", { class: "banner" }, "Each recording counts from its machine's own beginning: which step of one came before that of another is not known."));
  byId("banners").replaceChildren(...notes);
  say(byId("title"), title);
  document.title = `${title} · recording`;
  page.actors = play.actors.map(actor);
  byId("stage").replaceChildren(...page.actors.map((one) => one.element));
  page.steps = play.steps.map(stepOf);
  const items = play.steps.flatMap((step, at) => {
    const event = step.event && (step.at !== play.steps[at - 1]?.at) ? [el("li", { class: "event" }, el("b", {}, `${step.at}. `), step.event)] : [];
    return [...event, el("li", {}, page.steps[at])];
  });
  byId("steps").replaceChildren(...items);
  slider.max = String(play.steps.length);
  mark(byId("empty"), "hidden", "");
  for (const id of ["stage", "list", "controls"]) mark(byId(id), "hidden", null);
  go(0);
}

function actor({ name, about, machine }, number) {
  const diagram = new Diagram(machine, (state) => {
    const at = page.play ? nextTo(page.play, number, state, page.at) : -1;
    if (at >= 0) go(at + 1);
  });
  for (const [state, { element, spec, limit: within }] of diagram.states) {
    mark(element, "aria-label", [spec.words, state, within.textContent, spec.true_while].filter(Boolean).join(", "));
  }
  const state = el("span", { class: "in" });
  const element = el("article", { class: "actor", "aria-label": name },
    el("h2", {}, name, el("span", { class: "quiet" }, about), state), el("div", { class: "diagram" }, diagram.element));
  return { element, state, diagram };
}

function stepOf(step, at) {
  const { name } = page.play?.actors[step.actor] ?? { name: "" };
  return el("button", { type: "button", class: "step", "data-way": step.way, "data-unknown": step.row < 0, tabindex: "-1", onclick: () => go(at + 1) },
    el("span", { class: "at" }, step.event ? "" : step.at), el("span", { class: "who" }, name), " ",
    el("span", { class: "way" }, step.source === step.dest ? `stays in ${step.dest}` : `${step.source} → ${step.dest}`), " ",
    el("span", { class: "why" }, step.why));
}

// --- moving

/** Show what is behind the first `at` steps. */
function go(at) {
  const { play } = page;
  if (!play) return;
  const inList = byId("steps").contains(document.activeElement);
  page.at = Math.max(0, Math.min(at, play.steps.length));
  const last = play.steps[page.at - 1];
  standing(play, page.at).forEach(({ state, rows, isThere }, number) => {
    const { element, state: words, diagram } = page.actors[number];
    const { machine } = play.actors[number];
    const moved = last?.actor === number;
    const isOver = machine.states.find((one) => one.name === state)?.final;
    diagram.trace(rows, isThere ? state : "", moved ? last.row : -1);
    for (const [name, drawn] of diagram.states) mark(drawn.element, "aria-current", isThere && name === state ? "true" : null);
    mark(element, "data-moved", moved ? "" : null);
    if (moved) diagram.states.get(state)?.element.scrollIntoView({ block: NARROW.matches ? "center" : "nearest", inline: "nearest" });
    mark(element, "data-absent", isThere && !isOver ? null : "");
    say(words, isThere ? wordsOf(state, machine.name) : "has not moved yet");
  });
  page.steps.forEach((step, number) => {
    mark(step, "aria-current", number === page.at - 1 ? "step" : null);
    mark(step, "data-come", String(number < page.at));
    mark(step, "tabindex", number === Math.max(0, page.at - 1) ? "0" : "-1");
  });
  const shown = page.steps[Math.max(0, page.at - 1)];
  if (shown) reveal(byId("steps"), shown);
  if (inList) shown?.focus({ preventScroll: true });
  slider.value = String(page.at);
  mark(slider, "aria-valuetext", `${page.at} of ${play.steps.length}`);
  say(byId("place"), `${page.at} of ${play.steps.length}`);
  say(byId("now"), nowOf(play, last));
  for (const [id, isEnd] of /** @type {[string, boolean][]} */ ([["first", page.at === 0], ["back", page.at === 0], ["forward", page.at === play.steps.length], ["last", page.at === play.steps.length]])) {
    mark(byId(id), "aria-disabled", isEnd ? "true" : null);
  }
}

/** Scroll a list to one of its elements, and nothing else. */
function reveal(list, element) {
  const [outer, inner] = [list.getBoundingClientRect(), element.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top + 30;
  else if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom + 30;
}

/** The step in words: what happened, why, and what the machine waits for now. */
function nowOf(play, step) {
  if (!step) return `${play.steps.length} steps. Nothing has happened yet.`;
  const { name, machine, cause, ended } = play.actors[step.actor];
  const spec = machine.states.find((one) => one.name === step.dest);
  const waits = spec?.final ? ended && cause ? `It was ended by the ${cause}.` : "It has ended." : `Now ${spec?.true_while ?? step.dest}; it waits for ${spec?.waits_for ?? "?"}${spec?.deadline ? `, ${limit(spec.deadline)}` : ""}.`;
  const when = step.event ? `${step.at}. ${step.event}: ` : `${step.at}: `;
  return `${when}${name} goes from ${step.source} to ${step.dest} by ${step.why}. ${waits}`;
}

function pause() {
  clearTimeout(page.timer);
  page.timer = 0;
  say(byId("play"), "Play");
}

function play() {
  if (!page.play) return;
  if (page.timer) {
    pause();
    return;
  }
  if (page.at === page.play.steps.length) go(0);
  say(byId("play"), "Pause");
  const wait = () => {
    page.timer = setTimeout(() => {
      go(page.at + 1);
      if (page.at === page.play?.steps.length) pause();
      else wait();
    }, PACE / Number(speed.value));
  };
  wait();
}

const MOVES = { ArrowRight: () => page.at + 1, ArrowLeft: () => page.at - 1, Home: () => 0, End: () => Infinity };

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  const inList = byId("steps").contains(target);
  if (event.key === "t") nextTheme();
  else if (event.key === "o") files.click();
  else if (event.key === " " && !target.closest("button, select, input, [role=button]")) play();
  else if (event.key === " " && target === slider) play();
  else if (inList && event.key === "ArrowDown") go(page.at + 1);
  else if (inList && event.key === "ArrowUp") go(page.at - 1);
  else if (event.key in MOVES && target !== slider && !(target instanceof HTMLSelectElement)) go(MOVES[event.key]());
  else return;
  event.preventDefault();
}

function nextTheme() {
  const theme = /** @type {any} */ (globalThis).nextTheme();
  say(byId("theme"), theme ? theme[0].toUpperCase() + theme.slice(1) : "Theme");
}

// --- the beginning

/** The tables, and what the page was given to play. */
async function begin() {
  const given = document.getElementById("given");
  const known = given ? JSON.parse(given.textContent) : await ask("../machines.json");
  page.machines = known.machines;
  learn(known.machines);
  if (known.recordings) show(playOf(known.recordings, page.machines), known.title);
}

async function ofServer() {
  const [, id] = OF_SERVER.exec(location.hash) ?? [];
  if (!id) return;
  const text = async () => (await fetched(`../connections/${id}?format=recording`)).text();
  await open([{ name: `connection ${decodeURIComponent(id)}`, text }]);
}

files.addEventListener("change", () => {
  const chosen = [...(files.files ?? [])];
  files.value = "";
  open(chosen);
});
for (const [id, act] of Object.entries({ first: () => go(0), back: () => go(page.at - 1), play, forward: () => go(page.at + 1), last: () => go(Infinity), theme: nextTheme })) {
  byId(id).addEventListener("click", act);
}
slider.addEventListener("input", () => go(Number(slider.value)));
document.addEventListener("keydown", key);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  mark(document.body, "data-over", "");
});
document.addEventListener("dragleave", () => mark(document.body, "data-over", null));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  mark(document.body, "data-over", null);
  open([...(event.dataTransfer?.files ?? [])]);
});
const begun = begin();
begun.then(ofServer).catch(tell);

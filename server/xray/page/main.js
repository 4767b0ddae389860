// The page: what is beaten, clicked and typed, and who is told of it. Each part is a module of its own; none of them
// knows another.

import { ask, change, query, Refused } from "./api.js";
import { Banners } from "./banners.js";
import { Detail } from "./detail.js";
import { confirm, help, unlock } from "./dialog.js";
import { byId, chooseTab, mark, say, tabKeys } from "./dom.js";
import { Ended } from "./ended.js";
import { Feed } from "./feed.js";
import { Filters, parametersOf, readAddress, writeAddress } from "./filters.js";
import { count, plural } from "./format.js";
import { Pictures } from "./pictures.js";
import { Table } from "./table.js";
import { open, refusal } from "./session.js";
import { Tiles } from "./tiles.js";
import { Waits } from "./waits.js";

/** Milliseconds between two whole snapshots, which say how long states last: beats do not. */
const DWELL = 5000;

const view = readAddress();
const page = { held: false, beat: /** @type {any} */ (null), dwell: /** @type {any} */ ({}), dwellAt: -Infinity, settled: 0 };

const tiles = new Tiles();
const pictures = new Pictures(view, (state) => filters.toggle(state), (kind) => chooseKind(kind));
const filters = new Filters(view, changed, closeMatching);
const table = new Table(view, (id) => detail.open(id), changed);
const ended = new Ended((id) => detail.open(id));
const waits = new Waits();
const detail = new Detail(
  (rows, state, pointed, kind = "connection") => pictures.trace(rows, state, pointed, kind),
  (id) => {
    view.open = id;
    writeAddress(view);
    table.choose(id);
  },
);
const banners = new Banners((id) => detail.open(id));
const feed = new Feed(beaten, linked);

// --- what comes from the server

function beaten(beat) {
  if (page.held) return;
  page.beat = beat;
  say(byId("serving"), `${beat.serving} · pid ${beat.pid}`);
  mark(byId("serving"), "title", byId("serving").textContent);
  document.title = `${beat.banners.length ? "▲ " : ""}${count(beat.machines.connection?.total ?? 0)} open · x-ray`;
  tiles.update(beat, pictures.table("connection"));
  banners.update(beat.banners, beat.loop.blocked);
  if (beat.dwell) page.dwell = beat.dwell;
  else refreshDwell();
  pictures.update(beat, page.dwell);
  if (view.view === "open") table.refresh(false);
  else refreshOther();
  detail.refresh();
}

/** The view that is no table of what is open. */
function refreshOther() {
  if (view.view === "waits") {
    waits.upstreams(page.beat?.upstreams);
    waits.refresh().catch(unheard);
  }
  else if (page.beat) ended.refresh(page.beat.totals.ends).catch(unheard);
}

async function refreshDwell() {
  if (performance.now() - page.dwellAt < DWELL) return;
  page.dwellAt = performance.now();
  try {
    page.dwell = (await ask("snapshot.json")).dwell;
  } catch {
    // the next time
  }
}

const LINKS = { waiting: "connecting", live: "live", polling: "live, by polling", lost: "lost", locked: "locked" };

function linked(link, seconds) {
  const badge = byId("link");
  mark(badge, "data-link", page.held ? "held" : link);
  say(badge, page.held ? "paused" : LINKS[link]);
  mark(document.body, "data-lost", link === "lost" ? "" : null);
  banners.lost(link === "lost" ? seconds : 0);
}

function unheard(error) {
  if (!(error instanceof Refused) && !(error instanceof TypeError) && error?.name !== "AbortError") throw error;
}

// --- what is chosen

/** The view is another one: the address, the diagram and the rows follow. */
function changed() {
  writeAddress(view);
  filters.show();
  showView();
  pictures.choose();
  if (view.view === "open") table.restart();
  else refreshOther();
}

function chooseKind(kind) {
  view.kind = kind;
  view.states = new Set();
  const { states, initial } = pictures.table(kind);
  filters.offer(states.filter((state) => !state.final).map((state) => state.name), kind === "connection" ? initial : "");
  if (page.beat) pictures.update(page.beat, page.dwell);
  changed();
}

function showView() {
  chooseTab(byId("views"), byId(`tab-${view.view}`));
  for (const name of ["open", "ended", "waits"]) mark(byId(name), "hidden", name === view.view ? null : "");
  mark(byId("matched"), "hidden", view.view === "open" ? null : "");
}

async function closeMatching() {
  const asked = parametersOf(view);
  try {
    const trial = await change(`close${query(asked)}`);
    const lines = trial.rows.slice(0, 8).map((row) => `${row.id}  ${row.peer}  ${row.why}`);
    if (trial.would_close > lines.length) lines.push(`and ${count(trial.would_close - lines.length)} more`);
    const what = plural(trial.would_close, "connection");
    const sure = await confirm({ title: `Close ${what}?`, text: trial.would_close ? "Their clients see the connection closed; this is logged. These match now:" : "None matches now.", lines, yes: trial.would_close ? `Close ${what}` : "" });
    if (!sure) return;
    const done = await change(`close${query({ ...asked, confirm: 1 })}`);
    say(byId("live"), `${plural(done.closed.length, "connection")} closed.`);
    table.refresh();
  } catch (error) {
    unheard(error);
    await confirm({ title: "They were not closed", text: error.message });
  }
}

// --- the buttons and keys of the page

function hold() {
  page.held = !page.held;
  mark(byId("pause"), "aria-pressed", String(page.held));
  say(byId("pause"), page.held ? "Continue" : "Pause");
  mark(document.body, "data-held", page.held ? "" : null);
  linked(page.held ? "held" : "waiting", 0);
}

function nextTheme() {
  const theme = /** @type {any} */ (globalThis).nextTheme();
  say(byId("theme"), theme ? theme[0].toUpperCase() + theme.slice(1) : "Theme");
}

function key(event) {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("dialog").hasAttribute("open")) return;
  if (event.key === "Escape") {
    if (typing) byId("grid").focus();
    else detail.close();
  } else if (typing) return;
  else if (event.key === "/") {
    if (view.view !== "open") {
      view.view = "open";
      changed();
    }
    /** @type {HTMLInputElement} */ (byId("filters").querySelector("input")).select();
  } else if (event.key === "p") hold();
  else if (event.key === "t") nextTheme();
  else if (event.key === "?") help();
  else return;
  event.preventDefault();
}

// --- the beginning

async function begin() {
  byId("pause").addEventListener("click", hold);
  byId("theme").addEventListener("click", nextTheme);
  byId("help").addEventListener("click", help);
  document.addEventListener("keydown", key);
  for (const tab of byId("views").children) {
    tab.addEventListener("click", () => {
      view.view = /** @type {any} */ (tab).dataset.view;
      changed();
    });
  }
  tabKeys(byId("views"));
  tabKeys(byId("machines"));
  const theme = document.documentElement.dataset.theme;
  if (theme) say(byId("theme"), theme[0].toUpperCase() + theme.slice(1));
  const { machines } = await ask("machines.json");
  pictures.offer(machines);
  const { states } = view;
  chooseKind(pictures.table(view.kind) ? view.kind : "connection");
  if (states.size) {
    view.states = states;
    changed();
  }
  feed.start();
  if (view.open) detail.open(view.open, false);
}

addEventListener("locked", () => {
  feed.lock();
  linked("locked", 0);
  unlock(refusal(), async (secret) => {
    await open(secret);
    location.reload();
  });
});

begin().catch((error) => error.status !== 401 && banners.update([{ kind: "page", level: "critical", text: `The page could not start: ${error.message}. Load it again.`, connections: [] }], null));

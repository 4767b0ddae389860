// A layout for any machine: states in layers by their distance from the beginning, final ones last; the usual course
// straight down; what skips a layer, or goes back, around the outside in lanes of its own.

const WIDE = 204;
const HIGH = 78;
const GAP = 56;
const LAYER = 74;
const LANE = 20;
const LOOP = 150;
const TOP = 40;

/**
 * @param {{name: string, initial: string, states: any[], rows: any[]}} machine
 * @returns {import("./layout.js").Layout}
 */
export function layered(machine) {
  const layers = layersOf(machine);
  const most = Math.max(...layers.map((layer) => layer.length));
  const inner = most * WIDE + (most - 1) * GAP;
  const spans = pairsOf(machine).map(([source, dest]) => ({ source, dest, ...leap(layers, source, dest) }));
  const lefts = spans.filter((one) => one.by > 1).length;
  const rights = spans.filter((one) => one.by < 0 || (one.by === 0 && one.source !== one.dest)).length;
  const leftMargin = 16 + LANE * (lefts + 1);
  // The ways back run outside of what leads from a state to itself, and outside of its words.
  const loops = spans.some((one) => one.source === one.dest) ? LOOP : 0;
  const rightMargin = Math.max(150, 16 + loops + LANE * (rights + 1) + 120);

  /** @type {Record<string, import("./layout.js").Box>} */
  const boxes = {};
  layers.forEach((layer, depth) => {
    const width = layer.length * WIDE + (layer.length - 1) * GAP;
    layer.forEach((name, place) => {
      const x = leftMargin + (inner - width) / 2 + place * (WIDE + GAP);
      boxes[name] = { x, y: TOP + depth * (HIGH + LAYER), w: WIDE, h: HIGH };
    });
  });

  /** @type {Record<string, import("./layout.js").Route>} */
  const routes = {};
  let leftLane = 0;
  let rightLane = 0;
  const used = new Map();
  /** The next free place on a side of a box, so that two arrows do not end in one point. */
  const port = (name, side) => {
    const key = `${name} ${side}`;
    const number = used.get(key) ?? 0;
    used.set(key, number + 1);
    return number;
  };
  for (const { source, dest, by } of spans.sort((a, b) => Math.abs(a.by) - Math.abs(b.by))) {
    const from = boxes[source];
    const to = boxes[dest];
    const key = `${source}>${dest}`;
    if (source === dest) {
      const y = from.y + 18 + 26 * port(source, "loop");
      const x = from.x + from.w;
      routes[key] = { points: [[x, y], [x + 36, y], [x + 36, y + 22], [x, y + 22]], label: [x + 44, y + 8] };
    } else if (by === 1) {
      const out = from.x + from.w / 2 + 24 * port(source, "out");
      const into = to.x + to.w / 2 + (from.x === to.x ? out - from.x - from.w / 2 : 24 * port(dest, "in"));
      const half = (from.y + from.h + to.y) / 2;
      const bent = Math.abs(out - into) > 1;
      const points = bent ? [[out, from.y + from.h], [out, half], [into, half], [into, to.y]] : [[out, from.y + from.h], [out, to.y]];
      routes[key] = { points, label: [(bent ? into : out) + 9, bent ? half + 14 : half - 4] };
    } else if (by > 1) {
      const x = leftMargin - LANE * ++leftLane;
      const start = from.y + 26 + 12 * port(source, "left");
      const end = to.y + 26 + 12 * port(dest, "left");
      routes[key] = { points: [[from.x, start], [x, start], [x, end], [to.x, end]] };
    } else {
      const x = leftMargin + inner + loops + LANE * ++rightLane;
      const start = from.y + HIGH - 16 - 12 * port(source, "right");
      const end = to.y + 24 + 12 * port(dest, "right");
      routes[key] = {
        points: [[from.x + from.w, start], [x, start], [x, end], [to.x + to.w, end]],
        label: [x + 8, (start + end) / 2],
      };
    }
  }

  const first = boxes[machine.initial];
  return {
    width: leftMargin + inner + rightMargin,
    height: TOP + layers.length * (HIGH + LAYER) - LAYER + 16,
    boxes,
    routes,
    groups: [],
    start: [[first.x + first.w / 2, TOP - 30], [first.x + first.w / 2, TOP]],
  };
}

/** The states by their distance from the initial one; final states in a layer of their own at the end. */
function layersOf({ initial, states, rows }) {
  const depth = new Map([[initial, 0]]);
  const finals = new Set(states.filter((state) => state.final).map((state) => state.name));
  // The usual course first, so that it decides the layers: then what is reached by other ways.
  for (const usual of [true, false]) {
    for (let changed = true; changed; ) {
      changed = false;
      for (const row of rows) {
        if ((usual && row.way !== "HAPPY") || !depth.has(row.source) || depth.has(row.dest)) continue;
        depth.set(row.dest, depth.get(row.source) + 1);
        changed = true;
      }
    }
  }
  const inner = states.filter((state) => !finals.has(state.name));
  const deepest = Math.max(...inner.map((state) => depth.get(state.name) ?? 0));
  const layers = Array.from({ length: deepest + 2 }, () => []);
  for (const { name } of inner) layers[depth.get(name) ?? 0].push(name);
  layers[deepest + 1].push(...finals);
  return layers.filter((layer) => layer.length);
}

/** Each two states that rows lead between, once. */
function pairsOf({ rows }) {
  return [...new Set(rows.map((row) => `${row.source}>${row.dest}`))].map((pair) => pair.split(">"));
}

function leap(layers, source, dest) {
  const at = (name) => layers.findIndex((layer) => layer.includes(name));
  return { by: at(dest) - at(source) };
}

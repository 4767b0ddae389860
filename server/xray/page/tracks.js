// A layout for any machine, in the manner of the connection's: the usual path is a column, its other states stand in
// a column on its left, and the end below. Lines run in the channels beside the columns, each in a lane of its own;
// those that lead to the end share one lane a side.

const NARROWEST = 172;
const HIGH = 66;
const GAP = 44;
const TOP = 34;
const LANE = 8;
/** Room for a line's rate between a state and the first lane. */
const RATES = 44;
const LOOP = 18;
/** Lines on one side of a state that have room for their rates. */
const MOST = 4;

/** How wide a name in capitals is at most, in the picture's units. */
const widthOf = (name) => Math.ceil(name.length * 8) + 20;

/**
 * @typedef {{source: string, dest: string, from: "left"|"right"|"below", to: "left"|"right"|"above",
 *            channel: "left"|"middle"|"right"|"", final: boolean, trigger?: string}} Line
 */

/**
 * @param {{name: string, initial: string, states: any[], rows: any[]}} machine
 * @returns {import("./layout.js").Layout}
 */
export function tracks(machine) {
  const wide = Math.max(NARROWEST, ...machine.states.map((state) => widthOf(state.name)));
  const finals = machine.states.filter((state) => state.final).map((state) => state.name);
  const course = courseOf(machine, finals);
  const column = [...course, ...finals];
  const aside = machine.states.map((state) => state.name).filter((name) => !column.includes(name));
  const tops = new Map(course.map((name, at) => [name, TOP + at * (HIGH + GAP)]));
  for (const [name, y] of besides(machine, aside, tops)) tops.set(name, y);
  // The end is below everything, so that what leads there passes behind nothing.
  const below = Math.max(...tops.values()) + HIGH + GAP;
  finals.forEach((name, at) => tops.set(name, below + at * (HIGH + GAP)));

  const usual = new Map(machine.rows.filter((row) => row.way === "HAPPY").map((row) => [`${row.source}>${row.dest}`, row.trigger]));
  const lines = pairsOf(machine).map(([source, dest]) => ({ ...lineOf(source, dest, column, aside, finals), trigger: usual.get(`${source}>${dest}`) }));
  const lanes = lanesOf(lines, tops);
  const room = (channel) => (lanes.get(channel)?.length ?? 0) * LANE;
  const outerLeft = 12 + (aside.length ? room("left") : 0);
  const middle = aside.length ? outerLeft + wide + RATES + room("middle") : outerLeft + room("middle");
  const right = middle + wide;
  const backs = lines.filter((line) => line.channel === "right" && line.trigger).map((line) => widthOf(line.trigger));
  const back = Math.max(RATES, ...backs); // the usual path has words where it leads back

  /** @type {Record<string, import("./layout.js").Box>} */
  const boxes = {};
  for (const name of aside) boxes[name] = { x: outerLeft, y: tops.get(name), w: wide, h: HIGH };
  for (const name of column) boxes[name] = { x: middle, y: tops.get(name), w: wide, h: HIGH };

  const at = {
    left: (lane) => outerLeft - LANE * (lane + 1),
    middle: (lane) => middle - LANE * (lane + 1),
    right: (lane) => right + back + LANE * lane,
  };
  const ports = portsOf(lines, tops);
  /** @type {Record<string, import("./layout.js").Route>} */
  const routes = {};
  for (const line of lines) routes[`${line.source}>${line.dest}`] = routeOf(line, boxes, ports, lanes, at);

  const bottom = Math.max(...Object.values(boxes).map((box) => box.y + box.h));
  const rightmost = right + back + room("right") + 8;
  const first = boxes[machine.initial];
  const middleOf = first.x + first.w / 2;
  return {
    width: rightmost, height: bottom + 16, boxes, routes, groups: [],
    start: [[middleOf, first.y - 30], [middleOf, first.y]],
  };
}

/** The states of the usual path, from the beginning on; the first of its rows decides where it forks. */
function courseOf({ initial, rows }, finals) {
  const found = [initial];
  const way = rows.some((row) => row.way === "HAPPY") ? "HAPPY" : "NORMAL";
  for (let name = initial; name; ) {
    const next = rows.find((row) => row.way === way && row.source === name && !found.includes(row.dest) && !finals.includes(row.dest));
    name = next?.dest;
    if (name) found.push(name);
  }
  return found;
}

/** How high those stand that are not of the usual path: near to what they lead from and to, and not on each other. */
function besides({ rows }, aside, tops) {
  const wish = aside.map((name) => {
    const near = rows.flatMap((row) => (row.source === name ? [row.dest] : row.dest === name ? [row.source] : [])).map((one) => tops.get(one)).filter((y) => y !== undefined);
    return { name, y: near.length ? near.reduce((sum, y) => sum + y, 0) / near.length : TOP };
  });
  let free = TOP;
  return wish.sort((a, b) => a.y - b.y).map(({ name, y }) => {
    const top = Math.max(free, Math.round(y / 10) * 10);
    free = top + HIGH + GAP / 2;
    return [name, top];
  });
}

/** Each two states that rows lead between, once. */
const pairsOf = ({ rows }) => [...new Set(rows.map((row) => `${row.source}>${row.dest}`))].map((pair) => pair.split(">"));

/** Where a line leaves, where it arrives, and by which channel it goes. @returns {Line} */
function lineOf(source, dest, column, aside, finals) {
  const final = finals.includes(dest);
  const [out, into] = [aside.includes(source), aside.includes(dest)];
  const whole = { source, dest, final };
  if (source === dest) return { ...whole, from: "right", to: "right", channel: "", final: false };
  if (out && (into || final)) return { ...whole, from: "left", to: "left", channel: "left" };
  if (out) return { ...whole, from: "right", to: "left", channel: "middle" };
  if (into) return { ...whole, from: "left", to: "right", channel: "middle" };
  if (column.indexOf(dest) - column.indexOf(source) === 1) return { ...whole, from: "below", to: "above", channel: "" };
  return { ...whole, from: "right", to: "right", channel: "right" };
}

/** The lines of each channel by lane: short ones inside, those that lead to the end together outside. */
function lanesOf(lines, tops) {
  const found = new Map();
  const reach = (line) => Math.abs(tops.get(line.source) - tops.get(line.dest));
  for (const channel of ["left", "middle", "right"]) {
    const own = lines.filter((line) => line.channel === channel);
    const ends = own.filter((line) => line.final);
    const lanes = own.filter((line) => !line.final).sort((a, b) => reach(a) - reach(b)).map((line) => [line]);
    found.set(channel, ends.length ? [...lanes, ends] : lanes);
  }
  return found;
}

/** How high on a side of a state a line leaves or arrives: ordered by where it goes, so that few cross. */
function portsOf(lines, tops) {
  const sides = new Map();
  const note = (name, side, line, other) => {
    const key = `${name} ${side}`;
    // Lines to the end arrive together.
    const id = line.final && name === line.dest ? "end" : `${line.source}>${line.dest} ${side}${other === name ? " loop" : ""}`;
    const there = sides.get(key) ?? [];
    if (!there.some((one) => one.id === id)) there.push({ id, y: tops.get(other) });
    sides.set(key, there);
  };
  for (const line of lines) {
    if (line.from !== "below") note(line.source, line.from, line, line.dest);
    if (line.source === line.dest) note(line.source, "right", { ...line, source: `${line.source} ` }, line.dest);
    else if (line.to !== "above") note(line.dest, line.to, line, line.source);
  }
  const heights = new Map();
  for (const [key, there] of sides) {
    there.sort((a, b) => a.y - b.y);
    heights.set(key, there.length);
    there.forEach((one, at) => heights.set(`${key} ${one.id}`, Math.round((HIGH * (at + 1)) / (there.length + 1))));
  }
  return heights;
}

function routeOf(line, boxes, ports, lanes, at) {
  const [from, to] = [boxes[line.source], boxes[line.dest]];
  const pair = `${line.source}>${line.dest}`;
  if (line.from === "below") {
    const x = from.x + from.w / 2;
    return { points: [[x, from.y + from.h], [x, to.y]], label: [x + 9, (from.y + from.h + to.y) / 2 - 4] };
  }
  const edge = (box, side) => (side === "left" ? box.x : box.x + box.w);
  if (line.source === line.dest) {
    const y = from.y + ports.get(`${line.source} right ${pair} right loop`);
    const back = from.y + ports.get(`${line.source} right ${line.source} >${line.dest} right loop`);
    const x = edge(from, "right");
    return { points: [[x, y], [x + LOOP, y], [x + LOOP, back], [x, back]], label: [x + LOOP + 5, (y + back) / 2 + 4], bare: true };
  }
  const out = from.y + ports.get(`${line.source} ${line.from} ${pair} ${line.from}`);
  const into = to.y + ports.get(`${line.dest} ${line.to} ${line.final ? "end" : `${pair} ${line.to}`}`);
  const x = at[line.channel](lanes.get(line.channel).findIndex((lane) => lane.includes(line)));
  const [a, b] = [edge(from, line.from), edge(to, line.to)];
  const points = [[a, out], [x, out], [x, into], [b, into]];
  // What leads to the end has no words, and where many lines leave there is no room for theirs.
  const crowd = ports.get(`${line.from === "right" ? line.source : line.dest} ${line.from === "right" ? line.from : line.to}`) ?? 0;
  const words = line.final || line.channel === "left" || crowd > MOST ? undefined
    : line.from === "right" ? [a + 6, out - 4]
      : [b + 6, into - 4];
  return { points, label: words, bare: line.channel !== "right" };
}

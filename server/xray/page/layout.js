// Where the connection's machine is drawn: the arrangement of diagrams/connection.svg, made by hand for a screen.
// Time runs downwards; the usual path is one column and one way back on its right. What goes wrong leaves to the
// left, where two trunk lines run down: one to the answer that says so (SENDING_RESPONSE), one to the end (CLOSED).
//
// Another machine, or this one with states that are not placed here, is laid out by tracks.js.

/**
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 * @typedef {{points: [number, number][], label?: [number, number, ("start"|"end")?]}} Route
 * @typedef {{width: number, height: number, boxes: Record<string, Box>, routes: Record<string, Route>,
 *            groups: (Box & {phrase: string, tone: string, end?: boolean})[], start: [number, number][]}} Layout
 */

const TO_SENDING = 26;
const TO_CLOSED = 12;

/** Boxes of one column. */
const left = (y) => ({ x: 44, y, w: 200, h: 78 });
const middle = (y) => ({ x: 268, y, w: 204, h: 78 });
const right = (y) => ({ x: 660, y, w: 204, h: 78 });

/** A way along a trunk: out of a state's left side at `y`, down at `x`, into the side of another at `end`. */
const trunk = (from, y, x, end) => ({ points: [[from, y], [x, y], [x, end], [268, end]] });

/** @type {Layout} */
export const CONNECTION = {
  width: 960,
  height: 852,
  start: [[370, 10], [370, 40]],
  groups: [
    { phrase: "reading request", tone: "reading", x: 34, y: 22, w: 452, h: 332 },
    { phrase: "querying backend", tone: "querying", x: 256, y: 364, w: 618, h: 114, end: true },
    { phrase: "sending response", tone: "sending", x: 256, y: 506, w: 618, h: 114, end: true },
  ],
  boxes: {
    AWAITING_REQUEST: middle(40),
    HANDSHAKING: right(130),
    READING_HEAD: left(148),
    READING_BODY: left(262),
    QUERYING_BACKEND: middle(390),
    HALF_CLOSED: right(390),
    PRODUCING: right(532),
    SENDING_RESPONSE: middle(532),
    EXCHANGING: { x: 44, y: 556, w: 200, h: 78 },
    TUNNELLING: left(688),
    LINGERING: { x: 404, y: 660, w: 204, h: 78 },
    CLOSED: { x: 268, y: 780, w: 204, h: 60 },
  },
  // By source, destination, and "!" for what goes wrong where the usual has a way of its own.
  routes: {
    "AWAITING_REQUEST>QUERYING_BACKEND": { points: [[370, 118], [370, 390]], label: [380, 246] },
    "QUERYING_BACKEND>SENDING_RESPONSE": { points: [[370, 468], [370, 532]], label: [380, 482] },
    "QUERYING_BACKEND>SENDING_RESPONSE!": { points: [[352, 468], [352, 532]] },
    "SENDING_RESPONSE>AWAITING_REQUEST": {
      points: [[456, 610], [456, 621], [918, 621], [918, 79], [472, 79]],
      label: [908, 240, "end"],
    },
    "AWAITING_REQUEST>HANDSHAKING": { points: [[472, 98], [700, 98], [700, 130]] },
    "HANDSHAKING>AWAITING_REQUEST": { points: [[660, 150], [560, 150], [560, 108], [472, 108]] },
    "HANDSHAKING>SENDING_RESPONSE": { points: [[660, 190], [520, 190], [520, 520], [456, 520], [456, 532]] },
    "HANDSHAKING>LINGERING": { points: [[864, 160], [928, 160], [928, 690], [608, 690]] },
    "HANDSHAKING>CLOSED": { points: [[864, 190], [934, 190], [934, 832], [472, 832]] },
    "AWAITING_REQUEST>READING_HEAD": { points: [[268, 98], [144, 98], [144, 148]], label: [154, 92] },
    "READING_HEAD>QUERYING_BACKEND": { points: [[244, 187], [338, 187], [338, 390]], label: [250, 181] },
    "READING_BODY>QUERYING_BACKEND": { points: [[244, 292], [308, 292], [308, 390]], label: [250, 286] },
    "QUERYING_BACKEND>READING_BODY": { points: [[268, 412], [144, 412], [144, 340]], label: [154, 406] },
    "QUERYING_BACKEND>QUERYING_BACKEND": {
      points: [[472, 404], [502, 404], [502, 428], [472, 428]],
      label: [509, 408],
    },
    "QUERYING_BACKEND>HALF_CLOSED": { points: [[472, 450], [660, 450]], label: [520, 464] },
    "HALF_CLOSED>QUERYING_BACKEND": { points: [[660, 440], [472, 440]] },
    "HALF_CLOSED>READING_BODY": { points: [[700, 390], [700, 328], [244, 328]] },
    "HALF_CLOSED>PRODUCING": { points: [[750, 468], [750, 532]], label: [742, 496, "end"] },
    "PRODUCING>HALF_CLOSED": { points: [[774, 532], [774, 468]], label: [782, 496] },
    "HALF_CLOSED>SENDING_RESPONSE": { points: [[690, 468], [690, 514], [440, 514], [440, 532]] },
    "PRODUCING>PRODUCING": { points: [[864, 546], [886, 546], [886, 570], [864, 570]] },
    "PRODUCING>SENDING_RESPONSE": { points: [[660, 556], [472, 556]], label: [520, 550] },
    "SENDING_RESPONSE>PRODUCING": { points: [[472, 580], [660, 580]], label: [520, 594] },
    "PRODUCING>READING_BODY": { points: [[850, 532], [850, 512], [896, 512], [896, 276], [244, 276]] },
    "READING_BODY>PRODUCING": { points: [[244, 268], [906, 268], [906, 522], [858, 522], [858, 532]] },
    "SENDING_RESPONSE>READING_BODY": { points: [[268, 538], [52, 538], [52, 340]] },
    "SENDING_RESPONSE>TUNNELLING": { points: [[300, 610], [300, 674], [129, 674], [129, 688]] },
    "TUNNELLING>CLOSED": { points: [[129, 766], [129, 790], [268, 790]], label: [139, 784] },
    "SENDING_RESPONSE>EXCHANGING": { points: [[268, 600], [244, 600]] },
    "EXCHANGING>SENDING_RESPONSE": { points: [[244, 572], [268, 572]] },
    "EXCHANGING>PRODUCING": { points: [[222, 634], [222, 644], [700, 644], [700, 610]] },
    "EXCHANGING>LINGERING": { points: [[200, 634], [200, 650], [424, 650], [424, 660]] },
    "EXCHANGING>CLOSED": trunk(44, 600, TO_CLOSED, 804),
    "SENDING_RESPONSE>LINGERING": { points: [[440, 610], [440, 660]], label: [450, 638] },
    "AWAITING_REQUEST>LINGERING": { points: [[472, 60], [940, 60], [940, 699], [608, 699]] },
    "LINGERING>CLOSED": { points: [[506, 738], [506, 810], [472, 810]], label: [514, 780] },
    "SENDING_RESPONSE>CLOSED": { points: [[330, 610], [330, 780]], label: [338, 760] },
    "HALF_CLOSED>CLOSED": { points: [[864, 430], [878, 430], [878, 822], [472, 822]] },
    "PRODUCING>CLOSED": { points: [[850, 610], [850, 798], [472, 798]] },
    "QUERYING_BACKEND>CLOSED": { points: [[268, 452], [250, 452], [250, 822], [268, 822]] },
    "AWAITING_REQUEST>SENDING_RESPONSE": trunk(268, 74, TO_SENDING, 545),
    "READING_HEAD>SENDING_RESPONSE": trunk(44, 206, TO_SENDING, 545),
    "READING_BODY>SENDING_RESPONSE": trunk(44, 320, TO_SENDING, 545),
    "AWAITING_REQUEST>CLOSED": trunk(268, 58, TO_CLOSED, 804),
    "READING_HEAD>CLOSED": trunk(44, 170, TO_CLOSED, 804),
    "READING_BODY>CLOSED": trunk(44, 284, TO_CLOSED, 804),
  },
};

/** Whether a hand-made layout has a place for every state and a way for every row of a machine. */
export function fits(layout, machine) {
  return (
    machine.states.every((state) => state.name in layout.boxes) &&
    machine.rows.every((row) => `${row.source}>${row.dest}` in layout.routes)
  );
}

// Where the connection's machine is drawn: the arrangement of diagrams/connection.svg, made by hand for a screen.
// Time runs downwards; the usual path is one column and one way back on its right. What goes wrong leaves to the
// left, where two trunk lines run down: one to the answer that says so (SENDING_RESPONSE), one to the end (CLOSED).
//
// Another machine, or this one with states that are not placed here, is laid out by tracks.js.

/**
 * @typedef {{x: number, y: number, w: number, h: number}} Box
 * @typedef {{points: [number, number][], label?: [number, number, ("start"|"end"|"middle")?], bare?: boolean}} Route
 *   where its words and its rate stand; `bare`: only the rate
 * @typedef {{width: number, height: number, boxes: Record<string, Box>, routes: Record<string, Route>,
 *            groups: (Box & {phrase: string, tone: string, end?: boolean})[], start: [number, number][]}} Layout
 */

const TO_SENDING = 22;
const TO_CLOSED = 12;
/** The trunk on the right, and the way back to the next request. */
const TO_END = 676;
const BACK = 662;

/** Boxes of one column. */
const left = (y) => ({ x: 34, y, w: 172, h: 66 });
const middle = (y) => ({ x: 232, y, w: 172, h: 66 });
const right = (y) => ({ x: 460, y, w: 172, h: 66 });

/** A way along a trunk on the left: out of a state's left side at `y`, down, and in. */
const toSending = (from, y) => ({ points: [[from, y], [TO_SENDING, y], [TO_SENDING, 384], [262, 384], [262, 396]] });
const toClosed = (from, y) => ({ points: [[from, y], [TO_CLOSED, y], [TO_CLOSED, 592], [232, 592]] });
/** And on the right. */
const toEnd = (y) => ({ points: [[632, y], [TO_END, y], [TO_END, 594], [404, 594]] });

/** @type {Layout} */
export const CONNECTION = {
  width: 688,
  height: 612,
  start: [[318, 6], [318, 30]],
  groups: [
    { phrase: "reading request", tone: "reading", x: 27, y: 14, w: 386, h: 240 },
    { phrase: "querying backend", tone: "querying", x: 225, y: 262, w: 414, h: 98, end: true },
    { phrase: "sending response", tone: "sending", x: 27, y: 372, w: 612, h: 98, end: true },
  ],
  boxes: {
    AWAITING_REQUEST: middle(30),
    HANDSHAKING: right(104),
    READING_HEAD: left(82),
    READING_BODY: left(178),
    QUERYING_BACKEND: middle(286),
    HALF_CLOSED: right(286),
    PRODUCING: right(396),
    SENDING_RESPONSE: middle(396),
    EXCHANGING: left(396),
    TUNNELLING: left(514),
    LINGERING: right(514),
    CLOSED: { x: 232, y: 550, w: 172, h: 52 },
  },
  // By source, destination, and "!" for what goes wrong where the usual has a way of its own.
  routes: {
    "AWAITING_REQUEST>QUERYING_BACKEND": { points: [[318, 96], [318, 286]], label: [327, 190] },
    "QUERYING_BACKEND>SENDING_RESPONSE": { points: [[318, 352], [318, 396]], label: [327, 371] },
    "QUERYING_BACKEND>SENDING_RESPONSE!": { points: [[296, 352], [296, 396]] },
    "SENDING_RESPONSE>AWAITING_REQUEST": {
      points: [[392, 462], [392, 482], [BACK, 482], [BACK, 63], [404, 63]],
      label: [654, 190, "end"],
    },
    "AWAITING_REQUEST>HANDSHAKING": { points: [[404, 76], [540, 76], [540, 104]] },
    "HANDSHAKING>AWAITING_REQUEST": { points: [[500, 104], [500, 86], [404, 86]] },
    "HANDSHAKING>SENDING_RESPONSE": { points: [[460, 150], [450, 150], [450, 420], [404, 420]] },
    "HANDSHAKING>LINGERING": { points: [[632, 124], [670, 124], [670, 536], [632, 536]] },
    "HANDSHAKING>CLOSED": toEnd(150),
    "AWAITING_REQUEST>READING_HEAD": { points: [[232, 63], [120, 63], [120, 82]], label: [128, 58] },
    "READING_HEAD>QUERYING_BACKEND": { points: [[206, 115], [266, 115], [266, 286]], label: [212, 110] },
    "READING_BODY>QUERYING_BACKEND": { points: [[206, 198], [244, 198], [244, 286]], label: [210, 193] },
    "QUERYING_BACKEND>READING_BODY": { points: [[232, 312], [140, 312], [140, 244]], label: [148, 307] },
    "QUERYING_BACKEND>QUERYING_BACKEND": {
      points: [[404, 296], [424, 296], [424, 312], [404, 312]],
      label: [410, 282],
    },
    "QUERYING_BACKEND>HALF_CLOSED": { points: [[404, 336], [460, 336]] },
    "HALF_CLOSED>QUERYING_BACKEND": { points: [[460, 326], [404, 326]] },
    "HALF_CLOSED>READING_BODY": { points: [[478, 286], [478, 234], [206, 234]] },
    "HALF_CLOSED>PRODUCING": { points: [[484, 352], [484, 396]] },
    "PRODUCING>HALF_CLOSED": { points: [[504, 396], [504, 352]] },
    "HALF_CLOSED>SENDING_RESPONSE": { points: [[470, 352], [470, 382], [436, 382], [436, 408], [404, 408]] },
    "PRODUCING>PRODUCING": { points: [[590, 462], [590, 473], [612, 473], [612, 462]] },
    "PRODUCING>SENDING_RESPONSE": { points: [[460, 432], [404, 432]] },
    "SENDING_RESPONSE>PRODUCING": { points: [[404, 442], [460, 442]], label: [432, 457, "middle"] },
    "PRODUCING>READING_BODY": { points: [[632, 440], [642, 440], [642, 226], [206, 226]] },
    "READING_BODY>PRODUCING": { points: [[206, 218], [650, 218], [650, 426], [632, 426]] },
    "SENDING_RESPONSE>READING_BODY": { points: [[232, 410], [219, 410], [219, 258], [176, 258], [176, 244]] },
    "SENDING_RESPONSE>TUNNELLING": { points: [[250, 462], [250, 496], [120, 496], [120, 514]] },
    "TUNNELLING>CLOSED": { points: [[206, 566], [232, 566]] },
    "SENDING_RESPONSE>EXCHANGING": { points: [[232, 444], [206, 444]] },
    "EXCHANGING>SENDING_RESPONSE": { points: [[206, 430], [232, 430]] },
    "EXCHANGING>PRODUCING": { points: [[180, 462], [180, 474], [484, 474], [484, 462]] },
    "EXCHANGING>LINGERING": { points: [[160, 462], [160, 490], [500, 490], [500, 514]] },
    "EXCHANGING>CLOSED": toClosed(34, 444),
    "SENDING_RESPONSE>LINGERING": { points: [[376, 462], [376, 498], [520, 498], [520, 514]], label: [528, 508] },
    "AWAITING_REQUEST>LINGERING": { points: [[404, 48], [670, 48], [670, 536], [632, 536]] },
    "LINGERING>CLOSED": { points: [[460, 568], [404, 568]], label: [432, 563, "middle"] },
    "SENDING_RESPONSE>CLOSED": { points: [[340, 462], [340, 550]], label: [348, 540] },
    "HALF_CLOSED>CLOSED": toEnd(318),
    "PRODUCING>CLOSED": toEnd(452),
    "QUERYING_BACKEND>CLOSED": { points: [[232, 340], [212, 340], [212, 580], [232, 580]] },
    "AWAITING_REQUEST>SENDING_RESPONSE": toSending(232, 48),
    "READING_HEAD>SENDING_RESPONSE": toSending(34, 128),
    "READING_BODY>SENDING_RESPONSE": toSending(34, 224),
    "AWAITING_REQUEST>CLOSED": toClosed(232, 38),
    "READING_HEAD>CLOSED": toClosed(34, 104),
    "READING_BODY>CLOSED": toClosed(34, 200),
  },
};

/** Whether a hand-made layout has a place for every state and a way for every row of a machine. */
export function fits(layout, machine) {
  return (
    machine.states.every((state) => state.name in layout.boxes) &&
    machine.rows.every((row) => `${row.source}>${row.dest}` in layout.routes)
  );
}

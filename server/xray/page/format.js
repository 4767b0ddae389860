// Figures in words. Numbers are written the same everywhere: the server's words and ours stand side by side.

const THOUSANDS = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** `12,034` */
export const count = (number) => (number === null || number === undefined ? "–" : THOUSANDS.format(number));

/** `250 µs`, `12 ms`, `0.3 s`, `12.0 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`; from 0.1 s on as the server does. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.max(0, seconds);
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 0.1) return `${s < 0.01 ? (s * 1e3).toFixed(1) : Math.round(s * 1e3)} ms`;
  if (s < 120) return `${s.toFixed(1)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 120) return `${minutes} min ${two(Math.floor(s) % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${two(minutes % 60)} min` : `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
}

/** `0.24 ms`, `26.0 ms`, `218 ms`, `1.24 s`, `75.0 s`: to three figures, as the server says durations. */
export function duration(seconds) {
  const ms = seconds * 1000;
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  return seconds < 9.995 ? `${seconds.toFixed(2)} s` : `${seconds.toFixed(1)} s`;
}

const two = (number) => String(number).padStart(2, "0");

/** As span, but in a table that is read every second: below a second only tenths move. */
export const age = (seconds) => (seconds < 0.05 ? "0 s" : seconds < 0.1 ? "0.1 s" : span(seconds));

/** `0 B`, `512 B`, `1.5 kB`, `3.2 MB` */
export function bytes(number) {
  let value = number;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (value < 1000 || unit === "TB") return `${unit === "B" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return "";
}

/** `0.4/s`, `12/s`, `1,203/s`; nothing when nothing passes. */
export function rate(number) {
  if (!number || number < 0.05) return "";
  return number < 9.95 ? `${number.toFixed(1)}/s` : `${THOUSANDS.format(number)}/s`;
}

/** One thing or several: `1 connection`, `3 connections`. */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** A limit as its table has it: `keep-alive 15 s`, `body 30 s idle`. */
export const limit = (deadline) =>
  deadline ? `${deadline.name} ${Number(deadline.seconds.toPrecision(4))} s${deadline.idle ? " idle" : ""}` : "";

/** The tone of a state: which of the phrases that the machine is known by it belongs to. */
export function tone(state) {
  if (/^(AWAITING_REQUEST|READING|HANDSHAKING)/.test(state)) return "reading";
  if (/^(QUERYING|HALF_CLOSED|RUNNING|AWAITING_|CONNECTING|TUNNELLING)/.test(state)) return "querying";
  if (/^(SENDING|PRODUCING|EXCHANGING)/.test(state)) return "sending";
  return "other";
}

/** The kinds of machines that are a client's connection, or a stream of one. */
export const CARRIERS = ["connection", "h2_connection", "h2_stream"];

// Asking the server. Addresses are relative, so that the page also works behind a path of a gateway.

import { credentials, ready } from "./session.js";

/** What the server refused; the message is its reason, made for people. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [how]
 * @returns {Promise<Response>} raises Refused, or TypeError when there is no server
 */
export async function fetched(path, how = {}) {
  await ready;
  const answer = await fetch(path, { ...how, headers: { accept: "application/json", ...credentials(), ...how.headers } });
  if (answer.ok) return answer;
  let detail = `${answer.status} ${answer.statusText}`;
  try {
    detail = (await answer.json()).detail || detail;
  } catch {
    // no JSON: the status has to do
  }
  if (answer.status === 401) dispatchEvent(new CustomEvent("locked"));
  throw new Refused(answer.status, detail);
}

/** @returns {Promise<any>} the JSON there */
export const ask = async (path, how = {}) => (await fetched(path, how)).json();

/** A change: a POST from this origin. */
export const change = (path) => ask(path, { method: "POST" });

/** What the server sends as events, one after the other, until it or `signal` ends them. Raises as `fetched` does. */
export async function* eventsOf(path, signal) {
  const answer = await fetched(path, { signal, headers: { accept: "text/event-stream" } });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
        if (data.length) yield JSON.parse(data.join("\n"));
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Have the browser keep what is there, as a file of that name. */
export async function save(path, name) {
  const address = URL.createObjectURL(await (await fetched(path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {Record<string, string|number>} parameters those that are empty are left out */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== 0);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

// Asking the server. Addresses are relative, so that the page also works behind a path of a gateway.

/** What the server refused; the message is its reason, made for people. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** @type {string} */
const token = document.querySelector("meta[name=xray-token]")?.getAttribute("content") ?? "";

/**
 * @param {string} path
 * @param {RequestInit} [how]
 * @returns {Promise<any>} raises Refused, or TypeError when there is no server
 */
export async function ask(path, how = {}) {
  const answer = await fetch(path, { ...how, headers: { accept: "application/json", ...how.headers } });
  if (answer.ok) return answer.json();
  let detail = `${answer.status} ${answer.statusText}`;
  try {
    detail = (await answer.json()).detail || detail;
  } catch {
    // no JSON: the status has to do
  }
  throw new Refused(answer.status, detail);
}

/** A change: a POST from this origin, with the token that only this page has been given. */
export const change = (path) => ask(path, { method: "POST", headers: { "x-clerestory-token": token } });

/** @param {Record<string, string|number>} parameters those that are empty are left out */
export function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== 0);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

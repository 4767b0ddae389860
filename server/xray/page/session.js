// The session: what this page sends with every question, so that the server answers. The key of a link opens one
// (`…/#key:…`; a browser sends what follows the # to nobody), or the server's token, typed in. The session is kept for
// this origin, port included: a cookie would go to every port of the machine.

const STORE = "clerestory-xray-session";
const KEY = /^#key:([\w-]+)$/;

let session = read();

/** The fields that a question carries. @returns {Record<string, string>} */
export const credentials = () => (session ? { authorization: `Bearer ${session}` } : {});

/** Open a session with a key or the token. Raises an Error with the server's reason. */
export async function open(secret) {
  const answer = await fetch("session", { method: "POST", headers: { authorization: `Bearer ${secret}`, accept: "application/json" } });
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.detail || `${answer.status} ${answer.statusText}`);
  session = found.session;
  try {
    localStorage.setItem(STORE, session);
  } catch {
    // no storage: the session lasts as long as this page
  }
}

function read() {
  try {
    return localStorage.getItem(STORE) ?? "";
  } catch {
    return "";
  }
}

/** The key in the address, which is taken out of it at once: it is of no further use, and the address may be kept. */
function takeKey() {
  const found = KEY.exec(location.hash);
  if (found) history.replaceState(null, "", location.pathname + location.search);
  return found ? found[1] : "";
}

/** Why the link's key opened nothing; "" where it did, or there was none. */
let refused = "";
export const refusal = () => refused;

async function enter() {
  const key = takeKey();
  if (!key) return;
  try {
    await open(key);
  } catch (error) {
    refused = error instanceof Error ? error.message : String(error);
  }
}

/** Until this has come to rest nothing is asked. */
export const ready = enter();

// A link that is pasted into the address of a page that is open changes only what follows the #.
addEventListener("hashchange", () => {
  if (KEY.test(location.hash)) enter().then(() => location.reload());
});

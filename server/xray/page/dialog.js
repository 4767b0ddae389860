// The one dialog: a question that wants an answer, or a page of help. The browser keeps the focus inside, gives it back,
// and takes Escape for "no".

import { byId, el } from "./dom.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));

/**
 * @param {{title: string, text: string, lines?: string[], yes?: string, content?: Node}} what
 * @returns {Promise<boolean>} whether it was answered with yes
 */
export function confirm({ title, text, lines = [], yes = "", content }) {
  return new Promise((resolve) => {
    const end = (answer) => () => {
      dialog.returnValue = answer;
      dialog.close();
    };
    dialog.returnValue = "";
    dialog.replaceChildren(
      el("h2", { id: "dialog-title" }, title),
      ...(text ? [el("p", {}, text)] : []),
      ...(lines.length ? [el("ul", { class: "lines" }, ...lines.map((line) => el("li", {}, line)))] : []),
      ...(content ? [content] : []),
      el("p", { class: "answers" },
        el("button", { type: "button", onclick: end(""), autofocus: true }, yes ? "Cancel" : "Close"),
        yes ? el("button", { type: "button", class: "danger solid", onclick: end("yes") }, yes) : null),
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

/** Ask for the token, until it opens a session. @param {string} why @param {(secret: string) => Promise<void>} open */
export function unlock(why, open) {
  const field = el("input", { type: "password", name: "token", autocomplete: "off", "aria-label": "Token", placeholder: "or the token itself", autofocus: true });
  const note = el("p", { class: "refused", role: "alert", hidden: !why }, why);
  const form = el("form", { class: "unlock", onsubmit: (event) => {
    event.preventDefault();
    open(field.value.trim()).catch((error) => {
      note.textContent = error.message;
      note.hidden = false;
      field.select();
    });
  } }, field, el("button", { type: "submit" }, "Open"));
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, "This page is locked"),
    note,
    el("p", {}, "Where the server runs, this command prints a link that opens it:"),
    el("p", { class: "lines" }, "clerestory page"), form);
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  if (!dialog.open) dialog.showModal();
}

const KEYS = [
  ["/", "go to the filter"],
  ["↑ ↓ Page Home End", "move through the table"],
  ["Enter", "open the row, or the group"],
  ["Escape", "close what is open; in the filter: back to the table"],
  ["p", "pause the page, or continue"],
  ["t", "light, dark, or as the system says"],
  ["?", "this page"],
];

export function help() {
  const list = el("dl", { class: "keys" }, ...KEYS.flatMap(([keys, what]) => [el("dt", {}, ...keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, what)]));
  return confirm({
    title: "Keyboard shortcuts",
    text: "",
    content: list,
  });
}

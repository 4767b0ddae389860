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
        el("button", { type: "button", onclick: end(""), autofocus: true }, yes ? "Leave it" : "Close"),
        yes ? el("button", { type: "button", class: "danger solid", onclick: end("yes") }, yes) : null),
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

const KEYS = [
  ["/", "to the filter"],
  ["↑ ↓ Page Home End", "through the table"],
  ["Enter", "open the row, or the group"],
  ["Escape", "close what is open; in the filter: back to the table"],
  ["p", "hold the page still, or let it go on"],
  ["t", "light, dark, or as the system says"],
  ["?", "this page"],
];

export function help() {
  const list = el("dl", { class: "keys" }, ...KEYS.flatMap(([keys, what]) => [el("dt", {}, ...keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, what)]));
  return confirm({
    title: "What the keys do",
    text: "",
    content: list,
  });
}

// Making and changing elements. Whatever comes from the network goes through textContent or an attribute set here:
// there is no innerHTML in this page.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children. Children that are strings become text.
 * @param {string} name
 * @param {Record<string, unknown>} [attributes] `onclick` and the like add listeners; null and false are left out
 * @param {...(Node|string|null)} children
 */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** As el, of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Set a text where it differs: what does not change is not laid out again, nor read out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it differs; null takes it away. */
export function mark(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Set a property of an element's style where it differs. */
export function style(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Let the arrow keys go through the tabs of a list that are shown: only the chosen one is in the order of focus (WAI-ARIA
 * "tabs").
 * @param {HTMLElement} list
 */
export function tabKeys(list) {
  list.addEventListener("keydown", (event) => {
    const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=tab]:not([hidden])")]);
    const at = tabs.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    tab.click();
  });
}

/** Show which tab of a list is chosen. */
export function chooseTab(list, chosen) {
  for (const tab of list.querySelectorAll("[role=tab]")) {
    mark(tab, "aria-selected", String(tab === chosen));
    mark(tab, "tabindex", tab === chosen ? "0" : "-1");
  }
}

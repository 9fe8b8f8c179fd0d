/** The words of the page's scripts, in its language. The server sends them; no script holds a text of its own. */

const texts = JSON.parse(document.querySelector("#study").textContent).texts;

/**
 * A text with its values in their places.
 * @param {string} key of webapp.languages.SCRIPT_TEXTS
 * @param {Record<string, string | number>} values
 */
export function say(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Whether there is such a text. @param {string} key */
export function known(key) {
  return key in texts;
}

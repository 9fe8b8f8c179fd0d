/** The pages between trials: which one is shown, what it says, and when its button is pressed. */

const root = document.documentElement;
const views = new Map([...document.querySelectorAll("[data-view]")].map((view) => [view.dataset.view, view]));
const stage = document.querySelector("#stage");

for (const button of document.querySelectorAll("[data-reload]")) {
  button.addEventListener("click", () => window.location.reload());
}

/** Names what is on the screen, for styles and tests; it tells nothing of any image. @param {string} name */
export function setStage(name) {
  root.dataset.stage = name;
}

/** From the first trial on all is grey, so that the eye stays used to it. */
export function goGrey() {
  root.dataset.ground = "grey";
}

/** Shows the stage alone. */
export function showStage() {
  for (const view of views.values()) view.hidden = true;
  stage.hidden = false;
}

/**
 * Shows one page.
 * @param {string} name
 * @param {Record<string, string>} fields texts to fill in
 */
export function show(name, fields = {}) {
  stage.hidden = true;
  for (const [each, view] of views) view.hidden = each !== name;
  fill(name, fields);
  setStage(name);
}

/** Changes texts of a page. @param {string} name @param {Record<string, string>} fields */
export function fill(name, fields) {
  for (const [field, text] of Object.entries(fields)) {
    const element = views.get(name).querySelector(`[data-field="${field}"]`);
    element.textContent = text;
    element.hidden = text === "";
  }
}

/** Shows or hides a part of a page whose text is already there. @param {string} name @param {string} field */
export function reveal(name, field, visible) {
  views.get(name).querySelector(`[data-field="${field}"]`).hidden = !visible;
}

/** Shows a page and waits for its button. @param {string} name @param {Record<string, string>} fields */
export function showUntilPressed(name, fields = {}) {
  show(name, fields);
  const button = goButton(name);
  // Enter should do what is expected, and a screen reader should start here.
  button.focus({ preventScroll: true });
  return new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
}

/** The one button of a page. @param {string} name @returns {HTMLButtonElement} */
export function goButton(name) {
  return views.get(name).querySelector("[data-go]");
}

/** @param {boolean} lost */
export function showTrouble(lost) {
  document.querySelector("#trouble").hidden = !lost;
}

/** @param {string} text */
export function showProgress(text) {
  document.querySelector("#progress").textContent = text;
}

/** The question after a trial: buttons on their sides, arrow keys, and the time an answer took. */

const KEY_OF_SIDE = { left: "ArrowLeft", right: "ArrowRight", centre: "ArrowDown" };
const ARROW_OF_SIDE = { left: "←", right: "→", centre: "↓" };

export class Question {
  #abort = null;

  /**
   * @param {HTMLElement} root
   * @param {import("./geometry.js").Geometry} geometry
   */
  constructor(root, geometry) {
    this.root = root;
    this.geometry = geometry;
    this.text = root.querySelector("#question-text");
    this.choices = root.querySelector("#choices");
    window.addEventListener("resize", () => this.arrange());
  }

  /**
   * Shows the question and waits for an answer. To be called inside the frame callback that draws it, so that its
   * timestamp is the moment the question appeared.
   * @param {{text: string, slots?: Array<object>, buttons: Array<{value: string, label: string, side: string}>}} frame
   * @param {number} onset
   * @returns {Promise<{choice: string, rt_ms: number, event_ms: number, input: "key" | "mouse" | "touch"}>}
   */
  ask(frame, onset) {
    this.besideImages = Boolean(frame.slots?.length);
    this.text.textContent = frame.text;
    this.choices.replaceChildren(...frame.buttons.map(button));
    this.root.hidden = false;
    this.arrange();
    return new Promise((resolve) => this.#listen(onset, resolve));
  }

  /** Takes the question off the stage. */
  hide() {
    this.root.hidden = true;
    this.choices.replaceChildren();
  }

  /** Under the sides the images had; inside the window whatever its size. */
  arrange() {
    if (this.root.hidden) return;
    const buttons = [...this.choices.children];
    const place = this.geometry.place("centre");
    // Where the images stay in view, the question stands between them and the buttons.
    const down = this.besideImages ? this.text.offsetHeight : 0;
    let upper = Infinity;
    for (const item of buttons) {
      const { middle, top } = this.geometry.below(item.dataset.side, item.offsetHeight);
      const half = item.offsetWidth / 2;
      // Two buttons need more room than two small images do.
      const aside = place.left + place.width / 2 + { left: -1, right: 1, centre: 0 }[item.dataset.side] * (half + 6);
      const wanted = { left: Math.min, right: Math.max, centre: (a) => a }[item.dataset.side](middle, aside);
      const inside = Math.max(half + 4, Math.min(wanted, window.innerWidth - half - 4));
      item.style.left = `${inside}px`;
      item.style.top = `${Math.min(top + down, window.innerHeight - item.offsetHeight - 8)}px`;
      upper = Math.min(upper, top + down);
    }
    const free = this.besideImages ? Infinity : place.top + place.height / 2;
    const middle = Math.min(free, upper - this.text.offsetHeight / 2 - (this.besideImages ? 4 : 8));
    this.text.style.top = `${middle}px`;
  }

  #listen(onset, resolve) {
    this.#abort?.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const answer = (item, event, input) => {
      // A press from before the question was there, or made by a program, is no answer.
      if (!item || !event.isTrusted || event.timeStamp < onset) return;
      this.#abort.abort();
      item.classList.add("pressed");
      for (const other of this.choices.children) other.disabled = true;
      resolve({ choice: item.value, rt_ms: round(event.timeStamp - onset), event_ms: round(event.timeStamp), input });
    };
    const pressed = (event) => {
      if (event.repeat || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const item = [...this.choices.children].find((each) => KEY_OF_SIDE[each.dataset.side] === event.key);
      if (item) event.preventDefault();
      answer(item, event, "key");
    };
    const clicked = (event) => answer(event.target.closest("button"), event, inputOf(event));
    document.addEventListener("keydown", pressed, { signal });
    this.choices.addEventListener("click", clicked, { signal });
  }
}

function button({ value, label, side }) {
  const item = document.createElement("button");
  item.type = "button";
  item.className = "choice";
  item.value = value;
  item.dataset.side = side;
  const arrow = document.createElement("span");
  arrow.className = "hint-key";
  arrow.textContent = ARROW_OF_SIDE[side];
  arrow.ariaHidden = "true";
  item.append(...(side === "right" ? [label, arrow] : [arrow, label]));
  return item;
}

function round(ms) {
  return Math.round(ms * 1000) / 1000;
}

/** A click that no pointer made came from Enter or Space on the button. */
function inputOf(event) {
  if (event.detail === 0) return "key";
  return event.pointerType === "touch" || event.pointerType === "pen" ? "touch" : "mouse";
}

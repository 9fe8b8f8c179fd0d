/** After a practice answer: both images once more, what they were, and whether the answer was right. */

import { known, say } from "./texts.js";

const SHOWN_MS = 2400;

/**
 * Shows the feedback for the time of the original tool. Source: index_template.html of phillipi/AMT_Real_vs_Fake.
 * @param {object} parts {display, geometry, clock, captions, verdict}: the stage and its text elements
 * @param {{correct: boolean, truth: Record<string, string>}} feedback
 * @param {{schedule: Array<object>}} issue
 * @param {string} choice
 * @param {Map<string, ImageBitmap>} bitmaps empty after a reload: the images are not shown a second time
 */
export async function showFeedback(parts, feedback, issue, choice, bitmaps) {
  const sides = sidesOf(issue.schedule);
  const chosen = { first: "1", second: "2" }[choice] ?? null;
  parts.display.load(bitmaps, issue.schedule);
  const draw = () => {
    parts.display.arrange();
    const marks = [];
    for (const [slot, truth] of Object.entries(feedback.truth)) {
      const side = sides.get(slot) ?? "centre";
      marks.push(caption(parts.geometry, side, truth, slot === chosen ? say("your_choice") : ""));
      if (slot === chosen) marks.push(frameAround(parts.geometry.place(side), feedback.correct));
    }
    parts.captions.replaceChildren(...marks);
    const lowest = [...parts.captions.querySelectorAll(".caption")].map((each) => each.getBoundingClientRect().bottom);
    const last = window.innerHeight - parts.verdict.offsetHeight - 8;
    parts.verdict.style.top = `${Math.min(Math.max(...lowest) + 8, last)}px`;
  };
  parts.captions.hidden = false;
  parts.verdict.textContent = verdict(feedback, sides, chosen);
  draw();
  window.addEventListener("resize", draw);
  parts.display.reveal(Object.keys(feedback.truth));
  await parts.clock.wait(SHOWN_MS);
  window.removeEventListener("resize", draw);
  parts.display.clear();
  parts.captions.hidden = true;
  parts.captions.replaceChildren();
  parts.verdict.textContent = "";
}

function sidesOf(schedule) {
  const sides = new Map();
  for (const frame of schedule) for (const { slot, side } of frame.slots ?? []) sides.set(String(slot), side);
  return sides;
}

function verdict(feedback, sides, chosen) {
  if (feedback.correct) return say("correct");
  const [slot, truth] = Object.entries(feedback.truth).find(([each]) => each === (chosen ?? each)) ?? [];
  const exactly = `incorrect_${sides.get(slot)}_${truth}`;
  return say(known(exactly) ? exactly : "incorrect");
}

function caption(geometry, side, truth, note) {
  const { middle, top } = geometry.below(side, 60);
  const item = document.createElement("p");
  item.className = "caption";
  item.textContent = known(truth) ? say(truth) : truth;
  // As wide as leaves its neighbour alone; a lone caption may take the window.
  const apart = geometry.across > 1 ? geometry.size.width + geometry.size.gap - 12 : window.innerWidth;
  item.style.width = `${Math.min(apart, 2 * Math.min(middle, window.innerWidth - middle) - 8)}px`;
  item.style.left = `${middle}px`;
  item.style.top = `${top - 6}px`;
  const small = document.createElement("span");
  small.className = "yours";
  small.textContent = note;
  item.append(small);
  return item;
}

function frameAround(place, correct) {
  const item = document.createElement("div");
  item.className = correct ? "chosen" : "chosen wrong";
  for (const [property, value] of Object.entries(place)) item.style[property] = `${value}px`;
  return item;
}

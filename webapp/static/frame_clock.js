/** The screen's own clock: one animation frame loop that never stops while the page is visible. */

const ENOUGH = 60;
const KEPT = 240;
/** A longer gap is a pause of the page (hidden, asleep), not a frame. */
const LONGEST_FRAME_MS = 250;
const USUAL_FRAME_MS = 1000 / 60;

export class FrameClock {
  #listeners = new Set();
  #gaps = [];
  #last = null;

  /** An idle loop keeps the frames coming at an even pace, so that the first display is like the last. */
  start() {
    requestAnimationFrame(this.#tick);
  }

  #tick = (now) => {
    requestAnimationFrame(this.#tick);
    const gap = this.#last === null ? 0 : now - this.#last;
    this.#last = now;
    if (gap > 0 && gap < LONGEST_FRAME_MS) {
      this.#gaps.push(gap);
      if (this.#gaps.length > KEPT) this.#gaps.shift();
    }
    for (const listener of [...this.#listeners]) listener(now, gap);
  };

  /**
   * Calls `listener(now, gap)` in every frame, before that frame is drawn.
   * @param {(now: number, gap: number) => void} listener
   * @returns {() => void} ends it
   */
  onFrame(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Length of one frame in ms: the median, because a mean would follow every hiccup. */
  get frameMs() {
    if (!this.#gaps.length) return USUAL_FRAME_MS;
    const sorted = [...this.#gaps].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Resolves when enough frames were seen to know their length. */
  settled() {
    return this.#until(() => this.#gaps.length >= ENOUGH);
  }

  /** Resolves inside the first frame at least `ms` from the next one, with that frame's time. */
  wait(ms = 0) {
    let start = null;
    return this.#until((now) => now - (start ??= now) >= ms);
  }

  #until(condition) {
    return new Promise((resolve) => {
      const end = this.onFrame((now) => {
        if (!condition(now)) return;
        end();
        resolve(now);
      });
    });
  }
}

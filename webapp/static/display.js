/**
 * Shows the timed frames of one trial and measures what was shown.
 *
 * All images stand decoded on transparent canvases before the trial starts. A frame callback makes a canvas opaque;
 * that callback's own timestamp is the onset (the next one's would be a frame late). The callback nearest to
 * onset + planned time makes it transparent again. Timers are never used: they know nothing of the screen.
 *
 * A question frame that has slots keeps their images in view until `release` is called: looking without a time limit.
 */

import { density, pageZoom } from "./geometry.js";

/** Frames between handing over a bitmap and its onset, so that the upload is over by then. */
const FRAMES_AHEAD = 2;

/**
 * A screen that stood still for longer than this while a timed image was on it spoils the trial. Gaps of one or two
 * frames are usual and change a second little; from 50 ms on they are flagged; this is six frames of a 60 Hz screen.
 */
export const LONGEST_GAP_MS = 100;

export class Display {
  #canvases = new Map();
  #masks = new Map();
  #sides = new Map();
  #run = null;

  /**
   * @param {HTMLElement} stage
   * @param {import("./frame_clock.js").FrameClock} clock
   * @param {import("./geometry.js").Geometry} geometry
   */
  constructor(stage, clock, geometry) {
    this.stage = stage;
    this.clock = clock;
    this.geometry = geometry;
    clock.onFrame((now, gap) => this.#tick(now, gap));
    document.addEventListener("visibilitychange", (event) => this.#visibilityChanged(event.timeStamp));
    window.addEventListener("pagehide", (event) => this.#spoil("hidden", event.timeStamp));
    window.addEventListener("blur", (event) => this.#blurred(event.timeStamp));
    document.addEventListener("fullscreenchange", (event) => this.#fullscreenChanged(event.timeStamp));
    window.addEventListener("resize", (event) => this.#resized(event.timeStamp));
    window.visualViewport?.addEventListener("resize", (event) => this.#resized(event.timeStamp));
  }

  /**
   * Puts the images of a trial on their places, invisible.
   * @param {Map<string, ImageBitmap>} bitmaps
   * @param {Array<object>} schedule
   */
  load(bitmaps, schedule) {
    const [width, height] = this.geometry.imagePx;
    for (const frame of schedule) {
      for (const { slot, side } of frame.slots ?? []) this.#sides.set(String(slot), side);
    }
    for (const [slot, bitmap] of bitmaps) {
      if (bitmap.width !== width || bitmap.height !== height) {
        throw new Error(`image ${slot} is ${bitmap.width}x${bitmap.height}, not ${width}x${height}`);
      }
      const canvas = this.#canvas(this.#canvases, slot, "stimulus");
      canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
    }
    for (const keys of maskKeys(schedule).values()) {
      for (const key of keys) drawNoise(this.#canvas(this.#masks, key, "stimulus mask"));
    }
    this.arrange();
  }

  /**
   * Shows loaded images at once, untimed: the feedback of a practice trial.
   * @param {Array<string>} slots which; a picture shown before would stand in the place of the two after it
   */
  reveal(slots) {
    for (const slot of slots) {
      const canvas = this.#canvases.get(slot);
      if (canvas) canvas.style.opacity = "1";
    }
  }

  /** Takes everything off the stage and forgets its pixels. */
  clear() {
    for (const canvas of this.#canvases.values()) {
      canvas.style.opacity = "0";
      canvas.getContext("bitmaprenderer").transferFromImageBitmap(null);
    }
    for (const mask of this.#masks.values()) mask.style.opacity = "0";
  }

  /** Puts every canvas where the present window and zoom want it. */
  arrange() {
    for (const canvases of [this.#canvases, this.#masks]) {
      for (const canvas of canvases.values()) {
        const place = this.geometry.place(this.#sides.get(canvas.dataset.slot) ?? "centre");
        for (const [property, value] of Object.entries(place)) canvas.style[property] = `${value}px`;
      }
    }
  }

  /**
   * Plays what was loaded, up to the question.
   * @param {Array<object>} schedule
   * @param {object} costs slot -> {fetch_ms, decode_ms, bytes}
   * @param {Promise<unknown>} begun resolves when the server knows that the trial begins; until then no image
   * @param {(frame: object, onset: number) => void} onQuestion called inside the frame callback that shows it
   * @param {(kind: string) => void} onFrame told the kind of every frame
   * @returns {Promise<object>} the display record; `void_reason` says what spoilt the trial, if anything did
   */
  play(schedule, costs, begun, onQuestion, onFrame) {
    return new Promise((resolve, reject) => {
      const run = {
        // Nothing is acknowledged in the very first frame, so there is always a blank to wait in.
        schedule: schedule[0].kind === "blank" ? schedule : [{ kind: "blank", ms: 0 }, ...schedule],
        masks: maskKeys(schedule),
        step: 0,
        since: null,
        ticks: 0,
        /** The last frame's time. */
        now: 0,
        acknowledged: false,
        shown: false,
        frameMs: this.clock.frameMs,
        window: windowState(),
        record: { ...this.#newRecord(costs), blur_count: 0, hidden_ms: 0 },
        visible: new Set(),
        hiddenSince: document.hidden ? performance.now() : null,
        asking: false,
        released: false,
        onQuestion,
        onFrame,
        resolve,
      };
      for (const frame of schedule) this.#expect(run, frame);
      this.#run = run;
      onFrame("blank");
      begun.then(
        () => (run.acknowledged = true),
        (error) => {
          if (this.#run === run) this.#run = null;
          this.clear();
          reject(error);
        },
      );
    });
  }

  /** Ends the looking without a time limit, with the next frame. */
  release() {
    if (this.#run) this.#run.released = true;
  }

  /** The record of a trial that could not be shown at all. */
  nothingShown(costs, reason) {
    return { ...this.#newRecord(costs), void_reason: reason };
  }

  #tick(now, gap) {
    const run = this.#run;
    if (!run) return;
    run.ticks += 1;
    run.now = now;
    for (const slot of run.visible) {
      const entry = run.record.slots[slot];
      entry.onset_next_ms ??= round(now);
      entry.max_frame_gap_ms = Math.max(entry.max_frame_gap_ms, round(gap));
    }
    if (run.asking) {
      if (run.released) this.#leave(run, now);
    } else if (run.visible.size > 0 && gap > LONGEST_GAP_MS) {
      this.#spoil("frame_gap", now);
    } else if (run.since === null) {
      run.since = now;
    } else if (now - run.since >= run.schedule[run.step].ms - run.frameMs / 2 && this.#mayGoOn(run)) {
      this.#enter(run, now);
    }
    for (const slot of run.visible) run.record.slots[slot].frames += 1;
  }

  #mayGoOn(run) {
    return run.shown || (run.acknowledged && run.ticks > FRAMES_AHEAD && document.hasFocus());
  }

  /** Goes to the next frame of the schedule, in this very frame of the screen. */
  #enter(run, now) {
    do run.step += 1;
    while (run.schedule[run.step].kind === "blank" && run.schedule[run.step].ms <= 0);
    const frame = run.schedule[run.step];
    run.since = now;
    this.#showOnly(run, frame, now);
    if (frame.kind === "question") {
      run.record.question_ms = round(now);
      run.asking = run.visible.size > 0;
      if (!run.asking) this.#finish(run, now);
      run.onQuestion(frame, now);
    } else {
      run.onFrame(frame.kind);
    }
  }

  #showOnly(run, frame, now) {
    const slots = new Set((frame?.slots ?? []).map(({ slot }) => String(slot)));
    for (const [slot, canvas] of this.#canvases) {
      const visible = slots.has(slot) && frame.kind !== "mask";
      canvas.style.opacity = visible ? "1" : "0";
      if (visible && !run.visible.has(slot)) this.#appeared(run, slot, now);
      if (!visible && run.visible.has(slot)) this.#vanished(run, slot, now);
    }
    const masks = run.masks.get(frame) ?? [];
    for (const [key, mask] of this.#masks) mask.style.opacity = masks.includes(key) ? "1" : "0";
  }

  #appeared(run, slot, now) {
    run.shown = true;
    run.visible.add(slot);
    run.record.slots[slot].onset_ms ??= round(now);
    run.record.slots[slot].latest = now;
  }

  #vanished(run, slot, now) {
    const entry = run.record.slots[slot];
    run.visible.delete(slot);
    entry.offset_ms = round(now);
    entry.exposure_ms = round((entry.exposure_ms ?? 0) + now - entry.latest);
  }

  /** How many frames a slot should be visible for; unknown where somebody may look for as long as they like. */
  #expect(run, frame) {
    if (frame.kind === "mask") return;
    for (const { slot } of frame.slots ?? []) {
      const entry = run.record.slots[slot];
      const frames = Math.round(frame.ms / run.frameMs);
      entry.frames_expected = frame.kind === "question" ? null : (entry.frames_expected ?? 0) + frames;
    }
  }

  #visibilityChanged(now) {
    const run = this.#run;
    if (!run) return;
    if (document.hidden) {
      run.hiddenSince ??= now;
      this.#spoil("hidden", now);
    } else {
      this.#countHidden(run, now);
      // Whoever comes back before the first image gets the whole blank to settle.
      this.#blankAgain(run);
    }
  }

  #countHidden(run, now) {
    if (run.hiddenSince !== null) run.record.hidden_ms = round(run.record.hidden_ms + now - run.hiddenSince);
    run.hiddenSince = null;
  }

  #blurred(now) {
    const run = this.#run;
    if (!run) return;
    run.record.blur_count += 1;
    if (run.shown) this.#spoil("blurred", now);
    else this.#blankAgain(run);
  }

  #fullscreenChanged(now) {
    const run = this.#run;
    if (!run) return;
    if (run.shown) this.#spoil("fullscreen", now);
    else this.#blankAgain(run);
  }

  #resized(now) {
    const run = this.#run;
    if (run && windowState() !== run.window) {
      run.window = windowState();
      if (run.shown || !this.geometry.fits) this.#spoil("resized", now, true);
      else this.#blankAgain(run);
    }
    if (!run?.shown || run.asking) this.arrange();
  }

  #blankAgain(run) {
    if (run.shown) return;
    run.since = null;
    run.step = 0;
  }

  /** A trial whose images were seen under other conditions than planned is over. */
  #spoil(reason, now, evenUnseen = false) {
    const run = this.#run;
    // While the question stands nothing is timed, so nothing can be spoilt.
    if (!run || run.asking || !(run.shown || evenUnseen)) return;
    run.record.void_reason = reason;
    this.#leave(run, now);
  }

  /** Takes away what is in view, and ends. */
  #leave(run, now) {
    // An event may carry an earlier time than the frame before it.
    const end = Math.max(now, run.now);
    this.#showOnly(run, null, end);
    this.#finish(run, end);
  }

  #finish(run, now) {
    this.#run = null;
    this.clear();
    this.#countHidden(run, now);
    for (const entry of Object.values(run.record.slots)) delete entry.latest;
    run.resolve(run.record);
  }

  #newRecord(costs) {
    const slots = {};
    for (const [slot, cost] of Object.entries(costs)) {
      slots[slot] = {
        exposure_ms: null,
        frames: 0,
        frames_expected: null,
        max_frame_gap_ms: 0,
        onset_ms: null,
        onset_next_ms: null,
        offset_ms: null,
        fetch_ms: round(cost.fetch_ms),
        decode_ms: round(cost.decode_ms),
        bytes: cost.bytes,
      };
    }
    return { slots, ...surroundings(this.clock, this.geometry), question_ms: null, void_reason: "" };
  }

  #canvas(canvases, key, classes) {
    let canvas = canvases.get(key);
    if (!canvas) {
      canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = this.geometry.imagePx;
      canvas.className = classes;
      [canvas.dataset.slot] = key.split("/");
      canvas.style.opacity = "0";
      this.stage.prepend(canvas);
      canvases.set(key, canvas);
    }
    return canvas;
  }
}

/** What a trial looked like from outside, whatever happened in it. */
export function surroundings(clock, geometry) {
  return {
    refresh_hz: round(1000 / clock.frameMs),
    device_pixel_ratio: density(),
    zoom: round(pageZoom() * (window.visualViewport?.scale ?? 1)),
    pixel_scale: geometry.pixelScale,
    fullscreen: Boolean(document.fullscreenElement) || window.innerHeight === window.screen.height,
    screen_px: `${window.screen.width}x${window.screen.height}`,
    window_px: `${window.innerWidth}x${window.innerHeight}`,
  };
}

/** Two equal strings mean that nothing moved; a phone sends resize events for nothing. */
function windowState() {
  const scale = window.visualViewport?.scale ?? 1;
  return [window.innerWidth, window.innerHeight, window.devicePixelRatio, scale].join(" ");
}

/** Each mask frame has noise of its own, so that several in a row flicker: frame -> names of its canvases. */
function maskKeys(schedule) {
  const masks = schedule.filter((frame) => frame.kind === "mask");
  return new Map(masks.map((frame, number) => [frame, frame.slots.map(({ slot }) => `${slot}/${number}`)]));
}

function drawNoise(canvas) {
  const context = canvas.getContext("2d");
  const noise = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(noise.data.buffer);
  for (let index = 0; index < pixels.length; index += 1) pixels[index] = 0xff000000 | (Math.random() * 0x1000000);
  context.putImageData(noise, 0, 0);
}

function round(value) {
  return value === null || value === undefined ? null : Math.round(value * 1000) / 1000;
}

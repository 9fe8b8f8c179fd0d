/** The images of one trial: fetched early, decoded before the trial starts, dropped as soon as they were shown. */

export class Stimuli {
  #bitmaps = null;

  /**
   * Starts fetching at once.
   * @param {{images: Record<string, string>}} issue
   * @param {import("./api.js").Api} api
   */
  constructor(issue, api) {
    /** slot -> {fetch_ms, decode_ms, bytes}, for the display record. */
    this.costs = {};
    const slots = Object.keys(issue.images);
    // Side by side and in random order, so that neither the first nor the second image is always the quicker one.
    slots.sort(() => Math.random() - 0.5);
    this.fetched = Promise.all(slots.map((slot) => this.#fetch(slot, issue.images[slot], api)));
    // Whoever waits for it hears of a failure; until then it must not count as unhandled.
    this.fetched.catch(() => undefined);
  }

  async #fetch(slot, address, api) {
    const start = performance.now();
    const blob = await api.image(address);
    this.costs[slot] = { fetch_ms: performance.now() - start, decode_ms: null, bytes: blob.size };
    return { slot, blob };
  }

  /**
   * slot -> ImageBitmap. A bitmap keeps its pixels until it is used; a decoded <img> only promises them for a frame.
   * @returns {Promise<Map<string, ImageBitmap>>}
   */
  decoded() {
    this.#bitmaps ??= this.#decode();
    this.#bitmaps.catch(() => undefined);
    return this.#bitmaps;
  }

  async #decode() {
    const images = await this.fetched;
    const decode = async ({ slot, blob }) => {
      const start = performance.now();
      const bitmap = await createImageBitmap(blob);
      this.costs[slot].decode_ms = performance.now() - start;
      return [slot, bitmap];
    };
    return new Map(await Promise.all(images.map(decode)));
  }

  /** The same images once more, for the feedback after a practice trial. */
  again() {
    this.#bitmaps = null;
    return this.decoded();
  }

  /** Forgets the bytes. */
  drop() {
    this.fetched = Promise.resolve([]);
    this.#bitmaps = null;
  }
}

/** The images of the trials that the server has issued and that are not over. */
export class Library {
  #held = new Map();

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
  }

  /** Fetches what is new and drops what is gone. @param {Array<{id: number, resume: string}>} issues */
  update(issues) {
    const current = new Set(issues.map((issue) => issue.id));
    for (const [id, stimuli] of this.#held) {
      if (current.has(id)) continue;
      stimuli.drop();
      this.#held.delete(id);
    }
    for (const issue of issues) {
      if (issue.resume === "start" && !this.#held.has(issue.id)) this.#held.set(issue.id, new Stimuli(issue, this.api));
    }
  }

  /** @param {number} id @returns {Stimuli | undefined} */
  get(id) {
    return this.#held.get(id);
  }

  /** Gives up what was fetched, after a failure: the addresses are fetched once more. */
  clear() {
    this.update([]);
  }
}

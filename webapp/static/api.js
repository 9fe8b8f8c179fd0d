/** Requests to the server: in order, tried again until they arrive, never more than one at a time. */

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;
const TIMEOUT_MS = 20000;

/** An answer of the server that no repetition can change. */
export class Refused extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    /** The server's short name for it, e.g. `stale`, `answered`. */
    this.code = code;
  }
}

export class Api {
  /** The name the server gave to this load of the page; a later load elsewhere makes it stale. */
  #page = "";
  /** Keeps the order: a report of a display must not overtake the answer before it. */
  #tail = Promise.resolve();
  #waiting = 0;

  /** @param {(lost: boolean) => void} onConnection told when the connection is lost and when it is back */
  constructor(onConnection) {
    this.onConnection = onConnection;
  }

  /** Opens this page load; whatever another load had begun and not ended is void from now on. */
  async open() {
    const state = await this.#inOrder("/api/page", {});
    this.#page = state.page;
    return state;
  }

  /**
   * Says that somebody is there. Beside the ordered requests and never repeated: the next one is soon enough.
   * @returns {Promise<string>} the session's stage
   */
  async alive() {
    const headers = { "Content-Type": "application/json", "X-Evalkit-Page": this.#page };
    const reply = await fetch("/api/alive", { method: "POST", headers, body: "{}", signal: timeout() });
    if (!reply.ok) throw await refusal(reply);
    return (await reply.json()).stage;
  }

  /** @param {number} id */
  begun(id) {
    return this.#inOrder(`/api/trials/${id}/begun`, {});
  }

  /** @param {number} id @param {object} display */
  ended(id, display) {
    return this.#inOrder(`/api/trials/${id}/ended`, display);
  }

  /** @param {number} id @param {object} answer */
  answer(id, answer) {
    return this.#inOrder(`/api/trials/${id}/answer`, answer);
  }

  /**
   * The bytes of one image. Not kept by any cache: an address is good for one trial.
   * @param {string} address
   * @returns {Promise<Blob>}
   */
  async image(address) {
    const reply = await this.#untilItArrives(() => fetch(address, { cache: "no-store", signal: timeout() }));
    return reply.blob();
  }

  #inOrder(path, body) {
    const sent = this.#tail.then(() => this.#post(path, body));
    this.#tail = sent.catch(() => undefined);
    return sent;
  }

  async #post(path, body) {
    const reply = await this.#untilItArrives(() =>
      fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Evalkit-Page": this.#page },
        body: JSON.stringify(body),
        // A trial spoilt by leaving the page is still reported while the page goes away.
        keepalive: true,
        signal: timeout(),
      }),
    );
    return reply.json();
  }

  /** Repeating is harmless: the server answers the same request with the same reply and changes nothing. */
  async #untilItArrives(send) {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      const reply = await send().catch(() => null);
      if (reply?.ok) return reply;
      if (reply && reply.status < 500 && reply.status !== 429 && reply.status !== 408) throw await refusal(reply);
      this.#trouble(+1);
      await pause(wait * (0.75 + Math.random() / 2));
      this.#trouble(-1);
    }
  }

  #trouble(change) {
    this.#waiting += change;
    clearTimeout(this.calm);
    if (this.#waiting > 0) this.onConnection(true);
    // Between two tries nothing is waiting for a moment; the note should not flicker.
    else this.calm = setTimeout(() => this.onConnection(false), 1000);
  }
}

function timeout() {
  return typeof AbortSignal.timeout === "function" ? AbortSignal.timeout(TIMEOUT_MS) : undefined;
}

async function refusal(reply) {
  const body = await reply.json().catch(() => ({}));
  return new Refused(reply.status, body.error ?? "", body.message ?? `The server answered ${reply.status}.`);
}

/** Waits, but not longer than until the network is back. */
function pause(ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done, { once: true });
    function done() {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      resolve();
    }
  });
}

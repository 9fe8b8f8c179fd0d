/**
 * A session on the page: instructions, then trial after trial as the server issues them.
 *
 * The page interprets any schedule and knows nothing of the protocol or of any image. The server decides what comes
 * next; the page only asks, shows and reports, so that it may be loaded again at any moment.
 */

import { Api, Refused } from "./api.js";
import { Display } from "./display.js";
import { showFeedback } from "./feedback.js";
import { FrameClock } from "./frame_clock.js";
import { Geometry, pinched } from "./geometry.js";
import { Question } from "./question.js";
import { Library } from "./stimuli.js";
import { known, say } from "./texts.js";
import * as views from "./views.js";

const UNSENT = "evalkit.unsent_answer";
const MOST_NEW_STARTS = 5;
const ALIVE_EVERY_MS = 60_000;
/** A page that is open but untouched for so long is no sign of life. */
const IDLE_AFTER_MS = 15 * 60_000;
const ADDRESS_OF_STAGE = { finished: "/finish", stopped: "/session", expired: "/expired" };

const study = JSON.parse(document.querySelector("#study").textContent);
const stage = document.querySelector("#stage");
const clock = new FrameClock();
const geometry = new Geometry(study, document.querySelector("#top"));
const display = new Display(stage, clock, geometry);
const question = new Question(document.querySelector("#question"), geometry);
const api = new Api(views.showTrouble);
const library = new Library(api);
const feedbackParts = {
  display,
  geometry,
  clock,
  captions: document.querySelector("#captions"),
  verdict: document.querySelector("#verdict"),
};

/** The server's last word on what comes next. */
let state = null;
/** Trial -> when this page first heard of it; the server can compare that with its own clock. */
const received = new Map();
let voids = study.voids;
let toldDisturbed = study.max_voids !== null && voids > 0 && voids >= study.max_voids;

async function main() {
  views.show("loading");
  clock.start();
  await openPage();
  keepPlace();
  await welcome();
  views.goGrey();
  await clock.settled();
  for (let newStarts = 0; !over(); ) {
    try {
      await oneTrial(state.trials[0]);
      newStarts = 0;
    } catch (error) {
      newStarts += 1;
      if (!worthANewStart(error) || newStarts > MOST_NEW_STARTS) throw error;
      await openPage();
    }
  }
  window.location.replace(ADDRESS_OF_STAGE[state.stage]);
}

/** Asks the server where the session stands; a pair that was begun and not ended is void by that. */
async function openPage() {
  library.clear();
  display.clear();
  question.hide();
  take(await api.open());
  await sendUnsentAnswer();
  if (over()) window.location.replace(ADDRESS_OF_STAGE[state.stage]);
}

/** Tells the server every minute that somebody is there, while the page is visible and somebody uses it. */
function keepPlace() {
  let touched = performance.now();
  for (const kind of ["pointermove", "pointerdown", "keydown", "touchstart"]) {
    window.addEventListener(kind, () => (touched = performance.now()), { passive: true });
  }
  setInterval(async () => {
    if (document.hidden || performance.now() - touched > IDLE_AFTER_MS) return;
    const stage = await api.alive().catch(() => null);
    // The panel gave the place away. A lease that ran out is another matter: the next report may renew it.
    if (stage === "stopped" && !over()) window.location.replace(ADDRESS_OF_STAGE.stopped);
  }, ALIVE_EVERY_MS);
}

function take(newState) {
  state = newState;
  for (const { id } of state.trials ?? []) if (!received.has(id)) received.set(id, performance.now());
  library.update(state.trials ?? []);
}

function over() {
  return state.stage in ADDRESS_OF_STAGE;
}

/** The server knows better than the page what comes next: a spent address, an answer given elsewhere. */
function worthANewStart(error) {
  return error instanceof Refused && (error.status === 410 || (error.status === 409 && error.code !== "stale"));
}

async function welcome() {
  if (over()) return;
  await windowFits();
  const [issue] = state.trials;
  if (!underWay(issue)) {
    await views.showUntilPressed("instructions");
    return;
  }
  views.reveal("ready", "pending", issue.resume === "question");
  await views.showUntilPressed("ready", { where: where(issue) });
}

/** Whether a trial came before this one, on this page or an earlier one. */
function underWay(issue) {
  const firstPhase = study.practice > 0 ? "practice" : "scored";
  return issue.phase !== firstPhase || issue.number > 1 || issue.attempt > 0 || issue.resume === "question";
}

function where(issue) {
  return say(issue.phase === "practice" ? "practice" : "trial", { number: issue.number, of: issue.of });
}

/** One issue from its blank to the reply to its answer. */
async function oneTrial(issue) {
  await windowFits();
  await pageVisible();
  if (!document.hasFocus()) await views.showUntilPressed("away");
  views.showProgress(where(issue));
  views.showStage();
  views.setStage("loading");
  const spoilt = issue.resume === "question" ? await askOnly(issue) : await showAndAsk(issue);
  if (spoilt) await views.showUntilPressed("notice", { reason: say(`void_${spoilt}`), disturbed: disturbed() });
  const [next] = state.trials ?? [];
  if (issue.phase === "practice" && next && next.phase !== "practice") await views.showUntilPressed("break");
}

/** A kind word, once, where a device keeps spoiling trials. */
function disturbed() {
  voids += 1;
  if (study.max_voids === null || voids < study.max_voids || toldDisturbed) return "";
  toldDisturbed = true;
  return say("disturbed");
}

/** What every report carries of the page itself. */
function times(issue) {
  return { received_ms: received.get(issue.id), client_clock: new Date().toISOString() };
}

/** After a reload: the images were seen, only the answer is missing. */
async function askOnly(issue) {
  const frame = issue.schedule.find((each) => each.kind === "question");
  const onset = await clock.wait();
  views.setStage("question");
  const given = await question.ask(frame, onset);
  await settle(issue, { ...given, display: null }, null);
}

/** Shows the trial and takes its answer; returns what spoilt it, if anything did. */
async function showAndAsk(issue) {
  const stimuli = library.get(issue.id);
  const begun = async () => issue.begun || api.begun(issue.id);
  try {
    display.load(await stimuli.decoded(), issue.schedule);
  } catch (error) {
    if (error instanceof Refused) throw error;
    // A pair that cannot be shown is spent all the same, or it would come again for ever.
    await begun();
    const record = { ...display.nothingShown(stimuli.costs, "display_failed"), ...times(issue), client_version: study.version };
    take(await api.ended(issue.id, record));
    return record.void_reason;
  }
  let given = null;
  const onQuestion = (frame, onset) => {
    views.setStage("question");
    given = question.ask(frame, onset);
    given.then(() => display.release());
  };
  const shown = await display.play(issue.schedule, stimuli.costs, begun(), onQuestion, views.setStage);
  const record = { ...shown, ...times(issue), client_version: study.version };
  if (issue.phase !== "practice") stimuli.drop();
  const ended = api.ended(issue.id, record).then(take);
  ended.catch(() => undefined);
  // The next pair is decoded while this question is read, not while an image is on the screen.
  library.get(state.trials[1]?.id)?.decoded();
  if (record.void_reason) {
    await ended;
    return record.void_reason;
  }
  // Whichever fails first is heard at once, also while the question still waits.
  const [answer] = await Promise.all([given, ended]);
  await settle(issue, { ...answer, display: record, begins: followsAtOnce(issue) }, stimuli);
  return "";
}

/** The trial that will be shown at once after this answer, so that it need not be reported by itself. */
function followsAtOnce(issue) {
  const [, next] = state.trials;
  const waits = issue.phase === "practice" || document.hidden || !document.hasFocus() || !geometry.fits;
  return next && !waits ? next.id : null;
}

/** Sends an answer, learns what comes next, and after a practice trial shows what was right. */
async function settle(issue, given, stimuli) {
  const answer = { ...given, ...times(issue) };
  keepUnsentAnswer({ id: issue.id, answer: { ...answer, begins: null } });
  // Stored, or refused for good: in either case there is nothing left to send.
  const reply = await api.answer(issue.id, answer).finally(() => keepUnsentAnswer(null));
  const bitmaps = reply.feedback && stimuli ? await stimuli.again() : new Map();
  take(reply);
  question.hide();
  if (!reply.feedback) return;
  views.setStage("feedback");
  await showFeedback(feedbackParts, reply.feedback, issue, answer.choice, bitmaps);
}

/** An answer outlives a reload that comes before the server has confirmed it. */
function keepUnsentAnswer(unsent) {
  try {
    if (unsent) sessionStorage.setItem(UNSENT, JSON.stringify(unsent));
    else sessionStorage.removeItem(UNSENT);
  } catch {
    // Storage is switched off: after a reload the question is asked again.
  }
}

async function sendUnsentAnswer() {
  let unsent = null;
  try {
    unsent = JSON.parse(sessionStorage.getItem(UNSENT));
  } catch {
    return;
  }
  const [issue] = state.trials ?? [];
  if (unsent && issue?.id === unsent.id && issue.resume === "question") {
    take(await api.answer(unsent.id, unsent.answer).finally(() => keepUnsentAnswer(null)));
  }
}

/** Waits until there is room for the images. */
async function windowFits() {
  if (geometry.fits) return;
  const check = () => {
    const { width, height } = geometry.needed;
    views.fill("window", {
      needed: say("window_size", { width, height }),
      present: say("window_size", { width: window.innerWidth, height: window.innerHeight }),
      advice: geometry.fits ? say("window_fits") : advice(),
    });
    views.goButton("window").disabled = !geometry.fits;
  };
  window.addEventListener("resize", check);
  window.visualViewport?.addEventListener("resize", check);
  const pressed = views.showUntilPressed("window");
  check();
  await pressed;
  window.removeEventListener("resize", check);
  window.visualViewport?.removeEventListener("resize", check);
}

function advice() {
  if (pinched()) return say("window_pinched");
  return say(window.matchMedia("(pointer: coarse)").matches ? "window_turn" : "window_larger");
}

function pageVisible() {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}

function fail(error) {
  display.clear();
  question.hide();
  if (error instanceof Refused && error.code === "stale") {
    views.show("stale");
    return;
  }
  const exactly = error instanceof Refused ? `refused_${error.code}` : "failed";
  views.show("error", { message: say(known(exactly) ? exactly : "failed") });
  if (!(error instanceof Refused)) throw error;
}

// A page that comes back from the browser's memory may have been overtaken by another one.
window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
main().catch(fail);

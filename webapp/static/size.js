/** Before the consent: says so kindly if the images can never fit on this screen, and keeps nobody's place for it. */

import { Geometry } from "./geometry.js";
import { say } from "./texts.js";

const study = JSON.parse(document.querySelector("#study").textContent);
const tooSmall = document.querySelector("#too-small");

/** A window may still grow up to the screen, and a phone may be turned; more than that nobody can do. */
function check() {
  const { width, height } = new Geometry(study, document.querySelector("#top")).needed;
  const [across, down] = [window.screen.availWidth, window.screen.availHeight];
  const fits = (most, least) => most >= width && least >= height;
  const small = !fits(window.innerWidth, window.innerHeight) && !fits(across, down) && !fits(down, across);
  tooSmall.hidden = !small;
  document.querySelector("#consent").hidden = small;
  tooSmall.querySelector("[data-field=needed]").textContent = say("window_size", { width, height });
}

window.addEventListener("resize", check);
check();

/** An outline that is fitted to a bank card: how many CSS pixels are 85.60 mm on this screen. */

const CARD_HEIGHT_SHARE = 53.98 / 85.6;
/** Where there is less room than this the card stands upright: no telephone is as wide as a card is long. */
const ROOM_TO_LIE = 480;
const MOST = 800;

const box = document.querySelector("#calibration");
const outline = box.querySelector(".card-outline");
const slider = box.querySelector("#card");
const noCard = box.querySelector("#no-card");
const fields = box.closest("form").elements;
/** Only a size that somebody has set counts as one. */
let touched = false;

function draw() {
  const room = slider.clientWidth;
  const upright = room < ROOM_TO_LIE;
  // The outline is never cut off; whose card is larger than that has none that fits.
  const before = slider.value;
  slider.max = Math.min(MOST, Math.floor(upright ? room / CARD_HEIGHT_SHARE : room));
  if (slider.value !== before) touched = false;
  const [long, short] = [`${slider.value}px`, `${slider.value * CARD_HEIGHT_SHARE}px`];
  outline.style.width = upright ? short : long;
  outline.style.height = upright ? long : short;
  slider.disabled = noCard.checked;
  outline.hidden = noCard.checked;
  const given = touched && !noCard.checked;
  fields.card_css_px.value = given ? slider.value : "";
  fields.device_pixel_ratio.value = given ? window.devicePixelRatio : "";
}

slider.addEventListener("input", () => {
  touched = true;
  draw();
});
noCard.addEventListener("change", draw);
window.addEventListener("resize", draw);
// Without this script there is nothing to move, so the question is not asked.
box.hidden = false;
draw();

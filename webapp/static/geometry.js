/**
 * Where stimuli stand and how large they are: one image pixel covers a whole number of device pixels, the same
 * number all through the session, whatever the page zoom.
 */

const KEPT_AS = "evalkit.screen_density";
/** Between the two images, in device pixels of an ordinary (1x) screen. */
const GAP_PX = 64;
/** Around images and buttons, in CSS pixels. */
const MARGIN = 16;
/** Below the images, for buttons or captions, in CSS pixels. */
const CONTROLS = 112;
/** The zoom levels browsers offer. */
const ZOOMS = [0.25, 1 / 3, 0.5, 2 / 3, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5];

/** The page zoom as far as the page can tell: outer width does not grow with the zoom, inner width shrinks. */
export function pageZoom() {
  const ratio = window.outerWidth / window.innerWidth;
  if (!Number.isFinite(ratio) || ratio <= 0) return 1;
  const distance = (zoom) => Math.abs(Math.log(zoom / ratio));
  return ZOOMS.reduce((best, zoom) => (distance(zoom) < distance(best) ? zoom : best), 1);
}

/** Device pixels per CSS pixel. Safari (it alone has GestureEvent) leaves the zoom out of devicePixelRatio. */
export function density() {
  return window.devicePixelRatio * ("GestureEvent" in window ? pageZoom() : 1);
}

/** Pinch zoom interpolates; trials wait until it is undone. */
export function pinched() {
  return Math.abs((window.visualViewport?.scale ?? 1) - 1) > 0.01;
}

export class Geometry {
  /**
   * @param {{image_px: [number, number], pixel_scale: number, across: number}} study
   * @param {Element} top what stands above the stage
   */
  constructor(study, top) {
    this.imagePx = study.image_px;
    /** How many images stand side by side. */
    this.across = study.across;
    this.top = top;
    const screen = screenDensity();
    /** Device pixels per image pixel. */
    this.pixelScale = study.pixel_scale * screen;
    this.gapPx = GAP_PX * screen;
  }

  /** Width and height of an image, and the gap, in CSS pixels at the present zoom. */
  get size() {
    const cssPerImagePx = this.pixelScale / density();
    const [width, height] = this.imagePx;
    return { width: width * cssPerImagePx, height: height * cssPerImagePx, gap: this.gapPx / density() };
  }

  /** The smallest window, in CSS pixels, that holds bar, images and buttons. */
  get needed() {
    const { width, height, gap } = this.size;
    return {
      width: Math.ceil(this.across * width + (this.across - 1) * gap + 2 * MARGIN),
      height: Math.ceil(this.#topEdge() + height + CONTROLS + MARGIN),
    };
  }

  /** Whether a trial can be shown now. */
  get fits() {
    const { width, height } = this.needed;
    return window.innerWidth >= width && window.innerHeight >= height && !pinched();
  }

  /** The place of a stimulus on its side, its corner on a device pixel. All in CSS pixels. */
  place(side) {
    const { width, height, gap } = this.size;
    const centre = window.innerWidth / 2;
    const left = { left: centre - gap / 2 - width, right: centre + gap / 2, centre: centre - width / 2 }[side];
    const free = window.innerHeight - this.#topEdge() - height - CONTROLS;
    return { left: snap(left), top: snap(this.#topEdge() + Math.max(0, free / 2)), width, height };
  }

  /** The middle of a button or caption under that side, and its upper edge; kept inside the window. */
  below(side, height) {
    const place = this.place(side);
    return {
      middle: place.left + place.width / 2,
      top: Math.max(this.#topEdge(), Math.min(place.top + place.height + MARGIN, window.innerHeight - height - MARGIN)),
    };
  }

  /** Of the page before it is scrolled: the stage does not scroll, and a trial begins at the top. */
  #topEdge() {
    return this.top.getBoundingClientRect().bottom + window.scrollY;
  }
}

function snap(css) {
  return Math.round(css * density()) / density();
}

/** Density of the screen itself, whole, as first seen in this session. */
function screenDensity() {
  const seen = Math.max(1, Math.round(density() / pageZoom()));
  try {
    const kept = Number(sessionStorage.getItem(KEPT_AS));
    if (kept >= 1) return kept;
    sessionStorage.setItem(KEPT_AS, String(seen));
  } catch {
    // Storage is switched off: a reload at another zoom may then find another density; it is recorded per trial.
  }
  return seen;
}

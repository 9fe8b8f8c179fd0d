"""Looks at single pixels of an X display from outside the browser, some hundred times per second.

    python -m tests.browser.x_witness DISPLAY X,Y X,Y ... > changes.csv

Each line: place, pixel, last moment it still had the former value, first moment it had this one (ms, monotonic). The
truth lies between the two; how far they are apart is how well this witness could see. It stops with its standard input.
"""

import ctypes
import select
import sys
import time

ALL_PLANES = 0xFFFFFFFF
Z_PIXMAP = 2
REST_S = 0.001


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Watch until standard input closes."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = x11.XGetImage.restype = ctypes.c_void_p
    x11.XDefaultRootWindow.restype = x11.XGetPixel.restype = ctypes.c_ulong
    x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
    x11.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
    x11.XGetImage.argtypes = [
        *(ctypes.c_void_p, ctypes.c_ulong),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_uint, ctypes.c_uint, ctypes.c_ulong, ctypes.c_int),
    ]
    x11.XGetPixel.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    x11.XDestroyImage.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(sys.argv[1].encode())
    if not display:
        raise SystemExit(f"no X display {sys.argv[1]}")
    root = x11.XDefaultRootWindow(display)
    places = [tuple(int(part) for part in word.split(",")) for word in sys.argv[2:]]
    seen: list[tuple[int, float]] = [(-1, 0.0)] * len(places)
    say("ready")
    while not select.select([sys.stdin], [], [], REST_S)[0]:
        for number, (x, y) in enumerate(places):
            before = time.monotonic() * 1000
            image = x11.XGetImage(display, root, x, y, 1, 1, ALL_PLANES, Z_PIXMAP)
            after = time.monotonic() * 1000
            pixel = x11.XGetPixel(image, 0, 0) & 0xFFFFFF
            x11.XDestroyImage(image)
            if pixel != seen[number][0]:
                say(f"{number},{pixel:06x},{seen[number][1]:.3f},{after:.3f}")
            seen[number] = (pixel, before)


if __name__ == "__main__":
    main()

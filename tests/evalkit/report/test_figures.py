import re
import threading

from evalkit.report.figures import DIFFERENCE, FOOL_RATE, Row, interval_plot, short
from evalkit.results import Interval

ROWS = [
    Row("pix2pix", 31.0, Interval(25.0, 38.0, 0.95, ""), "31.0 [25.0–38.0]"),
    Row("one session", 20.0, None, "20.0"),
]


def test_the_same_rows_give_the_same_text_whatever_other_threads_draw():
    alone = interval_plot(ROWS, FOOL_RATE, "", "rates")
    drawn = {}

    def draw(place):
        drawn[place] = interval_plot(ROWS, FOOL_RATE, "", "rates")

    threads = [threading.Thread(target=draw, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(drawn.values()) == {alone}
    assert len(drawn) == 4


def test_colours_and_type_come_from_the_page():
    svg = interval_plot(ROWS, FOOL_RATE, "PILOT", "rates")
    assert "#0a0b0" not in svg
    assert {"var(--ink)", "var(--accent)", "var(--mark)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert "DejaVu" not in svg
    assert not re.search(r'<svg[^>]* (width|height)="', svg)


def test_text_stays_text_and_the_mark_is_on_the_figure():
    svg = interval_plot(ROWS, DIFFERENCE, "SIMULATED (observer: known)", "d")
    for words in ("pix2pix", "31.0 [25.0–38.0]", "no difference", "SIMULATED (observer: known)"):
        assert f">{words}</text>" in svg


def test_the_50_percent_line_is_always_in_view():
    low = [Row("a", 1.0, Interval(0.5, 2.0, 0.95, ""), "1.0")]
    assert ">50</text>" in interval_plot(low, FOOL_RATE, "", "r")


def test_two_figures_on_one_page_share_no_id():
    first, second = (interval_plot(ROWS, FOOL_RATE, "", name) for name in ("one", "two"))
    ids = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, names in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg)) <= names


def test_long_names_are_cut_beside_plots():
    assert short("a" * 24) == "a" * 24
    assert short("a" * 25) == "a" * 23 + "…"

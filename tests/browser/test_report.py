"""The report as a page: nothing of its tables of metrics is cut off."""

from pathlib import Path

from playwright.sync_api import Browser

from evalkit.analyses import analyze
from tests.evalkit.made_up_responses import MadeUp
from tests.evalkit.report.test_metrics_table import SETTINGS, Scored


def test_the_tables_of_metrics_fit_the_page_with_all_their_digests(chromium: Browser, tmp_path: Path) -> None:
    made = MadeUp(workers=4, images=12, trials=8)
    folder = made.write(tmp_path / "study")
    analyze(folder, made.data)
    study = Scored(folder, made)
    settings = {**SETTINGS, "classes": "d3822839" * 8}
    study.write(*(study.score(name, 32.25, settings=settings) for name in made.rates)).report()
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.goto((folder / made.data / "report.html").as_uri())
    for table in page.locator("section[aria-labelledby=metrics-h] .scroll").all():
        width, room = table.evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert width <= room, table.get_attribute("aria-label")
    page.close()

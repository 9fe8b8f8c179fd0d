"""The page says that somebody is there, and hears that its place was given away."""

from collections.abc import Callable

import pytest

from studies.records import Session
from tests.browser.conftest import Site
from tests.browser.participant import Participant
from webapp import export, sessions

pytestmark = pytest.mark.browser

MINUTES_ARE_SHORT = """
const realInterval = window.setInterval;
window.setInterval = (call, ms, ...rest) => realInterval(call, ms === 60_000 ? 150 : ms, ...rest);
"""
"""The page's minute, so that the test need not wait for one."""


def only_session(site: Site) -> Session:
    (row,) = export.sessions(site.hosted)
    return row


def test_a_visible_page_says_that_somebody_is_there_and_a_hidden_one_does_not(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    person = come_to(serve_study(), before=MINUTES_ARE_SHORT)
    replies: list[int] = []
    person.page.on(
        "response", lambda reply: replies.append(reply.status) if reply.url.endswith("/api/alive") else None
    )
    person.consent()
    with person.page.expect_response("**/api/alive"):
        pass
    person.hide(True)
    person.page.wait_for_timeout(300)  # one that was on its way
    before = len(replies)
    person.page.wait_for_timeout(600)
    assert len(replies) == before
    person.hide(False)
    with person.page.expect_response("**/api/alive"):
        pass
    assert set(replies) == {200}
    person.go_on()
    assert person.take_part() > 0
    assert person.problems == []


def test_a_page_whose_place_the_panel_gave_away_says_so(
    serve_study: Callable[..., Site], come_to: Callable[..., Participant]
) -> None:
    site = serve_study()
    person = come_to(site, before=MINUTES_ARE_SHORT)
    person.begin()
    person.reach("question")
    assert sessions.release(site.hosted, only_session(site).session, "stopped", "RETURNED")
    person.page.wait_for_url("**/session")
    person.page.get_by_text("your place went to somebody else").wait_for()
    assert only_session(site).state == "stopped"

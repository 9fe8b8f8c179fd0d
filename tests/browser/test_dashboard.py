"""The dashboard in real Chromium: it renews itself, breaks no policy, and fits a phone."""

from collections.abc import Callable

from playwright.sync_api import Browser

from tests.browser.conftest import Site
from tests.webapp.people import Person
from webapp.admin import password


def test_panels_renew_themselves_without_breaking_the_policy(
    serve_study: Callable[..., Site], chromium: Browser
) -> None:
    site = serve_study()
    password.store_password(site.hosted.config.folder, "correct horse")
    context = chromium.new_context(viewport={"width": 375, "height": 760})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{site.url}/dashboard")
    page.fill("#password", "correct horse")
    page.click("button")
    page.wait_for_selector("text=Nobody has begun yet.")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("htmx.config.allowEval") is False
    person = Person.begin(site.hosted, "w1")
    page.wait_for_selector(f"text={person.session[:8]}", timeout=30_000)  # by itself, within some 10 s
    password.store_password(site.hosted.config.folder, "another one")
    page.wait_for_url("**/dashboard/sign-in", timeout=30_000)  # signed out everywhere
    # The renewal that was refused is told in the console as what it is, a refusal; nothing else is.
    assert all("401" in text for text in wrong), wrong
    context.close()

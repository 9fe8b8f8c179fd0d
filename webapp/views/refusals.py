"""What those read who cannot take part: one kind page for each reason."""

from studies.texts import Told, told
from webapp.languages import say
from webapp.sessions import Refusal
from webapp.views import ethics, language

OPEN_AGAIN = told("Please open the study again from the place where you found it.")
MISTAKE = told("If you think this is a mistake, please write to {contact}.")

PAGES: dict[str, tuple[Told, ...]] = {
    "returning": (
        told("You have already taken part"),
        told(
            "Thank you! Each person can take part in this study once, and we have a session under your id already."
        ),
        told("If it was interrupted, open the study again in the same browser that you began with."),
        MISTAKE,
    ),
    "full": (
        told("All places are taken"),
        told("Thank you for your interest. At the moment every place in this study is taken."),
        told("Places sometimes become free again: you are welcome to try the link later."),
    ),
    "paused": (
        told("The study is taking a break"),
        told("Thank you for your interest. At the moment nobody new can begin."),
        told("It goes on later: you are welcome to try the link again."),
    ),
    "closed": (
        told("The study is over"),
        told(
            "Thank you for your interest. All answers that were needed have been collected, so nobody new can begin."
        ),
        told("If you have taken part and have a question, please write to {contact}."),
    ),
    "nobody": (
        told("Please use the link you were given"),
        told(
            "The address that you opened does not say who you are. Please open the study from the place where you "
            "found it, with its whole link."
        ),
        MISTAKE,
    ),
    "cookies": (
        told("Please allow cookies for this page"),
        told(
            "The study keeps one cookie, so that it knows which answers are yours, and your browser has not kept it."
        ),
        told("Please allow cookies for this address, then open the study again with its whole link."),
    ),
    "incomplete": (
        told("A part of the link is missing"),
        told("Please open the study again from the place where you found it, and do not shorten its link."),
        MISTAKE,
    ),
    "invite_needed": (
        told("You need a personal link"),
        told(
            "This study is open to people who were sent a link of their own. Please use that link, with its whole end."
        ),
        MISTAKE,
    ),
    "invite_unknown": (
        told("We do not know this link"),
        told(
            "Please check that you opened the whole link that you were sent: nothing may be missing at its end."
        ),
        MISTAKE,
    ),
    "invite_used": (
        told("This link has been used"),
        told("Each link is good for one person, and somebody has begun the study with this one."),
        told("If that was you, open the link again in the same browser that you began with."),
        MISTAKE,
    ),
    "other_study": (
        told("This link belongs to another study"),
        OPEN_AGAIN,
        MISTAKE,
    ),
    "unproven": (
        told("We could not check this link"),
        told("It may have expired, or it was made for somebody else."),
        OPEN_AGAIN,
        MISTAKE,
    ),
    "ended": (
        told("You cannot begin any more"),
        told("On the site that you came from, your participation in this study has ended already."),
        MISTAKE,
    ),
    "panel_unavailable": (
        told("Please try again in a minute"),
        told("The site that you came from did not answer just now."),
        OPEN_AGAIN,
    ),
    "too_many": (
        told("Too many requests at once"),
        told("Please wait a moment, then load the page again."),
    ),
    "unknown_session": (
        told("This browser has no session here"),
        OPEN_AGAIN,
        MISTAKE,
    ),
}
"""Code of a refusal -> heading and paragraphs."""

FAILED = told("That did not work")


def refusal_text(error: Refusal) -> tuple[str, list[str]]:
    """Heading and paragraphs for a refusal, in the language of the page; a code without a page says its message."""

    def spoken(text: Told) -> str:
        return say(Told(text.text, (("contact", ethics().contact),)), language())

    if error.code not in PAGES:
        said = [error.message] if language() == "en" else []  # messages are English
        return spoken(FAILED), [*said, spoken(MISTAKE)]
    title, *paragraphs = PAGES[error.code]
    return spoken(title), [spoken(paragraph) for paragraph in paragraphs]

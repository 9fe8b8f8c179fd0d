"""What should be right before participants come, looked at from the study folder; one item each."""

import os
from collections.abc import Iterator
from pathlib import Path

from evalkit.cli import preflight_machine
from evalkit.cli.preflight_item import Item, State, tried
from evalkit.cli.study_audit import FILE_WORDS, public_text, run_audit, warning_texts
from studies.audit import public_set
from studies.design import Study, load_study
from studies.errors import UserError
from studies.plan import allocate, plan_session, summarise
from studies.stimuli import Bundle, load_bundle
from webapp import freeze
from webapp.recruitment import recruiter_of
from webapp.recruitment.prolific_api import TOKEN_VARIABLE

ANSWER_S = 2.0
"""Assumed for one answer. Answers to pairs shown for a second mostly take 0.5 to 2 s; our choice, on the slow side."""
BETWEEN_TRIALS_S = 0.5
"""Assumed for the network and the page, per trial."""
FEEDBACK_S = 1.5
"""Assumed for reading the feedback of a practice trial."""
READING_S = 120.0
"""Assumed for consent, instructions and the end."""
SCREENS = ((1366, 768), (1920, 1080))
BROWSER_PX = 127
"""What task bar, tabs and address bar of a maximised browser take of a screen's height, about."""
GAP_PX, MARGIN_PX, CONTROLS_PX, BAR_PX = 64, 16, 112, 48
"""Of the participant page (static/geometry.js); the height of its bar is about so much."""


def check_folder(folder: Path) -> Iterator[Item]:
    """Everything that can be seen from the study folder; what depends on something broken is left out."""
    try:
        study = load_study(folder)
    except UserError as error:
        yield Item("study.toml", "fail", str(error))
        return
    yield Item(
        "study.toml", "ok", f"study {study.id!r}, {study.protocol.name}, {study.sessions_planned} sessions"
    )
    bundle, item = _bundle(folder, study)
    yield item
    if bundle is not None:
        yield from _audit(folder)
        yield from _plan(study, bundle)
        yield _sizes(study, bundle)
        yield from _length_and_pay(study, bundle)
        yield _frozen(folder, study, bundle)
    yield from _public(study, bundle)
    yield _ethics(folder, study)
    yield _languages(study)
    yield _recruiter(study)
    yield preflight_machine.key(folder)
    yield preflight_machine.git_state(folder)
    yield from preflight_machine.database(folder)
    yield preflight_machine.disk(folder, study)


def _bundle(folder: Path, study: Study) -> tuple[Bundle | None, Item]:
    try:
        bundle = load_bundle(folder, study=study)
    except UserError as error:
        return None, Item("bundle", "fail", str(error))
    return bundle, Item("bundle", "ok", f"{len(bundle.stimuli)} files, unchanged since they were built")


def _audit(folder: Path) -> Iterator[Item]:
    found, path = run_audit(folder)
    for name, values in found.leaks.items():
        yield Item(
            "audit", "fail", f"{FILE_WORDS[name]} differs between files: {values}. Build the bundle again."
        )
    for text in warning_texts(found):
        yield Item("audit", "warn", text)
    if not found.leaks and not found.warnings:
        yield Item("audit", "ok", f"nothing besides the picture tells real from fake ({path.name})")


def _plan(study: Study, bundle: Bundle) -> Iterator[Item]:
    try:
        summary = summarise(study, bundle.stimuli, allocate(study, bundle.stimuli))
    except UserError as error:
        yield Item("plan", "fail", str(error))
        return
    low, high = summary.views_per_image
    views = str(low) if low == high else f"{low} to {high}"
    yield Item("plan", "ok", f"{summary.places} places; each image is scored {views} times per algorithm")
    for warning in summary.warnings:
        yield Item("plan", "warn", warning)


def _sizes(study: Study, bundle: Bundle) -> Item:
    scale = study.display.pixel_scale
    side_by_side = study.protocol.images_per_trial > 1
    width = (
        (2 if side_by_side else 1) * bundle.width_px * scale + (GAP_PX if side_by_side else 0) + 2 * MARGIN_PX
    )
    height = bundle.height_px * scale + BAR_PX + CONTROLS_PX + MARGIN_PX
    text = f"a trial needs a window of about {width} x {height} px"
    too_small = [
        f"{screen[0]}x{screen[1]}"
        for screen in SCREENS
        if screen[0] < width or screen[1] - BROWSER_PX < height
    ]
    if not too_small:
        return Item("sizes", "ok", f"{text}, which a maximised browser has on a 1366x768 screen")
    state: State = "fail" if len(too_small) == len(SCREENS) else "warn"
    return Item(
        "sizes",
        state,
        f"{text}: more than a maximised browser has on {' or '.join(too_small)} screens. The page refuses windows that are "
        "too small: lower [display] pixel_scale or [stimuli] size_px, or recruit people with larger screens.",
    )


def session_seconds(study: Study, bundle: Bundle) -> float:
    """About how long one session takes: the schedule of its trials, and assumed times for answers and reading."""
    plan = plan_session(study, bundle.stimuli, allocate(study, bundle.stimuli)[0])
    total = READING_S
    for trial in plan.trials:
        total += sum(frame.ms or 0 for frame in study.protocol.schedule(trial)) / 1000
        total += ANSWER_S + BETWEEN_TRIALS_S + (FEEDBACK_S if trial.phase == "practice" else 0.0)
    return total


def _length_and_pay(study: Study, bundle: Bundle) -> Iterator[Item]:
    minutes, told = session_seconds(study, bundle) / 60, study.ethics.minutes
    text = (
        f"about {minutes:.0f} min, if an answer takes {ANSWER_S:g} s and reading {READING_S / 60:g} min; participants are told "
        f"{told} min"
    )
    if 0.6 * told <= minutes <= told:
        yield Item("session length", "ok", text)
    else:
        yield Item("session length", "warn", f"{text}. Set [ethics] minutes, or change the number of trials.")
    settings = study.recruitment
    if settings.reward_cents == 0:
        if settings.name == "prolific":
            yield Item(
                "pay", "fail", "[recruitment] reward_cents = 0: Prolific takes no unpaid study. Set it."
            )
            return
        yield Item(
            "pay",
            "warn",
            "[recruitment] reward_cents = 0: fine if participants are paid in another way or are volunteers; else set it.",
        )
        return
    longer = max(minutes, told)
    hourly, currency = settings.reward_cents / (longer / 60), settings.currency
    text = (
        f"{_money(settings.reward_cents, currency)} for {longer:.0f} min: {_money(hourly, currency)} an hour"
    )
    if hourly < settings.minimum_cents_per_hour:
        need = settings.minimum_cents_per_hour * longer / 60
        text += (
            f", below [recruitment] minimum_cents_per_hour = {settings.minimum_cents_per_hour}. "
            f"{_money(need, currency)} would meet it."
        )
        yield Item("pay", "warn", text)
    else:
        yield Item("pay", "ok", text)
    cost = study.sessions_planned * settings.reward_cents
    fee = cost * settings.fee_share
    yield Item(
        "cost",
        "ok",
        f"{study.sessions_planned} sessions: {_money(cost, currency)} and a fee of {_money(fee, currency)} "
        f"({settings.fee_share:.0%}), {_money(cost + fee, currency)} in all",
    )


def _money(cents: float, currency: str) -> str:
    return f"{cents / 100:.2f} {currency}"


def _public(study: Study, bundle: Bundle | None) -> Iterator[Item]:
    known = public_set(study.reference, bundle)
    if known:
        yield Item("real images", "warn", public_text(known))
    elif known is None:
        yield Item(
            "real images",
            "warn",
            "Can anyone look these photographs up? Say so in study.toml: [reference] public = true, false, or the data set's "
            "name in quotes.",
        )
    else:
        yield Item("real images", "ok", "not public, as [reference] public says")


def _ethics(folder: Path, study: Study) -> Item:
    if keys := study.ethics.placeholders():
        return Item("ethics", "fail", f"{folder}/study.toml: [ethics] {', '.join(keys)} must be filled in.")
    return Item("ethics", "ok", f"approval {study.ethics.approval!r}, contact {study.ethics.contact}")


def _languages(study: Study) -> Item:
    from webapp.languages import FOLDER

    names = ", ".join(study.page.languages)
    for language in study.page.languages:
        if language == "en":
            continue
        if not (FOLDER / language / "LC_MESSAGES" / "messages.mo").is_file():
            return Item(
                "languages", "fail", f"the participant page does not speak {language!r} in this installation."
            )
        open_texts = study.ethics_in(language).placeholders()
        if open_texts:
            where = f"[page.texts.{language}] {', '.join(open_texts)}"
            return Item("languages", "fail", f"study.toml: {where} must be filled in.")
    return Item("languages", "ok", f"the page and the texts of [ethics] in {names}")


def _recruiter(study: Study) -> Item:
    def use() -> str:
        recruiter_of(study.recruitment)
        if study.recruitment.name == "prolific" and not os.environ.get(TOKEN_VARIABLE):
            raise UserError(
                f"{TOKEN_VARIABLE} is not set here. `study launch` and `serve` need it: the API token of your Prolific account."
            )
        return f"{study.recruitment.name}, settings usable"

    return tried("recruitment", use)


def _frozen(folder: Path, study: Study, bundle: Bundle) -> Item:
    def look() -> str:
        if freeze.in_force(folder) is None:
            return "not frozen yet; the first live session freezes settings, stimuli and page"
        freeze.check(folder, study, bundle)
        return "frozen by its first live session, and unchanged since"

    return tried("freeze", look)

"""The sentences of a report, each made from records and settings."""

import re

from evalkit.exclusions import rules_in_words
from evalkit.report.collect import Collected
from evalkit.report.numerals import count, level, percent, percent_range, points, points_range
from evalkit.report.outcomes import OUTCOMES, named, outcome_of, primary, sentences
from evalkit.report.panel import alike
from evalkit.results import Estimate
from studies.design import Imported, Study
from studies.plan import PlanSummary
from studies.protocols import Protocol
from studies.records import Side, Slot, Trial

BANNERS = {
    "simulated": "Nobody took part. A program answered in the place of people ({observer}), through the real study."
    " These numbers show that the chain works; they say nothing about people.",
    "preview": "Made in preview mode, by trying the study out. Never counted as a result.",
    "pilot": "A pilot: collected before the study was frozen. It informs the design and is not the study's result.",
    "live": "A machine observer answered ({observer}). These numbers say nothing about people.",
}
TARGETS = {
    "these images": "exactly these images, before other people like these",
    "this generator": "what these trained generators make of inputs like these, before people like these",
    "this loss": "generators trained with this loss anew, on inputs and before people like these",
}


def banner(collected: Collected) -> str:
    """What kind of data this is, in plain words; empty for people's live answers."""
    if not collected.mark:
        return ""
    imported = collected.study.imported
    if imported is not None:
        return (
            f"People answered elsewhere; the answers were imported from {imported.file}. How the images were shown and who was"
            " asked is not known here, beyond what the file says."
        )
    observer = collected.provenance.observer
    return BANNERS[collected.data].format(
        observer=f"observer: {observer}" if observer else "observer not recorded"
    )


def participants(collected: Collected) -> str:
    """What to call those who answered."""
    return (
        "simulated observers"
        if collected.provenance.observer or collected.data == "simulated"
        else "participants"
    )


def target(collected: Collected) -> str:
    """What the numbers are about, in words."""
    words = TARGETS[collected.study.analysis.target]
    return words.replace("people", "observers") if participants(collected) != "participants" else words


def finding(collected: Collected) -> list[str]:
    """The result in two sentences, or plainly that there is none yet."""
    if outcome_of(collected.study) is not None:
        told = sentences(collected, participants(collected))
        about = f"The numbers are about {target(collected)}."
        return (
            [re.sub(r"(\d) (%|to|ms)", "\\1\u00a0\\2", one) for one in told] + [about]
            if told
            else _nothing_yet(collected)
        )
    rates = [rate for rate in collected.records.keyed("fool_rate") if rate.value is not None]
    if not rates:
        return _nothing_yet(collected)
    rates.sort(key=lambda rate: -(rate.value or 0.0))
    return [
        # A number must not part from its percent sign, nor an interval from its bounds, at the end of a line.
        re.sub(r"(\d) (%|to|percentage)", "\\1\u00a0\\2", sentence)
        for sentence in (_rates_sentence(collected, rates), _comparison_sentence(collected, rates))
    ]


def _nothing_yet(collected: Collected) -> list[str]:
    started, finished = collected.total("sessions_started"), collected.total("sessions_finished")
    main = collected.study.protocol.analyses[0]
    if finished and main not in collected.study.analysis.planned:
        words = main.replace("_", " ")
        return [f"The study does not plan the analysis {main}, so this report has no {words}."]
    if collected.total("sessions_analysed"):
        return [
            f"{finished} sessions are finished, but none of their trials was answered: nothing can be estimated."
        ]
    if finished:
        return [
            f"All {finished} finished sessions are excluded by the study's rules: nothing can be estimated."
        ]
    return [f"No session is finished yet ({started} began), so nothing can be estimated."]


def _rates_sentence(collected: Collected, rates: list[Estimate]) -> str:
    trials = sum(rate.n["trials"] for rate in rates)
    listed = [f"{rate.condition}’s in {percent(rate.value)} % ({_bracket(rate)})" for rate in rates]
    if len(listed) > 3:
        listed = [listed[0] + ", the highest,", listed[-1] + f", the lowest of {len(rates)} algorithms"]
    text = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
    who = f"{count(collected.total('sessions_analysed'))} {participants(collected)}"
    return f"In {count(trials)} trials, {who} took fakes for real: {text}."


def _bracket(rate: Estimate) -> str:
    if rate.interval is None:
        return "no interval: too small a sample"
    return f"{level(rate)} interval {percent(rate.interval.low)} to {percent(rate.interval.high)} %"


def _comparison_sentence(collected: Collected, rates: list[Estimate]) -> str:
    about = f"The numbers are about {target(collected)}"
    if len(rates) == 1:
        return f"{about}; at 50 % its images could not be told from real ones."
    difference = _oriented(collected, rates[0].condition, rates[-1].condition)
    if difference is None:
        return f"{about}; the study plans no comparison of its algorithms."
    value, low_to_high = difference
    names = f"{rates[0].condition}’s rate is {value} percentage points above {rates[-1].condition}’s"
    return f"{names} ({low_to_high}). {about}."


def _oriented(collected: Collected, first: str, second: str) -> tuple[str, str] | None:
    """The difference first - second and its interval as text, whichever way round it was recorded."""
    for condition, versus, sign in ((first, second, 1.0), (second, first, -1.0)):
        found = collected.records.get("fool_rate_difference", condition, versus)
        if found is None or found.value is None:
            continue
        value = percent(sign * found.value)
        if found.interval is None:
            return value, "no interval: too small a sample"
        low, high = sorted((sign * found.interval.low, sign * found.interval.high))
        verdict = "which excludes" if low > 0 or high < 0 else "which includes"
        return value, f"{level(found)} interval {percent(low)} to {percent(high)}, {verdict} no difference"
    return None


def asked(study: Study) -> str:
    """The question of every trial; of imported answers only what it was about."""
    if study.imported is None:
        return str(study.protocol.instructions(study.question).asked)
    return {
        "one_image": "real or fake? (wording not known)",
        "two_algorithms": "which of two? (wording not known)",
    }.get(study.protocol.layout, f"which image is {study.question}? (wording not known)")


def protocol_steps(study: Study) -> list[str]:
    """What a participant saw in one trial, step by step, read off the protocol's own schedule."""
    if study.imported is not None:
        return ["shown by another tool; times and pauses are not known here"]
    sides: tuple[Side, ...] = ("left", "right") if study.protocol.images_per_trial == 2 else ("centre",)
    adapts = study.protocol.adapts_exposure
    exposure = getattr(study.protocol, "start_ms" if adapts else "exposure_ms", 0)
    slots = tuple(Slot("", "", "", 0, side, exposure) for side in sides)
    before = getattr(study.protocol, "shown_before", "nothing") != "nothing"
    context = Slot("", "", "", 0, "centre", 0) if before else None
    steps = []
    for frame in study.protocol.schedule(Trial("scored", 1, 0, study.question, slots, 1, context)):
        if frame.kind == "blank":
            steps.append(f"blank, {frame.ms} ms")
        elif frame.kind == "images":
            later = " at first, then by the answers" if adapts else ""
            steps.append(f"{_images(frame.slots, study)}, {frame.ms} ms{later}")
        elif frame.kind == "mask":
            steps.append(f"noise mask, {frame.ms} ms")
        else:
            labels = " / ".join(str(button.label) for button in frame.buttons)
            view = f"{_images(frame.slots, study)} with the " if frame.slots else ""
            steps.append(f"{view}question “{frame.text}”, answers {labels}, unlimited time")
    return [step for step in steps if not step.endswith(" 0 ms")]


def _images(slots: tuple[int, ...], study: Study) -> str:
    if slots == (0,):
        return "the picture before"
    if len(slots) > 1:
        return "both images side by side"
    return (
        "the image" if study.protocol.images_per_trial == 1 else ("first image", "second image")[slots[0] - 1]
    )


def protocol_sentences(study: Study, plan: PlanSummary | None) -> list[str]:
    """Practice, scoring, pairing, design and allocation in words; what the plan kept and what it gave up."""
    protocol, section = study.protocol, study.study
    if study.imported is not None:
        return _imported(study.imported, protocol)
    pairing = together(study)
    pairing = pairing[0].upper() + pairing[1:]
    design = (
        "one algorithm per session" if section.design == "between" else "all algorithms mixed in each session"
    )
    return [
        (
            f"Each session has {protocol.practice} practice trials {_feedback(protocol.gives_feedback)}, then"
            f" {protocol.scored} scored trials{_unsaid(protocol)}; {_reserve(plan.reserve if plan else protocol.reserve)}."
        ),
        (
            f"{pairing}; {design}; {section.participants_per_condition} finished sessions planned"
            f" per {'algorithm' if section.design == 'between' else 'study'}."
        ),
        f"Outcome: {protocol.outcome}. An answer that was not given is missing and never scored.",
        *(_balance(study, plan) if plan else []),
    ]


def _imported(imported: Imported, protocol: Protocol) -> list[str]:
    """What is known of answers that another tool collected."""
    mapped = ", ".join(f"{key} = {column}" for key, column in imported.mapped.items())
    left = ", ".join(f"{number} rows ({reason})" for reason, number in imported.dropped.items())
    return [
        f"Imported from {imported.file} (SHA-256 {imported.sha256}), {imported.rows} rows. Read as: {mapped}.",
        f"Left out: {left or 'nothing'}.",
        *imported.notes,
        f"Outcome: {protocol.outcome}. An answer that was not given is missing and never scored.",
    ]


def together(study: Study) -> str:
    """What stands in one trial, in words."""
    if study.imported is not None and study.protocol.layout == "one_image":
        return "one image per trial"
    return {
        "real_and_fake": (
            "real and fake come from different inputs"
            if study.study.pairing == "different"
            else "real and fake come from the same input"
        ),
        "one_image": "one image per trial, half of them real",
        "two_algorithms": "two algorithms' images of one input",
        "two_inputs": "two outputs of one algorithm, from different inputs",
    }[study.protocol.layout]


def _feedback(given: bool) -> str:
    return "with feedback" if given else "that do not count"


def _unsaid(protocol: Protocol) -> str:
    """Whether scored trials say what was right."""
    if not protocol.gives_feedback:
        return ""
    return (
        " without, but for the exposure, which follows the answers"
        if protocol.adapts_exposure
        else " without"
    )


def _reserve(size: int) -> str:
    if size == 0:
        return "void trials are not replaced, since no inputs were left for a reserve"
    return f"up to {size} void trials are replaced from an ordered reserve"


def _balance(study: Study, plan: PlanSummary) -> list[str]:
    low, high = plan.views_per_image
    times = f"{low}" if low == high else f"{low} to {high}"
    if study.protocol.layout == "one_image":
        sentence = (
            "Exactly half of a session's scored images are real, and no input is shown twice. If all planned sessions"
            f" finish, each fake is scored {times} times. The k-th place of every algorithm has the same inputs in the same"
            " order, real and fake alike."
        )
        return [sentence]
    image = "fake" if study.protocol.layout == "real_and_fake" else "image"
    sentences = [
        (
            "Order of showing and side were drawn independently, even within each session. If all planned sessions"
            f" finish, each {image} is scored {times} times; times shown first and second differ by at most"
            f" {plan.order_imbalance} per image, left and right by at most {plan.side_imbalance}."
        )
    ]
    if study.study.design == "between":
        sentences.append("The k-th place of every algorithm has the same inputs in the same order.")
    if plan.inputs_in_both_roles:
        sentences.append(
            f"The {plan.inputs} inputs were too few to use each in one role only: in a session up to"
            f" {plan.inputs_in_both_roles} of them appear once as fake and once as real image, at least"
            f" {plan.closest_roles} trials apart."
        )
    return sentences


def settings(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    """Every value of study.toml that the freeze covers, by table."""
    tables = []
    told = ("study", "conditions", "exclusions", "analysis", "imported")
    for name, values in study.frozen_settings().items():
        if study.imported is not None and name not in told:
            continue  # defaults of evalkit, which showed none of these images
        if name == "conditions":
            pairs = [(condition, ", ".join(about["images"])) for condition, about in values.items()]
        else:
            pairs = [(key, _value(value)) for key, value in values.items()]
        tables.append((name, pairs))
    return tables


def _value(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def methods(collected: Collected) -> list[str]:
    """The methods paragraph with every value filled in, from the records' own words."""
    study, records = collected.study, collected.records
    outcome = outcome_of(study)
    if outcome is not None:
        found = primary(collected)
        text = [outcome.method, *(f"{named(one)}: {one.method}." for one in found), _exclusions(study)]
        return text + _checks(collected)
    found = records.keyed("fool_rate")
    text = [
        (
            "The primary estimate is the fool rate (“labeled real %”), pooled over scored, non-void, answered trials of"
            " finished sessions that no rule excludes."
        )
    ]
    by_method: dict[str, list[str]] = {}
    for rate in found:
        by_method.setdefault(rate.method, []).append(rate.condition)
    text += [f"{', '.join(names)}: {method}." for method, names in by_method.items()]
    differences = alike(record.method for record in records.keyed("fool_rate_difference"))
    text += [f"Differences: {method}." for method in differences]
    text += _of_tests_and_more(collected)
    boots = alike(record.method for record in records.keyed("fool_rate_worker_bootstrap"))
    text += [f"For comparison: {method}." for method in boots]
    text.append(
        "The sandwich is that of Cameron, Gelbach and Miller (2011), on the logit scale for rates, with at least the"
        " largest one-way variance; where every answer is the same it gives way to Clopper–Pearson with the number of"
        " workers in the place of n. Rates of single images are shrunken by a beta-binomial fitted by moments"
        " (Kleinman 1973)."
    )
    text.append(_exclusions(study))
    return text + _checks(collected)


def _of_tests_and_more(collected: Collected) -> list[str]:
    """The methods of tests, sensitivity and ranks, and the families of adjusted p-values."""
    records = collected.records
    found = (
        ("Tests of differences", records.tests("difference_test")),
        ("Permutation tests", records.tests("difference_permutation")),
        ("d′", records.keyed("d_prime")),
        ("Ranks", records.keyed("rank")),
    )
    text = [f"{name}: {method}." for name, own in found for method in alike(one.method for one in own)]
    families = dict.fromkeys(test.detail for test in found[0][1] if test.detail)
    return [*text, *(f"p-values of the contrasts are adjusted: {family}." for family in families)]


def _exclusions(study: Study) -> str:
    named = rules_in_words(study.exclusions)
    if not named:
        return "No session is excluded by rule."
    return f"A session is left out for {'; '.join(named)}. No rule looks at the outcome of a scored trial."


def _checks(collected: Collected) -> list[str]:
    """How attentive participants were; nothing where the study has no checks."""
    number = collected.study.checks_per_session
    if not number:
        return []
    answered, failed = collected.total("checks"), collected.total("checks_failed")
    passed = f"; {answered - failed} of {answered} were passed" if answered else ""
    return [
        (
            f"Each session has {number} attention checks among its scored trials: an obvious fake, which looks like any"
            f" other trial and counts in no rate{passed}."
        )
    ]


def limits(collected: Collected) -> list[str]:
    """What these numbers cannot tell."""
    study, records = collected.study, collected.records
    noted = dict.fromkeys(
        note
        for key in ("fool_rate", "fool_rate_difference", *OUTCOMES)
        for note in _notes(records.keyed(key))
    )
    analysed = collected.total("sessions_analysed")
    text = [banner(collected)] if collected.mark else []
    planned = "imported" if study.imported else f"of {count(study.sessions_planned)} planned"
    text.append(
        f"N: {count(analysed)} analysed sessions {planned}. Whoever came by one link or panel"
        " answered; no interval covers other kinds of people, screens or instructions."
    )
    text += noted
    if study.protocol.layout != "real_and_fake":
        return text
    text.append(
        "Rates of different studies are not comparable: the same colorization network was labeled real in 32 % of trials"
        " in one study and 27.8 % in another by overlapping authors (Zhang et al. 2016; Isola et al. 2017)."
    )
    return text


def _notes(estimates: list[Estimate]) -> list[str]:
    """Their notes; one that does not hold for all of them says for which it does."""
    about: dict[str, list[str]] = {}
    for estimate in estimates:
        name = f"{estimate.condition} − {estimate.versus}" if estimate.versus else estimate.condition
        for note in estimate.notes:
            about.setdefault(note, []).append(name)
    return [
        note if len(names) == len(estimates) else f"{', '.join(names)}: {note}"
        for note, names in about.items()
    ]


def difference_text(difference: Estimate) -> str:
    """`+3.1 [−1.2 to +7.4]`."""
    if difference.interval is None:
        return points(difference.value)
    return f"{points(difference.value)}  [{points_range(difference.interval)}]"


def rate_text(rate: Estimate) -> str:
    """`30.2  [24.1–37.0]`."""
    if rate.value is None:
        return "no trials"
    if rate.interval is None:
        return percent(rate.value)
    return f"{percent(rate.value)}  [{percent_range(rate.interval)}]"

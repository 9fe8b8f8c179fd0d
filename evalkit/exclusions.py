"""The study's exclusions, applied: each excluded session with its reasons. No rule looks at the answers to scored trials.

A rule looks at when, where and on what screen somebody answered, at practice and at attention checks; never at whether
a scored answer was right.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.session_measures import FloatArray, SessionTrials
from studies.design import Exclusions, Study


@dataclass(frozen=True)
class Rule:
    """One rule of `[exclusions]`: a number per session, and where it goes too far."""

    key: str
    """In `[exclusions]`, where its limit stands."""
    column: str
    """What it looks at: a number per session, NaN where it is not known, which breaks no rule."""
    words: str
    """The reason; {limit}, {percent} (the limit as a percentage) and {fast} are filled in."""
    least: bool = False
    """Whether the limit is the least that is allowed, not the most."""
    by_side: bool = False
    """Whether it looks at sides, which tell nothing of the answers only while fakes stand on either side as often."""
    caution: str = ""
    """What a reader must know of sessions that it leaves out."""

    def limit(self, exclusions: Exclusions) -> float | None:
        """The limit, or None where the rule is not in force."""
        value = getattr(exclusions, self.key)
        if isinstance(value, bool):
            return 0.0 if value else None
        return None if value is None else float(value)

    def reason(self, exclusions: Exclusions) -> str:
        """The rule in words, with its limit."""
        limit = self.limit(exclusions) or 0.0
        return self.words.format(
            limit=f"{limit:g}", percent=f"{100 * limit:g} %", fast=f"{exclusions.fast_rt_ms:g}"
        )

    def broken(self, values: FloatArray, exclusions: Exclusions) -> npt.NDArray[np.bool_]:
        """Which sessions break it, by their numbers, shape (sessions,); unknown ones do not."""
        limit = self.limit(exclusions)
        if limit is None:
            return np.zeros(len(values), dtype=bool)
        broken: npt.NDArray[np.bool_] = values < limit if self.least else values > limit
        return broken


RULES = (
    Rule("max_void_trials", "void_trials", "more than {limit} void scored trials"),
    Rule("max_failed_checks", "failed_checks", "more than {limit} failed attention checks"),
    Rule("max_fast_share", "fast_share", "more than {percent} of answers faster than {fast} ms"),
    Rule("min_median_rt_ms", "median_rt_ms", "median response time below {limit} ms", least=True),
    Rule(
        "max_same_side_share", "same_side_share", "more than {percent} of answers on one side", by_side=True
    ),
    Rule(
        "max_same_side_run", "same_side_run", "more than {limit} answers in a row on one side", by_side=True
    ),
    Rule(
        "max_alternation_share",
        "alternation_share",
        "more than {percent} of answers change sides",
        by_side=True,
    ),
    Rule("max_exposure_misses", "exposure_misses", "more than {limit} trials with an exposure that was off"),
    Rule("whole_pixels_only", "fractional_scale", "a fractional number of device pixels per CSS pixel"),
    Rule(
        "min_practice_correct",
        "practice_correct",
        "fewer than {limit} correct practice answers",
        least=True,
        caution="Practice shows the same algorithms: without those who failed it the fool rate is lower.",
    ),
)


def rules_in_force(exclusions: Exclusions) -> list[Rule]:
    """The rules that the study has set."""
    return [rule for rule in RULES if rule.limit(exclusions) is not None]


def rules_in_words(exclusions: Exclusions) -> list[str]:
    """What each rule in force leaves a session out for.

    >>> rules_in_words(Exclusions(max_void_trials=3, max_fast_share=0.1))
    ['more than 3 void scored trials', 'more than 10 % of answers faster than 200 ms']
    """
    return [rule.reason(exclusions) for rule in rules_in_force(exclusions)]


def with_exclusions(people: pd.DataFrame, every: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The sessions with what the rules look at, and `excluded`: the rules that a session breaks, or empty.

    Args:
        people: One row per session, the columns of Session.
        every: One row per trial of every phase, as `evalkit.responses` derives it.
        study: Its `[exclusions]`.

    Returns:
        `people` with `checks`, `failed_checks`, `void_trials`, a column for each further rule in force, and `excluded`.
    """
    rules = rules_in_force(study.exclusions)
    columns = dict.fromkeys(("checks", "failed_checks", "void_trials", *(rule.column for rule in rules)))
    measured = measures(people, every, study.exclusions, columns)
    counts = {name: measured[name].astype(int) for name in ("checks", "failed_checks", "void_trials")}
    reasons = np.full(len(people), "", dtype=object)
    for rule in rules:
        broken = rule.broken(measured[rule.column], study.exclusions)
        if broken.any():
            reasons[broken & (reasons != "")] += "; "
            reasons[broken] += rule.reason(study.exclusions)
    excluded = pd.Series(reasons, index=people.index, dtype="str")
    return people.assign(**{**measured, **counts}, excluded=excluded)


def measures(
    people: pd.DataFrame, every: pd.DataFrame, exclusions: Exclusions, columns: Collection[str]
) -> Mapping[str, FloatArray]:
    """Numbers of each session that rules, and the analysis of data quality, look at.

    Args:
        people: One row per session.
        every: One row per trial; of phases that are not there nothing is known.
        exclusions: Says how fast is fast.
        columns: Names of methods of `SessionTrials`.

    Returns:
        Column -> shape (sessions,), NaN where it is not known.
    """
    trials = SessionTrials(people["session"], every, exclusions.fast_rt_ms)
    return {name: getattr(trials, name)() for name in columns}

"""The study's exclusions, applied: each excluded session with its reasons. No rule looks at the answers to scored trials."""

import numpy as np
import pandas as pd

from studies.design import Study


def with_exclusions(people: pd.DataFrame, every: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The sessions with what the rules look at, and `excluded`: the rules that a session breaks, or empty.

    Args:
        people: One row per session, the columns of Session.
        every: One row per trial of every phase, as `evalkit.responses` derives it.
        study: Its `[exclusions]`.

    Returns:
        `people` with `checks`, `failed_checks`, `void_trials` and `excluded`.
    """
    scored = every[every["phase"] == "scored"]
    return _with_reasons(_with_checks(people, every), scored, study)


def _with_checks(people: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """Attention checks answered and failed by each session; void ones are neither."""
    checks = every[(every["phase"] == "check") & (every["void_reason"] == "") & every["outcome"].notna()]
    answered = checks.groupby("session").size()
    failed = checks[checks["outcome"] < 1.0].groupby("session").size()
    return people.assign(
        checks=people["session"].map(answered).fillna(0).astype(int),
        failed_checks=people["session"].map(failed).fillna(0).astype(int),
    )


def _with_reasons(people: pd.DataFrame, scored: pd.DataFrame, study: Study) -> pd.DataFrame:
    """A session that breaks several rules has all as its reason."""
    void = scored[scored["void_reason"] != ""].groupby("session").size()
    people = people.assign(void_trials=people["session"].map(void).fillna(0).astype(int))
    rules = (
        ("void_trials", study.exclusions.max_void_trials, "void scored trials"),
        ("failed_checks", study.exclusions.max_failed_checks, "failed attention checks"),
    )
    broken = [
        np.where(people[column] > most, f"more than {most} {what}", "")
        for column, most, what in rules
        if most is not None
    ]
    reasons = ["; ".join(filter(None, texts)) for texts in zip(*broken, strict=True)]
    return people.assign(excluded=reasons if broken else "")

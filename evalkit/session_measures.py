"""What each session's trials say of how it was answered: how fast, on which side, on what screen."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from studies.records import ASSUMED_REFRESH_HZ, EXPOSURE_FRAMES

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FIRST_BUTTON, OTHER_BUTTON, NEITHER = 1, 0, -1
FEWEST = 10
"""Answers from which on a pattern of sides means anything; whoever answered once was always on one side."""
WHOLE = 0.02
"""A ratio nearer than this to a whole number is one; browsers round."""


class SessionTrials:
    """Measures per session, each of shape (sessions,) in the order of `sessions`; NaN where there is nothing to measure.

    Those of answers are over scored trials that were answered and are not void.
    """

    def __init__(self, sessions: "pd.Series[str]", every: pd.DataFrame, fast_rt_ms: float) -> None:
        """One row of `every` per trial, as `evalkit.responses` derives it; answers below `fast_rt_ms` are fast."""
        self._count = len(sessions)
        self._every = every
        self._session = pd.Index(sessions).get_indexer(pd.Index(every["session"])).astype(np.int64)
        self._fast_rt_ms = fast_rt_ms

    def checks(self) -> FloatArray:
        """Attention checks answered; void ones are not."""
        return self._sum(self._checks)

    def failed_checks(self) -> FloatArray:
        """Those not answered as everybody awake answers them."""
        return self._sum(self._checks & (self._numbers("outcome") < 1.0))

    def void_trials(self) -> FloatArray:
        """Scored trials that became void, replaced or not."""
        return self._sum(self._scored & ~self._valid)

    def answers(self) -> FloatArray:
        """Scored trials, answered and not void."""
        return self._sum(self._answered)

    def fast_share(self) -> FloatArray:
        """Share of answers that came too fast, of those with a response time."""
        rt, session = self._times
        return _ratio(
            np.bincount(session[rt < self._fast_rt_ms], minlength=self._count),
            np.bincount(session, minlength=self._count),
        )

    def median_rt_ms(self) -> FloatArray:
        """Median response time, in ms."""
        rt, session = self._times
        order = np.lexsort((rt, session))
        sizes = np.bincount(session, minlength=self._count)
        starts = np.cumsum(sizes) - sizes
        known = sizes > 0
        low, high = (starts + (sizes - 1) // 2)[known], (starts + sizes // 2)[known]
        medians = np.full(self._count, np.nan)
        medians[known] = (rt[order[low]] + rt[order[high]]) / 2
        return medians

    def same_side_share(self) -> FloatArray:
        """Share of answers with the button that was pressed more often, 0.5 .. 1; NaN below FEWEST answers."""
        button, session = self._buttons
        one = np.bincount(session, weights=button, minlength=self._count)
        every = np.bincount(session, minlength=self._count)
        return _ratio(np.maximum(one, every - one), np.where(every >= FEWEST, every, 0))

    def same_side_run(self) -> FloatArray:
        """Most answers in a row with the same button, in the order of showing."""
        button, session = self._buttons
        longest = np.full(self._count, np.nan)
        if len(button):
            starts = np.flatnonzero(np.append(True, (np.diff(button) != 0) | (np.diff(session) != 0)))
            lengths = np.diff(np.append(starts, len(button)))
            np.fmax.at(longest, session[starts], lengths.astype(float))
        return longest

    def alternation_share(self) -> FloatArray:
        """Share of answers with another button than the answer before, of all but the first; NaN below FEWEST answers."""
        button, session = self._buttons
        within = np.diff(session) == 0
        changed = within & (np.diff(button) != 0)
        later = session[1:]
        every = np.bincount(later[within], minlength=self._count)
        return _ratio(
            np.bincount(later[changed], minlength=self._count), np.where(every >= FEWEST - 1, every, 0)
        )

    def exposure_misses(self) -> FloatArray:
        """Answered trials in which an image was shown more than 1.5 frames too long or too short."""
        hz = np.nan_to_num(self._numbers("refresh_hz"), nan=ASSUMED_REFRESH_HZ)
        off, known = np.zeros(len(hz), dtype=bool), np.zeros(len(hz), dtype=bool)
        for slot in (1, 2):
            late = self._numbers(f"exposure_ms_{slot}") - self._numbers(f"planned_ms_{slot}")
            known |= np.isfinite(late)
            off |= np.abs(late) * hz / 1000 > EXPOSURE_FRAMES
        return np.where(self._sum(self._answered & known) > 0, self._sum(self._answered & off), np.nan)

    def fractional_scale(self) -> FloatArray:
        """1 where an answered trial stood on a screen with a fractional number of device pixels per CSS pixel, else 0.

        The page's own zoom is taken out first.
        """
        zoom = np.nan_to_num(self._numbers("zoom"), nan=1.0)
        ratio = self._numbers("device_pixel_ratio") / np.where(zoom > 0, zoom, 1.0)
        known = self._answered & (ratio > 0)
        fractional = known & (np.abs(ratio - np.round(ratio)) > WHOLE)
        return np.where(self._sum(known) > 0, (self._sum(fractional) > 0).astype(float), np.nan)

    def practice_correct(self) -> FloatArray:
        """Correct answers in practice; NaN where none was answered."""
        outcome = self._numbers("outcome")
        practised = self._phase("practice") & self._valid & np.isfinite(outcome)
        return np.where(self._sum(practised) > 0, self._sum(practised & (outcome == 1.0)), np.nan)

    @cached_property
    def _valid(self) -> BoolArray:
        return self._is("void_reason", "")

    @cached_property
    def _scored(self) -> BoolArray:
        return self._phase("scored")

    @cached_property
    def _checks(self) -> BoolArray:
        return self._phase("check") & self._valid & np.isfinite(self._numbers("outcome"))

    @cached_property
    def _answered(self) -> BoolArray:
        return self._scored & self._valid & np.isfinite(self._numbers("outcome"))

    @cached_property
    def _times(self) -> tuple[FloatArray, IntArray]:
        """Response time and session of each answer that has one."""
        rt = self._numbers("rt_ms")
        timed = self._answered & np.isfinite(rt) & (self._session >= 0)
        return rt[timed], self._session[timed]

    @cached_property
    def _buttons(self) -> tuple[IntArray, IntArray]:
        """Button (0 or 1) and session of each answer that has one of two, by session, in the order of showing.

        The button is the side; where one image is judged alone, the answer. Replacements of void trials come last.
        """
        button = self._pressed()
        kept = np.flatnonzero(self._answered & (button != NEITHER) & (self._session >= 0))
        order = np.lexsort(
            (self._numbers("trial_index")[kept], self._numbers("attempt")[kept], self._session[kept])
        )
        kept = kept[order]
        return button[kept], self._session[kept]

    def _pressed(self) -> IntArray:
        button = np.full(len(self._every), NEITHER, dtype=np.int64)
        codes, names = pd.factorize(self._every["choice"])
        chosen = {str(name): codes == code for code, name in enumerate(names)}
        for slot, choice in ((1, "first"), (2, "second")):
            if choice in chosen:
                button[chosen[choice] & self._is(f"side_{slot}", "left")] = FIRST_BUTTON
                button[chosen[choice] & self._is(f"side_{slot}", "right")] = OTHER_BUTTON
        for choice, code in (("real", FIRST_BUTTON), ("fake", OTHER_BUTTON)):
            if choice in chosen:
                button[chosen[choice]] = code
        return button

    def _phase(self, phase: str) -> BoolArray:
        return self._is("phase", phase)

    def _is(self, column: str, value: str) -> BoolArray:
        return (self._every[column] == value).to_numpy(dtype=bool)

    def _numbers(self, column: str) -> FloatArray:
        if column not in self._every.columns:
            return np.full(len(self._every), np.nan)
        return self._every[column].to_numpy(dtype=np.float64, na_value=np.nan)

    def _sum(self, which: BoolArray) -> FloatArray:
        """How many of these rows each session has."""
        sessions = self._session[which & (self._session >= 0)]
        return np.bincount(sessions, minlength=self._count).astype(np.float64)


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    above, below = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    return np.where(below > 0, above / np.maximum(below, 1), np.nan)

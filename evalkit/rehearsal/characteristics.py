"""Operating characteristics: what a design does, over many studies of it, as records."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evalkit.rehearsal.assumptions import GridPoint
from evalkit.rehearsal.places import BoolArray, FloatArray
from evalkit.rehearsal.studies import ALL_HALF, DIFFERENT, EQUAL, FLOW, Batch, join
from evalkit.results import Estimate, Interval, Provenance
from evalkit.stats.equivalence import equivalence_level
from evalkit.stats.proportions import wilson_interval
from studies.design import Study

POWER_WORDS = "simulated studies whose interval of the difference leaves zero out"


@dataclass(frozen=True)
class Maker:
    """Makes the records of one grid point."""

    study: Study
    point: GridPoint
    provenance: Provenance
    seed: int

    def share(
        self,
        key: str,
        hits: FloatArray,
        method: str,
        condition: str = "",
        versus: str = "",
        notes: tuple[str, ...] = (),
    ) -> Estimate:
        """A share over studies, with its simulation error.

        Args:
            key: Of the record.
            hits: Shape (studies,) or (studies, parts): 1, 0, or NaN where it could not be estimated; the parts of one
                study are averaged first, since they hang together.
            method: In words.
            condition: Where it is about one.
            versus: Where it is about a contrast.
            notes: For the reader.
        """
        known = ~np.isnan(hits)
        parts = hits.reshape(len(hits), -1)
        whole = known.reshape(len(hits), -1).any(axis=1)
        n = {"studies": int(whole.sum()), "values": int(known.sum())}
        record = Estimate(
            key=key, value=None, unit="proportion", method=method, n=n, condition=condition, versus=versus,
            detail=self.point.name, seed=self.seed, notes=notes, provenance=self.provenance,
        )  # fmt: skip
        if not whole.any():
            note = "Nothing could be estimated in any simulated study."
            return dataclasses.replace(record, notes=(*notes, note))
        missing = len(hits) - n["studies"]
        if missing:
            record = dataclasses.replace(
                record, notes=(*notes, f"{missing} simulated studies gave no interval.")
            )
        means = np.nanmean(parts[whole], axis=1)
        value, error, interval = _simulation_error(means)
        return dataclasses.replace(record, value=value, standard_error=error, interval=interval)

    def mean(self, key: str, values: FloatArray, unit: str, method: str, condition: str = "") -> Estimate:
        """A mean over studies; shape as in `share`."""
        flat = values.reshape(len(values), -1)
        whole = ~np.isnan(flat).all(axis=1)
        means = np.nanmean(flat[whole], axis=1) if whole.any() else np.zeros(0)
        error = float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else None
        return Estimate(
            key=key, value=float(means.mean()) if len(means) else None, unit=unit, method=method,
            n={"studies": len(means)}, condition=condition, detail=self.point.name, seed=self.seed,
            standard_error=error, provenance=self.provenance,
            notes=() if len(means) else ("Nothing could be estimated in any simulated study.",),
        )  # fmt: skip


def _simulation_error(means: FloatArray) -> tuple[float, float | None, Interval]:
    """Mean over studies with a 95 % interval; Wilson's where all studies agree."""
    value, count = float(means.mean()), len(means)
    if count < 2 or float(means.std()) == 0:
        return value, None, dataclasses.replace(wilson_interval(value * count, count), method="Wilson")
    error = float(means.std(ddof=1)) / math.sqrt(count)
    low, high = max(value - 1.96 * error, 0.0), min(value + 1.96 * error, 1.0)
    return value, error, Interval(low, high, 0.95, "simulation error, normal, over studies")


def of_point(maker: Maker, batches: Mapping[str, Batch]) -> list[Estimate]:
    """All records of one grid point, from the batches of its scenarios."""
    both = join([batches[EQUAL], batches[DIFFERENT]])
    return [
        *_assumed(maker),
        *_coverage(maker, both),
        *_false_positives(maker, batches[EQUAL]),
        *_power(maker, batches[DIFFERENT]),
        *_widths(maker, both),
        *_flow(maker, both),
        *_equivalence(maker, batches),
    ]


def _assumed(maker: Maker) -> Iterator[Estimate]:
    """The grid itself, so that observed deviations can be held against it."""
    settings, point = maker.study.rehearsal, maker.point
    shared = point.image_sd * math.sqrt(settings.shared_image_variance)
    for group, value in (
        ("workers", point.worker_sd),
        ("source_images", point.image_sd),
        ("source_images_shared", shared),
        ("real_images", settings.real_image_sd),
        ("runs", point.run_sd),
    ):
        if value:
            yield Estimate(
                key="rehearsed_standard_deviation", value=value, unit="logit", method="assumed", detail=f"{group} @ {point.name}",
                provenance=maker.provenance,
            )  # fmt: skip


def _covered(batch: Batch, of: str) -> FloatArray:
    low, high, truth = (batch.column(of, name) for name in ("low", "high", "truth"))
    return np.where(np.isnan(low), np.nan, ((low <= truth) & (truth <= high)).astype(np.float64))


def _coverage(maker: Maker, batch: Batch) -> Iterator[Estimate]:
    words = f"share of intervals that contain the true value for the target “{maker.study.analysis.target}”"
    rates = _covered(batch, "rates")
    yield maker.share("coverage_of_fool_rate", rates, words)
    for index, name in enumerate(maker.study.conditions):
        yield maker.share("coverage_of_fool_rate", rates[:, index], words, name)
    if batch.differences.shape[1]:
        covered = _covered(batch, "differences")
        yield maker.share("coverage_of_difference", covered, words)
        for index, (first, second) in enumerate(maker.study.contrasts):
            yield maker.share("coverage_of_difference", covered[:, index], words, first, second)


def _leaves_zero_out(batch: Batch) -> FloatArray:
    low, high = batch.column("differences", "low"), batch.column("differences", "high")
    return np.where(np.isnan(low), np.nan, ((low > 0) | (high < 0)).astype(np.float64))


def _found(batch: Batch, study: Study) -> FloatArray:
    """Contrasts that remain significant when the study's contrasts are adjusted together (Holm)."""
    return (batch.holm < 1 - study.analysis.confidence_level).astype(np.float64)


def _false_positives(maker: Maker, batch: Batch) -> Iterator[Estimate]:
    if not batch.differences.shape[1]:
        return
    wrong = _leaves_zero_out(batch)
    method = f"all algorithms equal; {POWER_WORDS}, each contrast by itself"
    yield maker.share("false_positive_rate", wrong, method)
    for index, (first, second) in enumerate(maker.study.contrasts):
        yield maker.share("false_positive_rate", wrong[:, index], method, first, second)
    any_found = _found(batch, maker.study).max(axis=1)
    method = "all algorithms equal; studies in which any contrast is significant after Holm"
    yield maker.share("family_false_positive_rate", any_found, method)


def differing(study: Study) -> BoolArray:
    """Which contrasts truly differ by the smallest difference, shape (contrasts,)."""
    numbers = {name: index % 2 for index, name in enumerate(study.conditions)}
    return np.array([numbers[first] != numbers[second] for first, second in study.contrasts], dtype=np.bool_)


def _power(maker: Maker, batch: Batch) -> Iterator[Estimate]:
    true = differing(maker.study)
    if not true.any():
        return
    step = 100 * maker.study.analysis.smallest_difference
    found, alone = _found(batch, maker.study), _leaves_zero_out(batch)
    method = f"true difference {step:g} points; {POWER_WORDS}"
    yield maker.share("power", alone[:, true], method)
    yield maker.share("power_after_holm", found[:, true], f"true difference {step:g} points; Holm")
    for index, (first, second) in enumerate(maker.study.contrasts):
        if true[index]:
            yield maker.share("power", alone[:, index], method, first, second)


def _widths(maker: Maker, batch: Batch) -> Iterator[Estimate]:
    for of, key in (("rates", "half_width_of_fool_rate"), ("differences", "half_width_of_difference")):
        if getattr(batch, of).shape[1]:
            half = (batch.column(of, "high") - batch.column(of, "low")) / 2
            yield maker.mean(key, half, "proportion", "mean over studies of half the interval's width")


def _flow(maker: Maker, batch: Batch) -> Iterator[Estimate]:
    methods = {
        "begun": ("people_begun", "people", "all who begin, including those who leave"),
        "finished": ("sessions_finished", "sessions", "places that somebody finished"),
        "excluded": ("sessions_excluded", "sessions", "sessions that a rule leaves out"),
        "trials": ("trials_counted", "trials", "trials that the primary estimates rest on"),
        "stopped_at": (
            "sessions_until_stop",
            "sessions",
            "finished sessions when the stopping rule ended it",
        ),
    }
    for index, name in enumerate(FLOW):
        key, unit, method = methods[name]
        if name != "stopped_at" or maker.study.stopping.rule != "none":
            yield maker.mean(key, batch.flow[:, index], unit, f"mean over studies; {method}")
    yield cost_record(maker, batch)


def cost_record(maker: Maker, batch: Batch) -> Estimate:
    """What the finished sessions are paid, with the panel's fee; None where no reward is set."""
    recruitment = maker.study.recruitment
    each = recruitment.reward_cents / 100 * (1 + recruitment.fee_share)
    paid = batch.flow[:, FLOW.index("stopped_at")] * each
    method = (
        f"mean over studies; {recruitment.reward_cents / 100:.2f} per finished session and a fee of "
        f"{100 * recruitment.fee_share:g} %; who leaves is not paid"
    )
    record = maker.mean("cost", paid, recruitment.currency, method)
    if recruitment.reward_cents == 0:
        note = "[recruitment] reward_cents is not set, so nothing is known of the cost."
        record = dataclasses.replace(record, value=None, standard_error=None, notes=(note,))
    return record


def _equivalence(maker: Maker, batches: Mapping[str, Batch]) -> Iterator[Estimate]:
    margin = maker.study.analysis.equivalence_margin
    if margin is None:
        return
    level = f"{100 * equivalence_level(maker.study.analysis.confidence_level):.4g} %"
    points = f"{level} interval inside ± {100 * margin:g} points"
    if ALL_HALF in batches:
        shares = batches[ALL_HALF].equivalent[:, 0]
        yield maker.share("power_for_indistinguishable", shares, f"true rate 50 %; {points}")
    equal = batches[EQUAL].equivalent[:, 1]
    if not np.isnan(equal).all():
        yield maker.share("power_for_as_good_as", equal, f"equal algorithms; {points}")


def equal_losses(maker: Maker, batch: Batch) -> Estimate:
    """How often two equal losses "differ" because their training runs do; the study's target is not the loss."""
    wrong = _leaves_zero_out(batch)
    sd = maker.point.run_sd
    method = f"equal losses whose training runs differ with an SD of {sd:g} logit; {POWER_WORDS}"
    note = "Each such difference is one between these trained generators. Read as a difference between losses, it is false."
    return maker.share("equal_losses_that_differ", wrong, method, notes=(note,))

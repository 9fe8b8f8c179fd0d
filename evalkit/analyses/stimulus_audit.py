"""How well anything but realism tells real images from fakes: an AUC for each property, and one for all together."""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from evalkit.results import Estimate, HypothesisTest, Interval, Provenance, Result
from evalkit.stats.auc import CHANCE, Auc, TwoSamples, clustered_auc, fold_averaged_auc
from evalkit.stats.multiplicity import holm
from studies.audit import (
    FILE_PROPERTIES,
    PICTURE_PROPERTIES,
    Measured,
    Value,
    as_numbers,
    differing,
    measure_bundle,
    measure_originals,
    public_set,
)
from studies.design import Study, load_study
from studies.errors import UserError
from studies.records import REAL
from studies.stimuli import load_bundle

CONFIDENCE_LEVEL = 0.95
ALPHA = 1 - CONFIDENCE_LEVEL
FOLDS = 5
MIN_INPUTS = 10
"""Below so many inputs a classifier over all properties is not fitted."""
SEED = 0
"""Of the division into folds."""
PACKAGES = ("evalkit", "numpy", "scipy", "pillow", "scikit-learn")
TOGETHER = "together"

Stage = Literal["originals", "bundle"]
Kind = Literal["file", "picture", "together"]


@dataclass(frozen=True)
class Finding:
    """How well one property, or all picture properties together, tells one algorithm's fakes from the real images."""

    stage: Stage
    """Before the bundle was made, or as participants get the images."""
    kind: Kind
    name: str
    """Of the property, or `together`."""
    condition: str
    """The algorithm; empty for all together."""
    reals: int
    fakes: int
    auc: Auc | None
    """None where it could not be estimated; `note` says why."""
    interval: Interval | None = None
    """95 %, of this AUC alone. None also where the order of its values was chosen by what tells most."""
    corrected: Interval | None = None
    """The interval of Holm's step over the family; leaves 0.5 out exactly where Holm's procedure rejects."""
    p_adjusted: float | None = None
    note: str = ""

    @property
    def warns(self) -> bool:
        """Whether people might tell real from fake by it; below 0.5 the classifier has learnt nothing."""
        if self.stage == "originals" or self.corrected is None:
            return False
        return self.corrected.low > CHANCE or (self.kind == "picture" and self.corrected.high < CHANCE)


@dataclass(frozen=True)
class Audit:
    """Everything an audit found."""

    study: Study
    digest: str
    """Of the bundle."""
    leaks: dict[str, str]
    """File properties that differ in the bundle, with two of their values in words; must be empty."""
    findings: tuple[Finding, ...]
    public: str | None
    """The public data set of the real images; "" if none, None if nobody said."""
    notes: tuple[str, ...]
    """What could not be looked at."""

    @property
    def warnings(self) -> list[Finding]:
        """What deserves a look, per algorithm; the line over all algorithms only where it stands alone."""
        warned = [finding for finding in self.findings if finding.warns]
        single = {finding.name for finding in warned if finding.condition}
        return [finding for finding in warned if finding.condition or finding.name not in single]

    def records(self) -> Iterator[Result]:
        """The findings as they are kept."""
        software = {name: importlib.metadata.version(name) for name in PACKAGES}
        provenance = Provenance(
            study=self.study.id,
            target="these images",
            status="descriptive",
            analysis="stimulus_audit",
            digests={"stimuli": self.digest},
            software=software,
        )
        for finding in self.findings:
            yield from _records(finding, provenance)


def audit_study(folder: Path, *, progress: Callable[[int, int], None] = lambda *_: None) -> Audit:
    """Audit the bundle of a study folder, and the originals as far as they are still there.

    Args:
        folder: The study folder.
        progress: Called with images done and images in all.

    Raises:
        UserError: study.toml or the bundle is not usable. A bundle whose files differ in more than the picture is
            told in `leaks` instead.
    """
    study = load_study(folder)
    bundle = load_bundle(folder, verify=False, study=study)
    compared = tuple(study.conditions)
    total = 2 * len(bundle.stimuli)
    after: list[Measured] = []
    for each in measure_bundle(bundle, folder, compared):
        after.append(each)
        progress(len(after), total)
    leaks = differing(after)
    if not leaks:
        load_bundle(folder, study=study)  # files that were changed since would make a false record
    notes: tuple[str, ...] = ()
    before: list[Measured] = []
    try:
        for each in measure_originals(bundle, folder, compared):
            before.append(each)
            progress(len(after) + len(before), total)
    except UserError as error:
        before, notes = [], (f"The originals were not audited. {error}",)
    findings = [
        *(_findings("originals", before, compared) if before else ()),
        *_findings("bundle", after, compared),
        *_together(after, compared),
    ]
    return Audit(study, bundle.digest, leaks, tuple(findings), public_set(study.reference, bundle), notes)


def audit_measured(measured: Sequence[Measured], compared: Sequence[str]) -> list[Finding]:
    """The picture findings over images as participants get them, corrected over properties and algorithms."""
    return [finding for finding in _findings("bundle", measured, compared) if finding.kind == "picture"]


def _findings(stage: Stage, measured: Sequence[Measured], compared: Sequence[str]) -> list[Finding]:
    files = [
        _file_finding(stage, name, condition, measured, compared)
        for name in FILE_PROPERTIES
        if any(name in each.file for each in measured)
        for condition in _groups(compared)
    ]
    pictures = [
        _numeric_finding(
            stage, "picture", name, condition, *_split(measured, compared, condition, picture=name)
        )
        for name in PICTURE_PROPERTIES
        for condition in _groups(compared)
    ]
    return [*files, *_corrected(pictures)]


def _groups(compared: Sequence[str]) -> tuple[str, ...]:
    """Each algorithm, then all together where there are several."""
    return (*compared, "") if len(compared) > 1 else tuple(compared)


def _split(
    measured: Sequence[Measured],
    compared: Sequence[str],
    condition: str,
    *,
    file: str = "",
    picture: str = "",
) -> tuple[list[Value], list[Value], list[str], list[str]]:
    """Values of the real images and of the fakes, then their inputs."""
    wanted = {condition} if condition else set(compared)
    reals = [each for each in measured if each.condition == REAL]
    fakes = [each for each in measured if each.condition in wanted]

    def value(each: Measured) -> Value:
        return each.file[file] if file else each.picture[picture]

    return (
        [value(each) for each in reals],
        [value(each) for each in fakes],
        [each.source_id for each in reals],
        [each.source_id for each in fakes],
    )


def _file_finding(
    stage: Stage, name: str, condition: str, measured: Sequence[Measured], compared: Sequence[str]
) -> Finding:
    reals, fakes, real_inputs, fake_inputs = _split(measured, compared, condition, file=name)
    found = _numeric_finding(stage, "file", name, condition, reals, fakes, real_inputs, fake_inputs)
    if len({*reals, *fakes}) > 1 and any(isinstance(value, str) for value in (*reals, *fakes)):
        return dataclasses.replace(found, interval=None, note="its values in the order that tells most")
    return found


def _numeric_finding(
    stage: Stage,
    kind: Kind,
    name: str,
    condition: str,
    reals: Sequence[Value],
    fakes: Sequence[Value],
    real_inputs: Sequence[str],
    fake_inputs: Sequence[str],
) -> Finding:
    found = Finding(stage, kind, name, condition, len(reals), len(fakes), None)
    if len({*real_inputs, *fake_inputs}) < 2:
        return dataclasses.replace(found, note="fewer than two inputs")
    real_numbers, fake_numbers = as_numbers(reals, fakes)
    auc = clustered_auc(
        TwoSamples(
            np.asarray(real_numbers),
            np.asarray(fake_numbers),
            np.asarray(real_inputs),
            np.asarray(fake_inputs),
        )
    )
    return dataclasses.replace(found, auc=auc, interval=auc.interval(CONFIDENCE_LEVEL))


def _corrected(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that form one family, with Holm's correction."""
    known = [finding for finding in findings if finding.auc is not None]
    adjusted, levels = holm([finding.auc.p_value for finding in known if finding.auc], ALPHA)
    replaced = {
        id(finding): dataclasses.replace(finding, p_adjusted=p, corrected=finding.auc.interval(1 - level))
        for finding, p, level in zip(known, adjusted, levels, strict=True)
        if finding.auc
    }
    return [replaced.get(id(finding), finding) for finding in findings]


def _together(measured: Sequence[Measured], compared: Sequence[str]) -> list[Finding]:
    """A classifier over all picture properties, per algorithm and over all; corrected over these."""
    return _corrected([_classified(measured, compared, condition) for condition in _groups(compared)])


def _classified(measured: Sequence[Measured], compared: Sequence[str], condition: str) -> Finding:
    wanted = {REAL, condition} if condition else {REAL, *compared}
    images = [each for each in measured if each.condition in wanted]
    is_fake = np.asarray([each.condition != REAL for each in images])
    inputs = np.asarray([each.source_id for each in images])
    found = Finding(
        "bundle", "together", TOGETHER, condition, int((~is_fake).sum()), int(is_fake.sum()), None
    )
    if len(set(inputs.tolist())) < MIN_INPUTS:
        return dataclasses.replace(found, note=f"fewer than {MIN_INPUTS} inputs")
    values = np.asarray([[each.picture[name] for name in PICTURE_PROPERTIES] for each in images])
    auc = cross_validated_auc(values, is_fake, inputs)
    return dataclasses.replace(found, auc=auc, interval=auc.interval(CONFIDENCE_LEVEL))


def cross_validated_auc(
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    is_fake: np.ndarray[tuple[int], np.dtype[np.bool_]],
    inputs: np.ndarray[tuple[int], np.dtype[np.str_]],
) -> Auc:
    """AUC of a logistic regression that never met the inputs it is tried on.

    Args:
        values: One row per image, one column per property.
        is_fake: Per image.
        inputs: Per image; all images of an input are in one fold.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = np.arcsinh(values)  # long tails, and values on both sides of 0
    folds = []
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(columns, is_fake, inputs):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        scores = classifier.fit(columns[train], is_fake[train]).decision_function(columns[test])
        real, fake = ~is_fake[test], is_fake[test]
        folds.append(TwoSamples(scores[real], scores[fake], inputs[test][real], inputs[test][fake]))
    return fold_averaged_auc(folds)


def _records(finding: Finding, provenance: Provenance) -> Iterator[Result]:
    auc = finding.auc
    key = f"audit_{finding.kind}_{finding.name}" if finding.kind != TOGETHER else "audit_together"
    detail = "before the bundle" if finding.stage == "originals" else "as participants get it"
    n = {"reals": finding.reals, "fakes": finding.fakes, "inputs": auc.inputs if auc else 0}
    means = "probability that a fake has the larger value than a real image, ties half (AUC)"
    if finding.kind == TOGETHER:
        means = f"AUC of a logistic regression over all picture properties, {FOLDS} folds grouped by input"
    notes = (finding.note,) if finding.note else ()
    yield Estimate(
        key=key,
        value=auc.value if auc else None,
        unit="AUC",
        method=f"{means}; {auc.method}" if auc else means,
        n=n,
        condition=finding.condition,
        detail=detail,
        seed=SEED if finding.kind == TOGETHER else None,
        notes=notes,
        provenance=provenance,
        interval=finding.interval,
        standard_error=(auc.standard_error or None) if auc else None,
    )
    if auc is not None and finding.p_adjusted is not None and finding.corrected is not None:
        corrected = finding.corrected
        yield HypothesisTest(
            key=key,
            value=auc.value,
            unit="AUC",
            method=f"{auc.method}; Holm over properties and algorithms",
            n=n,
            condition=finding.condition,
            detail=detail,
            notes=(
                f"Holm's interval {corrected.low:.4g} to {corrected.high:.4g}, level {corrected.confidence_level:.4g}.",
                *notes,
            ),
            provenance=provenance,
            statistic=None,
            p_value=auc.p_value,
            p_adjusted=finding.p_adjusted,
            null_hypothesis="AUC = 0.5",
            alternative="two-sided",
        )

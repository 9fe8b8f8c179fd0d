"""The text of a preregistration, section by section, from study.toml, the stimuli and the rehearsal.

Source of the sections: the OSF Preregistration template (study information, design plan, sampling plan, variables, analysis
plan, other).
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evalkit.analyses import ALWAYS, ANALYSES
from evalkit.exclusions import RULES
from evalkit.rehearsal import certificate
from evalkit.report import words
from evalkit.stats.equivalence import equivalence_level
from studies.design import PLACEHOLDER, Study, load_study
from studies.errors import UserError, did_you_mean
from studies.plan import PlanSummary, allocate, summarise
from studies.presets import load_preset
from studies.stimuli import FOLDER as STIMULI
from studies.stimuli import Bundle, load_bundle
from webapp import freeze

OPEN = f"**{PLACEHOLDER}**"


@dataclass(frozen=True)
class Preregistration:
    """Everything the document is written from."""

    study: Study
    bundle: Bundle | None
    """None before `evalkit study build`."""
    plan: PlanSummary | None
    rehearsal: str
    """Markdown; empty where there was no rehearsal."""
    frozen_at: str
    """When the first live session froze the study; empty before."""
    digests: dict[str, str]
    """What -> SHA-256."""
    other_data: tuple[str, ...]
    """Kinds of data that exist already and are no result."""
    warnings: tuple[str, ...]


def gather(folder: Path) -> Preregistration:
    """Read a study folder.

    Raises:
        UserError: There is no study, its answers were imported, or a planned analysis does not exist.
    """
    study = load_study(folder)
    if study.imported is not None:
        raise UserError(
            f"{folder}: its answers were imported, so they are there already; nothing is left to preregister."
        )
    unknown = [name for name in study.analysis.planned if name not in ANALYSES]
    if unknown:
        hint = did_you_mean(unknown[0], ANALYSES)
        raise UserError(
            f"{folder / 'study.toml'}: [analysis] planned: no analysis is called {unknown[0]!r}.{hint}"
        )
    built = (folder / STIMULI / "manifest.json").is_file()
    bundle = load_bundle(folder, verify=False) if built else None
    frozen = freeze.in_force(folder)
    rehearsal = certificate.markdown(folder)
    return Preregistration(
        study=study,
        bundle=bundle,
        plan=summarise(study, bundle.stimuli, allocate(study, bundle.stimuli)) if bundle else None,
        rehearsal=rehearsal,
        frozen_at=str(frozen.get("at", "")) if frozen else "",
        digests=_digests(study, bundle),
        other_data=tuple(
            kind for kind in ("pilot", "simulated") if (folder / kind / "responses.csv").is_file()
        ),
        warnings=tuple(_warnings(folder, study, bundle, rehearsal)),
    )


def _digests(study: Study, bundle: Bundle | None) -> dict[str, str]:
    """As the first live session will write them into frozen.json; of the settings alone before the stimuli are built."""
    if bundle is None:
        return {"settings": study.digest()}
    record = freeze.record(study, bundle)
    return {"everything below together": record["digest"], **record["parts"]}


def _warnings(folder: Path, study: Study, bundle: Bundle | None, rehearsal: str) -> Iterator[str]:
    frozen = freeze.in_force(folder)
    if frozen is not None:
        yield f"frozen at {frozen.get('at')} by the first live session: this is a record of the plan, not a preregistration."
        if bundle is not None:
            changed = [change.text for change in freeze.changes(frozen, freeze.record(study, bundle))]
            if changed:
                yield f"changed since: {'; '.join(changed)}. `evalkit study amend {folder}` records why."
    if bundle is None:
        yield f"the stimuli are not built, so the digest covers the settings alone. `evalkit study build {folder}` builds them."
    if not rehearsal:
        yield f"no rehearsal backs the sample size. `evalkit rehearse {folder}` runs one."


def render(found: Preregistration) -> str:
    """The document in Markdown; the same study gives the same text."""
    study = found.study
    parts = [
        (f"# Preregistration: {study.id}", _head(found)),
        ("## 1. Study information", _information(study)),
        ("## 2. Design plan", _design(found)),
        ("## 3. Sampling plan", _sampling(found)),
        ("## 4. Variables", _variables(study)),
        ("## 5. Analysis plan", _analysis(found)),
        ("## 6. Rehearsal", [found.rehearsal.strip() or "No rehearsal was run before this registration."]),
        ("## 7. What is frozen", _frozen(found)),
    ]
    return "\n\n".join("\n\n".join((title, *lines)) for title, lines in parts) + "\n"


def _head(found: Preregistration) -> Iterator[str]:
    if found.frozen_at:
        yield f"**Frozen at {found.frozen_at}, when data collection began: a record of the plan, not a preregistration.**"
    yield f"Authors: {OPEN}"
    preset = found.study.study.preset
    if preset:
        known = load_preset(preset)
        changed = known.changed_by(found.study.frozen_settings())
        departs = f" Departures from the preset: {'; '.join(changed)}." if changed else ""
        yield f"Protocol after {known.title}: {known.source}.{departs}"


def _information(study: Study) -> Iterator[str]:
    yield "### Research questions"
    names = ", ".join(f"`{name}`" for name in study.conditions)
    if study.protocol.layout in ("real_and_fake", "one_image"):
        yield f"How often are images of {names} taken for real, and do these algorithms differ in it?"
    else:
        yield f"Of {names}: {study.protocol.outcome}."
    yield f"The numbers are about **{study.analysis.target}**: {words.TARGETS[study.analysis.target]}."
    yield "### Hypotheses"
    if "pairwise_differences" in study.analysis.planned and study.contrasts:
        yield "\n".join(
            f"- `{first} - {second}`: the null hypothesis is that both have the same fool rate; two-sided."
            for first, second in study.contrasts
        )
    margin = study.analysis.equivalence_margin
    if margin is not None:
        level = f"{100 * equivalence_level(study.analysis.confidence_level):.4g} %"
        yield (
            f"Equivalence: an algorithm is called indistinguishable from real images, or as good as another, only if the "
            f"{level} interval lies within ± {100 * margin:g} percentage points (of 50 %, or of no difference). A difference that "
            "is not significant is never called equivalence."
        )
    if study.runs == 1:
        yield "There is one training run per algorithm: nothing in this study separates a loss from the seed it was trained with."
    yield f"What is expected, and why: {OPEN}"


def _design(found: Preregistration) -> Iterator[str]:
    study = found.study
    yield "### Study type"
    yield "Experiment: the algorithm whose images are shown is assigned at random."
    yield "### Blinding"
    yield (
        "Participants are not told which algorithm made an image, nor which image is real before they have answered a practice "
        "trial; of scored trials they are never told. File names, file sizes and addresses of real and fake images follow one "
        "rule. Researchers may watch counts; the dashboard keeps the fool rate hidden until the study is complete and records who looks earlier."
    )
    yield "### Study design"
    yield "\n".join(f"- {step}" for step in words.protocol_steps(study))
    yield " ".join(words.protocol_sentences(study, found.plan))
    if study.checks_per_session:
        yield f"Among the scored trials stand {study.checks_per_session} attention checks (obvious fakes), which count in no rate."
    yield "### Randomisation"
    yield (
        f"Seeded permuted blocks (seed {study.study.seed}): `evalkit` draws all {study.sessions_planned} places with their "
        "inputs, order, sides and real partners from the settings and stimuli alone, so anybody can draw them again."
    )


def _sampling(found: Preregistration) -> Iterator[str]:
    study = found.study
    yield "### Existing data"
    none = "No data of the study existed when this was written."
    made = (
        f" There are {' and '.join(found.other_data)} data, which are never counted."
        if found.other_data
        else ""
    )
    yield (f"Collection began at {found.frozen_at}." if found.frozen_at else none) + made
    yield "### Data collection"
    recruitment, ethics = study.recruitment, study.ethics
    pay = (
        f"{recruitment.reward_cents / 100:.2f} {recruitment.currency}"
        if recruitment.reward_cents
        else ethics.pay.rstrip(".")
    )
    yield (
        f"Recruited through: {recruitment.name}. Pay: {pay}. Length: about {ethics.minutes} minutes. Minimum age: "
        f"{ethics.minimum_age}. Ethics approval: {ethics.approval}. A worker takes part once."
    )
    yield "### Sample size"
    each = "per algorithm" if study.study.design == "between" else "in all"
    yield (
        f"{study.study.participants_per_condition} finished sessions {each}, {study.sessions_planned} in all, of "
        f"{study.protocol.scored} scored trials each. {_inputs(found)}"
    )
    yield "### Rationale"
    difference = f"{100 * study.analysis.smallest_difference:g} percentage points"
    yield f"The smallest difference of fool rates that would matter is {difference}. " + (
        "What this design can find is in section 6." if found.rehearsal else f"Why this many: {OPEN}"
    )
    yield "### Stopping rule"
    yield _stopping(study)


def _inputs(found: Preregistration) -> str:
    if found.bundle is None:
        return "The stimuli are not built yet."
    inputs = len({stimulus.source_id for stimulus in found.bundle.stimuli})
    runs = found.study.runs
    return f"Images of {inputs} inputs, {runs} training run{'s' if runs > 1 else ''} per algorithm."


def _stopping(study: Study) -> str:
    stopping = study.stopping
    if stopping.rule == "none":
        return "Recruiting ends when all places are filled. Nobody's answers decide when it ends."
    return (
        f"Recruiting may end as soon as the betting confidence sequence on the workers' means, valid however often one looks, is "
        f"no wider than ± {100 * stopping.half_width:g} percentage points for every algorithm, and not before "
        f"{stopping.min_participants} participants per algorithm. It speaks of these images. Otherwise recruiting ends when all "
        "places are filled."
    )


def _variables(study: Study) -> Iterator[str]:
    yield "### Manipulated"
    runs = f", each with {study.runs} training runs" if study.runs > 1 else ""
    yield f"The algorithm that made the generated images: {', '.join(f'`{name}`' for name in study.conditions)}{runs}."
    yield "### Measured"
    yield f"Per trial the answer. Outcome: {study.protocol.outcome}. Besides: response time, the exposure as displayed, the screen."
    yield "### Indices"
    if study.protocol.layout in ("real_and_fake", "one_image"):
        yield "Fool rate: the share of scored, answered, non-void trials in which the fake was taken for real."
    else:
        yield "The share of scored, answered, non-void trials with outcome 1."


def _analysis(found: Preregistration) -> Iterator[str]:
    study = found.study
    analysis = study.analysis
    yield "### Planned analyses"
    yield "\n".join(f"- `{name}`: {_about(name)}" for name in analysis.planned)
    always = [name for name in ALWAYS if name not in analysis.planned]
    yield f"Described in every report, without a claim: {', '.join(f'`{name}`' for name in always)}. Any other analysis will be marked unplanned."
    yield "### Statistical models"
    yield (
        f"Rates are pooled over trials; intervals are multi-way clustered (Cameron, Gelbach and Miller 2011) over {_clusters(study)}, "
        "on the logit scale for rates, with the t distribution."
    )
    yield "### Inference criteria"
    level = 100 * analysis.confidence_level
    yield f"Intervals at {level:g} %; two-sided tests at α = {(100 - level) / 100:.3g}."
    if "pairwise_differences" in analysis.planned and study.contrasts:
        listed = ", ".join(f"`{first} - {second}`" for first, second in study.contrasts)
        yield f"The family of tests is: {listed}; p values are adjusted by Holm's method within it."
        yield (
            f"The test that decides is the clustered one, which rejects where the interval of the difference leaves 0 out and is "
            f"about {analysis.target}; the permutation test beside it is about these images and decides nothing."
        )
    yield "### Data exclusion"
    rules = [
        f"- {rule.reason(study.exclusions)}" for rule in RULES if rule.limit(study.exclusions) is not None
    ]
    yield "No rule looks at whether scored answers were right. A finished session is left out of the primary estimates for:"
    yield "\n".join(rules or ["- nothing: no rule is in force."])
    yield "Each exclusion is reported with reason and count, and the estimates without exclusions are given too."
    yield "### Missing data"
    yield (
        "An answer that was not given is missing and never scored; a void trial (the display failed or was disturbed) does not "
        f"count and is {_replaced(found)}. Unfinished sessions are left out of the primary estimates; estimates with them are given "
        "too."
    )
    yield "### Exploratory analysis"
    yield f"{OPEN} (or: none)"


def _replaced(found: Preregistration) -> str:
    """What becomes of a void trial: by the plan if there is one, since few inputs leave less of a reserve than was asked for."""
    reserve = found.plan.reserve if found.plan else found.study.protocol.reserve
    return f"replaced from a reserve of {reserve}" if reserve else "not replaced: there is no reserve"


def _about(name: str) -> str:
    """The first line of the analysis' own description."""
    text = inspect.getdoc(inspect.getmodule(ANALYSES[name])) or ""
    return text.partition("\n")[0]


def _clusters(study: Study) -> str:
    target = study.analysis.target
    if target == "these images":
        return "workers"
    partners = study.protocol.layout == "real_and_fake" and study.study.pairing == "different"
    names = [
        "workers",
        "source images",
        *(["real images"] if partners else []),
        *(["other images"] if study.protocol.layout == "two_inputs" else []),
        *(["training runs"] if target == "this loss" else []),
    ]
    return " × ".join(names)


def _frozen(found: Preregistration) -> Iterator[str]:
    yield (
        "The first live session freezes settings, stimuli and participant page under these SHA-256 digests; a later change is a "
        "dated deviation, which the report prints."
    )
    yield "\n".join(f"- {name}: `{digest}`" for name, digest in found.digests.items())
    if found.bundle is None:
        yield "The stimuli are not built yet; they are not covered by the digest above."

"""The study: conditions, protocol, question, counts, exclusions and planned analyses, read from study.toml."""

import hashlib
import itertools
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from studies.errors import UserError, did_you_mean
from studies.protocols import PROTOCOLS, Protocol
from studies.records import CHECK, INPUT, NOT_GENERATED, REAL, Question

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]
"""Lower-case letters, digits, `_` and `-`; begins with a letter or digit."""

PLACEHOLDER = "TO BE FILLED IN"
"""What `init` writes where a person must decide; `serve` for real people refuses while one stands."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Checks(_Section):
    """Attention checks (Zhang's vigilance trials): trials against an obvious fake, on top of the scored ones."""

    share: float = Field(default=0.0, ge=0, le=0.5)
    """Checks per scored trial: 0.1 adds 4 to 40. They look like scored trials and never count in a fool rate."""
    images: str = ""
    """Folder of obvious fakes, named as their inputs, relative to study.toml; empty = made from the real images at
    build time (pieces of the image in the wrong places, each in a glaring colour)."""


class Reference(_Section):
    """The real images."""

    images: str
    """Folder, or results folder with `:label`, relative to study.toml."""
    inputs: str | None = None
    """The pictures that the images were made from, for protocols that show them; a folder as above."""
    public: bool | str | None = None
    """Whether anyone can look these images up: true, false, or the name of the public data set; absent = not said."""


class Condition(_Section):
    """One algorithm."""

    images: tuple[str, ...] = Field(min_length=1)
    """One entry per training run; a session sees one run per input."""

    @field_validator("images", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Stimuli(_Section):
    """How images become the uniform bundle."""

    size_px: int | None = Field(default=None, ge=16, le=4096)
    """Side of the square stimulus, to which all images are resized alike; absent = their own size."""
    crop: Literal["refuse", "centre"] = "refuse"
    """What happens to sets of mixed sizes, or to oblong images where size_px is set: refuse them, or cut out the
    largest centred square that all images of the set have."""
    near_duplicates_max_share: float = Field(default=0.1, ge=0, le=1)
    """A condition with a larger share of near-duplicate fakes is refused (a collapsed generator)."""


class Display(_Section):
    """How stimuli stand on the screen."""

    pixel_scale: int = Field(default=1, ge=1, le=16)
    """Device pixels per image pixel on an ordinary (1x) screen; always a whole number."""


class Metrics(_Section):
    """Scores to compute on the same images; outside the freeze."""

    names: tuple[str, ...] = ()
    """Metrics, or single quantities of theirs (docs/metrics.md); none named = all that can be computed."""
    labels: str | None = None
    """Label maps of the inputs, which FCN-scores need; a folder relative to study.toml."""
    classes: str | None = None
    """What the values of the label maps mean: a classes.json, relative to study.toml, or "cityscapes"; absent = the
    classes.json that lies with the labels."""
    segmenter: str | None = None
    """Who finds the classes in the images, for FCN-scores: a folder of `evalkit segmenter train`, relative to
    study.toml; "palette" where the images are label maps in colour; "ids" where they are label maps."""


class Exclusions(_Section):
    """Rules that never look at the answers to scored trials."""

    max_void_trials: int | None = Field(default=5, ge=0)
    """A session with more void scored trials than this is left out of the primary estimates."""
    max_failed_checks: int | None = Field(default=None, ge=0)
    """The same for failed attention checks; absent = nobody is left out for them, as in the papers."""
    fast_rt_ms: float = Field(default=200.0, gt=0, le=60_000)
    """Answers faster than this are fast: too early for anybody to have judged what was shown. Leaves nobody out by
    itself; max_fast_share does."""
    max_fast_share: float | None = Field(default=None, ge=0, lt=1)
    """The same for a session with a larger share of fast answers; absent = nobody, as for all rules below."""
    min_median_rt_ms: float | None = Field(default=None, gt=0)
    """The same for a session whose median response time is shorter."""
    max_same_side_share: float | None = Field(default=None, ge=0.5, lt=1)
    """The same for a session with a larger share of answers on one side, whichever it is."""
    max_same_side_run: int | None = Field(default=None, ge=1)
    """The same for a session with more answers in a row on one side."""
    max_alternation_share: float | None = Field(default=None, ge=0.5, lt=1)
    """The same for a session in which a larger share of answers changes sides from the one before."""
    max_exposure_misses: int | None = Field(default=None, ge=0)
    """The same for a session with more scored trials whose exposure was off by over 1.5 frames."""
    whole_pixels_only: bool = False
    """Leave out sessions on screens with a fractional number of device pixels per CSS pixel (125 %, many phones)."""
    min_practice_correct: int | None = Field(default=None, ge=1)
    """Leave out sessions with fewer correct practice answers. It selects the able, so it lowers the fool rate."""


class Analysis(_Section):
    """What was decided to be estimated before the first answer."""

    target: Literal["these images", "this generator", "this loss"] = "this generator"
    """What the numbers are about. "this loss" needs at least two training runs per condition."""
    planned: tuple[str, ...] = ("fool_rate", "pairwise_differences")
    """Keys of evalkit.analyses.ANALYSES."""
    confidence_level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of every interval."""
    contrasts: tuple[str, ...] = ()
    """Differences to estimate and test, each "first - second"; their tests are adjusted together (Holm). Empty = every
    pair, in the order of the conditions."""
    equivalence_margin: float | None = Field(default=None, gt=0, lt=0.5)
    """How far two rates, or a rate and one half, may lie apart and still count as the same, as a proportion; absent =
    nothing is said of equivalence. It has to be settled before the first answer."""
    smallest_difference: float = Field(default=0.05, gt=0, lt=1)
    """The smallest difference between two fool rates that would matter, as a proportion; what the study must be able
    to see."""

    @model_validator(mode="before")
    @classmethod
    def _a_margin_plans_its_analysis(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        planned = values.get("planned", cls.model_fields["planned"].default)
        if not isinstance(planned, (list, tuple)):  # refused below
            return values
        if values.get("equivalence_margin") is None:
            if "equivalence" in planned:
                raise ValueError("planned: 'equivalence' needs equivalence_margin, such as 0.05")
            return values
        return {**values, "planned": tuple(dict.fromkeys([*planned, "equivalence"]))}


class Stopping(_Section):
    """When recruiting may end before all places are filled; set before the first answer."""

    rule: Literal["none", "confidence_sequence"] = "none"
    """confidence_sequence: as soon as the interval of every algorithm's fool rate, valid however often one looks, is
    narrow enough."""
    half_width: float = Field(default=0.05, gt=0, lt=0.5)
    """Half the width that is narrow enough, as a proportion: 0.05 = 5 percentage points either way."""
    min_participants: int = Field(default=10, ge=2)
    """Per algorithm; the rule does not stop before."""


class Rehearsal(_Section):
    """What `evalkit rehearse` assumes of people and images; outside the freeze, kept in each rehearsal's records."""

    rate: float = Field(default=0.25, gt=0, lt=1)
    """Fool rate around which the algorithms lie; pix2pix and CycleGAN had 19 to 28 %."""
    worker_sd: tuple[float, ...] = Field(default=(0.5, 0.7, 1.35), min_length=1)
    """How much participants differ, low to high, as standard deviations on the logit scale. The defaults span what
    real studies had."""
    image_sd: tuple[float, ...] = Field(default=(0.6, 0.9, 1.2), min_length=1)
    """The same for one algorithm's fakes."""
    run_sd: tuple[float, ...] = Field(default=(0.1, 0.3, 0.5), min_length=1)
    """The same for training runs of one loss, which differ in nothing but their seed. Nobody has measured it widely."""
    shared_image_variance: float = Field(default=0.5, ge=0, le=1)
    """Share of the fakes' variance that is their input's, alike for all algorithms."""
    real_image_sd: float = Field(default=0.5, ge=0, le=5)
    """How much real images differ, on the logit scale."""
    side_sd: float = Field(default=0.45, ge=0, le=5)
    """How strongly participants lean to one side, on the logit scale. 0.45 is what the 58 people of a published
    two-alternative study (DynaVect 2025) showed beyond chance."""
    void_share: float = Field(default=0.01, ge=0, lt=1)
    """Share of displayed trials that become void; some participants have most of them."""
    attrition: float = Field(default=0.05, ge=0, lt=0.9)
    """Share of participants who stop before the end; their places go to somebody else."""
    attrition_by_ability: float = Field(default=0.0, ge=-3, le=3)
    """How much likelier to stop, in logits, a participant is who is one standard deviation easier to fool."""
    careless_share: float = Field(default=0.03, ge=0, lt=0.9)
    """Share of participants who answer fast and by chance, or always on one side; 3 of those 58 were too fast."""

    @field_validator("worker_sd", "image_sd", "run_sd")
    @classmethod
    def _deviations_in_order(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= one <= 5 for one in value) or list(value) != sorted(set(value)):
            raise ValueError(
                f"{list(value)}: standard deviations between 0 and 5, each once, from low to high"
            )
        return value


class PanelLink(_Section):
    """How a panel that only needs links says who comes, and where it wants them back."""

    worker: str = "worker_id"
    """Parameter that carries the participant's id."""
    submission: str = ""
    """Parameter that carries the panel's id of this participation, if there is one."""
    keep: tuple[str, ...] = ()
    """Further parameters that the way back needs; kept encrypted until the study is closed."""
    preview: str = ""
    """PARAMETER=VALUE by which the panel shows the study to somebody who has not accepted it yet."""
    completion: str = ""
    """Where a finished participant is sent; {code}, {worker}, {submission} and {NAME} of a kept parameter are filled
    in. Empty: only the code is shown."""
    submit: Literal["redirect", "post"] = "redirect"
    """Whether the way back is an address, or a form that is posted (the shape of Mechanical Turk)."""
    hosts: tuple[str, ...] = ()
    """Hosts the way back may lead to where a kept parameter decides it."""


class ProlificSettings(_Section):
    """What Prolific needs to know beside the rest of study.toml."""

    title: str = ""
    """What participants see in their list; empty = a plain standard title."""
    description: str = ""
    """What they see before they begin; empty = a plain standard text."""
    entry: Literal["signed", "checked"] = "checked"
    """How an arrival proves who it is: a signed token in the link, or a look at its submission through the API."""
    token_parameter: str = "prolific_token"  # noqa: S105  (the name of a parameter)
    """signed: the parameter that carries the token. Not documented where we could read it; ask Prolific."""
    audience: str = ""
    """signed: the token's audience, which is the study's public host; empty = taken from --url."""
    workspace: str = ""
    """signed: the workspace that the token must name; empty = any."""
    project: str = ""
    """Project on Prolific; empty = the account's default."""
    exclude_studies: tuple[str, ...] = ()
    """Ids of earlier studies whose participants may not take part."""
    exclude_groups: tuple[str, ...] = ()
    """Ids of participant groups that may not take part."""
    add_to_group: str = ""
    """Name of a group to which all who take part are added, so that later studies can exclude them."""
    filters: tuple[str, ...] = ()
    """Further filters of the study, each one as JSON."""
    maximum_minutes: int | None = Field(default=None, ge=1)
    """After how long a place is taken back; absent = what Prolific advises for `minutes`."""


class Recruitment(_Section):
    """Where participants come from and what they are paid; a decision of the study, but not of what is shown."""

    name: str = "direct"
    """Who sends participants: direct (your own links), panel (any panel that puts ids into the link), prolific."""
    invites_only: bool = False
    """direct: only the single-use links of `evalkit study invite` open the study."""
    reward_cents: int = Field(default=0, ge=0, le=1_000_000)
    """What a finished session is paid, in cents (pence) of the currency."""
    currency: str = Field(default="GBP", pattern=r"^[A-Z]{3}$")
    """ISO 4217."""
    fee_share: float = Field(default=0.0, ge=0, le=2)
    """What the panel charges on top of each payment; only for the costs shown. Ask the panel for today's."""
    minimum_cents_per_hour: int = Field(default=800, ge=0)
    """`study check` warns below this; the default is 8.00 an hour."""
    panel: PanelLink = PanelLink()
    """For panel: which parameters of the entry link mean what."""
    prolific: ProlificSettings = ProlificSettings()
    """For prolific."""


class Ethics(_Section):
    """What a participant must be told, and who allowed the study."""

    approval: str = PLACEHOLDER
    """Approval number of the ethics board, or why none is needed."""
    contact: str = PLACEHOLDER
    """An address that participants can write to."""
    retention: str = "Without names, for as long as the research data of this study are kept."
    """How long the answers are kept, and in what form; completes the consent page."""
    minimum_age: int = Field(default=18, ge=0, le=120)
    """In years."""
    pay: str = "As stated in the invitation to this study."
    """What a participant gets, and the rule for those who stop early."""
    minutes: int = Field(default=8, ge=1, le=600)
    """How long the session takes, as told to the participant."""
    on_request: Literal["remove", "anonymise"] = "remove"
    """What `study forget` does with the answers of somebody who asks to be erased: remove them, or keep them under a
    random name that leads back to nobody."""

    def placeholders(self) -> list[str]:
        """The keys that nobody has filled in yet."""
        return [
            key
            for key, value in self.model_dump().items()
            if isinstance(value, str) and _is_placeholder(value)
        ]


def _is_placeholder(value: str) -> bool:
    return not value.strip() or PLACEHOLDER in value or value.strip() in {"…", "..."}


Language = Literal["en", "zh"]
"""Languages that the participant page speaks: English, Chinese (Simplified)."""


class Texts(_Section):
    """What `[ethics]` says in English, in another language of the page."""

    approval: str = Field(min_length=1)
    """As in [ethics]."""
    contact: str = Field(min_length=1)
    """As in [ethics]."""
    retention: str = Field(min_length=1)
    """As in [ethics]."""
    pay: str = Field(min_length=1)
    """As in [ethics]."""


class Page(_Section):
    """The participant page: its languages, and what it asks before the trials."""

    languages: tuple[Language, ...] = Field(default=("en",), min_length=1)
    """One = everybody gets it; several = the participant chooses before the consent, and the choice is recorded. Each
    language but en needs its table [page.texts.LANGUAGE] with approval, contact, retention and pay. (en | zh)"""
    ask_colour_vision: bool = False
    """Ask once, after the consent, whether the participant has a colour vision deficiency."""
    calibration: Literal["none", "card"] = "none"
    """card: the participant fits an outline to a bank card, which tells how large a pixel is."""
    viewing_distance: bool = False
    """Ask once, after the consent, how far the eyes are from the screen."""
    texts: dict[Language, Texts] = {}
    """The texts of [ethics] in the other languages."""

    @model_validator(mode="after")
    def _each_language_once_and_with_its_texts(self) -> "Page":
        if len(set(self.languages)) < len(self.languages):
            raise ValueError("languages names a language twice; name each once")
        for language in self.languages:
            if language != "en" and language not in self.texts:
                raise ValueError(
                    f"languages names {language!r}, so study.toml needs a table [page.texts.{language}] with approval, "
                    "contact, retention and pay in that language"
                )
        return self

    @property
    def asks(self) -> bool:
        """Whether there is anything to ask between the consent and the trials."""
        return self.ask_colour_vision or self.calibration != "none" or self.viewing_distance


class StudySection(_Section):
    """The `[study]` table."""

    id: Name
    """Names the study in every row; also its worker scope unless `scope` says otherwise."""
    preset: str | None = None
    """The preset it was made from; the report quotes the preset's source and departures."""
    question: Question = "fake"
    """Which image is asked for."""
    pairing: Literal["different", "same"] = "different"
    """Real and fake from different inputs (maps, facades) or the same one (colorization)."""
    design: Literal["between", "within"] = "between"
    """One algorithm per session, or all mixed."""
    participants_per_condition: int = Field(default=50, ge=1, le=100_000)
    """Quota of finished sessions per algorithm; in a within design, of sessions in all."""
    practice_images: Literal["own", "rotating"] = "rotating"
    """Practice inputs: a set of their own for the whole study, or what the place leaves over."""
    scope: Name | None = None
    """Studies that name the same scope share "one session per worker"; absent = the study's id."""
    lease_minutes: int = Field(default=30, ge=1, le=24 * 60)
    """A place whose session shows no sign of life for so long goes to somebody else."""
    seed: int = Field(default=0, ge=0)
    """Settles every draw of the plan: the same seed and images give the same places."""


class Imported(_Section):
    """Where the answers come from, for a study that another tool ran; `evalkit study import` writes it."""

    file: str
    """Name of the file that was imported."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of that file."""
    format: Literal["csv", "workers", "amt"]
    """What it is: one row per answer, one row per worker, a batch of phillipi/AMT_Real_vs_Fake."""
    mapped: dict[str, str] = {}
    """What was taken from which column, or how it was said on the command line."""
    conditions: dict[str, str] = {}
    """Algorithm -> its name in the file, where that was written otherwise."""
    rows: int = Field(default=0, ge=0)
    """Rows in the file, without its header."""
    dropped: dict[str, int] = {}
    """Reason -> rows of the file that were left out."""
    notes: tuple[str, ...] = ()
    """What a reader must know: what was warned of."""

    @property
    def of_workers(self) -> bool:
        """Whether only one number per worker is known, and no single answer."""
        return self.format == "workers"


class Study(_Section):
    """A whole study, as study.toml describes it."""

    study: StudySection
    protocol: Protocol
    checks: Checks = Checks()
    stimuli: Stimuli = Stimuli()
    display: Display = Display()
    page: Page = Page()
    reference: Reference
    conditions: dict[str, Condition] = Field(min_length=1)
    metrics: Metrics = Metrics()
    exclusions: Exclusions = Exclusions()
    analysis: Analysis = Analysis()
    stopping: Stopping = Stopping()
    rehearsal: Rehearsal = Rehearsal()
    recruitment: Recruitment = Recruitment()
    ethics: Ethics = Ethics()
    imported: Imported | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @field_validator("conditions")
    @classmethod
    def _names_are_usable(cls, value: dict[str, Condition]) -> dict[str, Condition]:
        for name in value:
            if name in NOT_GENERATED:
                roles = {REAL: "the reference", INPUT: "the inputs", CHECK: "the attention checks"}
                raise ValueError(f"{name!r} is the name of {roles[name]}; give the algorithm another one")
            if not name.replace("_", "").replace("-", "").isalnum() or name != name.lower():
                raise ValueError(f"{name!r}: allowed are lower-case letters, digits, _ and -")
        return value

    @model_validator(mode="after")
    def _parts_agree(self) -> "Study":
        runs = {name: len(condition.images) for name, condition in self.conditions.items()}
        if len(set(runs.values())) > 1:
            listed = ", ".join(f"{name} has {count}" for name, count in runs.items())
            raise ValueError(
                f"conditions.images: every condition needs the same number of training runs; {listed}"
            )
        if self.analysis.target == "this loss" and min(runs.values()) < 2:
            raise ValueError(
                "analysis.target = 'this loss' needs at least two training runs per condition (two entries in images)"
            )
        _refuse_misfits(self.protocol, self.analysis.planned)
        _refuse_rules_on_answers(self.protocol, self.exclusions)
        _refuse_contrasts(self.analysis.contrasts, tuple(self.conditions))
        if self.analysis.equivalence_margin is not None and "fool_rate" not in self.protocol.analyses:
            raise ValueError(
                f"analysis.equivalence_margin is about fool rates, and protocol {self.protocol.name!r} has none;"
                " leave it out"
            )
        self.protocol.check_study(self)
        return self

    @property
    def id(self) -> str:
        """The study's name."""
        return self.study.id

    @property
    def scope(self) -> str:
        """Where "one session per worker" holds."""
        return self.study.scope or self.study.id

    @property
    def question(self) -> Question:
        """Which image is asked for."""
        return self.study.question

    def ethics_in(self, language: str) -> Ethics:
        """What participants are told in a language of the page."""
        texts = self.page.texts.get(language)  # type: ignore[call-overload]  # any string may be asked for
        return self.ethics.model_copy(update=texts.model_dump()) if texts is not None else self.ethics

    @property
    def runs(self) -> int:
        """Training runs per condition."""
        return len(next(iter(self.conditions.values())).images)

    @property
    def contrasts(self) -> tuple[tuple[str, str], ...]:
        """The pairs of conditions to compare, first minus second: the planned ones, or all."""
        planned = [text.partition(" - ") for text in self.analysis.contrasts]
        if planned:
            return tuple((first.strip(), second.strip()) for first, _, second in planned)
        return tuple(itertools.combinations(self.conditions, 2))

    @property
    def checks_per_session(self) -> int:
        """Attention checks among the scored trials."""
        return round(self.checks.share * self.protocol.scored)

    @property
    def main_trials(self) -> int:
        """Trials after practice: scored ones and the checks among them, which a participant cannot tell apart."""
        return self.protocol.scored + self.checks_per_session

    @property
    def trials_per_session(self) -> int:
        """Trials of a session, practice and checks included, without its reserve."""
        return self.protocol.practice + self.main_trials

    @property
    def sessions_planned(self) -> int:
        """Places in all."""
        per = self.study.participants_per_condition
        return per * len(self.conditions) if self.study.design == "between" else per

    def frozen_settings(self) -> dict[str, Any]:
        """Everything the freeze covers: all settings but the metrics and what a rehearsal assumes."""
        unused = {"imported"} if self.imported is None else set()
        settings = self.model_dump(mode="json", exclude={"metrics", "protocol", "rehearsal", *unused})
        return {**settings, "protocol": self.protocol.parameters()}

    def digest(self) -> str:
        """SHA-256 of the frozen settings."""
        return hashlib.sha256(json.dumps(self.frozen_settings(), sort_keys=True).encode()).hexdigest()


def _refuse_misfits(protocol: Protocol, planned: tuple[str, ...]) -> None:
    """An analysis of one protocol's outcome says nothing true of another's."""
    elsewhere = {name for other in PROTOCOLS.values() for name in other.analyses} - set(protocol.analyses)
    for name in planned:
        if name in elsewhere:
            raise ValueError(
                f"analysis.planned: {name!r} does not fit protocol {protocol.name!r}, whose outcome is: "
                f"{protocol.outcome}. Allowed: {', '.join(protocol.analyses)}"
            )


def _refuse_contrasts(contrasts: tuple[str, ...], conditions: tuple[str, ...]) -> None:
    """Each contrast names two conditions of the study, and no pair stands there twice."""
    seen: set[frozenset[str]] = set()
    for text in contrasts:
        first, minus, second = (part.strip() for part in text.partition(" - "))
        if not minus or not first or not second:
            raise ValueError(
                f'analysis.contrasts: {text!r} is no contrast; write "FIRST - SECOND" with blanks around the minus'
            )
        for name in (first, second):
            if name not in conditions:
                raise ValueError(
                    f"analysis.contrasts: {text!r}: no condition is called {name!r}.{did_you_mean(name, conditions)}"
                )
        if first == second:
            raise ValueError(f"analysis.contrasts: {text!r} compares a condition with itself")
        if frozenset((first, second)) in seen:
            raise ValueError(
                f"analysis.contrasts: the pair of {text!r} stands there twice; name each pair once"
            )
        seen.add(frozenset((first, second)))


def _refuse_rules_on_answers(protocol: Protocol, exclusions: Exclusions) -> None:
    """Where the buttons say real and fake, a rule on buttons would look at the very answers that are estimated."""
    rules = ("max_same_side_share", "max_same_side_run", "max_alternation_share")
    for name in rules if protocol.layout == "one_image" else ():
        if getattr(exclusions, name) is not None:
            raise ValueError(
                f"exclusions.{name} looks at sides, but the buttons of protocol {protocol.name!r} say real and fake, which no"
                " rule may look at; leave it out and use attention checks (checks.share, exclusions.max_failed_checks)"
            )
    correct = exclusions.min_practice_correct
    if correct is not None and correct > protocol.practice:
        raise ValueError(
            f"exclusions.min_practice_correct = {correct} is more than protocol.practice = {protocol.practice}:"
            " it would leave everybody out"
        )


def load_study(folder: Path) -> Study:
    """Read `folder/study.toml`.

    Raises:
        UserError: There is none, it is not TOML, or a key or value is not allowed (names file, key, value and
            what is allowed).
    """
    path = folder / "study.toml"
    if not path.is_file():
        raise UserError(f"{folder}: no study.toml here. `evalkit study init {folder} ...` makes a study.")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}.") from error
    return parse_study(tree, str(path))


def parse_study(tree: dict[str, Any], where: str) -> Study:
    """Build a Study from the tables of a study.toml; `where` names it in errors.

    Raises:
        UserError: As `load_study`.
    """
    tree = dict(tree)
    protocol = tree["protocol"] = _parse_protocol(tree.get("protocol", {}), where)
    analysis = tree.get("analysis", {})
    if isinstance(analysis, dict):  # anything else is refused below
        tree["analysis"] = {"planned": protocol.analyses, **analysis}
    try:
        return Study.model_validate(tree)
    except ValidationError as error:
        raise UserError(_explain(error, where, ())) from error


def _parse_protocol(table: Any, where: str) -> Protocol:
    if not isinstance(table, dict):
        raise UserError(f"{where}: [protocol] must be a table.")
    settings = dict(table)
    name = settings.pop("name", "two_afc")
    if name not in PROTOCOLS:
        raise UserError(
            f"{where}: [protocol] name = {name!r}: no such protocol.{did_you_mean(str(name), PROTOCOLS)}"
        )
    try:
        return PROTOCOLS[name](**settings)
    except ValidationError as error:
        raise UserError(_explain(error, where, ("protocol",), PROTOCOLS[name])) from error


def _explain(error: ValidationError, where: str, prefix: tuple[str, ...], model: type[Any] = Study) -> str:
    """One line for the first problem, and how many more there are."""
    problem = error.errors()[0]
    path = [*prefix, *(str(part) for part in problem["loc"])]
    spot = f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else f"[{path[0]}]" if path else ""
    value = f" = {problem['input']!r}" if isinstance(problem["input"], (str, int, float)) else ""
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        text = f"unknown key.{did_you_mean(path[-1], _known_keys(model, path[len(prefix) : -1]))}"
    elif problem["type"] == "missing":
        text = "is missing; add it."
    elif problem["type"] == "value_error":
        text = f"{problem['ctx']['error']}."
    else:
        text = f"{problem['msg']}."
    more = f" ({error.error_count() - 1} more problems after this one.)" if error.error_count() > 1 else ""
    return ": ".join(part for part in (where, spot + value, text) if part) + more


def _known_keys(model: type[Any], path: list[str]) -> list[str]:
    fields = getattr(model, "model_fields", None) or getattr(model, "__pydantic_fields__", {})
    for part in path:
        inner = fields[part].annotation if part in fields else Condition
        fields = getattr(inner, "model_fields", {})
    return list(fields)

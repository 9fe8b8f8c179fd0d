"""Made-up studies and bundles without pixels, for tests of the plan."""

from typing import Any

from studies.design import Study, parse_study
from studies.records import INPUT, REAL, Stimulus


def make_design(
    inputs: int, *, conditions: tuple[str, ...] = ("alpha", "beta"), runs: int = 1, **tables: Any
) -> tuple[Study, list[Stimulus]]:
    """A study and its stimuli: `inputs` inputs in each condition, run and the reference."""
    tree: dict[str, Any] = {
        "study": {"id": "made-up", "participants_per_condition": 10, **tables.pop("study", {})},
        "reference": {"images": "real"},
        "conditions": {name: {"images": [f"{name}/{run}" for run in range(runs)]} for name in conditions},
        **tables,
    }
    sources = [f"i{number}" for number in range(inputs)]
    images = [
        _stimulus(name, run, source) for name in conditions for run in range(runs) for source in sources
    ]
    return parse_study(tree, "made-up"), images + [_stimulus(REAL, 0, source) for source in sources]


def _stimulus(condition: str, run: int, source: str) -> Stimulus:
    name = f"{condition}-{run}-{source}"
    return Stimulus(name, condition, run, source, digest="", file=f"{name}.png", file_digest="")


def make_protocol_design(name: str, inputs: int, **settings: Any) -> tuple[Study, list[Stimulus]]:
    """A study that a protocol accepts, and its stimuli with pictures of the inputs.

    Args:
        name: Key of the protocol.
        inputs: How many inputs.
        settings: Values of [protocol]; tables of study.toml where they are dictionaries.
    """
    tables = {key: value for key, value in settings.items() if isinstance(value, dict)}
    protocol = {"name": name, **{key: value for key, value in settings.items() if key not in tables}}
    if name == "preference":
        tables["study"] = {"design": "within", **tables.get("study", {})}
    study, images = make_design(
        inputs, protocol=protocol, reference={"images": "real", "inputs": "inputs"}, **tables
    )
    return study, [*images, *(_stimulus(INPUT, 0, f"i{number}") for number in range(inputs))]

"""Small studies to rehearse."""

from typing import Any

from evalkit.rehearsal.places import Places, made_up_images, plan_places
from studies.design import Study, parse_study


def a_study(conditions: int = 2, runs: int = 1, **tables: dict[str, Any]) -> Study:
    """A study of made-up images; tables of study.toml may be changed."""
    tree: dict[str, Any] = {
        "study": {"id": "small", "participants_per_condition": 12, "seed": 3},
        "protocol": {"practice": 2, "scored": 12, "reserve": 2},
        "reference": {"images": "real"},
        "conditions": {
            name: {"images": [f"{name}/{run}" for run in range(runs)]}
            for name in ("alpha", "beta", "gamma", "delta")[:conditions]
        },
    }
    for name, values in tables.items():
        tree[name] = {**tree.get(name, {}), **values}
    return parse_study(tree, "test")


def its_places(study: Study, inputs: int = 32) -> Places:
    """The plan of such a study."""
    return plan_places(study, made_up_images(study, [f"i{number:03d}" for number in range(inputs)]))

"""The plan keeps its promises for many sizes of study."""

from collections import Counter
from itertools import pairwise

import pytest

from studies.errors import UserError
from studies.plan import allocate, plan_session, summarise
from studies.records import REAL
from tests.studies.designs import make_design

DESIGNS = {
    "just enough inputs": (50, {}),
    "a little more": (60, {}),
    "roles can be kept apart": (106, {}),
    "many inputs": (400, {}),
    "a prime number of inputs": (401, {}),
    "fifty participants": (120, {"study": {"participants_per_condition": 50}}),
    "three training runs": (150, {"runs": 3}),
    "five algorithms": (110, {"conditions": ("l1", "gan", "cgan", "l1_gan", "l1_cgan")}),
    "same pairing": (60, {"study": {"pairing": "same"}}),
    "question real": (60, {"study": {"question": "real"}}),
    "own practice images": (120, {"study": {"practice_images": "own"}}),
    "own practice images, small pool": (55, {"study": {"practice_images": "own"}}),
    "all algorithms in one session": (
        110,
        {"study": {"design": "within"}, "conditions": ("a", "b", "c", "d")},
    ),
    "within, three runs": (110, {"study": {"design": "within"}, "runs": 3}),
    "odd counts": (37, {"protocol": {"practice": 3, "scored": 15, "reserve": 2}}),
    "no practice": (90, {"protocol": {"practice": 0}}),
}


@pytest.fixture(scope="module", params=DESIGNS, ids=lambda name: name.replace(" ", "-"))
def design(request):
    inputs, tables = DESIGNS[request.param]
    study, images = make_design(inputs, **tables)
    return study, images, allocate(study, images)


def _scored(place):
    return [pairing for pairing in place.pairings if pairing.phase == "scored"]


class TestEveryPlan:
    def test_has_one_place_per_planned_session(self, design):
        study, _, places = design
        assert len(places) == study.sessions_planned
        assert len({(place.condition, place.index) for place in places}) == len(places)

    def test_is_the_same_for_the_same_seed_and_another_for_another(self, design):
        study, images, places = design
        assert allocate(study, images) == places
        assert allocate(study, list(reversed(images))) == places
        other = study.model_copy(update={"study": study.study.model_copy(update={"seed": 99})})
        assert allocate(other, images) != places

    def test_shows_no_image_twice_in_a_session(self, design):
        study, images, places = design
        for place in places:
            plan = plan_session(study, images, place)
            shown = [slot.image for trial in plan.trials + plan.reserve for slot in trial.slots]
            assert len(shown) == len(set(shown))

    def test_has_the_planned_number_of_trials_of_each_phase(self, design):
        study, images, places = design
        plan = plan_session(study, images, places[0])
        phases = [trial.phase for trial in plan.trials]
        assert phases == ["practice"] * study.protocol.practice + ["scored"] * study.protocol.scored
        assert [trial.trial_index for trial in plan.trials] == list(range(study.protocol.total))

    def test_pairs_one_fake_with_one_real_image_on_the_other_side(self, design):
        study, images, places = design
        for trial in plan_session(study, images, places[-1]).trials:
            conditions = [slot.condition for slot in trial.slots]
            assert conditions.count(REAL) == 1
            assert {slot.side for slot in trial.slots} == {"left", "right"}
            asked = trial.slots[trial.target - 1].condition
            assert (asked == REAL) == (study.question == "real")

    def test_pairs_the_same_input_or_different_ones_as_asked(self, design):
        study, _, places = design
        same = study.study.pairing == "same"
        assert all((p.source_id == p.partner_id) == same for place in places for p in place.pairings)

    def test_scores_every_fake_equally_often_give_or_take_one(self, design):
        study, images, places = design
        shown = Counter((p.condition, p.run, p.source_id) for place in places for p in _scored(place))
        pool = {source for _, _, source in shown} if study.study.practice_images == "own" else None
        views = [
            shown[image.condition, image.run, image.source_id]
            for image in images
            if image.condition != REAL and (pool is None or image.source_id in pool)
        ]
        assert max(views) - min(views) <= 1

    def test_scores_every_real_image_equally_often_give_or_take_one(self, design):
        study, images, places = design
        first = places[0].condition
        shown = Counter(p.partner_id for place in places if place.condition == first for p in _scored(place))
        pool = {image.source_id for image in images}
        if study.study.practice_images == "own":
            pool = set(shown)
        views = [shown[source] for source in pool]
        assert max(views) - min(views) <= 1

    def test_shows_the_fake_first_and_left_in_half_of_each_session(self, design):
        _, _, places = design
        for place in places:
            scored = _scored(place)
            half = len(scored) / 2
            assert abs(sum(p.fake_first for p in scored) - half) <= 0.5
            assert abs(sum(p.fake_left for p in scored) - half) <= 1
            both = Counter((p.fake_first, p.fake_left) for p in scored)
            assert max(both.values()) - min(both.values()) <= 2

    def test_shows_each_image_first_and_left_equally_often(self, design):
        study, images, places = design
        summary = summarise(study, images, places)
        # 2 is one more and one less than half of an even number of views.
        assert summary.order_imbalance <= 2
        assert summary.side_imbalance <= 2

    def test_gives_the_kth_place_of_every_condition_the_same_list(self, design):
        study, _, places = design
        if study.study.design == "within":  # one list holds all algorithms
            assert {place.condition for place in places} == {""}
            return
        lists = {}
        for place in places:
            drawn = [
                (p.phase, p.run, p.source_id, p.partner_id, p.fake_first, p.fake_left) for p in place.pairings
            ]
            assert {p.condition for p in place.pairings} == {place.condition}
            assert lists.setdefault(place.index, drawn) == drawn

    def test_hands_places_out_in_blocks_of_all_conditions(self, design):
        study, _, places = design
        size = len(study.conditions) if study.study.design == "between" else 1
        for start in range(0, len(places), size):
            block = places[start : start + size]
            assert len({place.index for place in block}) == 1
            assert len({place.condition for place in block}) == size


def test_the_order_of_conditions_differs_between_blocks():
    study, images = make_design(110, study={"participants_per_condition": 50})
    order = [place.condition for place in allocate(study, images)]
    blocks = {tuple(order[start : start + 2]) for start in range(0, len(order), 2)}
    assert blocks == {("alpha", "beta"), ("beta", "alpha")}


def test_order_and_side_are_drawn_independently():
    study, images = make_design(400, study={"participants_per_condition": 50})
    joint = Counter((p.fake_first, p.fake_left) for place in allocate(study, images) for p in _scored(place))
    expected = sum(joint.values()) / 4
    assert all(abs(count - expected) < 0.05 * expected for count in joint.values())


def test_trials_of_a_session_come_in_random_order_of_the_pool():
    study, images = make_design(400)
    place = allocate(study, images)[0]
    numbers = [int(p.source_id[1:]) for p in _scored(place)]
    rising = sum(a < b for a, b in pairwise(numbers))
    assert 8 < rising < 31


def test_an_input_in_both_roles_is_put_half_a_session_apart_when_the_pool_is_scarce():
    study, images = make_design(50, study={"participants_per_condition": 50})
    summary = summarise(study, images, allocate(study, images))
    assert (summary.inputs_in_both_roles, summary.closest_roles) == (50, 25)
    assert summary.reserve == 0
    assert summary.warnings == (
        "50 inputs for 10 + 40 trials leave room for a reserve of 0 instead of 3: a void trial beyond it stays missing.",
        (
            "50 inputs are too few to use each in one role only: up to 50 inputs per session appear once as fake and "
            "once as real image, at least 25 trials apart. 100 inputs would avoid it."
        ),
    )


def test_no_input_appears_in_both_roles_when_the_pool_is_large_enough():
    study, images = make_design(106)
    summary = summarise(study, images, allocate(study, images))
    assert (summary.inputs_in_both_roles, summary.closest_roles, summary.warnings) == (0, None, ())


def test_own_practice_inputs_are_the_same_for_everyone_and_never_scored():
    study, images = make_design(150, study={"practice_images": "own"})
    places = allocate(study, images)
    practised = {p.source_id for place in places for p in place.pairings if p.phase == "practice"}
    others = {
        name
        for place in places
        for p in place.pairings
        if p.phase != "practice"
        for name in (p.source_id, p.partner_id)
    }
    assert len(practised) == 10
    assert not practised & others


@pytest.mark.parametrize(
    ("inputs", "tables", "message"),
    [
        (49, {}, "49 inputs are too few: 10 practice \\+ 40 scored trials need at least 50"),
        (45, {"study": {"practice_images": "own"}}, "45 inputs are too few"),
        (50, {"study": {"practice_images": "own"}, "protocol": {"scored": 41, "practice": 9}}, None),
        (1, {"protocol": {"practice": 0, "scored": 1}}, "1 inputs are too few"),
    ],
)
def test_a_pool_smaller_than_a_session_is_refused(inputs, tables, message):
    study, images = make_design(inputs, **tables)
    if message is None:
        assert len(allocate(study, images)) == 20
        return
    with pytest.raises(UserError, match=message):
        allocate(study, images)

"""What is searched: spaces as data, how a user narrows them, and that what they plan can be built."""

from __future__ import annotations

import dataclasses
import inspect
import json
import random
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from keras_cnns.registry import MODELS
from tuning import families, narrowing, spaces
from tuning.asked import Asked, check
from tuning.errors import BadInput
from tuning.families import Choice, Fixed, Range

FAMILIES = sorted(families.FAMILIES)
SMALLEST = {"alexnet": 67, "googlenet": 79}  # others take 32 pixels


def drawn(searched: spaces.Space, dice: random.Random) -> dict[str, Any]:
    """Values as an engine draws them: only of hyperparameters that count."""
    values: dict[str, Any] = {}
    for name, one in searched.dimensions.items():
        if not families.active(one, values):
            continue
        if isinstance(one, Fixed):
            values[name] = one.value
        elif isinstance(one, Choice):
            values[name] = dice.choice(one.values)
        else:
            values[name] = dice.uniform(one.low, one.high)
    return values


def accepted(plan: spaces.Plan) -> set[str]:
    """Arguments that a plan's builder has."""
    module, _, function = MODELS[plan.model].builder.partition(":")
    return set(inspect.signature(getattr(import_module(module), function)).parameters)


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(BadInput) as error:
        call(*arguments, **named)
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("family", FAMILIES)
def test_the_defaults_of_a_family_make_a_plan(family: str) -> None:
    searched = spaces.space(family)
    values = searched.defaults()
    plan = spaces.plan(searched, values, epochs=7)
    assert plan.model in MODELS
    assert plan.recipe.epochs == 7
    assert plan.recipe.optimizer == values["optimizer"]
    assert plan.recipe.learning_rate == values["learning_rate"]
    assert set(plan.arguments) <= set(families.FAMILIES[family].network)
    for name, one in searched.dimensions.items():
        if isinstance(one, Range):
            assert one.low <= one.default <= one.high, name
        elif isinstance(one, Choice):
            assert one.default in one.values, name
            assert len({type(value) for value in one.values}) == 1, name


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_hold_the_whole_space(family: str) -> None:
    searched = narrowing.narrow(spaces.space(family), fix={"optimizer": "adam"}, ranges={"lr": (1e-3, 1e-2)})
    rows = json.loads(json.dumps(searched.rows()))
    assert spaces.from_rows(family, None, rows) == searched


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_is_drawn_of_a_family_names_a_registered_network(family: str) -> None:
    searched, dice = spaces.space(family), random.Random(0)
    for _ in range(50):
        plan = spaces.plan(searched, drawn(searched, dice), 3)
        assert plan.model in MODELS
        assert not set(plan.arguments) & set(MODELS[plan.model].arguments)


@pytest.mark.parametrize(
    "name", ["cifar_resnet20", "lenet5_modern", "vgg16_bn", "densenet121", "se_resnet50"]
)
def test_a_registered_network_keeps_its_own_arguments(name: str) -> None:
    searched, dice = spaces.space(name), random.Random(0)
    assert searched.model == name
    assert not set(searched.dimensions) & {*MODELS[name].arguments, "depth", "version"}
    for _ in range(20):
        assert spaces.plan(searched, drawn(searched, dice), 3).model == name


def test_a_network_without_a_space_is_refused() -> None:
    assert "bn_inception has no space to search" in refused(spaces.space, "bn_inception")
    assert "Did you mean 'resnet'?" in refused(spaces.space, "resnets")


def test_a_conditional_hyperparameter_counts_beside_its_parent_only() -> None:
    searched, dice = spaces.space("resnet"), random.Random(1)
    seen = set()
    for _ in range(60):
        values = drawn(searched, dice)
        seen.add("stem" in values)
        assert ("stem" in values) == (values["depth"] in (18, 34, 50))
        stale = {**values, "stem": "7x7"}  # as KerasTuner may leave it
        assert ("stem" in spaces.plan(searched, stale, 3).arguments) == (values["depth"] in (18, 34, 50))
    assert seen == {True, False}


def test_what_can_no_longer_count_leaves_the_space() -> None:
    assert "stem" not in narrowing.narrow(spaces.space("resnet"), fix={"depth": 20}).dimensions
    assert "stem" not in narrowing.narrow(spaces.space("resnet"), fix={"depth": "20|32"}).dimensions
    assert "stem" in narrowing.narrow(spaces.space("resnet"), fix={"depth": "18"}).dimensions


def test_a_user_fixes_values() -> None:
    narrowed = narrowing.narrow(
        spaces.space("vgg"), fix={"lr": "1e-3", "depth": "13", "batch_norm": "true", "optimizer": "Adam"}
    )
    assert narrowed.dimensions["learning_rate"] == Fixed(1e-3, "recipe")
    assert narrowed.dimensions["depth"] == Fixed(13)
    assert narrowed.dimensions["batch_norm"] == Fixed(True)
    assert narrowed.dimensions["optimizer"] == Fixed("adam", "recipe")
    assert not {"learning_rate", "depth", "batch_norm", "optimizer"} & set(narrowed.searched())
    plan = spaces.plan(narrowed, narrowed.defaults(), 3)
    assert (plan.model, plan.recipe.learning_rate, plan.recipe.optimizer) == ("vgg13", 1e-3, "adam")


def test_a_user_narrows_ranges_and_choices() -> None:
    narrowed = narrowing.narrow(
        spaces.space("resnet"),
        fix={"optimizer": ["adam", "Adam"], "schedule": "steps| Constant", "batch_size": [64, "32"]},
        ranges={"lr": (1e-2, 0.2), "depth": (30, 50), "version": (2, 9)},
    )
    rate, depth, schedule, batch_size = (
        narrowed.dimensions[key] for key in ("learning_rate", "depth", "schedule", "batch_size")
    )
    assert isinstance(rate, Range)
    assert (rate.low, rate.high, rate.log) == (1e-2, 0.2, True)
    assert isinstance(depth, Choice)
    assert sorted(depth.values) == [32, 34, 44, 50]
    assert depth.default in depth.values
    assert isinstance(schedule, Choice)
    assert (schedule.values, schedule.default) == (("steps", "constant"), "steps")
    assert isinstance(batch_size, Choice)
    assert (batch_size.values, batch_size.default) == ((64, 32), 64)
    assert narrowed.dimensions["optimizer"] == Fixed("adam", "recipe")  # of one value nothing is left
    assert narrowed.dimensions["version"] == Fixed(2)
    moved = narrowing.narrow(spaces.space("resnet"), ranges={"lr": (1e-3, 2e-3)}).dimensions["learning_rate"]
    assert isinstance(moved, Range)
    assert moved.default == 2e-3


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({"fix": {"learning_rat": "1"}}, "Did you mean 'learning_rate'?"),
        ({"ranges": {"dept": (1, 2)}}, "Did you mean 'depth'?"),
        ({"fix": {"depth": 19}}, "depth=19 is outside its space: 20, 32, 44, 56, 18, 34, 50; nearest: 20"),
        ({"fix": {"lr": 5}}, "lr=5 is outside its space, from 0.0001 to 0.3"),
        ({"fix": {"lr": "fast"}}, "lr=fast is outside its space, from 0.0001 to 0.3"),
        ({"fix": {"lr": "nan"}}, "lr=nan is outside its space, from 0.0001 to 0.3"),
        ({"fix": {"optimizer": "adamw"}}, "optimizer=adamw is outside its space: sgd, adam; nearest: adam"),
        ({"ranges": {"lr": (0.1, 0.1)}}, "lr=0.1:0.1 is empty"),
        ({"ranges": {"lr": (0.1, 0.01)}}, "lr=0.1:0.01 is inverted"),
        ({"ranges": {"lr": (0.0, 0.01)}}, "lr=0:0.01 must be finite and above 0"),
        ({"ranges": {"lr": (1e-3, float("inf"))}}, "lr=0.001:inf must be finite and above 0"),
        ({"ranges": {"lr": (float("nan"), 1.0)}}, "lr=nan:1 is no range"),
        ({"ranges": {"depth": (20, float("nan"))}}, "depth=20:nan is no range"),
        ({"ranges": {"dropout": (-1.0, 0.5)}}, "dropout=-1:0.5 must be finite and at least 0"),
        ({"ranges": {"depth": (1, 2)}}, "depth=1:2 leaves nothing of 20, 32, 44, 56, 18, 34, 50"),
        ({"ranges": {"optimizer": (1, 2)}}, "optimizer=1:2 leaves nothing of sgd, adam"),
        ({"fix": {"lr": [1e-3]}}, "lr is a range from 0.0001 to 0.3, not a choice"),
        ({"fix": {"lr": "1e-3|1e-2"}}, "lr is a range from 0.0001 to 0.3, not a choice"),
        ({"fix": {"depth": []}}, "depth must keep one of"),
        ({"fix": {"depth": "20|21"}}, "depth=21 is outside its space"),
        ({"fix": {"lr": None}}, "lr=None is outside its space"),
        ({"fix": {"width": True}}, "width=True is outside its space"),
        (
            {"fix": {"depth": 20, "stem": "7x7"}},
            "stem does not count here: it does where depth is 18, 34, 50",
        ),
        ({"fix": {"depth": "20|32", "stem": "7x7|3x3"}}, "stem does not count here"),
        ({"fix": {"depth": 20, "stem": "7x7", "steem": 1}}, "Did you mean 'stem'?"),
    ],
)
def test_what_no_space_can_have_is_refused(what: Mapping[str, Any], sentence: str) -> None:
    assert sentence in refused(narrowing.narrow, spaces.space("resnet"), **what)


def test_dropout_and_label_smoothing_stay_shares() -> None:
    for name in ("dropout", "label_smoothing"):
        assert name in refused(narrowing.narrow, spaces.space("resnet"), ranges={name: (0.1, 1.5)})


def test_a_fixed_value_may_be_said_twice_but_not_changed() -> None:
    once = narrowing.narrow(spaces.space("resnet"), fix={"depth": 18})
    assert narrowing.narrow(once, fix={"depth": "18"}) == once
    assert "contradicts" in refused(narrowing.narrow, once, fix={"depth": 34})
    assert "is fixed at 18" in refused(narrowing.narrow, once, ranges={"depth": (18, 34)})
    rate = narrowing.narrow(spaces.space("resnet"), fix={"lr": 1e-2})
    assert narrowing.narrow(rate, fix={"lr": "1e-2"}) == rate


def test_the_map_loss_of_lenet5_takes_neither_label_smoothing_nor_mixup() -> None:
    own = spaces.space("lenet5")
    assert "label_smoothing" not in own.dimensions
    level = own.dimensions["augmentation"]
    assert isinstance(level, Choice)
    assert not any(families.AUGMENTATION[one]["mixup"] for one in level.values)
    family = spaces.space("lenet")  # here the loss is known only once the version is drawn
    values = {**family.defaults(), "version": "1998", "label_smoothing": 0.2, "augmentation": 3}
    recipe = spaces.plan(family, values, 3).recipe
    assert (recipe.loss, recipe.label_smoothing, recipe.mixup) == ("map", 0.0, 0.0)
    assert spaces.plan(family, {**values, "version": "modern"}, 3).recipe.mixup > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_that_must_not_be_mirrored_never_are(family: str) -> None:
    searched, dice = spaces.space(family, mirror=False), random.Random(2)
    for values in [searched.defaults(), *(drawn(searched, dice) for _ in range(30))]:
        assert not spaces.plan(searched, values, 3, mirror=False).recipe.mirror
    assert any(spaces.plan(searched, drawn(searched, dice), 3, mirror=True).recipe.mirror for _ in range(30))


def test_keras_tuners_own_values_are_passed_over() -> None:
    searched = spaces.space("vgg")
    values = searched.defaults()
    more = {**values, "tuner/epochs": 3, "tuner/trial_id": "0001"}
    assert spaces.plan(searched, more, 9) == spaces.plan(searched, values, 9)
    assert narrowing.checked(searched, more) == values


def test_values_of_a_file_are_held_against_the_space() -> None:
    searched = spaces.space("resnet")
    found = narrowing.checked(searched, {"depth": 50, "stem": "7x7"})
    assert (found["depth"], found["stem"], found["optimizer"]) == (50, "7x7", "sgd")
    assert "stem" not in narrowing.checked(searched, {"depth": 20, "stem": "7x7"})
    assert "depth=51 is outside its space" in refused(narrowing.checked, searched, {"depth": 51})
    assert "Did you mean 'depth'?" in refused(narrowing.checked, searched, {"detph": 50})
    for value in (None, [1], {}, True, "fast", "0.1|0.2"):
        assert f"learning_rate={value} is outside its space" in refused(
            narrowing.checked, searched, {"learning_rate": value}
        )


def test_values_of_a_file_may_lie_where_a_range_lets_a_search_look() -> None:
    searched = spaces.space("resnet")
    narrowing.narrow(searched, ranges={"lr": (1e-3, 1.0), "dropout": (0.0, 0.9)})  # is allowed
    found = narrowing.checked(searched, {"learning_rate": 0.8, "weight_decay": "0.5", "dropout": 0.9})
    assert (found["learning_rate"], found["weight_decay"], found["dropout"]) == (0.8, 0.5, 0.9)
    for name, value, why in [
        ("learning_rate", 0, "finite and above 0"), ("learning_rate", -0.1, "finite and above 0"),
        ("learning_rate", float("inf"), "finite"), ("learning_rate", float("nan"), "finite"),
        ("learning_rate", 10**400, "finite"), ("dropout", 1.1, "must not exceed 1"),
    ]:  # fmt: skip
        assert why in refused(narrowing.checked, searched, {name: value})
    fixed = narrowing.narrow(searched, fix={"lr": 0.01})
    assert "contradicts" in refused(narrowing.checked, fixed, {"learning_rate": 0.02})


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_is_drawn_of_a_family_can_be_built(family: str) -> None:
    import keras

    from keras_cnns.training import data, fit
    from keras_cnns.training.preprocess import Preprocess

    searched, dice = spaces.space(family), random.Random(3)
    side = SMALLEST.get(family, 32)
    nothing = data.Files((), ())
    channels = 1 if family == "lenet" else 3
    for values in (searched.defaults(), drawn(searched, dice)):
        plan = spaces.plan(searched, values, 3)
        assert set(plan.arguments) <= accepted(plan)
        task = fit.Task(
            plan.model, ("a", "b", "c"), nothing, nothing, Preprocess(side, side, channels), plan.recipe,
            arguments=plan.arguments,
        )  # fmt: skip
        with keras.StatelessScope(initialize_variables=False):
            network = fit.untrained(task)
        outputs = network.output if isinstance(network.output, (list, dict)) else [network.output]
        last = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs[0]
        assert tuple(last.shape) == (None, 3)


def test_a_space_of_ones_own_says_itself_what_it_is_of() -> None:
    space = spaces.space("resnet", mirror=False)
    assert check(Asked(family="resnet", space=space)) == space
    assert Asked(space=space).family == "resnet"
    assert Asked(space=spaces.space("cifar_resnet20")).family == "cifar_resnet20"
    with pytest.raises(BadInput, match="family='lenet': the space is of 'resnet'"):
        check(Asked(family="lenet", space=space))
    odd = {**space.dimensions, "learning_rte": Range(1e-3, 1e-1, 1e-2, of="recipe")}
    with pytest.raises(BadInput, match=r"recipe='learning_rte' is not known.*learning_rate"):
        check(Asked(family="resnet", space=dataclasses.replace(space, dimensions=odd)))


def test_losses_can_be_compared_where_all_networks_have_the_same() -> None:
    assert spaces.losses(spaces.space("lenet")) == {"map", "crossentropy"}
    assert spaces.losses(spaces.space("lenet5")) == {"map"}
    one = check(Asked(family="lenet5_modern", objective="val_loss", fix={"label_smoothing": 0}))
    assert spaces.losses(one) == {"crossentropy"}
    own = {**one.dimensions, "loss": Choice(("crossentropy", "map"), "crossentropy", "recipe")}
    assert spaces.losses(dataclasses.replace(one, dimensions=own)) == {"crossentropy", "map"}

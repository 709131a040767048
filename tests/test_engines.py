"""The engines, on a made-up objective: what they try, in which order, and that no kill changes it."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tuning import asha, asked, durable, engines, narrowing, spaces
from tuning.families import Choice, Range

EPOCHS, MOST = 9, 12  # Bayesian optimisation has a model after 10
ENGINES = asked.ENGINES


def small() -> spaces.Space:
    """A space of four hyperparameters, one of which counts beside another only."""
    return spaces.Space(
        "resnet",
        None,
        {
            "depth": Choice((20, 32, 18), 20),
            "stem": Choice(("7x7", "3x3"), "3x3", when=("depth", (18,))),
            "optimizer": Choice(("sgd", "adam"), "sgd", "recipe"),
            "learning_rate": Range(1e-4, 0.3, 1e-2, log=True, of="recipe"),
        },
    )


def quality(values: dict[str, Any], epoch: int) -> float:
    """val_accuracy after an epoch: it rises, to a height that the values decide."""
    rate = math.log10(values["learning_rate"])
    top = 0.9 - (rate + 1.7) ** 2 / 12 - 0.1 * (values["optimizer"] == "adam") + values["depth"] / 1000
    return max(0.01, top) * (1 - math.exp(-epoch / 3))


def made(folder: Path, engine: str, **changed: Any) -> Any:
    given = {
        "space": small(), "objective": "val_accuracy", "epochs": EPOCHS, "most": MOST, "seed": 0,
        "folder": folder, **changed,
    }  # fmt: skip
    return engines.oracle(engine, given.pop("space"), **given)


def begin(oracle: Any, worker: str = "worker0") -> Any:
    trial = oracle.create_trial(worker)
    if trial.status == "RUNNING":
        oracle.begun(trial.trial_id, worker)
    return trial


def measure(oracle: Any, trial: Any, until: int | None = None) -> None:
    values = trial.hyperparameters.values
    first, last = values.get("tuner/initial_epoch", 0), values.get("tuner/epochs", EPOCHS)
    for epoch in range(first + 1, (until or last) + 1):
        score = quality(values, epoch)
        oracle.update_trial(trial.trial_id, {"val_accuracy": score, "val_loss": 1 - score}, step=epoch)


def finish(oracle: Any, trial: Any) -> None:
    measure(oracle, trial)
    oracle.ended(trial.trial_id, "COMPLETED", {"seconds": 1.0})


def run(
    oracle: Any,
    fate: Callable[[int], str | None] = lambda _: None,
    again: Callable[[], Any] | None = None,
    limit: int = 400,
) -> Any:
    """Search to the end, alone.

    Args:
        oracle: To ask.
        fate: From a trial's number to why it fails.
        again: Makes the oracle anew from its state, before each step.
        limit: Of trials; more is a search that never ends.
    """
    for _ in range(limit):
        if again:
            oracle = again()
        trial = begin(oracle)
        if trial.status == "STOPPED":
            return oracle
        assert trial.status == "RUNNING", trial.status
        if again:
            oracle = again()
            assert begin(oracle).trial_id == trial.trial_id, "the trial under way is taken up first"
        reason = fate(int(trial.trial_id))
        if reason:
            oracle.ended(trial.trial_id, "FAILED", {"reason": reason})
        else:
            finish(oracle, trial)
    raise AssertionError("the search does not end")


def story(oracle: Any) -> list[tuple[Any, ...]]:
    """All that a search did."""
    return [
        (one.trial_id, one.status, one.message, one.score, dict(one.hyperparameters.values))
        for one in oracle.trials.values()
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_that_is_taken_up_after_each_step_equals_an_unbroken_one(
    tmp_path: Path, engine: str
) -> None:
    unbroken = run(made(tmp_path / "unbroken", engine))
    broken = run(made(tmp_path / "broken", engine), again=lambda: made(tmp_path / "broken", engine))
    assert story(broken) == story(unbroken)
    assert broken.end_order == unbroken.end_order
    assert broken.counted == MOST
    assert len(broken.facts) == len(broken.trials)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_kill_in_the_middle_of_a_trial_neither_loses_nor_repeats_one(tmp_path: Path, engine: str) -> None:
    unbroken = run(made(tmp_path / "unbroken", engine))
    oracle = made(tmp_path / "killed", engine)
    for number in range(1, 6):
        trial = begin(oracle)
        measure(oracle, trial, trial.hyperparameters.values.get("tuner/initial_epoch", 0) + 1)
        if number % 2:  # killed, and what was not yet on disk is gone
            oracle = made(tmp_path / "killed", engine)
            assert not oracle.ongoing_trials
            taken_up = begin(oracle)
            assert taken_up.trial_id == trial.trial_id
            assert taken_up.hyperparameters.values == trial.hyperparameters.values
            trial = taken_up
        finish(oracle, trial)
    run(oracle)
    assert story(oracle) == story(unbroken)
    assert len(oracle.end_order) == len(set(oracle.end_order)) == len(oracle.trials)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_state_that_was_half_written_does_no_harm(tmp_path: Path, engine: str) -> None:
    oracle = made(tmp_path, engine)
    finish(oracle, begin(oracle))
    file = tmp_path / "state" / "oracle.json"
    whole = file.read_text()
    (tmp_path / "state" / "oracle.json.part").write_text(whole[: len(whole) // 2])
    again = made(tmp_path, engine)
    assert story(again) == story(oracle)
    finish(again, begin(again))
    assert not (tmp_path / "state" / "oracle.json.part").exists()
    assert story(made(tmp_path, engine)) == story(again)
    assert sorted(one.name for one in (tmp_path / "state").iterdir()) == ["oracle.json"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_trial_that_is_run_again_is_scored_by_its_second_run_alone(tmp_path: Path, engine: str) -> None:
    oracle = made(tmp_path, engine)
    trial = begin(oracle, "one")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.9}, step=1)
    oracle.give_back("one")
    again = begin(oracle, "two")
    assert again.trial_id == trial.trial_id
    oracle.ended(trial.trial_id, "COMPLETED", {})  # before it measured anything
    assert oracle.trials[trial.trial_id].status == "FAILED"
    trial = begin(oracle, "two")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.9}, step=1)
    oracle.give_back("two")
    begin(oracle, "two")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1)
    oracle.ended(trial.trial_id, "COMPLETED", {})
    assert oracle.trials[trial.trial_id].score == 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_the_word_of_a_worker_that_was_given_up_is_passed_over(tmp_path: Path, engine: str) -> None:
    oracle = made(tmp_path, engine)
    trial = begin(oracle, "lost")
    oracle.give_back("lost")
    oracle.ended(trial.trial_id, "FAILED", {"reason": "late"})
    assert not oracle.end_order
    assert begin(oracle, "other").trial_id == trial.trial_id
    oracle.give_back("nobody")
    assert [one.trial_id for one in oracle.ongoing_trials.values()] == [trial.trial_id]


@pytest.mark.parametrize("engine", ENGINES)
def test_trials_that_fail_neither_end_nor_distort_a_search(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine), lambda number: "killed" if number % 3 == 1 else None)
    failed = [one for one in oracle.trials.values() if one.status == "FAILED"]
    assert len(failed) == len([name for name in oracle.trials if int(name) % 3 == 1])
    assert {one.message for one in failed} == {"killed"}
    assert oracle.counted == MOST
    best = oracle.get_best_trials(3)
    assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
    assert all(one.status == "COMPLETED" for one in best)
    ended = {one.hyperparameters.values.get("tuner/epochs", EPOCHS) for one in best}
    assert EPOCHS in ended, "somebody was trained to the end nevertheless"


@pytest.mark.parametrize("engine", ENGINES)
def test_networks_that_are_too_large_do_not_count(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine), lambda number: f"{asha.PRUNED}too large" if number < 4 else None)
    pruned = [one for one in oracle.trials.values() if asha.was_pruned(one)]
    assert len(pruned) == 4
    first = [one for one in oracle.trials.values() if not one.hyperparameters.values.get("tuner/trial_id")]
    assert len(first) == MOST + 4
    assert oracle.counted == MOST


@pytest.mark.parametrize("engine", ENGINES)
def test_a_search_of_which_everything_fails_ends(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine), lambda _: "killed")
    assert oracle.counted == len(oracle.trials) == MOST
    assert oracle.get_best_trials(1) == []


@pytest.mark.filterwarnings("ignore:All-NaN:RuntimeWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_score_that_is_no_number_is_a_failure(tmp_path: Path, engine: str) -> None:
    oracle = made(tmp_path, engine)
    trial = begin(oracle)
    oracle.update_trial(trial.trial_id, {"val_accuracy": math.nan}, step=1)
    oracle.ended(trial.trial_id, "COMPLETED", {})
    assert (trial.status, trial.message) == ("FAILED", "val_accuracy is no number")
    assert story(made(tmp_path, engine)) == story(oracle)
    run(oracle)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "grid"])
def test_zero_is_a_seed(tmp_path: Path, engine: str) -> None:
    first, second, other = (
        story(run(made(tmp_path / name, engine, seed=seed)))
        for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    assert first == second
    rates = [{row[-1]["learning_rate"] for row in each} for each in (first, other)]
    assert not rates[0] & rates[1], "neighbouring seeds share nothing"


@pytest.mark.parametrize("engine", ENGINES)
def test_more_trials_go_on_where_fewer_ended(tmp_path: Path, engine: str) -> None:
    few = run(made(tmp_path, engine, most=5))
    assert few.counted == 5
    before = story(few)
    more = run(made(tmp_path, engine, most=12))
    assert more.counted == 12
    assert story(more)[: len(before)] == before


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_is_made_small(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine, objective="val_loss"))
    longest = [one for one in oracle.trials.values() if durable.epochs_of(one) in (0, EPOCHS)]
    assert oracle.get_best_trials(1)[0].score <= min(one.score for one in longest)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_never_get_the_same_trial(tmp_path: Path, engine: str) -> None:
    oracle = made(tmp_path, engine)
    handed: list[str] = []
    at_work: dict[str, Any] = {}
    for turn in range(400):
        worker = f"worker{turn % 2}"
        if worker in at_work:
            finish(oracle, at_work.pop(worker))
        trial = begin(oracle, worker)
        if trial.status == "RUNNING":
            handed.append(trial.trial_id)
            at_work[worker] = trial
        elif trial.status == "STOPPED" and not at_work:
            break
    else:
        raise AssertionError("the search does not end")
    assert max(Counter(handed).values()) == 1
    assert sorted(handed) == sorted(oracle.trials)
    assert oracle.counted == MOST


def test_asha_trains_the_best_third_of_each_rung_further(tmp_path: Path) -> None:
    oracle = made(tmp_path, "asha", most=30)
    assert oracle.rungs == (1, 3, 9)
    while True:
        trial = begin(oracle)
        if trial.status == "STOPPED":
            break
        values = trial.hyperparameters.values
        rung, parent = values["tuner/rung"], values.get("tuner/trial_id")
        assert values["tuner/epochs"] == oracle.rungs[rung]
        assert values["tuner/initial_epoch"] == (oracle.rungs[rung - 1] if rung else 0)
        if parent is not None:
            below = [
                one for one in oracle.trials.values()
                if one.hyperparameters.values["tuner/rung"] == rung - 1 and one.status == "COMPLETED"
            ]  # fmt: skip
            better = [one for one in below if one.score > oracle.trials[parent].score]
            begun_all = oracle.counted == 30
            assert len(better) < len(below) // 3 or begun_all
            assert oracle.trials[parent].hyperparameters.values["learning_rate"] == values["learning_rate"]
            assert durable.configuration(trial) == durable.configuration(oracle.trials[parent])
        finish(oracle, trial)
    epochs = Counter()
    for one in oracle.trials.values():
        values = one.hyperparameters.values
        epochs[durable.configuration(one)] += values["tuner/epochs"] - values["tuner/initial_epoch"]
    assert len(epochs) == 30
    assert max(epochs.values()) == EPOCHS
    # A configuration that was among the best third may be overtaken later, as in the paper.
    assert 30 + 10 * 2 + 3 * 6 <= sum(epochs.values()) <= 30 * EPOCHS / 2
    best = oracle.get_best_trials(1)[0]
    assert best.hyperparameters.values["tuner/epochs"] == EPOCHS


@pytest.mark.parametrize("most", [1, 2, 4])
def test_asha_trains_one_configuration_to_the_end_at_least(tmp_path: Path, most: int) -> None:
    oracle = run(made(tmp_path, "asha", most=most))
    assert oracle.counted == most
    assert oracle.get_best_trials(1)[0].hyperparameters.values["tuner/epochs"] == EPOCHS


@pytest.mark.parametrize(
    ("epochs", "factor", "found"), [(1, 3, (1,)), (2, 3, (1, 2)), (9, 3, (1, 3, 9)), (10, 3, (1, 2, 4, 10))]
)
def test_rungs(epochs: int, factor: int, found: tuple[int, ...]) -> None:
    assert asha.rungs(epochs, factor) == found


def test_asha_finds_what_is_good(tmp_path: Path) -> None:
    """On the same epochs it is ahead of random search, by the median of five seeds."""
    ahead = []
    for seed in range(5):
        ours = run(made(tmp_path / f"asha{seed}", "asha", most=27, seed=seed))
        spent = sum(
            one.hyperparameters.values["tuner/epochs"] - one.hyperparameters.values["tuner/initial_epoch"]
            for one in ours.trials.values()
        )
        theirs = run(made(tmp_path / f"random{seed}", "random", most=spent // EPOCHS, seed=seed))
        ahead.append(ours.get_best_trials(1)[0].score - theirs.get_best_trials(1)[0].score)
    assert sorted(ahead)[2] > 0.005, ahead


def test_a_checkpoint_that_may_be_needed_is_kept(tmp_path: Path) -> None:
    for engine in ("asha", "hyperband"):
        for seed in range(6):
            oracle = made(tmp_path / f"{engine}{seed}", engine, seed=seed, most=60)
            there: set[str] = set()  # checkpoints that no one has removed
            while True:
                trial = begin(oracle)
                if trial.status == "STOPPED":
                    break
                parent = trial.hyperparameters.values.get("tuner/trial_id")
                assert parent is None or parent in there, engine
                there &= oracle.needed(3)
                finish(oracle, trial)
                there = (there | {trial.trial_id}) & oracle.needed(3)


def test_a_checkpoint_of_a_trial_that_is_being_trained_further_is_kept(tmp_path: Path) -> None:
    """Who tidies up asks while another thread hands the next trial out."""
    oracle = made(tmp_path, "asha", most=30)
    asked, over = [], threading.Event()

    def ask() -> None:
        while not over.is_set():
            before = set(oracle.end_order)
            asked.append((before, oracle.needed(1), dict(oracle.trials), set(oracle.end_order)))

    asking = threading.Thread(target=ask)
    asking.start()
    while (trial := begin(oracle)).status != "STOPPED":
        finish(oracle, trial)
    over.set()
    asking.join()
    parents = {name: one.hyperparameters.values.get("tuner/trial_id") for name, one in oracle.trials.items()}
    for _, needed, known, ended in asked:
        under_way = set(known) - ended
        assert {parents[name] for name in under_way} - {None} <= needed


def test_what_raises_does_not_keep_the_lock(tmp_path: Path) -> None:
    oracle = made(tmp_path, "random")
    trial = begin(oracle)
    with pytest.raises(KeyError):
        oracle.update_trial("9999", {"val_accuracy": 0.5}, step=1)
    state = tmp_path / "state" / "oracle.json.part"
    state.mkdir()  # as a full disk would, it keeps the state from being written
    with pytest.raises(OSError):
        oracle.create_trial("another")
    state.rmdir()
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(oracle.get_best_trials(1)), daemon=True)
    asking.start()
    asking.join(10)
    assert found == [[]]
    finish(oracle, trial)
    assert oracle.end_order == [trial.trial_id]


def test_hyperband_goes_on_when_a_trial_of_any_round_fails(tmp_path: Path) -> None:
    """KerasTuner's own waits for the round forever, and opens one bracket after the other meanwhile."""
    oracle = made(tmp_path, "hyperband", most=60)
    failed: set[int] = set()
    while True:
        trial = begin(oracle)
        if trial.status == "STOPPED":
            break
        values = trial.hyperparameters.values
        stage = values["tuner/round"]
        if stage not in failed:
            failed.add(stage)
            oracle.ended(trial.trial_id, "FAILED", {"reason": "killed"})
        else:
            finish(oracle, trial)
    assert failed == {0, 1, 2}
    stages = Counter(
        (one.hyperparameters.values["tuner/bracket"], one.hyperparameters.values["tuner/round"])
        for one in oracle.trials.values() if one.status == "COMPLETED"
    )  # fmt: skip
    assert stages[2, 2] >= 1, "the first bracket came to its end"
    assert oracle.counted == 60


def test_hyperband_asks_for_one_bracket_after_the_other(tmp_path: Path) -> None:
    """Questions that find nothing to do, from a second worker, open no further brackets."""
    oracle = made(tmp_path, "hyperband", most=3)
    begin(oracle, "one"), begin(oracle, "two"), begin(oracle, "three")
    before = len(oracle._brackets)
    for _ in range(5):
        assert begin(oracle, "four").status == "IDLE"
    assert len(oracle._brackets) == before


def test_grid_has_each_combination_once(tmp_path: Path) -> None:
    space = spaces.Space(
        "resnet",
        None,
        {
            "depth": Choice((18, 20), 20),
            "stem": Choice(("7x7", "3x3"), "3x3", when=("depth", (18,))),
            "batch_size": Choice((32, 64), 64, "recipe"),
            "learning_rate": Range(1e-3, 1e-1, 1e-2, log=True, of="recipe"),
        },
    )
    space = narrowing.narrow(space, fix={"lr": 1e-2})
    oracle = run(
        made(tmp_path, "grid", space=spaces.Space(space.family, None, {
            **space.dimensions, "optimizer": Choice(("sgd", "adam"), "sgd", "recipe"),
        }), most=None)
    )  # fmt: skip
    tried = [
        (one["depth"], one.get("stem"), one["batch_size"], one["optimizer"])
        for one in (trial.hyperparameters.values for trial in oracle.trials.values())
    ]
    networks = [(18, "7x7"), (18, "3x3"), (20, None)]
    wanted = [(*net, batch, how) for net, batch, how in product(networks, (32, 64), ("sgd", "adam"))]
    assert sorted(map(str, tried)) == sorted(map(str, wanted))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_space_that_is_used_up_ends_the_search(tmp_path: Path, engine: str) -> None:
    space = narrowing.narrow(small(), fix={"lr": 1e-2, "depth": 20})
    space = spaces.Space(
        space.family, None, {**space.dimensions, "batch_size": Choice((32, 64), 32, "recipe")}
    )
    oracle = run(made(tmp_path, engine, space=space, most=50))
    first = [one for one in oracle.trials.values() if not one.hyperparameters.values.get("tuner/trial_id")]
    told = {
        (one.hyperparameters.values["optimizer"], one.hyperparameters.values["batch_size"]) for one in first
    }
    assert len(first) == len(told) <= 4
    assert len(told) >= 3
    longest = [one.hyperparameters.values.get("tuner/epochs", EPOCHS) for one in oracle.trials.values()]
    assert max(longest) == EPOCHS, "the best of what there is are trained to the end"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_configuration_is_one_however_often_it_is_trained_further(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine))
    told = [durable.configuration(one) for one in oracle.trials.values()]
    assert len(set(told)) == oracle.counted
    if engine in ("asha", "hyperband"):
        assert max(Counter(told).values()) == 3  # after 1, 3 and 9 epochs
    for one in oracle.trials.values():
        first = oracle.trials[durable.configuration(one)].hyperparameters.values
        values = one.hyperparameters.values
        assert {key: value for key, value in values.items() if not key.startswith("tuner/")} == {
            key: value for key, value in first.items() if not key.startswith("tuner/")
        }
    best = [durable.configuration(one) for one in oracle.get_best_trials(MOST)]
    assert len(best) == len(set(best))


@pytest.mark.parametrize(("engine", "least"), [("asha", 1), ("hyperband", 1), ("random", 9), ("grid", 9)])
def test_the_first_trial_takes_as_many_epochs_as_a_budget_is_held_against(
    tmp_path: Path, engine: str, least: int
) -> None:
    oracle = made(tmp_path, engine)
    assert oracle.least_epochs(EPOCHS) == least
    assert begin(oracle).hyperparameters.values.get("tuner/epochs", EPOCHS) == least


def test_a_worker_that_asks_anew_measures_its_trial_anew(tmp_path: Path) -> None:
    """It was restarted under its name before anybody missed it."""
    oracle = made(tmp_path, "random")
    trial = begin(oracle, "w1")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.2}, step=1)
    assert begin(oracle, "w1").trial_id == trial.trial_id
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.6}, step=1)
    oracle.ended(trial.trial_id, "COMPLETED", {})
    assert oracle.trials[trial.trial_id].score == 0.6


def test_time_that_is_spent_in_a_long_trial_outlives_a_kill(tmp_path: Path) -> None:
    oracle = made(tmp_path, "random")
    begin(oracle)
    for seconds in range(1, 301):
        oracle.spend(float(seconds))
    assert made(tmp_path, "random").spent == 300


@pytest.mark.parametrize("engine", ENGINES)
def test_values_stay_inside_of_their_space(tmp_path: Path, engine: str) -> None:
    oracle = run(made(tmp_path, engine, most=MOST))
    for one in oracle.trials.values():
        values = one.hyperparameters.values
        assert 1e-4 <= values["learning_rate"] <= 0.3
        assert values["depth"] in (20, 32, 18)
        assert ("stem" in values) == (values["depth"] == 18)
        assert narrowing.checked(small(), values) == {
            key: value for key, value in values.items() if not key.startswith("tuner/")
        }

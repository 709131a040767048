"""Searches by more than one worker: on this machine, by the environment, and when one of them dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from searching import begun, family, result, state, tuning, until, words
from stores import free_port
from test_search import SMALL, epochs_on_disk, finished, trial_processes, under_way


def visible(pid: int) -> str:
    """The GPUs that a process was given."""
    try:
        told = Path(f"/proc/{pid}/environ").read_text().split("\0")
    except OSError:  # it has ended
        return ""
    return next((one.partition("=")[2] for one in told if one.startswith("CUDA_VISIBLE_DEVICES=")), "")


def test_two_workers_share_a_search_and_a_dead_ones_trial_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    command = (*SMALL, "--workers", 2, "--engine", "random", "--epochs", 8, "--trials", 4)
    search = begun(tmp_path, *command, CUDA_VISIBLE_DEVICES="7,8")  # as if there were two GPUs

    def at_work() -> dict[str, str]:
        return state(folder).get("ongoing_trials", {})

    try:
        until(lambda: len(at_work()) == 2)
        until(lambda: set(epochs_on_disk(folder)) >= set(at_work().values()) and len(at_work()) == 2)
        workers = [one for one in family(search.pid) if "tuning.worker" in words(one)]
        assert len(workers) == 2
        assert sorted(words(one).rpartition("--gpus ")[2] for one in workers) == ["7", "8"]
        for one in workers:
            gpu = words(one).rpartition("--gpus ")[2]
            until(lambda: {visible(child) for child in trial_processes(one)} == {gpu}, 120)  # noqa: B023
        victim = min(workers)  # started first
        children = trial_processes(victim)
        lost = at_work()
        os.kill(victim, signal.SIGKILL)
        until(lambda: not any("tuning.trial" in words(one) for one in children), 120)
        until(lambda: len([one for one in family(search.pid) if "tuning.worker" in words(one)]) == 2, 120)
        assert search.wait(900) == 0
    finally:
        search.kill()
        search.wait()
    found = result(folder)
    assert [one["status"] for one in found["trials"]] == ["completed"] * 4
    assert {one["worker"] for one in found["trials"]} == {"worker0", "worker1"}
    order = state(folder)["end_order"]
    assert sorted(order) == ["0000", "0001", "0002", "0003"]
    assert any(state(folder)["facts"][name]["resumed_after"] > 0 for name in lost.values())
    for one in found["trials"]:
        assert [row["epoch"] for row in one["history"]] == list(range(1, 9))


def test_workers_end_when_their_chief_is_killed_and_the_same_command_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    command = (*SMALL, "--workers", 2, "--engine", "random", "--epochs", 8, "--trials", 4)
    search = begun(tmp_path, *command)
    try:
        until(lambda: len(finished(folder)) >= 1)
        until(lambda: set(epochs_on_disk(folder)) & set(under_way(folder)))
        below = family(search.pid)
        assert len([one for one in below if "tuning.worker" in words(one)]) == 2
    finally:
        search.kill()
        search.wait()
    until(lambda: not any("tuning." in words(one) for one in below), 120)
    before, reached = finished(folder), epochs_on_disk(folder)
    ran = tuning(tmp_path, *command)
    assert ran.code == 0, ran.out + ran.err
    after = finished(folder)
    assert len(after) == 4
    assert {name: after[name] for name in before} == before
    facts = state(folder)["facts"]
    broken = [name for name in reached if name not in before]
    assert broken
    assert all(facts[name]["resumed_after"] >= reached[name] for name in broken)
    for one in result(folder)["trials"]:
        assert [row["epoch"] for row in one["history"]] == list(range(1, 9))


@pytest.fixture
def network() -> Iterator[tuple[str, list[list[str]]]]:
    """A chief's address, and what begins the commands of two workers in networks of their own.

    Where network namespaces are not to be had, all are on one loopback address.
    """

    def ip(*command: str) -> int:
        return subprocess.run(["ip", *command], check=False, capture_output=True).returncode

    spaces = [f"kc{os.getpid()}n{index}" for index in (0, 1)]
    if shutil.which("ip") is None or ip("netns", "add", spaces[0]) != 0:
        yield "127.0.0.2", [[], []]
        return
    # Four addresses for each worker's link, and others for each process that runs tests.
    first = (os.getpid() % 4096) * 8
    part = f"10.{213 + first // 65536}.{first // 256 % 256}"
    try:
        assert ip("netns", "add", spaces[1]) == 0
        for index, space in enumerate(spaces):
            outer, inner = f"kc{os.getpid()}a{index}", f"kc{os.getpid()}b{index}"
            low = first % 256 + 4 * index
            for command in (
                f"link add {outer} type veth peer name {inner} netns {space}",
                f"addr add {part}.{low + 1}/30 dev {outer}",
                f"link set {outer} up",
                f"-n {space} addr add {part}.{low + 2}/30 dev {inner}",
                f"-n {space} link set {inner} up",
                f"-n {space} route add default via {part}.{low + 1}",
            ):
                assert ip(*command.split()) == 0, command
        yield f"{part}.{first % 256 + 1}", [["ip", "netns", "exec", one] for one in spaces]
    finally:
        for one in spaces:  # its links go with it
            ip("netns", "del", one)


def test_workers_in_other_networks_find_their_chief_by_the_environment(
    tmp_path: Path, network: tuple[str, list[list[str]]]
) -> None:
    address, before = network
    there = {"KERASTUNER_ORACLE_IP": address, "KERASTUNER_ORACLE_PORT": str(free_port(address))}
    command = (*SMALL, "--engine", "random", "--epochs", 2, "--trials", 4)
    all_ = [
        begun(tmp_path, *command, before=how, KERASTUNER_TUNER_ID=name, **there)
        for name, how in (("chief", []), ("w1", before[0]), ("w2", before[1]))
    ]
    try:
        assert [one.wait(900) for one in all_] == [0, 0, 0]
    finally:
        for one in all_:
            one.kill()
            one.wait()
    found = result(tmp_path / "s")
    assert [one["status"] for one in found["trials"]] == ["completed"] * 4
    assert {one["worker"] for one in found["trials"]} == {"w1", "w2"}
    assert "Traceback" not in (tmp_path / "printed.txt").read_text()


def test_a_worker_ends_when_its_chief_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning import chief

    monkeypatch.setattr(chief, "_PATIENCE", 1.0)
    monkeypatch.setattr(chief, "_AT_FIRST", 2.0)
    far = chief.Far(f"127.0.0.1:{free_port('127.0.0.1')}")
    began = time.monotonic()
    for call in (
        lambda: far.take("w1"),
        lambda: far.tell("0000", {"loss": 1.0}, 1),
        lambda: far.beat("0000"),
        lambda: far.end("0000", "COMPLETED", {}),
    ):
        with pytest.raises(ConnectionError, match="does not answer"):
            call()
    assert time.monotonic() - began < 20


def oracle(folder: Path, **changed: Any) -> Any:
    from test_engines import made

    return made(folder, "random", **changed)


def test_a_worker_far_away_sees_the_exact_values_and_tells_why_a_trial_failed(tmp_path: Path) -> None:
    from tuning import chief

    ours = oracle(tmp_path, most=2)
    with chief.serving(ours, "127.0.0.2:0") as port:
        far = chief.Far(f"127.0.0.2:{port}")
        status, first, values = far.take("w1")
        assert status == "RUNNING"
        assert values == ours.trials[first].hyperparameters.values  # to the last bit
        far.tell(first, {"val_accuracy": 0.5}, 1)
        far.end(first, "COMPLETED", {"worker": "w1", "seconds": 0.1})
        _, second, _ = far.take("w1")
        assert chief.Far(f"127.0.0.2:{port}").take("w2")[0] == "IDLE"
        far.end(second, "FAILED", {"reason": "killed by signal 9, probably for its memory"})
        assert far.take("w1")[0] == "STOPPED"
    assert ours.trials[first].score == 0.5
    assert ours.facts[first]["seconds"] == 0.1
    assert (ours.trials[second].status, ours.trials[second].message) == (
        "FAILED", "killed by signal 9, probably for its memory"
    )  # fmt: skip
    assert ours.told_over


@pytest.mark.parametrize("beats", [0, 2])
def test_the_trial_of_a_worker_that_falls_silent_is_another_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: int
) -> None:
    """Also of one that died before it said a word."""
    from tuning import chief

    monkeypatch.setattr(chief, "_SILENT", 2.0)
    ours = oracle(tmp_path, most=1)
    with chief.serving(ours, "127.0.0.1:0") as port:
        lost, other = chief.Far(f"127.0.0.1:{port}"), chief.Far(f"127.0.0.1:{port}")
        _, trial, _ = lost.take("lost")
        for _ in range(beats):
            lost._beaten = 0.0
            assert lost.beat(trial)
        assert other.take("other")[0] == "IDLE"
        status, again, _ = until(lambda: (found := other.take("other"))[0] == "RUNNING" and found, 20, 0.2)
        assert (status, again) == ("RUNNING", trial)
        lost._beaten = 0.0
        assert not lost.beat(trial), "it is told that the trial is another one's"
        lost.tell(trial, {"val_accuracy": 0.9}, 1)
        lost.end(trial, "FAILED", {"reason": "the late word of another"})
        other.tell(trial, {"val_accuracy": 0.5}, 1)
        other.end(trial, "COMPLETED", {})
    assert (ours.trials[trial].status, ours.trials[trial].score) == ("COMPLETED", 0.5)
    assert ours.end_order == [trial]


def test_a_worker_lets_go_of_a_trial_that_a_chief_which_came_back_gave_to_another(tmp_path: Path) -> None:
    from tuning import chief

    with chief.serving(oracle(tmp_path, most=2), "127.0.0.1:0") as port:
        one = chief.Far(f"127.0.0.1:{port}")
        _, first, _ = one.take("w1")
        one.beat(first)
    again = oracle(tmp_path, most=2)
    again.reload()
    with chief.serving(again, f"127.0.0.1:{port}"):
        other = chief.Far(f"127.0.0.1:{port}")
        one._beaten = 0.0
        assert not one.beat(first), "it waits for somebody"
        assert other.take("w2")[1] == first
        one._beaten = 0.0
        assert not one.beat(first), "and has found one"
        assert other.beat(first)


def test_a_word_about_an_unknown_trial_does_not_block_the_chief(tmp_path: Path) -> None:
    """KerasTuner keeps its lock when a call raises; the next one would wait forever."""
    import grpc

    from tuning import chief

    ours = oracle(tmp_path)
    with chief.serving(ours, "127.0.0.1:0") as port:
        far = chief.Far(f"127.0.0.1:{port}")
        _, trial, _ = far.take("w1")
        far.tell("9999", {"val_accuracy": 0.5}, 1)
        far.end("9999", "COMPLETED", {})
        with pytest.raises(ConnectionError):
            far.tell(trial, {"loss": 0.5}, 1)  # without the objective
        unknown = chief.protos.get_proto().Trial(trial_id="9999")
        with pytest.raises(grpc.RpcError, match="not under way"):  # by KerasTuner's protocol alone
            far._stub.EndTrial(chief.protos.get_service().EndTrialRequest(trial=unknown), timeout=20)
        done = threading.Event()

        def go_on() -> None:
            far.take("w1")
            far.tell(trial, {"val_accuracy": 0.5}, 1)
            far.end(trial, "COMPLETED", {})
            done.set()

        threading.Thread(target=go_on, daemon=True).start()
        assert done.wait(20)
    assert ours.trials[trial].score == 0.5
    assert list(ours.trials) == [trial]


def test_a_worker_of_kerastuners_own_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of its trial once an epoch, however long that lasts."""
    from tuning import chief

    monkeypatch.setattr(chief, "_SILENT", 1.0)
    ours = oracle(tmp_path, most=1)
    with chief.serving(ours, "127.0.0.1:0") as port:
        stub = chief.Far(f"127.0.0.1:{port}")._stub
        service = chief.protos.get_service()
        trial = stub.CreateTrial(service.CreateTrialRequest(tuner_id="plain")).trial.trial_id
        stub.UpdateTrial(service.UpdateTrialRequest(trial_id=trial, metrics={"val_accuracy": 0.5}, step=1))
        time.sleep(3.5)
        assert list(ours.ongoing_trials) == ["plain"]


def test_a_closed_search_sends_its_workers_home(tmp_path: Path) -> None:
    from tuning import chief

    ours = oracle(tmp_path)
    with chief.serving(ours, "127.0.0.1:0") as port:
        far = chief.Far(f"127.0.0.1:{port}")
        _, trial, _ = far.take("w1")
        assert far.beat(trial)
        ours.closed = True
        far._beaten = 0.0
        assert not far.beat(trial)
        assert far.take("w1")[0] == "STOPPED"
        assert not ours.tuner_ids


@pytest.mark.slow  # a budget below a minute may not hold one epoch of a busy machine
def test_a_worker_elsewhere_ends_well_when_the_budget_is_used_up(tmp_path: Path) -> None:
    there = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_port("127.0.0.1"))}
    command = (*SMALL, "--epochs", 5000, "--trials", 1, "--budget", "60s")  # the first rungs are short
    both = [begun(tmp_path, *command, KERASTUNER_TUNER_ID=name, **there) for name in ("chief", "w1")]
    try:
        codes = [one.wait(300) for one in both]
    finally:
        for one in both:
            one.kill()
            one.wait()
    assert codes == [0, 0], (tmp_path / "printed.txt").read_text()
    found = result(tmp_path / "s")
    assert found["outcome"] == "budget"
    assert [one["status"] for one in found["trials"]][-1] == "waiting"


def test_a_search_whose_workers_are_gone_is_judged_by_what_was_done(tmp_path: Path) -> None:
    """A worker's last restart may have come to a good end, or another one have done the rest."""
    ours = oracle(tmp_path, most=1)
    trial = ours.create_trial("w1")
    assert not ours.finished
    ours.update_trial(trial.trial_id, {"val_accuracy": 0.5}, step=1)
    ours.ended(trial.trial_id, "COMPLETED", {})
    assert not ours.finished
    assert ours.create_trial("w1").status == "STOPPED"
    assert ours.finished


def test_an_address_that_is_taken_is_refused(tmp_path: Path) -> None:
    from tuning import chief
    from tuning.errors import BadInput

    with (
        chief.serving(oracle(tmp_path / "one"), "127.0.0.1:0") as port,
        pytest.raises(BadInput, match="cannot be listened to"),
        chief.serving(oracle(tmp_path / "two"), f"127.0.0.1:{port}"),
    ):
        pass


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, None),
        ({"ID": "chief", "IP": "10.0.0.1", "PORT": "80"}, ("chief", "10.0.0.1:80")),
        ({"ID": "tuner-3", "IP": "10.0.0.1", "PORT": "80"}, ("tuner-3", "10.0.0.1:80")),
        ({"ID": "tuner-3", "IP": "10.0.0.1"}, "KERASTUNER_ORACLE_PORT is not set"),
        ({"IP": "10.0.0.1", "PORT": "80"}, "KERASTUNER_TUNER_ID is not set"),
        ({"ID": "chief", "PORT": "80"}, "KERASTUNER_ORACLE_IP is not set"),
        ({"ID": "chief", "IP": "10.0.0.1", "PORT": "http"}, "must be a number, not 'http'"),
    ],
)
def test_the_role_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], found: Any
) -> None:
    from tuning import asked
    from tuning.errors import BadInput

    names = {"ID": asked.TUNER_ID, "IP": asked.IP, "PORT": asked.PORT}
    for key, name in names.items():
        monkeypatch.delenv(name, raising=False)
        if key in given:
            monkeypatch.setenv(name, given[key])
    if isinstance(found, str):
        with pytest.raises(BadInput, match=found):
            asked.role()
    else:
        assert asked.role() == found

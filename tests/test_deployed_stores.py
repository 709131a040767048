"""The compiled pipeline with its metadata in MariaDB or behind gRPC, and with each step in a container."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import stores
from deployed import PLAIN, compiled, documents, epochs, script, states
from lines import Ran, pipeline

MODEL = "digits-lenet5"
IMAGE = "localhost/keras-cnns:cpu"


def table(mlmd: str) -> str:
    return f'\n[kubeflow]\nimage = "{IMAGE}"\nmlmd = "{mlmd}"\nevery_node = {{backoff = "1s"}}\n'


def pushed(place: Path) -> Path:
    return place / "work" / "volumes" / "keras-cnns" / "models" / MODEL / "1"


@pytest.mark.containers
@pytest.mark.skipif(bool(stores.lacks_mariadb()), reason=stores.lacks_mariadb())
def test_the_line_with_its_store_in_mariadb(tmp_path: Path) -> None:
    """The password comes from the environment, as from the Secret, and is printed nowhere."""
    with stores.mariadb(tmp_path) as port:
        assert compiled(tmp_path, PLAIN + table(f"mysql://mlmd@127.0.0.1:{port}/mlmd")).code == 0
        run = ("pipeline.yaml", "--work", "work", "--run-id", "first")
        ran = script("run_local", tmp_path, *run)
        assert ran.code == 2
        assert "MLMD_PASSWORD" in ran.err
        ran = script("run_local", tmp_path, *run, MLMD_PASSWORD=stores.PASSWORD)
        logs = "".join(one.read_text() for one in (tmp_path / "work").glob("runs/*/*/log.txt"))
        assert ran.code == 0, ran.out + ran.err + logs[-3000:]
        assert stores.PASSWORD not in ran.out + ran.err + logs
        assert (pushed(tmp_path) / "saved_model.pb").is_file()
        asked = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={tmp_path}/s", "-uroot", "mlmd", "-N", "-e",
             "select count(*), min(last_known_state), max(last_known_state) from Execution"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert asked.stdout.split() == ["11", "3", "3"], "eleven nodes, complete"
        wrong = script(
            "node", tmp_path, "--node", "SchemaGen", "--root", tmp_path / "work/volumes/keras-cnns", "--ir",
            tmp_path / "pipeline.ir.json", "--mlmd", f"mysql://mlmd@127.0.0.1:{port}/mlmd", "--run-id", "x",
            MLMD_PASSWORD="wrong",
        )  # fmt: skip
        assert wrong.code == 2, wrong.out + wrong.err
        assert "MLMD_PASSWORD" in wrong.err
        assert "Traceback" not in wrong.err


@pytest.mark.containers
def test_a_step_with_its_store_behind_grpc(tmp_path: Path) -> None:
    with stores.grpc_store(tmp_path) as port:
        assert compiled(tmp_path, PLAIN + table(f"grpc://127.0.0.1:{port}")).code == 0
        for name in ("ImageExampleGen", "StatisticsGen"):
            ran = script(
                "node", tmp_path, "--node", name, "--root", tmp_path / "root", "--ir",
                tmp_path / "pipeline.ir.json", "--mlmd", f"grpc://127.0.0.1:{port}", "--run-id", "first",
            )  # fmt: skip
            assert ran.code == 0, ran.out + ran.err
            assert f"{name} complete" in ran.out
    assert list((tmp_path / "root" / MODEL / "tfx" / "StatisticsGen" / "statistics").iterdir())


@dataclasses.dataclass(frozen=True)
class Contained:
    """A run whose steps were containers of the real image, one of them killed.

    Attributes:
        place: Where it ran.
        ran: The command.
        containers: What podman said of each container while it ran, by the container's name.
        epochs: Of the Trainer, when its container was killed.
    """

    place: Path
    ran: Ran
    containers: dict[str, dict[str, Any]]
    epochs: list[int]


@pytest.fixture(scope="module")
def contained(tmp_path_factory: pytest.TempPathFactory) -> Contained:
    if shutil.which("podman") is None or podman("image", "exists", IMAGE).returncode:
        pytest.skip(f"podman or {IMAGE} is missing: sh scripts/build-image")
    place = tmp_path_factory.mktemp("contained")
    run = f"contained-{os.getpid()}"  # names the containers, which are the whole machine's
    assert compiled(place, PLAIN + table("sqlite:metadata.db")).code == 0
    found, killed, over = dict[str, dict[str, Any]](), list[int](), threading.Event()

    def look() -> None:
        checkpoints = place / "work" / "volumes" / "keras-cnns" / MODEL / "checkpoints"
        while not over.wait(0.2):
            names = podman("ps", "--filter", f"name=kfp-{run}-", "--format", "{{.Names}}").stdout.split()
            for name in set(names) - set(found):
                said = podman("container", "inspect", name)
                if said.returncode == 0:  # it may have ended
                    [found[name]] = json.loads(said.stdout)
            trained = [count for one in checkpoints.glob("*/state.json") if (count := epochs(one))]
            if trained and not killed and podman("kill", f"kfp-{run}-trainer-1").returncode == 0:
                killed.extend(trained)

    looks = threading.Thread(target=look)
    looks.start()
    try:
        arguments = ("--runner", "podman", "--work", "work", "--run-id", run, "--param", "epochs=30")
        ran = script("run_local", place, "pipeline.yaml", *arguments, limit=1800)
    finally:
        over.set()
        looks.join()
    logs = "".join(one.read_text()[-2000:] for one in (place / "work").glob("runs/*/*/log.txt"))
    assert ran.code == 0, ran.out + ran.err + logs
    return Contained(place, ran, found, killed)


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.containers
@pytest.mark.xdist_group("contained")
def test_every_step_in_a_container_of_the_real_image(contained: Contained) -> None:
    """To a pushed model that `predict` loads."""
    model = pushed(contained.place)
    assert model.stat().st_uid == 1000, "not as root"
    recipe = json.loads((model / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["versions"]["python"].startswith("3.13"), "the image is of the current lane"
    [run] = (model.parents[2] / MODEL / "runs").iterdir()
    picture = next((run / "samples").iterdir())
    asked = pipeline(contained.place, "predict", model.parent, picture, "--json")
    assert asked.code == 0, asked.err


@pytest.mark.containers
@pytest.mark.xdist_group("contained")
def test_a_steps_container_sees_the_root_and_its_own_outputs_alone(contained: Contained) -> None:
    """As podman says of the containers while they run, not as the command asked for it."""
    tasks = documents(contained.place / "pipeline.yaml")[0]["root"]["dag"]["tasks"]
    work = contained.place / "work"
    [run] = (work / "runs").iterdir()
    seen = set()
    for name, found in contained.containers.items():
        task = name.removeprefix(f"kfp-{run.name}-").rpartition("-")[0]  # without the attempt
        seen.add(task)
        assert (found["ImageName"], found["Config"]["User"]) == (IMAGE, "1000:1000")
        assert {one["Destination"]: one["Source"] for one in found["Mounts"]} == {
            "/mnt/keras-cnns": str(work / "volumes" / "keras-cnns"),
            f"/kfp/run/{task}/outputs": str(run / task / "outputs"),
        }, name
    assert seen == set(tasks)


@pytest.mark.containers
@pytest.mark.xdist_group("contained")
def test_a_container_that_is_killed_is_retried_and_nothing_is_lost_or_repeated(contained: Contained) -> None:
    [before] = contained.epochs
    assert 1 <= before < 30
    assert re.search(r"trainer +failed, exit code 137", contained.ran.out), contained.ran.out
    volume = contained.place / "work" / "volumes" / "keras-cnns"
    [run] = (volume / MODEL / "runs").iterdir()
    found = json.loads((run / "result.json").read_text(encoding="utf-8"))["training"]
    assert [row["epoch"] for row in found["history"]] == list(range(1, 31))
    assert found["resumed_after"] >= before
    assert set(states(volume / "metadata.db", run.name).values()) == {"complete"}
    assert len(states(volume / "metadata.db", run.name)) == 11

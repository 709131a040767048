"""The compiled pipeline with its metadata in MariaDB or behind gRPC, and with each step in a container."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import stores
from deployed import PLAIN, compiled, documents, script

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


@pytest.mark.containers
def test_every_step_in_a_container_of_the_real_image(tmp_path: Path) -> None:
    """Not as root, and with nothing of this machine but the pipeline's root."""
    podman = shutil.which("podman")
    if podman is None or subprocess.run([podman, "image", "exists", IMAGE], check=False).returncode:
        pytest.skip(f"podman or {IMAGE} is missing: sh scripts/build-image")
    assert compiled(tmp_path, PLAIN + table("sqlite:metadata.db")).code == 0
    ran = script(
        "run_local",
        tmp_path,
        "pipeline.yaml",
        "--runner",
        "podman",
        "--work",
        "work",
        "--run-id",
        "first",
        limit=1800,
    )
    logs = "".join(one.read_text()[-2000:] for one in (tmp_path / "work").glob("runs/*/*/log.txt"))
    assert ran.code == 0, ran.out + ran.err + logs
    assert pushed(tmp_path).stat().st_uid == 1000
    recipe = json.loads((pushed(tmp_path) / "recipe.json").read_text(encoding="utf-8"))
    assert recipe["versions"]["python"].startswith("3.13"), "the image is of the current lane"
    images = {
        one["container"]["image"]
        for one in documents(tmp_path / "pipeline.yaml")[0]["deploymentSpec"]["executors"].values()
    }
    assert images == {IMAGE}
    from lines import pipeline

    picture = next((pushed(tmp_path).parents[2] / MODEL / "runs/first/samples").iterdir())
    asked = pipeline(tmp_path, "predict", pushed(tmp_path).parent, picture, "--json")
    assert asked.code == 0, asked.err

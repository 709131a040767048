"""`kubeflow/run_local.py`: order, retries, time limits, refusals, and what a kill leaves."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed import refused, script
from lines import Ran
from shells import IMAGE, command, compiled, record, written

from cluster.spec import TUNER_JOB
from run_local import main as run_local_main

USER_IMAGE = "localhost/keras-cnns-run-local-test:1"
SHELL_TASK = {"script": "true"}


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return compiled(tmp_path_factory.mktemp("shells"))


def run_local(cwd: Path, file: Path, *arguments: object, **environment: str) -> Ran:
    return script("run_local", cwd, file, *arguments, limit=100, **environment)


def log(cwd: Path, run: str, task: str) -> list[str]:
    """What a task printed, without the lines between attempts."""
    lines = (cwd / "runs/kubeflow/runs" / run / task / "log.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("--- attempt ")]


# --- the graph --------------------------------------------------------------------------------------------


def test_order_and_overlap(pipelines: dict[str, Path], tmp_path: Path) -> None:
    ran = run_local(tmp_path, pipelines["diamond"], "--param", f"folder={tmp_path}")
    assert ran.code == 0, ran.out + ran.err
    order = (tmp_path / "order").read_text().splitlines()
    # b and c each wait for the other's start: one at a time, neither would ever end.
    assert order[:2] == ["a starts", "a ends"]
    assert sorted(order[2:4]) == ["b starts", "c starts"]
    assert sorted(order[4:6]) == ["b ends", "c ends"]
    assert order[6:] == ["b+c starts", "b+c ends"]
    assert re.search(r"^done · 4 of 4 tasks in [\d.]+ s$", ran.out, re.M)


def test_one_at_a_time(tmp_path: Path) -> None:
    busy = f"mkdir {tmp_path}/busy && sleep 0.3 && rmdir {tmp_path}/busy"
    file = written(tmp_path, {"one": {"script": busy}, "two": {"script": busy}, "three": {"script": busy}})
    ran = run_local(tmp_path, file, "--parallel", 1)
    assert ran.code == 0, ran.out
    assert ran.out.count(" done ") == 3
    assert run_local(tmp_path, file, "--parallel", 3).code == 1  # they do meet where they may


def test_values_as_the_launcher_writes_them(pipelines: dict[str, Path], tmp_path: Path) -> None:
    ran = run_local(
        tmp_path, pipelines["values"], "--run-id", "r", "--param", "steps=12", "--param", "on=false"
    )
    assert ran.code == 0, ran.out + ran.err
    said = ['<[1,2.5,"a\\u003cb"]>', '<{"a":"x","b":2}>']
    big = "<1000000000000000000000>"
    assert log(tmp_path, "r", "says") == ["<two words>", "<12>", "<0.00001>", big, "<false>", *said]
    assert log(tmp_path, "r", "says-2") == ["<r>", "<7>", "<2.5>", "<-0.5>", "<true>", *said]
    left = record(tmp_path, "r")["tasks"]["says"]["result"]["parameters"]
    assert left == {
        "number": 7,
        "fraction": 2.5,
        "yes": True,
        "many": [1, 2.5, "a<b"],
        "parts": {"b": 2, "a": "x"},
    }


def test_artifacts_and_executor_output(pipelines: dict[str, Path], tmp_path: Path) -> None:
    ran = run_local(tmp_path, pipelines["artifacts"], "--run-id", "r")
    assert ran.code == 0, ran.out + ran.err
    folder = tmp_path / "runs/kubeflow/runs/r"
    model = str(folder / "trains/outputs/model")
    assert log(tmp_path, "r", "trains") == [f"uri {model}"]
    given = json.loads(log(tmp_path, "r", "reads")[0])
    assert given["inputs"]["parameterValues"] == {"weights": "42"}
    (artifact,) = given["inputs"]["artifacts"]["model"]["artifacts"]
    assert (artifact["name"], artifact["uri"]) == ("model", model)
    assert artifact["type"] == {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}
    assert given["outputs"]["outputFile"] == str(folder / "reads/outputs/executor_output.json")
    left = record(tmp_path, "r")["tasks"]["reads"]["result"]
    assert left["artifacts"]["metrics"]["metadata"] == {"accuracy": 0.75}
    assert left["parameters"] == {"model_uri": "/kfp/run/trains/outputs/model"}  # as a pod sees it
    assert f"  model_uri {model}\n" in ran.out
    assert f"-m pipeline predict {model} PICTURE" in ran.out


# --- failing ----------------------------------------------------------------------------------------------


def test_metrics_that_are_no_numbers_fail_as_in_the_launcher(tmp_path: Path) -> None:
    output = {"artifacts": {"m": {"artifacts": [{"name": "m", "uri": "/m", "metadata": {"loss": math.nan}}]}}}
    one = {
        "container": {
            "command": ["sh", "-c", f"echo '{json.dumps(output)}' > ${{0%/m}}/executor_output.json"],
            "args": ["{{$.outputs.artifacts['m'].path}}"],
        },
        "component": {
            "outputDefinitions": {"artifacts": {"m": {"artifactType": {"schemaTitle": "system.Metrics"}}}},
        },
    }  # fmt: skip
    ran = run_local(tmp_path, written(tmp_path, {"one": one}))
    assert ran.code == 1
    assert "its executor output is not KFP's: NaN is not JSON" in ran.out


@pytest.mark.parametrize(("place", "said"), [("/models/1", "predict /models/1 PICTURE"), ("", " ls ")])
def test_the_end_says_whether_a_model_was_pushed(tmp_path: Path, place: str, said: str) -> None:
    script = f'printf "{place}" > "$0"; echo "not blessed: its accuracy is low"'
    pusher = {
        "container": {
            "command": ["sh", "-c", script], "args": ["{{$.outputs.parameters['model_uri'].output_file}}"],
        },
        "component": {"outputDefinitions": {"parameters": {"model_uri": {"parameterType": "STRING"}}}},
    }  # fmt: skip
    ran = run_local(tmp_path, written(tmp_path, {"pusher": pusher}))
    assert ran.code == 0, ran.out + ran.err
    assert re.search(f"^  next +.*{said}", ran.out, re.M)
    assert ("pushed    nothing" in ran.out) == ("not blessed: its accuracy is low" in ran.out) == (not place)


def test_retries_wait_longer_each_time(tmp_path: Path) -> None:
    times = f'date +%s.%N >> {tmp_path}/times; [ "$(wc -l < {tmp_path}/times)" = 3 ]'
    policy = {
        "maxRetryCount": 2,
        "backoffDuration": "0.4s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "60s",
    }
    file = written(tmp_path, {"flaky": {"script": times, "task": {"retryPolicy": policy}}})
    ran = run_local(tmp_path, file, "--run-id", "r")
    assert ran.code == 0, ran.out
    first, second, third = map(float, (tmp_path / "times").read_text().split())
    assert 0.4 <= second - first < 2
    assert 0.8 <= third - second < 3
    assert record(tmp_path, "r")["tasks"]["flaky"]["attempts"] == 3
    assert "again in 0.4 s" in ran.out
    assert "again in 0.8 s" in ran.out


@pytest.mark.parametrize(("policy", "attempts"), [
    ({}, 1), ({"maxRetryCount": 2}, 3),
    ({"maxRetryCount": 9, "backoffDuration": "2s", "backoffMaxDuration": "1s"}, 1),
])  # fmt: skip
def test_retries_end(tmp_path: Path, policy: dict[str, Any], attempts: int) -> None:
    file = written(tmp_path, {"bad": {"script": "echo tried; exit 7", "task": {"retryPolicy": policy}}})
    ran = run_local(tmp_path, file, "--run-id", "r")
    assert ran.code == 1
    assert log(tmp_path, "r", "bad") == ["tried"] * attempts
    assert "bad: exit code 7: tried" in ran.out
    assert ("backoffMaxDuration of 1 s is over" in ran.out) == ("backoffMaxDuration" in policy)


def test_each_attempt_begins_with_empty_outputs(tmp_path: Path) -> None:
    outputs = {"outputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}}}
    text = 'test ! -e "$0" || exit 5; echo x > "$0"'  # never a number: both attempts fail behind the command
    shell = {"command": ["sh", "-c", text], "args": ["{{$.outputs.parameters['n'].output_file}}"]}
    one = {"container": shell, "component": outputs, "task": {"retryPolicy": {"maxRetryCount": 1}}}
    ran = run_local(tmp_path, written(tmp_path, {"one": one}))
    assert ran.code == 1
    assert "its output parameter 'n': 'x\\n' is not a whole number (NUMBER_INTEGER)" in ran.out
    assert "exit code 5" not in ran.out


def test_time_limit(tmp_path: Path) -> None:
    text = f"sleep 61 & echo $! > {tmp_path}/child; wait"
    file = written(tmp_path, {"slow": {"script": text, "kubernetes": {"activeDeadlineSeconds": "1"}}})
    began = time.monotonic()
    ran = run_local(tmp_path, file)
    assert ran.code == 1
    assert "slow: ended after 1 s, its time limit (activeDeadlineSeconds)" in ran.out
    assert time.monotonic() - began < 20
    assert gone(int((tmp_path / "child").read_text()))


def test_a_failure_stops_what_is_behind_it_only(tmp_path: Path) -> None:
    note = f"echo {{0}} >> {tmp_path}/order"
    tasks = {
        "bad": {"script": "echo the reason; exit 3"},
        "behind": {"script": note.format("behind"), "after": ["bad"]},
        "far-behind": {"script": note.format("far"), "after": ["behind", "beside"]},
        "beside": {"script": f"sleep 0.5; {note.format('beside')}"},
        "last": {"script": note.format("last"), "after": ["beside"]},
    }
    ran = run_local(tmp_path, written(tmp_path, tasks), "--run-id", "r")
    assert ran.code == 1
    assert (tmp_path / "order").read_text().split() == ["beside", "last"]
    assert "failed: bad · 2 of 5 tasks" in ran.out
    assert "bad: exit code 3: the reason" in ran.out
    assert f"log   {Path('runs/kubeflow/runs/r/bad/log.txt')}" in ran.out
    assert "not run: behind, far-behind (behind bad)" in ran.out
    assert "--run-id r" in ran.out
    assert set(record(tmp_path, "r")["tasks"]) == {"beside", "last"}


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    file = written(tmp_path, {"one": {"container": {"command": ["no-such-program"]}}})
    ran = run_local(tmp_path, file)
    assert ran.code == 1
    assert "it cannot start" in ran.out
    assert "no-such-program" in ran.out
    assert ran.err == ""


# --- interrupted ------------------------------------------------------------------------------------------


def gone(pid: int, within: float = 10.0) -> bool:
    """Whether a process ends soon; a zombie has ended."""
    limit = time.monotonic() + within
    while time.monotonic() < limit:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def begun(cwd: Path, file: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A run whose second task is under way and waits for the file `go`."""
    with subprocess.Popen(
        command(file, *arguments), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: (cwd / "child").exists() and (cwd / "child").read_text().endswith("\n"))
            yield process
        finally:
            process.kill()


def wait_for(happened: Callable[[], bool], within: float = 30.0) -> None:
    limit = time.monotonic() + within
    while not happened():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)


def two_steps(folder: Path) -> Path:
    second = f"sleep 62 & echo $! > {folder}/child; while [ ! -e {folder}/go ]; do sleep 0.1; done; kill $!"
    return written(folder, {
        "first": {"script": f"echo first >> {folder}/order"},
        "second": {"script": f"echo second >> {folder}/order; {second}", "after": ["first"]},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)], ids=str
)
def test_stopped_and_gone_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    file = two_steps(tmp_path)
    with begun(tmp_path, file, "--run-id", "r") as process:
        child = int((tmp_path / "child").read_text())
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert gone(child)
    assert ("--run-id r" in out) == (code == 130)
    (tmp_path / "go").touch()
    ran = run_local(tmp_path, file, "--run-id", "r")
    assert ran.code == 0, ran.out + ran.err
    assert (tmp_path / "order").read_text().split() == ["first", "second", "second"]
    assert "first   done before" in ran.out
    again = run_local(tmp_path, file, "--run-id", "r")
    assert again.code == 0
    assert (tmp_path / "order").read_text().split() == ["first", "second", "second"]


def test_one_process_per_run(tmp_path: Path) -> None:
    file = two_steps(tmp_path)
    with begun(tmp_path, file, "--run-id", "r"):
        assert "--run-id r is running already" in refused(run_local(tmp_path, file, "--run-id", "r"))
    assert gone(int((tmp_path / "child").read_text()))


def test_another_run_of_the_same_id_is_refused(tmp_path: Path) -> None:
    text = {"text": {"parameterType": "STRING", "defaultValue": "a"}}
    file = written(tmp_path, {"one": SHELL_TASK}, **text)
    assert run_local(tmp_path, file, "--run-id", "r").code == 0
    sentence = refused(run_local(tmp_path, file, "--run-id", "r", "--param", "text=b"))
    assert "was begun with other values of --param" in sentence
    written(tmp_path, {"one": {"script": "false"}}, **text)
    assert "another pipeline file" in refused(run_local(tmp_path, file, "--run-id", "r"))


# --- the platform document --------------------------------------------------------------------------------


def test_volume_app_and_scratch(tmp_path: Path) -> None:
    says = (
        'echo "$1" > "$2/said"; echo "$3|$WHERE|/mntx|/x/mnt/photos|$4"; touch /mnt/photos/direct /scratch/x'
    )
    shell = {
        "command": ["sh", "-c", says, "sh"],
        "args": ["{{$.inputs.parameters['root']}}", "/mnt/photos/deep", "/app/kubeflow/node.py", "{{$}}"],
        "env": [{"name": "WHERE", "value": "file:///mnt/photos/x"}],
    }
    component = {"inputDefinitions": {"parameters": {"root": {"parameterType": "STRING"}}}}
    task = {"inputs": {"parameters": {"root": {"componentInputParameter": "root"}}}}
    kubernetes = {
        "pvcMount": [
            {"mountPath": "/mnt/photos", "pvcNameParameter": {"runtimeValue": {"constant": "photos"}}}
        ],
        "emptyDirMounts": [{"volumeName": "s", "mountPath": "/scratch"}],
    }
    one = {"container": shell, "component": component, "task": task, "kubernetes": kubernetes}
    root = {"root": {"parameterType": "STRING", "defaultValue": "/mnt/photos"}}
    file = written(tmp_path, {"one": one}, **root)
    folder = tmp_path / "the-photos"
    (folder / "deep").mkdir(parents=True)
    ran = run_local(tmp_path, file, "--volume", f"photos={folder}", "--run-id", "r")
    assert ran.code == 0, ran.out
    assert (folder / "deep/said").read_text() == f"{folder}\n"
    assert (folder / "direct").exists()
    (line,) = log(tmp_path, "r", "one")
    checkout = Path(__file__).parents[1]
    node, where, *untouched, given = line.split("|")
    assert node == f"{checkout}/kubeflow/node.py"
    assert where == f"file://{folder}/x"
    assert untouched == ["/mntx", "/x/mnt/photos"]
    assert json.loads(given)["inputs"]["parameterValues"] == {"root": str(folder)}
    sentence = refused(run_local(tmp_path, file, "--volume", f"photo={folder}"))
    assert "Did you mean 'photos'?" in sentence
    assert run_local(tmp_path, file).code == 0
    assert (tmp_path / "runs/kubeflow/volumes/photos/direct").exists()


def test_secrets_are_needed_and_never_printed(tmp_path: Path) -> None:
    pair = {"secretKey": "password", "envVar": "STORE_PASSWORD"}
    kubernetes = {"secretAsEnv": [{"secretName": "store", "keyToEnv": [pair]}]}
    text = f'printf %s "$STORE_PASSWORD" > {tmp_path}/got; echo "refused: $STORE_PASSWORD"; exit 1'
    file = written(tmp_path, {"one": {"script": text, "kubernetes": kubernetes}})
    sentence = refused(run_local(tmp_path, file))
    for word in ("'one'", "STORE_PASSWORD", "'password'", "'store'"):
        assert word in sentence
    assert not (tmp_path / "runs").exists()
    ran = run_local(tmp_path, file, "--run-id", "r", STORE_PASSWORD="hunter2-hunter2")
    assert ran.code == 1
    assert (tmp_path / "got").read_text() == "hunter2-hunter2"
    assert "refused: ***" in ran.out
    state = (tmp_path / "runs/kubeflow/runs/r/state.json").read_text()
    assert "hunter2" not in ran.out + ran.err + state


# --- refusals ---------------------------------------------------------------------------------------------
# Said by the command itself, but in this process: nothing is started, and there are many.


@pytest.fixture
def sentence(
    pipelines: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def said(file: Path, *arguments: str) -> str:
        code = run_local_main([str(file), *arguments])
        assert not (tmp_path / "runs").exists()
        return refused(Ran(code, *capsys.readouterr()))

    return said


PARAMETERS = {
    "steps": {"parameterType": "NUMBER_INTEGER"},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.1},
    "on": {"parameterType": "BOOLEAN", "defaultValue": True},
    "items": {"parameterType": "LIST", "defaultValue": []},
}


@pytest.mark.parametrize(("arguments", "words"), [
    ([], ["the pipeline needs steps, without a default; give --param steps=…"]),
    (["--param", "step=3"], ["--param='step' is not known", "Did you mean 'steps'?"]),
    (["--param", "steps=three"], ["--param steps='three' is not a whole number"]),
    (["--param", "steps=1", "--param", "rate=nan"], ["'nan' is not a number"]),
    (["--param", "steps=1", "--param", "on=yes"], ["'yes' is not true or false"]),
    (["--param", "steps=1", "--param", "items={}"], ["'{}' is not a list in JSON"]),
    (["--param", "steps=1", "--param", "steps=2"], ["'steps' is given twice"]),
    (["--param", "steps"], ["--param='steps' is not NAME=VALUE"]),
    (["--param", "steps=1", "--run-id", "My run"], ["'My run' is not an id"]),
    (["--param", "steps=1", "--parallel", "0"], ["--parallel must be at least 1, not 0"]),
    (["--param", "steps=1", "--volume", "pvc=x"], ["no task of the pipeline mounts a volume"]),
])  # fmt: skip
def test_arguments_refused(
    sentence: Callable[..., str], tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    said = sentence(written(tmp_path, {"one": SHELL_TASK}, **PARAMETERS), *arguments)
    for word in words:
        assert word in said


def test_a_password_in_the_stores_address_is_neither_kept_nor_shown(
    sentence: Callable[..., str], tmp_path: Path
) -> None:
    file = written(
        tmp_path, {"one": SHELL_TASK}, mlmd={"parameterType": "STRING", "defaultValue": "sqlite:x"}
    )
    said = sentence(file, "--param", "mlmd=mysql://me:hush-hush@host/db")
    assert "mysql://me@host/db: a password does not belong there" in said
    assert "hush" not in said


def test_a_task_that_makes_a_job_is_refused(sentence: Callable[..., str], tmp_path: Path) -> None:
    said = sentence(written(tmp_path, {"tuner": {"container": {"command": TUNER_JOB}}, "other": SHELL_TASK}))
    assert "task 'tuner' makes a Job in a Kubernetes cluster" in said
    assert 'tuner = "pod"' in said


TEXT = {"x": {"parameterType": "STRING"}}


def shell_args(*args: str) -> dict[str, Any]:
    return {"container": {"command": ["echo"], "args": list(args)}}


@pytest.mark.parametrize(("one", "words"), [
    ({"task": {"triggerPolicy": {"condition": "true"}}}, "has a condition"),
    ({"task": {"parameterIterator": {"items": {"raw": "[1]"}, "itemInput": "x"}}}, "ParallelFor"),
    ({"task": {"componentRef": {"name": "comp-other"}}}, "'comp-other', which the file does not have"),
    ({"task": {"dependentTasks": ["other"]}}, "waits for 'other', which is no task"),
    ({"task": {"dependentTasks": ["one"]}}, "wait for each other"),
    ({"executor": {"importer": {"artifactUri": {"constant": "x"}}}}, "imports an artifact"),
    ({"executor": {"resolver": {}}}, "resolves artifacts"),
    ({"executor": {"container": {"image": IMAGE}}}, "neither command nor args"),
    ({"container": {"lifecycle": {"preCacheCheck": {"command": ["x"]}}}}, "has a lifecycle hook"),
    (shell_args("{{$.inputs.parameters['x']}}"), "which KFP's launcher does not fill in"),
    (shell_args("{{$.outputs.output_file}}"), "{{$.outputs.output_file}}, which KFP's launcher does not"),
    (shell_args("{{$.pipeline_job_uuid}}"), "only where it is the whole value of a task's input"),
    (shell_args('{"Concat": ["a", "b"]}'), "Concat placeholder"),
    ({"container": {"env": [{"name": "X", "value": "{{$}}"}]}}, "environment variable X"),
    ({"component": {"inputDefinitions": {"parameters": TEXT}}}, "gets no value for its input 'x'"),
    ({"kubernetes": {"configMapAsEnv": [{"configMapName": "x"}]}}, "has configMapAsEnv"),
    ({"kubernetes": {"emptyDirMounts": [{"volumeName": "x"}]}}, "lacks 'mountPath' in its platform document"),
    ({"kubernetes": {"pvcMount": [{"mountPath": "/x", "taskOutputParameter": {}}]}}, "has a pvc whose name"),
])  # fmt: skip
def test_tasks_refused(sentence: Callable[..., str], tmp_path: Path, one: dict[str, Any], words: str) -> None:
    said = sentence(written(tmp_path, {"one": one, "two": SHELL_TASK}))
    assert words in said
    assert "one" in said


def test_names_that_leave_the_folder_are_refused(sentence: Callable[..., str], tmp_path: Path) -> None:
    assert "has a name that Kubernetes refuses" in sentence(written(tmp_path, {"../one": SHELL_TASK}))


def test_compiled_condition_refused(sentence: Callable[..., str], pipelines: dict[str, Path]) -> None:
    assert "task 'condition-1' has a condition" in sentence(pipelines["condition"])


@pytest.mark.parametrize(("text", "words"), [
    (None, "is not there"), ("a: [", "cannot be read as YAML"), ("", "has 0 YAML documents"),
    ("root: {}\nnonsense: 1\n", "nonsense"), ("root: {dag: {}}\n", "`root.dag.tasks` is empty"),
    ("pipelineSpec: {}\n", "PipelineJob of Vertex AI"), ("a: 1\n---\nb: 2\n", "no `platforms`"),
])  # fmt: skip
def test_files_refused(sentence: Callable[..., str], tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "pipeline.yaml"
    if text is not None:
        file.write_text(text)
    assert words in sentence(file)


def test_missing_engine_and_image(tmp_path: Path) -> None:
    file = written(tmp_path, {"one": {"container": {"image": "localhost/no-such-image:1"}}})
    engine = "podman" if shutil.which("podman") else "docker"
    sentence = refused(run_local(tmp_path, file, "--runner", engine, PATH="/nowhere"))
    assert f"there is no `{engine}` on PATH" in sentence
    if shutil.which(engine):
        assert "'localhost/no-such-image:1'" in refused(run_local(tmp_path, file, "--runner", engine))


def test_quiet_prints_the_end_alone(tmp_path: Path) -> None:
    ran = run_local(tmp_path, written(tmp_path, {"one": SHELL_TASK}), "--quiet")
    assert ran.code == 0
    assert ran.out.startswith("done · 1 of 1 tasks")


# --- containers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """Debian with a user of its own; skips where it cannot be had."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    if subprocess.run(["podman", "image", "exists", IMAGE], check=False).returncode:
        pytest.skip(f"podman has no {IMAGE}; scripts/build-image makes it")
    made = subprocess.run(
        ["podman", "create", IMAGE, "true"], capture_output=True, text=True, check=True
    ).stdout.strip()
    change = ["--change", "USER 1000:1000"]
    subprocess.run(
        ["podman", "commit", "--quiet", *change, made, USER_IMAGE], capture_output=True, check=True
    )
    subprocess.run(["podman", "rm", made], capture_output=True, check=True)
    yield USER_IMAGE
    subprocess.run(["podman", "rmi", "--force", USER_IMAGE], capture_output=True, check=False)


def containers_of(run: str) -> str:
    listed = ["podman", "ps", "--all", "--quiet", "--filter", f"name=kfp-{run}-"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout


def docker_of_podman(folder: Path) -> dict[str, str]:
    """The environment of a machine whose `docker` is podman, as Debian's podman-docker makes it."""
    (folder / "bin").mkdir()
    command, conf = folder / "bin" / "docker", folder / "containers.conf"
    command.write_text('#!/bin/sh\nexec podman --runtime runc --cgroup-manager cgroupfs "$@"\n')
    command.chmod(0o755)
    conf.write_text('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
    return {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "CONTAINERS_CONF": str(conf)}


@pytest.mark.containers
@pytest.mark.parametrize("engine", ["podman", "docker"])
def test_containers_exchange_outputs_as_non_root(image: str, tmp_path: Path, engine: str) -> None:
    number = {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}}
    model = {"artifacts": {"model": {"artifactType": {"schemaTitle": "system.Model"}}}}
    gives = 'id -u; mkdir "$0"; echo 42 > "$0/weights"; printf 5 > "$1"; '
    gives += "echo x > /mnt/photos/made; ls /mnt /kfp/run"
    takes = 'cat "$0/weights"; echo "$1"; cat /mnt/photos/made; touch "$0/no" 2>/dev/null || echo read-only'
    mount = {"pvcMount": [{"mountPath": "/mnt/photos", "constant": "photos"}]}
    memory = {
        "emptyDirMounts": [
            {"volumeName": "m", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "32Mi"}
        ]
    }
    secret = {
        "secretAsEnv": [{"secretName": "s", "keyToEnv": [{"secretKey": "k", "envVar": "STORE_PASSWORD"}]}]
    }
    after = '; df -m --output=size /dev/shm | tail -n 1 | tr -d " "; echo "${#STORE_PASSWORD}"'
    given_by = {"producerTask": "gives"}
    file = written(tmp_path, {
        "gives": {
            "container": {
                "image": image, "command": ["sh", "-c", gives],
                "args": [
                    "{{$.outputs.artifacts['model'].path}}", "{{$.outputs.parameters['n'].output_file}}",
                ],
            },
            "component": {"outputDefinitions": {**number, **model}}, "kubernetes": mount,
        },
        "takes": {
            "container": {
                "image": image, "command": ["sh", "-c", takes + after],
                "args": ["{{$.inputs.artifacts['model'].path}}", "{{$.inputs.parameters['n']}}"],
                "resources": {"memoryLimit": 0.1, "cpuLimit": 0.5},
            },
            "component": {"inputDefinitions": {**number, **model}},
            "kubernetes": {**mount, **memory, **secret},
            "task": {"inputs": {
                "parameters": {"n": {"taskOutputParameter": {**given_by, "outputParameterKey": "n"}}},
                "artifacts": {"model": {"taskOutputArtifact": {**given_by, "outputArtifactKey": "model"}}},
            }},
        },
    })  # fmt: skip
    around = docker_of_podman(tmp_path) if engine == "docker" else {}
    arguments = ["--runner", engine, "--run-id", "c1"]
    ran = run_local(tmp_path, file, *arguments, STORE_PASSWORD="hunter2", **around)
    assert ran.code == 0, ran.out + ran.err
    assert log(tmp_path, "c1", "gives") == ["1000", "/kfp/run:", "gives", "", "/mnt:", "photos"]
    assert log(tmp_path, "c1", "takes") == ["42", "5", "x", "read-only", "32", "7"]
    assert (tmp_path / "runs/kubeflow/volumes/photos/made").stat().st_uid != 0 or os.getuid() != 0
    assert containers_of("c1") == ""


@pytest.mark.containers
def test_container_time_limit_and_retry(image: str, tmp_path: Path) -> None:
    one = {
        "script": "exec sleep 63", "container": {"image": image}, "kubernetes": {"activeDeadlineSeconds": 1},
        "task": {"retryPolicy": {"maxRetryCount": 1}},
    }  # fmt: skip
    ran = run_local(tmp_path, written(tmp_path, {"slow": one}), "--runner", "podman", "--run-id", "c2")
    assert ran.code == 1
    assert ran.out.count("ended after 1 s, its time limit") == 3  # two attempts and the end
    assert containers_of("c2") == ""


@pytest.mark.containers
@pytest.mark.parametrize(("number", "run"), [(signal.SIGKILL, "c3"), (signal.SIGINT, "c4")], ids=str)
def test_container_goes_with_its_run(image: str, tmp_path: Path, number: signal.Signals, run: str) -> None:
    file = written(tmp_path, {"slow": {"script": "exec sleep 64", "container": {"image": image}}})
    arguments = ["--runner", "podman", "--run-id", run]
    with subprocess.Popen(command(file, *arguments), cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: containers_of(run) != "")
            process.send_signal(number)
        finally:
            if number is not signal.SIGKILL:
                process.wait(timeout=30)
    wait_for(lambda: containers_of(run) == "")
    assert process.returncode == (130 if number is signal.SIGINT else -9)

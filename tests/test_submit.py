"""submit.py against a server that speaks the published API: what is sent, shown, refused, and never told."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp_server import PREFIX, PUBLISHED, Kfp

import submit
from cluster import client, package, refusals, times, watching
from tuning.errors import BadInput

pytest.importorskip("kfp", reason="the extra `kubeflow` is not installed")
ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "kubeflow" / "submit.py"

SECRET = "eyJh.s3cret+Token/with=signs.42"
SESSION = "c00kie-Va1ue-77"
COMPILE = """
import sys
from kfp import compiler, dsl

@dsl.container_component
def trainer(rate: float, epochs: int):
    return dsl.ContainerSpec(image="keras-cnns:cpu", command=["true"], args=[str(rate), str(epochs)])

@dsl.container_component
def pusher():
    return dsl.ContainerSpec(image="keras-cnns:cpu", command=["true"])

@dsl.pipeline(name="digits-lenet5")
def line(rate: float, epochs: int = 3, root: str = "/mnt/keras-cnns", warm: bool = False, sizes: list = [1],
         more: dict = {}, mlmd: str = "", run_id: str = ""):
    pusher().after(trainer(rate=rate, epochs=epochs))

compiler.Compiler().compile(line, sys.argv[1])
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of two tasks as kfp's own compiler writes it, with the second document of a platform."""
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    subprocess.run([sys.executable, "-W", "ignore", "-c", COMPILE, str(path)], check=True, timeout=60)
    platform = "---\nplatforms:\n  kubernetes:\n    deploymentSpec:\n      executors: {}\n"
    path.write_text(path.read_text() + platform)
    return path


@pytest.fixture
def kfp() -> Iterator[Kfp]:
    with Kfp() as server:
        yield server


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credential or server of whoever runs the tests, and short pauses."""
    for name in [*os.environ]:
        if name.startswith(("KFP_", "KF_PIPELINES_", "KUBERNETES_")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(watching, "_SOON", 0.01)
    monkeypatch.setattr(watching, "_LATE", 0.05)
    monkeypatch.setattr(watching, "_LATEST", 0.05)


class Run:
    """The command, run in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *typed: str | Path) -> Run:
        self.code = submit.main([str(one) for one in typed])
        self.out, self.err = self._capsys.readouterr()
        return self

    def sentence(self) -> str:
        """The one sentence of a refusal."""
        assert self.code == 2, self.out + self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("python kubeflow/submit.py: "), self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("python kubeflow/submit.py: ").strip()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def started(home: Path, *typed: str | Path, **environment: str) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    ours = ("KFP_", "KF_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, typed)],
        env=kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)} | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_linked_at_once_watched_and_ends(kfp: Kfp, compiled: Path, tmp_path: Path) -> None:
    kfp.still = True
    process = started(tmp_path, compiled, "--param", "rate=0.1", KFP_HOST=kfp.host + "/")
    assert process.stdout is not None
    patience = threading.Timer(20, process.kill)
    patience.start()
    lines = [process.stdout.readline() for _ in range(3)]
    patience.cancel()
    assert process.poll() is None
    (run_id,) = kfp.runs
    assert lines[2] == f"link      {kfp.host}/#/runs/details/{run_id}\n"
    kfp.still = False
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    version = f"sha256-{hashlib.sha256(compiled.read_bytes()).hexdigest()[:16]}"
    assert lines[0] == f"pipeline  digits-lenet5, version {version}\n"
    changes = [line.split()[1:] for line in out.splitlines() if re.match(r"\d:\d\d:\d\d  ", line)]
    assert changes == [
        ["trainer", "RUNNING"],
        ["trainer", "SUCCEEDED"],
        ["pusher", "RUNNING"],
        ["pusher", "SUCCEEDED"],
    ]
    assert len(lines) + len(out.splitlines()) == 8  # nothing of the SDK's own prints
    assert re.fullmatch(r"SUCCEEDED  after \d+ s", out.splitlines()[-1])
    assert not (tmp_path / ".config").exists()


def test_the_operations_are_the_published_ones(kfp: Kfp, compiled: Path, run: Run) -> None:
    assert run(compiled, "--host", kfp.host, "--param", "rate=1").code == 0
    (pipeline_id,), (run_id,) = kfp.pipelines, kfp.runs
    first = [
        "GET /healthz",
        "GET /pipelines",
        "POST /pipelines",
        f"GET /pipelines/{pipeline_id}/versions",
        "POST /pipelines/upload_version",
        "GET /experiments",
        "POST /experiments",
        "POST /runs",
    ]
    assert kfp.operations()[:8] == first
    assert set(kfp.operations()[8:]) == {f"GET /runs/{run_id}"}
    kfp.asked.clear()
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--interval", "6h").code == 0
    assert kfp.operations() == [
        "GET /healthz",
        "GET /pipelines",
        f"GET /pipelines/{pipeline_id}/versions",
        "GET /experiments",
        "POST /recurringruns",
    ]


def test_the_published_operations_are_those_of_the_generated_client() -> None:
    import kfp_server_api

    operations: dict[tuple[str, str], set[str]] = {}
    for path in (Path(kfp_server_api.__file__).parent / "api").glob("*_service_api.py"):
        for method in path.read_text().split("_with_http_info(self")[1:]:
            found = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", method)
            assert found
            queries = set(re.findall(r"query_params\.append\(\('(\w+)'", method))
            operations[found[2], found[1].removeprefix(PREFIX)] = queries
    assert len(operations) > 30
    for operation, queries in PUBLISHED.items():
        assert queries <= operations[operation], operation


def test_what_the_server_answers_fits_the_generated_models(kfp: Kfp, compiled: Path, run: Run) -> None:
    import kfp_server_api

    kfp.ends, kfp.says = {"pusher": "FAILED"}, {"pusher": "no room"}
    assert run(compiled, "--host", kfp.host, "--param", "rate=1").code == 1
    for how in (("--every", "0 3 * * *"), ("--interval", "6h")):
        assert run(compiled, "--host", kfp.host, "--param", "rate=1", *how).code == 0

    def check(value: Any, kind: str, where: str) -> None:
        if listed := re.fullmatch(r"list\[(\w+)\]", kind):
            for one in value:
                check(one, listed[1], where)
        elif kind == "datetime":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), where
        elif kind in ("str", "int", "bool"):
            assert type(value) is {"str": str, "int": int, "bool": bool}[kind], (where, value)
        elif kind != "object" and not kind.startswith("dict("):
            model = getattr(kfp_server_api.models, kind)
            if not model.openapi_types:  # an enum
                assert value in model.allowable_values, (where, value)
                return
            names = {name: attribute for attribute, name in model.attribute_map.items()}
            assert set(value) <= set(names), (where, set(value) - set(names))
            for name, inner in value.items():
                check(inner, model.openapi_types[names[name]], f"{where}.{name}")

    seen = {kind for kind, _ in kfp.answered}
    assert seen == {
        "V2beta1GetHealthzResponse",
        "V2beta1ListPipelinesResponse",
        "V2beta1Pipeline",
        "V2beta1ListPipelineVersionsResponse",
        "V2beta1PipelineVersion",
        "V2beta1ListExperimentsResponse",
        "V2beta1Experiment",
        "V2beta1Run",
        "V2beta1RecurringRun",
    }
    for kind, answer in kfp.answered:
        check(answer, kind, kind)


def test_the_same_file_is_sent_once(kfp: Kfp, compiled: Path, run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        run(compiled, "--host", kfp.host, "--param", "rate=1", "--no-wait")
    assert "which was there already" in run.out
    assert len(kfp.runs) == 2
    assert len(kfp.experiments) == 1
    changed = tmp_path / "other.yml"
    changed.write_text(compiled.read_text().replace("keras-cnns:cpu", "keras-cnns:gpu"))
    run(changed, "--host", kfp.host, "--param", "rate=1", "--no-wait")
    assert "already" not in run.out
    assert (len(kfp.pipelines), len(kfp.versions)) == (1, 2)
    assert kfp.operations().count("POST /pipelines/upload_version") == 2
    run(changed, "--host", kfp.host, "--param", "rate=1", "--no-wait", "--name", "mine", "--experiment", "e")
    assert {one["display_name"] for one in kfp.pipelines.values()} == {"digits-lenet5", "mine"}
    assert {one["display_name"] for one in kfp.experiments.values()} == {"keras-cnns", "e"}


def test_parameters_arrive_in_their_types(kfp: Kfp, compiled: Path, run: Run) -> None:
    typed = {
        "rate": "1e-3",
        "epochs": "7",
        "root": "/x=y",
        "warm": "True",
        "sizes": "[1, 2]",
        "more": '{"a": 1}',
    }
    options = [part for name, value in typed.items() for part in ("--param", f"{name}={value}")]
    run(compiled, "--host", kfp.host, *options, "--no-wait", "--run-name", "tonight")
    (sent,) = kfp.runs.values()
    expected = {"rate": 0.001, "epochs": 7, "root": "/x=y", "warm": True, "sizes": [1, 2], "more": {"a": 1}}
    assert sent["runtime_config"]["parameters"] == expected
    assert sent["display_name"] == "tonight"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["rate=1", "epoch=3"], ["--param='epoch'", "Did you mean 'epochs'?"]),
        (["rate=fast"], ["rate='fast'", "a number, such as 0.1"]),
        (["rate=nan"], ["rate='nan'", "a number"]),
        (["rate=1", "epochs=2.5"], ["epochs='2.5'", "whole number"]),
        (["rate=1", "epochs=1_0"], ["epochs='1_0'", "whole number"]),
        (["rate=1", "warm=yes"], ["warm='yes'", "true or false"]),
        (["rate=1", "sizes=1"], ["sizes='1'", "list in JSON"]),
        (["rate=1", "more=[]"], ["more='[]'", "object in JSON"]),
        (["rate=1", "rate=2"], ["'rate' is given twice"]),
        (["rate"], ["'rate' is not NAME=VALUE"]),
        ([], ["needs rate", "--param rate=…"]),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_sent(
    kfp: Kfp, compiled: Path, run: Run, typed: list[str], words: list[str]
) -> None:
    options = [part for one in typed for part in ("--param", one)]
    sentence = run(compiled, "--host", kfp.host, *options).sentence()
    assert all(word in sentence for word in words), sentence
    assert (run.out, kfp.asked) == ("", [])


@pytest.mark.parametrize(
    "typed",
    [
        "mlmd=mysql://me:hush-hush@host/db",
        "mlmd=mysql://me:hush-hush#@host/db",
        "mysql://me:hush-hush@host/db",
    ],
)
def test_a_password_in_the_stores_address_is_neither_sent_nor_shown(
    kfp: Kfp, compiled: Path, run: Run, typed: str
) -> None:
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1", "--param", typed).sentence()
    assert "hush" not in sentence
    assert "mysql://me@" in sentence
    assert (run.out, kfp.asked) == ("", [])


def test_a_stores_address_without_a_password_is_sent(kfp: Kfp, compiled: Path, run: Run) -> None:
    typed = ("--param", "rate=1", "--param", "mlmd=mysql://me@host/db", "--no-wait")
    assert run(compiled, "--host", kfp.host, *typed).code == 0
    (sent,) = kfp.runs.values()
    assert sent["runtime_config"]["parameters"]["mlmd"] == "mysql://me@host/db"


@pytest.mark.parametrize("schedule", [("--every", "@daily"), ("--interval", "6h")], ids=str)
def test_a_schedule_takes_no_run_id(kfp: Kfp, compiled: Path, run: Run, schedule: tuple[str, str]) -> None:
    typed = ("--host", kfp.host, "--param", "rate=1", "--param")
    sentence = run(compiled, *typed, "run_id=mine", *schedule).sentence()
    assert f"--param run_id='mine' beside {schedule[0]}" in sentence
    assert (run.out, kfp.asked) == ("", [])
    assert run(compiled, *typed, "run_id=", *schedule).code == 0


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "SKIPPED"])
@pytest.mark.parametrize("history", [True, False])
def test_a_run_that_does_not_succeed_names_its_task(
    kfp: Kfp, compiled: Path, run: Run, state: str, history: bool
) -> None:
    kfp.ends, kfp.says, kfp.only_history = {"trainer": state}, {"trainer": "OOM: \x1b[2Jkilled"}, history
    assert run(compiled, "--host", kfp.host, "--param", "rate=1").code == 1
    assert "pusher  SKIPPED" in run.out
    assert f"the run is {state}: task trainer" in run.err
    assert "OOM: \\x1b[2Jkilled; logs: http://127.0.0.1" in run.err
    assert run.err.count("\n") == 1


def test_a_failed_driver_is_named_where_nothing_else_tells_why(kfp: Kfp, compiled: Path, run: Run) -> None:
    kfp.ends, kfp.says = {"pusher-driver": "FAILED"}, {"pusher-driver": "no such PVC"}
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--json").code == 1
    told = json.loads(run.out)
    assert (told["outcome"], told["state"], told["failed"]) == ("failed", "FAILED", ["pusher-driver"])
    assert told["error"] == "no such PVC"
    assert told["tasks"] == {"trainer": "SUCCEEDED", "pusher-driver": "FAILED"}


def test_a_failure_without_words_says_so(kfp: Kfp, compiled: Path, run: Run) -> None:
    kfp.ends = {"trainer": "FAILED"}
    assert run(compiled, "--host", kfp.host, "--param", "rate=1").code == 1
    assert "task trainer: the server gives no reason; logs: " in run.err


@pytest.mark.parametrize("kind", [500, 502, 503, 429, "drop", "hang"])
def test_trouble_while_watching_passes(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch, kind: int | str
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 1.0)
    kfp.fails("/runs/", kind, times=1 if kind == "hang" else 3)
    assert run(compiled, "--host", kfp.host, "--param", "rate=1").code == 0
    told = [line for line in run.out.splitlines() if kfp.host in line and not line.startswith("link")]
    assert len(told) == 2, told
    assert told[0].endswith("The run goes on; asking again …")
    assert told[1] == f"{kfp.host} answers again"


def test_questions_get_rarer_after_errors_and_at_rest(kfp: Kfp, compiled: Path, run: Run) -> None:
    run(compiled, "--host", kfp.host, "--param", "rate=1", "--no-wait")
    (run_id,) = kfp.runs
    kfp.fails("/runs/", 503, times=4)
    kfp.still = True
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        kfp.still = len(pauses) < 9

    server = client.connect(kfp.host, {}, {})
    seen = watching.watch(server, run_id, lambda _: None, sleep=sleep)
    assert seen.state == "SUCCEEDED"
    assert pauses[:4] == [0.02, 0.04, 0.05, 0.05]  # doubled until the longest, of errors
    assert pauses[4] == 0.01  # it answers, and a task has begun
    assert pauses[5:8] == pytest.approx([0.015, 0.0225, 0.03375])  # nothing new


def test_a_timeout_leaves_the_run_alone_and_says_how_to_go_on(
    kfp: Kfp, compiled: Path, run: Run, tmp_path: Path
) -> None:
    kfp.still = True
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--timeout", "1s").code == 1
    assert "still RUNNING after 1s; the run goes on: watch it with: " in run.err
    (run_id,) = kfp.runs
    assert kfp.runs[run_id]["state"] == "RUNNING"
    kfp.still = False
    command = shlex.split(run.err.partition("watch it with: ")[2])
    assert command[1:] == ["kubeflow/submit.py", "--watch", run_id, "--host", kfp.host]
    process = started(tmp_path, *command[2:])
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "SUCCEEDED" in out
    assert len(kfp.runs) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_the_run_alone(
    kfp: Kfp, compiled: Path, tmp_path: Path, number: signal.Signals
) -> None:
    kfp.still = True
    process = started(tmp_path, compiled, "--host", kfp.host, "--param", "rate=1", "--json")
    while len(kfp.asked) < 10:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; the run goes on: watch it with: " in err
    assert "Traceback" not in err
    (run_id,) = kfp.runs
    told = json.loads(out)
    assert (told["outcome"], told["run_id"]) == ("interrupted", run_id)
    assert kfp.runs[run_id]["state"] == "RUNNING"


def test_no_wait_starts_and_tells_in_json(kfp: Kfp, compiled: Path, run: Run) -> None:
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--no-wait", "--json").code == 0
    (run_id,), (pipeline_id,), (version_id,) = kfp.runs, kfp.pipelines, kfp.versions
    told = json.loads(run.out)
    assert {"outcome": "started", "run_id": run_id, "pipeline_id": pipeline_id}.items() <= told.items()
    assert {"version_id": version_id, "uploaded": True, "experiment": "keras-cnns"}.items() <= told.items()
    assert told["link"] == f"{kfp.host}/#/runs/details/{run_id}"
    assert told["link"] in run.err


def test_a_cron_line_means_what_it_means_in_crontab(kfp: Kfp, compiled: Path, run: Run) -> None:
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--every", "0 3 * * *").code == 0
    (identifier,) = kfp.recurring
    assert f"{kfp.host}/#/recurringrun/details/{identifier}" in run.out
    made = kfp.recurring[identifier]
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (made["mode"], made["no_catchup"], made["max_concurrency"]) == ("ENABLE", True, "1")
    assert made["runtime_config"] == {"parameters": {"rate": 1.0}}
    assert kfp.runs == {}


def test_an_interval_is_told_in_seconds(kfp: Kfp, compiled: Path, run: Run) -> None:
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--interval", "1h30m", "--json").code == 0
    (identifier,) = kfp.recurring
    assert kfp.recurring[identifier]["trigger"] == {"periodic_schedule": {"interval_second": "5400"}}
    told = json.loads(run.out)
    assert (told["outcome"], told["recurring_run_id"]) == ("scheduled", identifier)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/15 9-17 1,15 jan-mar MON-FRI", "0 */15 9-17 1,15 jan-mar MON-FRI"),
        ("30 0 3 ? * 1-5", "30 0 3 ? * 1-5"),
        ("@daily", "@daily"),
    ],
)
def test_cron(typed: str, sent: str) -> None:
    assert times.cron(typed) == sent


BAD_CRON = [
    *("", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7"),
    *("a * * * *", "5-1 * * * *", "*/0 * * * *", "1- * * * *", "1,,2 * * * *", "*-5 * * * *", "@often"),
]


@pytest.mark.parametrize("typed", BAD_CRON)
def test_bad_cron_lines(typed: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"--every={typed!r}")):
        times.cron(typed)


@pytest.mark.parametrize(("typed", "seconds"), [("90s", 90), ("30m", 1800), ("6h", 21600), ("1d2h", 93600)])
def test_lengths_of_time(typed: str, seconds: int) -> None:
    assert times.seconds("--timeout", typed) == seconds


@pytest.mark.parametrize("typed", ["", "6", "h", "-6h", "0s", "6 h", "1.5h", "6h!"])
def test_bad_lengths_of_time(typed: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"--interval={typed!r}")):
        times.seconds("--interval", typed)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("https://anna:hunter2@kfp.example.org", "user name or a password"),
        ("https://hunter2@kfp.example.org", "user name or a password"),
        ("anna:hunter2@kfp.example.org", "user name or a password"),
        ("localhost:8080", "did you mean http://localhost:8080?"),
        ("kfp.example.org/pipeline", "did you mean https://kfp.example.org/pipeline?"),
        ("https://kfp.example.org/pipeline/#/runs", "did you mean https://kfp.example.org/pipeline?"),
        ("https://kfp.example.org/?ns=a", "did you mean https://kfp.example.org?"),
        ("ftp://kfp.example.org", "is no address"),
        ("http://", "is no address"),
        ("http://a b", "is no address"),
        ("http://a:port", "is no address"),
    ],
)
@pytest.mark.parametrize("by", ["--host", "KFP_HOST"])
def test_addresses_that_are_none(
    compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch, host: str, words: str, by: str
) -> None:
    if by == "KFP_HOST":
        monkeypatch.setenv(by, host)
    typed = ("--host", host) if by == "--host" else ()
    sentence = run(compiled, "--param", "rate=1", *typed).sentence()
    assert words in sentence
    assert sentence.startswith(by)
    assert "hunter2" not in run.out + run.err


def test_no_address(compiled: Path, run: Run) -> None:
    assert "give --host or set KFP_HOST" in run(compiled, "--param", "rate=1").sentence()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "either a compiled pipeline"),
        (["p.yaml", "--watch", "1"], "either a compiled pipeline"),
        (["--watch", "1", "--param", "a=1"], "--param would be ignored beside --watch"),
        (["p.yaml", "--every", "@daily", "--interval", "6h"], "--interval would be ignored beside --every"),
        (["p.yaml", "--interval", "6h", "--timeout", "1h"], "--timeout would be ignored beside --interval"),
        (["p.yaml", "--no-wait", "--timeout", "1h"], "--timeout would be ignored beside --no-wait"),
        (["p.yaml", "--name", " "], "--name is empty"),
        (["p.yaml", "--timeout", "soon"], "--timeout='soon' is no length of time"),
    ],
)
def test_options_that_contradict_each_other(run: Run, typed: list[str], words: str) -> None:
    assert words in run(*typed).sentence()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.yaml", None, "cannot be read: No such file"),
        ("a.json", "{}", "does not end in .yaml"),
        ("a.yaml", "a: [", "is not YAML"),
        ("a.yaml", "\x00", "is not YAML"),
        ("a.yaml", "", "no compiled pipeline"),
        ("a.yaml", "- 1", "no compiled pipeline"),
        ("a.yaml", "pipelineInfo: {name: a}", "no compiled pipeline"),
        ("a.yaml", "pipelineSpec: {}", "--target kfp"),
        ("a.yaml", "pipelineInfo: {name: a}\nroot: {}\n# " + "x" * 2000, "bytes; a server takes at most"),
    ],
)
def test_files_that_are_no_pipeline(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | None, words: str
) -> None:
    monkeypatch.setattr(package, "LARGEST", 1000)
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    sentence = run(path, "--host", "http://127.0.0.1:9").sentence()
    assert words in sentence
    assert str(path) in sentence


def test_a_server_for_many_users_needs_a_namespace(kfp: Kfp, compiled: Path, run: Run) -> None:
    kfp.multi_user = True
    arguments = (compiled, "--host", kfp.host, "--param", "rate=1", "--no-wait")
    assert "give --namespace" in run(*arguments).sentence()
    assert run(*arguments, "--namespace", "team-a").code == 0
    (pipeline,), (experiment,) = kfp.pipelines.values(), kfp.experiments.values()
    assert (pipeline["namespace"], experiment["namespace"]) == ("team-a", "team-a")
    assert run(*arguments, "--namespace", "team-a").code == 0
    assert len(kfp.versions) == 1


def test_a_server_for_one_user_takes_no_namespace(kfp: Kfp, compiled: Path, run: Run) -> None:
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1", "--namespace", "team-a").sentence()
    assert "--namespace='team-a'" in sentence
    assert kfp.operations() == ["GET /healthz"]


@pytest.mark.parametrize("kind", [500, "drop"])
def test_a_run_that_may_have_started_is_not_passed_over(
    kfp: Kfp, compiled: Path, run: Run, kind: int | str
) -> None:
    kfp.fails("/runs", kind, times=1, method="POST")
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
    assert f"It may be under way nevertheless: look at {kfp.host}/#/runs first." in sentence


def test_a_run_of_no_such_id(kfp: Kfp, run: Run) -> None:
    assert (
        run("--watch", "abc", "--host", kfp.host).sentence()
        == f"--watch='abc': {kfp.host} has no run of this ID."
    )


def test_a_login_that_ends_while_watching(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_TOKEN", SECRET)
    kfp.fails("/runs/", 401, message="token is expired")
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
    assert "does not accept KFP_TOKEN (401: token is expired)" in sentence
    assert "The run itself goes on; watch it with: " in sentence


# What goes wrong at the first question, and what is said.
TROUBLES: dict[str, tuple[Callable[[Kfp], object], str]] = {
    "wrong token": (
        lambda kfp: setattr(kfp, "token", "another"),
        "does not accept KFP_TOKEN and KFP_COOKIE (401",
    ),
    "wrong cookie": (
        lambda kfp: setattr(kfp, "cookie", "a=b"),
        "does not accept KFP_TOKEN and KFP_COOKIE (401",
    ),
    "forbidden": (
        lambda kfp: kfp.fails("", 403, message=f"no for Bearer {SECRET}"),
        "forbids this (403: no for",
    ),
    "echo": (
        lambda kfp: kfp.fails("", 400, message=f"bad {SECRET} or {SESSION}"),
        "refuses this (400: bad *** or",
    ),
    "long echo": (lambda kfp: kfp.fails("", 400, message="x" * 380 + SECRET * 9), "refuses this (400: xxx"),
    "not found": (lambda kfp: kfp.fails("", 404), "is it the address of Kubeflow Pipelines v2?"),
    "web page": (lambda kfp: kfp.fails("", "html"), "answers with a web page"),
    "broken": (lambda kfp: kfp.fails("", 500, message=SECRET), "has an error of its own (500: ***)"),
    "upload": (lambda kfp: kfp.fails("/upload", 400, message=f"no {SESSION}"), "refuses this (400: no ***)"),
    "dropped": (lambda kfp: kfp.fails("", "drop"), "cannot be reached: "),
    "hangs": (lambda kfp: kfp.fails("", "hang"), "cannot be reached: no answer in time"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_is_one_sentence_without_a_credential(
    kfp: Kfp,
    compiled: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trouble: str,
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 1.0)
    monkeypatch.setenv("KFP_TOKEN", SECRET)
    monkeypatch.setenv("KFP_COOKIE", f"session={SESSION}; theme=dark-and-long")
    prepare, words = TROUBLES[trouble]
    prepare(kfp)
    log = logging.FileHandler(tmp_path / "log")
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    began = time.monotonic()
    try:
        sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()
    assert time.monotonic() - began < 4
    assert sentence.startswith(kfp.host)
    assert words in sentence
    told = run.out + run.err + (tmp_path / "log").read_text()
    assert_hidden(told)


def assert_hidden(text: str) -> None:
    """No credential, nor a piece of one that is long enough to be of use."""
    for secret in (SECRET, SESSION):
        for start in range(len(secret) - 7):
            assert secret[start : start + 8] not in text


@pytest.mark.parametrize("trouble", TROUBLES)
def test_exceptions_hold_no_credential(
    kfp: Kfp, monkeypatch: pytest.MonkeyPatch, trouble: str, compiled: Path
) -> None:
    monkeypatch.setattr(client, "_ANSWER", 1.0)
    TROUBLES[trouble][0](kfp)
    known = {"KFP_TOKEN": SECRET, "KFP_COOKIE": f"session={SESSION}"}
    with pytest.raises(refusals.ServerError) as caught:
        client.connect(kfp.host, known, {}).ask("upload_pipeline_version", str(compiled), "v", "1")
    error: BaseException | None = caught.value
    while error is not None:
        assert_hidden("".join(traceback.format_exception_only(type(error), error)) + repr(vars(error)))
        error = error.__cause__ or error.__context__


def test_without_a_credential_the_variables_are_named(kfp: Kfp, compiled: Path, run: Run) -> None:
    kfp.token = "any"
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
    assert "lets nobody in without credentials (401: no token); set KFP_TOKEN or KFP_COOKIE." in sentence


@pytest.mark.parametrize(("name", "attribute"), [("KFP_TOKEN", "token"), ("KFP_COOKIE", "cookie")])
def test_credentials_open_the_door(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, attribute: str
) -> None:
    setattr(kfp, attribute, SECRET)
    monkeypatch.setenv(name, f" {SECRET}\n")  # as `export KFP_TOKEN="$(cat file) "` leaves it
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--json").code == 0
    assert_hidden(run.out + run.err)
    assert {"healthz", "upload_version", "runs"} <= {one.path.split("/")[-1] for one in kfp.asked}


def test_a_login_elsewhere_gets_no_credential(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_TOKEN", SECRET)
    monkeypatch.setenv("KFP_COOKIE", SESSION)
    with Kfp() as login:
        kfp.fails("", login.host)
        sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
        assert f"{kfp.host} sends one on to {login.host} (302): " in sentence
        assert login.asked == []
    assert_hidden(run.out + run.err)


def test_links_lead_to_the_pages_without_a_credential(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", f"https://anna:{SESSION}@pages.example.org/pipeline/")
    assert run(compiled, "--host", kfp.host, "--param", "rate=1", "--no-wait").code == 0
    assert "link      https://***@pages.example.org/pipeline/#/runs/details/" in run.out
    assert_hidden(run.out + run.err)


def test_a_login_in_a_browser_is_not_waited_for(
    compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID", "1")
    assert "set KFP_TOKEN" in run(compiled, "--host", "http://a", "--param", "rate=1").sentence()


@pytest.mark.parametrize("value", [f"{SECRET}\nX: y", f"{SECRET}ü", f"{SECRET}\x00".replace("\x00", "\x7f")])
@pytest.mark.parametrize("name", ["KFP_TOKEN", "KFP_COOKIE"])
def test_credentials_that_no_header_can_carry(
    kfp: Kfp, compiled: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    sentence = run(compiled, "--host", kfp.host, "--param", "rate=1").sentence()
    assert sentence == f"{name} holds a character that no HTTP header can carry; set it anew."
    assert_hidden(run.out + run.err)
    assert kfp.asked == []


def test_inside_a_cluster_the_service_accounts_token_is_found(
    kfp: Kfp,
    compiled: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import kubernetes
    from kfp import Client

    # What only a cluster has: its own configuration, and the name of the server in its DNS.
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)
    monkeypatch.setattr(Client, "_IN_CLUSTER_DNS_NAME", kfp.host.removeprefix("http://"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    token = tmp_path / "token"
    token.write_text(SECRET)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    kfp.token = SECRET
    assert run(compiled, "--param", "rate=1").code == 0
    assert "http://ml-pipeline-ui.kubeflow.svc.cluster.local/#/runs/details/" in run.out
    kfp.token = "another"
    sentence = run(compiled, "--param", "rate=1").sentence()
    assert "the cluster's own server does not accept the service account's token (401" in sentence
    assert_hidden(run.out + run.err + caplog.text)
    token.unlink()
    kfp.token = None
    kfp.multi_user = True
    monkeypatch.setattr(Client, "_NAMESPACE_PATH", str(tmp_path / "namespace"))
    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    (tmp_path / "namespace").write_text("team-a")
    assert run(compiled, "--param", "rate=1").code == 0
    assert "team-a" in {one["namespace"] for one in kfp.pipelines.values()}
    assert not (tmp_path / "context.json").exists()
    assert (run.err, caplog.records) == ("", [])  # the SDK logs a missing token


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("http://127.0.0.1:9", "cannot be reached: Connection refused"),
        ("https://{}", "cannot be reached: wrong version number"),
        ("http://no-such-host.invalid", "cannot be reached: "),
    ],
)
def test_servers_that_are_not_there(kfp: Kfp, compiled: Path, run: Run, host: str, words: str) -> None:
    host = host.format(kfp.host.removeprefix("http://"))
    began = time.monotonic()
    assert words in run(compiled, "--host", host, "--param", "rate=1").sentence()
    assert time.monotonic() - began < 15


def test_a_server_that_drips_its_answer_is_not_waited_for(compiled: Path, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                while not stop.wait(0.2):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "_ANSWER", 1.0)
            host = f"http://127.0.0.1:{listening.getsockname()[1]}"
            assert "no answer in time" in run(compiled, "--host", host, "--param", "rate=1").sentence()
        assert time.monotonic() - began < 4
        stop.set()
        thread.join()


def test_limits_as_they_are(kfp: Kfp) -> None:
    assert client._CONNECT < client._ANSWER < 15


def test_help_is_immediate_and_names_the_credentials(tmp_path: Path) -> None:
    code = (
        "import sys, submit\n"
        "text = submit._parser().format_help()\n"
        "assert 'KFP_TOKEN' in text and 'KFP_COOKIE' in text and 'exit codes' in text, text\n"
        "assert not {'kfp', 'yaml', 'keras', 'tensorflow', 'urllib3'} & set(sys.modules)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{SCRIPT.parent}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=30, cwd=tmp_path)

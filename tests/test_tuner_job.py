"""The Tuner as a Job: its manifests, the step that makes it and looks on, and its pods, as processes here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kube_server
import manifest_links
import manifest_schema
import pytest
import yaml
from kube_server import Kubernetes
from searching import family, result, state, until, words
from test_search import epochs_on_disk, finished, under_way

import tuner_job
import tuner_pod
from cluster import job, kube
from cluster.settings import Cluster, Node
from tuning.errors import BadInput

ROOT = Path(__file__).parent.parent
MOUNT = "/mnt/keras-cnns"
SQLITE = 'tuner = "job"\nmlmd = "sqlite:mlmd.db"\n'
RUN = """\
data = "digits"
model = "lenet5"
epochs = 8
tune = 4
tune_workers = 2
tune_engine = "random"
"""
BEFORE = ("ImageExampleGen", "StatisticsGen", "BaselineStatistics", "SchemaGen", "ExampleValidator", "Gate")
MANY = """\
import sys
import node
for name in sys.argv[1].split(","):
    code = node.main(["--node", name, *sys.argv[2:]])
    assert code == 0, name
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kubeflow'}", **more}


def ran(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=550,
        env=environment(**more),
    )  # fmt: skip


def compiled(folder: Path, run: str, kubeflow: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "run.toml").write_text(run)
    (folder / "cluster.toml").write_text(kubeflow)
    return ran(
        "kubeflow/compile.py", "--config", folder / "run.toml", "--cluster", folder / "cluster.toml",
        "--output", folder / "pipeline.yaml", *options,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Line:
    """A compiled line, and the volume with what the steps before the Tuner made."""

    folder: Path

    @property
    def volume(self) -> Path:
        return self.folder / "volume"

    @property
    def manifests(self) -> list[dict[str, Any]]:
        return manifest_schema.load(self.folder / "pipeline.tuner.yaml")

    @property
    def container(self) -> dict[str, Any]:
        """Of the Tuner's task in KFP."""
        spec = next(yaml.safe_load_all((self.folder / "pipeline.yaml").read_text()))
        return spec["deploymentSpec"]["executors"]["exec-tuner"]["container"]

    def argument(self, name: str) -> str:
        return self.container["args"][self.container["args"].index(name) + 1]

    def place(self, volume: Path) -> None:
        """Bring the line to a volume, as the first step does."""
        file = volume / self.argument("--ir")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((self.folder / "pipeline.ir.json").read_bytes())

    def begin(self, run_id: str) -> None:
        """Do the steps before the Tuner."""
        self.place(self.volume)
        done = ran("-c", MANY, ",".join(BEFORE), *self.given(run_id))
        assert done.returncode == 0, done.stdout + done.stderr

    def given(self, run_id: str) -> list[str]:
        """Arguments of a step."""
        place = ["--root", str(self.volume), "--ir", self.argument("--ir"), "--mlmd", "sqlite:mlmd.db"]
        return [*place, "--run-id", run_id]

    def results(self) -> list[dict[str, Any]]:
        """What the Tuner's artifacts hold."""
        found = self.volume.glob("*/tfx/Tuner/tuner_results/*/search.json")
        return [json.loads(one.read_text()) for one in found]

    def best(self) -> list[dict[str, Any]]:
        found = self.volume.glob("*/tfx/Tuner/best_hyperparameters/*/best_hyperparameters.txt")
        return [json.loads(one.read_text())["values"] for one in found]

    def cluster(self, folder: Path) -> Kubernetes:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        return Kubernetes(
            folder, {MOUNT: str(self.volume), "/app": str(ROOT)}, port,
            environment={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder = tmp_path_factory.mktemp("tuner-job")
    made = compiled(folder, RUN, SQLITE)
    assert made.returncode == 0, made.stderr
    assert f"{folder}/pipeline.tuner.yaml: the search's Job" in made.stdout
    return Line(folder)


PODS = job.Pods("digits-lenet5", 3, Cluster(), Node())
NAME = job.name_of("digits-lenet5", "r")
GIVEN = job.words(MOUNT, "digits-lenet5/ir/0.json", "mysql://mlmd@host:3306/mlmd", "r", ["epochs=2"], 60)


def made(pods: job.Pods = PODS, run_id: str = "r") -> tuple[dict[str, Any], dict[str, Any]]:
    """Service and Job."""
    service, its = job.manifests(pods, GIVEN, run_id)
    return service, its


def wrong(manifest: dict[str, Any]) -> list[str]:
    """What Kubernetes would refuse, but for a field that one model of its client makes obligatory."""
    return [one for one in manifest_schema.problems(manifest) if "needs onPodConditions" not in one]


RICH = dataclasses.replace(
    PODS,
    cluster=Cluster(
        image="registry.example/a/b:1", queue="people", image_pull_policy="Always", image_pull_secret="key"
    ),
    node=Node(
        gpu=1, gpu_type="amd.com/gpu", memory="8Gi", shm="2Gi", node_selector={"pool": "gpus"}, retries=1,
        timeout="2h",
        tolerations=({"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60},),
    ),
)  # fmt: skip


@pytest.mark.parametrize("pods", [PODS, RICH], ids=["plain", "rich"])
def test_kubernetes_takes_the_manifests_and_they_fit_together(pods: job.Pods) -> None:
    service, its = made(pods)
    assert wrong(service) == wrong(its) == []
    template = its["spec"]["template"]
    pod = {
        "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
        "metadata": {**template["metadata"], "name": f"{its['metadata']['name']}-0"},
    }  # fmt: skip
    base = ROOT / "kubeflow" / "manifests" / "base"
    around = manifest_schema.load(base / "volume.yaml")
    secrets = {"keras-cnns-mlmd": {"password"}, "key": {".dockerconfigjson"}}
    assert manifest_links.problems([*around, service, pod], secrets, set()) == []


def test_a_job_is_a_chief_and_workers_that_find_it_by_name() -> None:
    service, its = made()
    name, spec = its["metadata"]["name"], its["spec"]
    assert service["metadata"]["name"] == name == service["spec"]["selector"]["app.kubernetes.io/instance"]
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert pod["subdomain"] == name
    assert environment["KERASTUNER_ORACLE_IP"] == f"{name}-0.{name}"
    assert environment["KERASTUNER_ORACLE_PORT"] == str(container["ports"][0]["containerPort"]) == "8000"
    assert container["command"] == ["python", "/app/kubeflow/tuner_pod.py"]
    assert container["args"] == GIVEN
    assert (ROOT / "kubeflow" / "tuner_pod.py").is_file()
    [password] = [one for one in container["env"] if one["name"] == "MLMD_PASSWORD"]
    assert password["valueFrom"] == {"secretKeyRef": {"name": "keras-cnns-mlmd", "key": "password"}}
    assert {one["mountPath"]: one["name"] for one in container["volumeMounts"]}[MOUNT] == "keras-cnns"
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_a_step_that_failed_or_was_refused_ends_the_job_and_a_pod_that_made_room_counts_for_nothing() -> None:
    first, second = made()[1]["spec"]["podFailurePolicy"]["rules"]
    assert first == {
        "action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]
    }  # fmt: skip
    assert second["action"] == "FailJob"
    assert second["onExitCodes"] == {"containerName": "tuner", "operator": "In", "values": [1, 2]}
    assert made()[1]["spec"]["backoffLimit"] == 6
    assert "activeDeadlineSeconds" not in made()[1]["spec"]


def test_the_pods_get_what_the_settings_give_the_tuner() -> None:
    _, its = made(RICH)
    spec, pod = its["spec"], its["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert its["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "people"
    assert "kueue.x-k8s.io/queue-name" not in spec["template"]["metadata"]["labels"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (3, 7200)
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "8Gi", "amd.com/gpu": "1"}
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example/a/b:1", "Always")
    assert pod["imagePullSecrets"] == [{"name": "key"}]
    assert pod["nodeSelector"] == {"pool": "gpus"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]
    assert {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in pod["volumes"]
    assert job.Pods.from_text(RICH.text()) == RICH


@pytest.mark.parametrize(
    ("line_name", "run_id"),
    [("digits-lenet5", "r"), ("Ünïcode & Größe", "r" * 200), ("9" * 300, "a/b"), ("--", ""), ("a.b_c", "r")],
)
def test_names_are_labels_of_dns(line_name: str, run_id: str) -> None:
    name = job.name_of(line_name, run_id)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(f"{name}-99999") <= 63
    assert "--" not in name
    assert job.name_of(line_name, f"{run_id}x") != name


def test_the_task_in_kfp_makes_the_job_and_needs_little_itself(line: Line) -> None:
    task, (service, its) = line.container, line.manifests
    assert task["command"] == ["python", "/app/kubeflow/tuner_job.py"]
    assert task["resources"] == {
        "cpuLimit": 1.0, "cpuRequest": 1.0,
        **{key: pytest.approx(2 * 2**30 / 1e9) for key in ("memoryLimit", "memoryRequest")},
    }  # fmt: skip
    assert "{{" not in line.argument("--pods")
    assert wrong(service) == wrong(its) == []
    same = job.manifests(
        job.Pods.from_text(line.argument("--pods")), its["spec"]["template"]["spec"]["containers"][0]["args"],
        its["metadata"]["annotations"][job.RUN_ANNOTATION],
    )  # fmt: skip
    assert same == [service, its]
    ir = json.loads((line.folder / "pipeline.ir.json").read_text())
    assert ir["config"]["tune_workers"] == 2
    [tuner] = [
        one["pipelineNode"] for one in ir["ir"]["nodes"] if one["pipelineNode"]["nodeInfo"]["id"] == "Tuner"
    ]
    said = tuner["parameters"]["parameters"]["tune_args"]["fieldValue"]["stringValue"]
    assert json.loads(said) == {"num_parallel_trials": 1}  # the chief starts none of its own


@pytest.mark.parametrize(
    ("run", "kubeflow", "options", "said"),
    [
        ("", 'tuner = "job"', (), "the configuration has no search; give it tune, or leave tuner out"),
        (
            "tune = 2",
            'tuner = "job"',
            ("--target", "vertex"),
            "Vertex AI has no such Jobs, or leave tuner out",
        ),
        ("tune = 2", 'tuner = "jobs"', (), "tuner='jobs' is not known. Did you mean 'job'? Known: pod, job."),
        ("tune = 2\ntune_workers = 0", 'tuner = "job"', (), "--tune-workers must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_a_job_is_refused(
    tmp_path: Path, run: str, kubeflow: str, options: tuple[str, ...], said: str
) -> None:
    done = compiled(tmp_path, run, kubeflow, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [one for one in tmp_path.iterdir() if one.suffix in (".yaml", ".json")]


# The step: what it makes, tells and removes. Its pods run something short instead of a search.


@contextlib.contextmanager
def step(
    config: Path, *more: str, pods: job.Pods = PODS, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The Tuner's step of the run "r" under way."""
    process = subprocess.Popen(
        [sys.executable, "kubeflow/tuner_job.py", "--pods", pods.text(), *GIVEN[:6],
         "--mlmd", "sqlite:mlmd.db", "--run-id", "", "--job", "r", *more],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(KUBECONFIG=str(config), **variables),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[tuple[Kubernetes, subprocess.Popen[str]]]:
    """The step, whose Job's pods are all at work and never end by themselves."""
    cluster = Kubernetes(folder, instead="exec sleep 60")
    with kube_server.serving(cluster) as config, step(config) as process:
        until(lambda: cluster.running(2), 30)
        yield cluster, process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def gone(cluster: Kubernetes) -> bool:
    return not cluster.objects


def kinds(cluster: Kubernetes) -> set[str]:
    return {kind for kind, _ in cluster.objects}


FAILS = "trap 'echo bye; exit 143' TERM; [ $JOB_COMPLETION_INDEX = 0 ] || { sleep 60 & wait; }; "


def test_a_job_that_fails_fails_the_step_with_the_chiefs_words_and_stays_for_its_logs(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead=FAILS + "echo one; sleep 6; echo boom >&2; exit 1")
    with kube_server.serving(cluster) as config, step(config) as process:
        code, out, error = ended(process)
        assert kinds(cluster) == {"Job", "Pod"}
    assert code == 1
    assert out.startswith(f"Job {NAME} in people: pods 0 to 2, of which 0 is the chief\n")
    assert re.search(r"^worker 2 \(.*-2-.*\): running$", out, re.MULTILINE)
    assert re.search(r"^chief \(.*-0-.*\): Error, exit code 1\n  one\n  boom$", out, re.MULTILINE)
    where = f"-n people -l app.kubernetes.io/instance={NAME}"
    assert out.endswith(f"\nwhat its pods printed: kubectl logs {where} --prefix --tail=-1\n")
    assert error == (
        f"tuner_job.py: the Job {NAME} failed: PodFailurePolicy; Container tuner failed with exit code 1; "
        "chief: boom\n"
    )


def test_what_the_chief_refuses_is_the_steps_own_sentence_at_once(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead=FAILS + "sleep 3; echo 'Tuner: --mlmd is wrong' >&2; exit 2")
    with kube_server.serving(cluster) as config, step(config) as process:
        code, _, error = ended(process)
    assert (code, error) == (2, "tuner_job.py: chief: Tuner: --mlmd is wrong\n")
    assert len(cluster.pods) == 3


def test_killed_pods_are_started_again_until_there_were_too_many(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead="kill -9 $$")
    with kube_server.serving(cluster) as config, step(config) as process:
        code, out, error = ended(process)
    assert code == 1
    assert "failed: BackoffLimitExceeded; Job has reached the specified backoff limit\n" in error
    assert out.count("Error, exit code 137") > 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_step_that_is_ended_removes_its_job(tmp_path: Path, number: int) -> None:
    with at_work(tmp_path) as (cluster, process):
        process.send_signal(number)
        code, out, error = ended(process)
        until(lambda: gone(cluster), 10)
    assert (code, error) == (130, "")
    assert "interrupted; the Job was removed" in out


def test_a_killed_step_takes_up_the_job_that_is_there_which_its_own_pod_owns(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead="exec sleep 60")
    pod = {"KFP_POD_NAME": "a-pod", "KFP_POD_UID": "12-34"}
    with kube_server.serving(cluster) as config:
        with step(config, **pod) as process:
            until(lambda: cluster.running(2), 30)
            process.kill()
        before = {name: one.process.pid for name, one in cluster.pods.items()}
        owners = [cluster.objects[kind, NAME]["metadata"]["ownerReferences"] for kind in ("Job", "Service")]
        assert owners == [[{"apiVersion": "v1", "kind": "Pod", "name": "a-pod", "uid": "12-34"}]] * 2
        with step(config, **pod) as process:
            until(lambda: "list pods" in cluster.asked[-1], 30)
            cluster.asked.clear()
            until(lambda: "list pods" in cluster.asked, 30)
            assert {name: one.process.pid for name, one in cluster.pods.items()} == before
            process.terminate()
            code, out, _ = ended(process)
    assert code == 130
    assert "is there and goes on" in out
    assert not [one for one in cluster.asked if one.startswith("create")]


def test_an_ended_job_makes_room_for_another(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead="exit 1")
    with kube_server.serving(cluster) as config:
        for one in made():
            assert cluster.apply(one)[0] == 201
        until(lambda: cluster.objects["Job", NAME]["status"].get("conditions"))
        failed = set(cluster.pods)
        cluster.instead = "exec sleep 60"
        with step(config) as process:
            until(lambda: cluster.running(0) and cluster.running(2), 30)
            assert not failed & set(cluster.pods)
            cluster.asked.clear()
            until(lambda: cluster.asked, 30)  # it has said that the Job is there, and looks on
            process.terminate()
            code, out, _ = ended(process)
    assert code == 130
    first, second = out.splitlines()[:2]
    assert first == f"Job {NAME} of an earlier attempt: it must be gone first"
    assert second == f"Job {NAME} in people: pods 0 to 2, of which 0 is the chief"


def delete(cluster: Kubernetes, place: str) -> None:
    """Delete an object by its place below the API's, as a person does."""
    kind = place.split("/")[-2]
    status, _ = cluster.answer(
        "DELETE", f"/{place.replace(kind, f'namespaces/people/{kind}')}", f"Bearer {kube_server.TOKEN}", b""
    )
    assert status == 200


def test_a_service_that_is_going_is_not_taken_for_the_jobs_own(tmp_path: Path) -> None:
    cluster = Kubernetes(tmp_path, instead="exec sleep 60", lingers=600)
    with kube_server.serving(cluster) as config:
        assert cluster.apply(made()[0])[0] == 201
        delete(cluster, f"api/v1/services/{NAME}")
        with step(config) as process:
            until(lambda: cluster.asked.count("create services") > 1, 60)
            assert "Job" not in kinds(cluster)
            cluster.lingers = 0.0
            until(lambda: cluster.running(0) and cluster.running(2), 60)
            assert "deletionTimestamp" not in cluster.objects["Service", NAME]["metadata"]
            process.terminate()
            code, out, _ = ended(process)
    assert code == 130
    assert out.startswith(f"Service {NAME} of an earlier attempt: it must be gone first\n")


@pytest.mark.filterwarnings("ignore:HTTPResponse.getheaders:DeprecationWarning")  # of Kubernetes' client
@pytest.mark.parametrize("left", [f"Service {NAME}", "old-0, old-1"])
def test_what_does_not_go_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], left: str
) -> None:
    cluster = Kubernetes(tmp_path, instead="exec sleep 60", lingers=600)
    labels = made()[1]["spec"]["template"]["metadata"]["labels"]
    for one in ("old-0", "old-1") if left.startswith("old") else ():
        metadata = {"name": one, "labels": labels, "creationTimestamp": kube_server.now()}
        cluster.objects["Pod", one] = {"kind": "Pod", "metadata": metadata}
    with kube_server.serving(cluster) as config:
        assert cluster.apply(made()[0])[0] == 201
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        monkeypatch.setattr(tuner_job, "_EVERY", 0.1)
        monkeypatch.setattr(tuner_job, "_ROOM", 0.5)
        with pytest.raises(BadInput, match=r"still in people after 0\.5 s, and in the way$") as caught:
            tuner_job._begin(kube.Api(), NAME, job.manifests(PODS, GIVEN, "r"))
    assert str(caught.value).startswith(f"{left} of an earlier attempt: ")
    assert capsys.readouterr().out == f"{left} of an earlier attempt: it must be gone first\n"
    assert "Job" not in kinds(cluster)


def test_a_job_that_waits_in_a_queue_is_told_of_once_and_waited_for(tmp_path: Path) -> None:
    queued = dataclasses.replace(PODS, cluster=Cluster(queue="people"))
    cluster = Kubernetes(tmp_path, instead="exec sleep 60")
    with kube_server.serving(cluster) as config, step(config, pods=queued) as process:
        until(lambda: cluster.asked.count("list pods") > 3, 30)
        assert not cluster.pods
        cluster.admit()
        until(lambda: cluster.running(0) and cluster.running(2), 30)
        cluster.asked.clear()
        until(lambda: cluster.asked.count("list pods") > 1, 30)
        process.terminate()
        code, out, _ = ended(process)
    assert code == 130
    assert out.count("the Job is suspended: it waits for its turn in the queue\n") == 1
    assert out.index("suspended") < out.index("): running")


@pytest.mark.parametrize("run_id", ["a/b", "..", ""])
def test_a_run_id_that_names_no_file_is_refused(tmp_path: Path, run_id: str) -> None:
    with step(tmp_path / "none", "--run-id", run_id, "--job", "") as process:
        code, out, error = ended(process)
    assert (code, out) == (2, "")
    assert error == f"tuner_job.py: --run-id must be one word without /, not {run_id!r}\n"


def test_a_job_that_somebody_removes_fails_the_step(tmp_path: Path) -> None:
    with at_work(tmp_path) as (cluster, process):
        delete(cluster, f"apis/batch/v1/jobs/{NAME}")
        code, _, error = ended(process)
    assert code == 1
    assert "is gone; somebody removed it" in error


def test_a_server_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    with at_work(tmp_path) as (cluster, process):
        cluster.down = 500
        before = len(cluster.asked)
        with pytest.raises(AssertionError):
            until(lambda: process.poll() is not None, 3)
        cluster.down = 0
        until(lambda: len(cluster.asked) > before, 10)
        process.terminate()
        assert ended(process)[0] == 130


def lacking(cluster: Kubernetes, verb: str, resource: str) -> None:
    for one in cluster.rules:
        if resource in one["resources"]:
            one["verbs"] = [each for each in one["verbs"] if each != verb]


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "jobs"), ("get", "jobs"), ("create", "services"), ("list", "pods")]
)
def test_a_right_that_is_lacking_is_one_sentence_and_nothing_stays(
    tmp_path: Path, verb: str, resource: str
) -> None:
    cluster = Kubernetes(tmp_path, instead="exec sleep 60")
    lacking(cluster, verb, resource)
    with kube_server.serving(cluster) as config, step(config) as process:
        code, _, error = ended(process)
        until(lambda: gone(cluster), 10)
    assert code == 2
    assert error.count("\n") == 1
    assert f"cannot {verb} " in error
    assert "forbids it; see access.yaml in kubeflow/manifests/base" in error


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (lambda server: kube_server.kubeconfig("http://127.0.0.1:9"), "http://127.0.0.1:9 cannot be reached"),
        (lambda server: kube_server.kubeconfig(server, "another"), "does not know who asks"),
        (lambda server: "", 'outside of one compile the line with tuner = "pod"'),
    ],
    ids=["unreachable", "unknown", "none"],
)
def test_no_cluster_is_one_sentence(tmp_path: Path, config: Callable[[str], str], said: str) -> None:
    cluster = Kubernetes(tmp_path)
    with kube_server.serving(cluster) as real:
        server = yaml.safe_load(real.read_text())["clusters"][0]["cluster"]["server"]
        (tmp_path / "other").write_text(config(server))
        with step(tmp_path / "other") as process:
            code, out, error = ended(process)
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("index", ["", "chief"])
def test_a_pod_outside_of_a_job_is_refused(index: str) -> None:
    done = ran("kubeflow/tuner_pod.py", *GIVEN, JOB_COMPLETION_INDEX=index)
    assert done.returncode == 2
    assert done.stderr == (
        f"tuner_pod.py: JOB_COMPLETION_INDEX must be a number from 0 on, not {index!r}; Kubernetes sets it\n"
    )


@contextlib.contextmanager
def pod(index: int, volume: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A pod under way, whose search never begins."""
    there = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": "9"}
    process = subprocess.Popen(
        [sys.executable, "kubeflow/tuner_pod.py", "--node", "Tuner", "--root", str(volume), *GIVEN[4:],
         *more],
        cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, env=environment(JOB_COMPLETION_INDEX=str(index), **there),
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_worker_waits_and_ends_when_it_is_told_or_the_search_is_over(tmp_path: Path) -> None:
    notice = job.notice(str(tmp_path), "digits-lenet5/ir/0.json", "r")
    assert notice == tmp_path / "digits-lenet5" / "tuning" / "r.json"
    notice.parent.mkdir(parents=True)
    with pod(1, tmp_path) as told, pod(2, tmp_path) as other:
        assert told.stdout.readline() == "worker-1: waits for the chief at 127.0.0.1:9\n"
        assert other.stdout.readline() == "worker-2: waits for the chief at 127.0.0.1:9\n"
        told.terminate()
        assert ended(told) == (143, "", "")
        notice.write_text(json.dumps({"folder": str(tmp_path), "over": False}))
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(2)
        notice.write_text(json.dumps({"folder": str(tmp_path), "over": True}))
        assert ended(other) == (0, "worker-2: the search is over\n", "")


def test_a_worker_that_fails_is_not_taken_for_a_step_that_failed(tmp_path: Path) -> None:
    notice = job.notice(str(tmp_path), "digits-lenet5/ir/0.json", "r")
    notice.parent.mkdir(parents=True)
    notice.write_text("{")
    with pod(1, tmp_path) as process:
        code, _, error = ended(process)
    assert code == 3
    assert "JSONDecodeError" in error
    assert error.endswith("\nworker-1 failed\n")


@contextlib.contextmanager
def waiting_chief(line: Line, volume: Path) -> Iterator[tuple[subprocess.Popen[str], set[int]]]:
    """A chief whose step waits for its store, and the processes below it."""
    line.place(volume)
    nowhere = ("--ir", line.argument("--ir"), "--mlmd", "grpc://127.0.0.1:9", "--patience", "500")
    with pod(0, volume, *nowhere) as process:
        assert process.stdout.readline() == "worker-0: waits for the chief at 127.0.0.1:9\n"
        below = family(process.pid)
        assert sorted(Path(words(one).split()[1]).name for one in below) == ["node.py", "tuner_pod.py"]
        yield process, below
        assert not [one for one in below if words(one)]


def test_a_chief_does_not_outlive_its_own_worker(line: Line, tmp_path: Path) -> None:
    with waiting_chief(line, tmp_path) as (process, below):
        [worker] = [one for one in below if "tuner_pod.py" in words(one)]
        os.kill(worker, signal.SIGKILL)
        assert ended(process)[0] == 137


def test_a_chief_that_is_told_to_end_takes_its_processes_with_it(line: Line, tmp_path: Path) -> None:
    with waiting_chief(line, tmp_path) as (process, _):
        process.terminate()
        assert ended(process)[0] == 143


def test_a_chief_ends_as_its_step_does(tmp_path: Path) -> None:
    with pod(0, tmp_path) as process:
        code, _, error = ended(process)
    assert code == 2
    assert error.splitlines()[-1] == (
        f"Tuner: --ir {tmp_path}/digits-lenet5/ir/0.json: there is no such file"
    )
    assert not job.notice(str(tmp_path), "digits-lenet5/ir/0.json", "r").exists()


def test_a_worker_without_a_chief_is_refused() -> None:
    done = ran("kubeflow/tuner_pod.py", *GIVEN, JOB_COMPLETION_INDEX="1", KERASTUNER_ORACLE_IP="a-host")
    assert (done.returncode, done.stdout) == (2, "")
    assert "must say where the chief is, not 'a-host' and ''" in done.stderr


# The pods: a search by a chief and two workers, one of them beside it.


def test_the_step_ends_with_what_was_found_though_a_worker_and_the_chief_were_killed(
    line: Line, tmp_path: Path
) -> None:
    line.begin("one")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: one (UUID: GPU-1)'\n")
    (tools / "nvidia-smi").chmod(0o755)
    cluster = line.cluster(tmp_path)
    cluster.environment = {**cluster.environment, "PATH": f"{tools}:{os.environ['PATH']}"}
    pods = job.Pods.from_text(line.argument("--pods"))
    given = (*line.given(""), "--job", "one", "--summary", str(tmp_path / "summary.md"))
    with kube_server.serving(cluster) as config, step(config, *given, pods=pods) as process:
        notice = job.notice(str(line.volume), line.argument("--ir"), "one")
        folder = Path(until(lambda: job.told(notice).get("folder")))

        def at_work() -> dict[str, str]:
            return state(folder).get("ongoing_trials", {})

        def until_both_train() -> dict[str, str]:
            until(lambda: len(at_work()) == 2 and set(epochs_on_disk(folder)) >= set(at_work().values()))
            return at_work()

        lost = until_both_train()["worker-1"]
        worker = cluster.running(1)
        trials = [one for one in family(worker.process.pid) if "tuning.trial" in words(one)]
        assert {variable(one, "CUDA_VISIBLE_DEVICES") for one in trials} == {"0"}
        worker.kill()
        until(lambda: finished(folder))
        before = until(lambda: finished(folder) if under_way(folder) else None)
        cluster.running(0).kill()
        out, error = process.communicate(timeout=500)
        logs = cluster.logs()
        until(lambda: gone(cluster), 30)
    assert process.returncode == 0, out + error + logs
    assert "Tuner complete" in out
    assert len([one for one in out.splitlines() if one.endswith("Error, exit code 137")]) == 2
    assert "| state | complete |" in (tmp_path / "summary.md").read_text()
    assert "Traceback" not in logs
    after = finished(folder)
    assert {one: after[one] for one in before} == before
    [found] = line.results()
    assert [one["status"] for one in found["trials"]] == ["completed"] * 4
    assert {one["worker"] for one in found["trials"]} == {"worker-0", "worker-1"}
    for one in found["trials"]:
        assert [row["epoch"] for row in one["history"]] == list(range(1, 9))
    [best] = [one["values"] for one in found["trials"] if one["id"] == found["best"]]
    assert [{key: one[key] for key in best} for one in line.best()] == [best]
    assert state(folder)["facts"][lost]["resumed_after"] > 0
    assert result(folder)["outcome"] == "finished"


def variable(pid: int, name: str) -> str | None:
    held = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(one.split("=", 1) for one in held if "=" in one).get(name)


@pytest.mark.parametrize(
    ("file", "limit", "bytes_"),
    [
        ("memory.max", f"{32 * 2**30}\n", 29 * 2**30),
        ("memory.max", f"{4 * 2**30}\n", 2 * 2**30),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", f"{16 * 2**30}\n", 13 * 2**30),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("other", "", None),
    ],
)
def test_a_trial_may_hold_what_its_pod_can_give_it(
    tmp_path: Path, file: str, limit: str, bytes_: int | None
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(limit)
    assert tuner_pod.memory(tmp_path) == bytes_


def test_a_process_that_does_not_hear_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner_pod, "_GRACE", 0.5)
    monkeypatch.setattr(tuner_pod.signal, "signal", lambda *_: None)  # the tests' own process goes on to hear
    deaf = ["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"]
    both = [subprocess.Popen(deaf, stdout=subprocess.PIPE) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        with one.stdout:
            one.stdout.readline()  # it is deaf from here on
    tuner_pod._stop(*both)
    assert [one.returncode for one in both] == [-signal.SIGKILL] * 2

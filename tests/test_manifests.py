"""The manifests: what Kubernetes would refuse, what must fit together, and what each overlay changes."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import manifest_links
import manifest_schema
import pytest
import yaml
from manifest_schema import load

from pipeline import pushed

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "kubeflow" / "manifests"
BASE = [FOLDER / "base" / name for name in ("volume.yaml", "store.yaml", "serving.yaml", "access.yaml")]
ALONE = [FOLDER / "step.yaml", FOLDER / "data.yaml"]
KUEUE = [FOLDER / "kueue" / "queue.yaml", FOLDER / "kueue" / "cluster.yaml"]
SECRETS = {"keras-cnns-mlmd": {"password", "root-password"}}
ACCOUNTS = {"pipeline-runner"}

kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is missing")


def named(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def links(manifests: list[dict[str, Any]], accounts: set[str] = ACCOUNTS) -> list[str]:
    return manifest_links.problems(manifests, SECRETS, accounts)


def changed(manifests: list[dict[str, Any]], path: str, value: Any) -> list[dict[str, Any]]:
    """The manifests with one value replaced; `Kind/name.field.0.field` says which, and None takes it away."""
    manifests = copy.deepcopy(manifests)
    which, *steps = path.split(".")
    at: Any = named(manifests, *which.split("/"))
    keys: list[Any] = [int(step) if step.isdigit() else step.replace("~", ".") for step in steps]
    for key in keys[:-1]:
        at = at[key]
    if value is None:
        del at[keys[-1]]
    else:
        at[keys[-1]] = value
    return manifests


@pytest.mark.parametrize("path", [*BASE, *ALONE, *KUEUE], ids=lambda path: path.name)
def test_kubernetes_takes_each_manifest(path):
    manifests = load(path)
    assert manifests
    assert [problem for each in manifests for problem in manifest_schema.problems(each)] == []


def test_everything_fits_together():
    assert links(load(*BASE, *ALONE)) == []


STORE = "Deployment/keras-cnns-mysql.spec.template.spec.containers.0"
QUOTAS = "ClusterQueue/keras-cnns.spec.resourceGroups.0.flavors.0"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("Service/keras-cnns-mysql.apiVersion", "v2", "Kubernetes has no kind Service in v2"),
        ("Service/keras-cnns-mysql.metadata.name", "9mysql", "begins with a letter"),
        ("Pod/keras-cnns-step.metadata.name", "Keras_CNNs", "is not of the form"),
        ("Service/keras-cnns-mysql.spec.ports.0.port", 70000, "70000 is no port"),
        ("Service/keras-cnns-mysql.spec.ports.0.port", "3306", "'3306' is no int"),
        ("Service/keras-cnns-mysql.spec.ports.0.port", True, "True is no int"),
        ("Service/keras-cnns-mysql.spec.port", [], "no such field; did you mean ports?"),
        ("PersistentVolumeClaim/keras-cnns.spec.accessModes.0", "RWX", "'RWX' is not of the form"),
        ("PersistentVolumeClaim/keras-cnns.spec.resources.requests.storage", "50 GB", "is not of the form"),
        (f"{STORE}.image", "docker.io/library/mariadb", "is not of the form"),
        (f"{STORE}.image", "docker.io/library/mariadb:latest", "is not of the form"),
        (f"{STORE}.env.5.value", 1, "1 is no str"),
        (f"{STORE}.securityContext.privilegeEscalation", False, "did you mean allowPrivilegeEscalation?"),
        (f"{STORE}.readinessProbe.tcpSocket", {"port": 3306}, "exactly one kind"),
        (f"{STORE}.volumeMounts.0.mountPath", None, "V1VolumeMount needs mountPath"),
        ("Deployment/keras-cnns-mysql.spec.template.metadata.labels.a b", "x", "'a b' is no key"),
        ("Deployment/keras-cnns-mysql.spec.template.metadata.labels.istio", False, "False is no str"),
        ("Deployment/keras-cnns-mysql.spec.selector", None, "V1DeploymentSpec needs selector"),
        ("Deployment/keras-cnns-mysql.spec.strategy.type", "Replace", "'Replace' is not of the form"),
        ("Role/keras-cnns-tuner.rules.0.verbs.0", "make", "'make' is not of the form"),
        ("RoleBinding/keras-cnns-tuner.roleRef", None, "V1RoleBinding needs roleRef"),
        ("Pod/keras-cnns-step.spec.volumes.1.hostPath", {"path": "/tmp"}, "exactly one kind"),
        ("LocalQueue/keras-cnns.apiVersion", "kueue.x-k8s.io/v1", "no kind LocalQueue in kueue.x-k8s.io/v1"),
        ("LocalQueue/keras-cnns.kind", "Queue", "no kind Queue in kueue.x-k8s.io/v1beta2"),
        ("LocalQueue/keras-cnns.spec.clusterQueues", "a", "no such field; did you mean clusterQueue?"),
        ("LocalQueue/keras-cnns.metadata.labels.a b", "x", "'a b' is no key"),
        (f"{QUOTAS}.resources.0.nominalQuota", "16 cores", "is not of the form"),
        (f"{QUOTAS}.resources.0.nominalQuota", None, "ResourceQuota needs nominalQuota"),
        (f"{QUOTAS}.name", None, "FlavorQuotas needs name"),
        ("ClusterQueue/keras-cnns.spec.cohort", "a", "no such field; did you mean cohortName?"),
    ],
)
def test_a_slip_is_found_by_the_schema(path, value, said):
    manifests = changed(load(*BASE, *ALONE, *KUEUE), path, value)
    found = [problem for each in manifests for problem in manifest_schema.problems(each)]
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("Service/keras-cnns-mysql.spec.selector.tier", "mysql", "finds []"),
        ("Service/keras-cnns-mysql.spec.ports.0.targetPort", "db", "target port db is none of ['mysql']"),
        ("Service/keras-cnns-serving.metadata.labels", {}, "needs the labels"),
        ("Deployment/keras-cnns-mysql.spec.selector.matchLabels.tier", "x", "does not find its own pods"),
        (f"{STORE}.livenessProbe", None, "has no livenessProbe"),
        (f"{STORE}.livenessProbe.tcpSocket.port", "sql", "asks port sql"),
        (f"{STORE}.env.2.valueFrom.secretKeyRef.key", "pass", "no key pass in a Secret keras-cnns-mlmd"),
        (f"{STORE}.env.2.valueFrom.secretKeyRef.name", "mlmd", "no key password in a Secret mlmd"),
        (f"{STORE}.resources.requests.memory", "2Gi", "asks for more memory than its limit"),
        (f"{STORE}.resources.limits.cpu", None, "needs a request and a limit of cpu"),
        (f"{STORE}.volumeMounts.0.name", "disk", "there is no volume disk"),
        (f"{STORE}.volumeMounts.1.mountPath", "/tmp", "two mounts at /tmp"),
        (f"{STORE}.securityContext.capabilities", {"drop": ["NET_RAW"]}, "keeps privileges"),
        (f"{STORE}.securityContext.readOnlyRootFilesystem", False, "can write to its root file system"),
        ("PersistentVolumeClaim/keras-cnns-mysql.metadata.name", "mysql", "no claim keras-cnns-mysql"),
        ("Pod/keras-cnns-step.spec.securityContext.runAsUser", 0, "another user than root"),
        ("Pod/keras-cnns-step.spec.securityContext.seccompProfile", None, "no seccompProfile RuntimeDefault"),
        ("Pod/keras-cnns-step.spec.serviceAccountName", "runner", "the account runner is none of"),
        ("Pod/keras-cnns-step.spec.hostNetwork", True, "hostNetwork"),
        ("Pod/keras-cnns-step.metadata.name", "keras-cnns-data", "Pod/keras-cnns-data: twice"),
        ("RoleBinding/keras-cnns-tuner.roleRef.name", "tuner", "Role/tuner is not there"),
        ("RoleBinding/keras-cnns-tuner.subjects.0.name", "someone", "the account someone is none of"),
    ],
)
def test_a_slip_is_found_among_the_links(path, value, said):
    found = links(changed(load(*BASE, *ALONE), path, value))
    assert any(said in problem for problem in found), found


def test_serving_follows_what_a_push_writes():
    serving = named(load(*BASE), "Deployment", "keras-cnns-serving")["spec"]["template"]["spec"]
    [container] = serving["containers"]
    [mount] = [each for each in container["volumeMounts"] if each["name"] == "keras-cnns"]
    assert mount == {"name": "keras-cnns", "mountPath": "/mnt/keras-cnns", "readOnly": True}
    config = f"/mnt/keras-cnns/models/{pushed.SERVING}"
    assert f"--model_config_file={config}" in container["args"]
    assert config in serving["initContainers"][0]["command"][-1]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v1/models/digits-lenet5"


def test_serving_waits_for_the_first_push(tmp_path):
    serving = named(load(*BASE), "Deployment", "keras-cnns-serving")["spec"]["template"]["spec"]
    *shell, script = serving["initContainers"][0]["command"]
    script = script.replace("/mnt/keras-cnns", str(tmp_path)).replace("sleep 10", "sleep 0.1")
    with subprocess.Popen([*shell, script], stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert "waiting for the first pushed model" in waiting.stdout.readline()
        assert waiting.poll() is None
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / pushed.SERVING).touch()
        assert waiting.wait(10) == 0


def test_a_step_has_what_the_compiled_pipeline_gives_it():
    [step] = load(FOLDER / "step.yaml")
    [container] = step["spec"]["containers"]
    assert container["command"] == ["python", "/app/kubeflow/node.py"]
    assert {"name": "keras-cnns", "mountPath": "/mnt/keras-cnns"} in container["volumeMounts"]
    secret = {"name": "keras-cnns-mlmd", "key": "password"}
    assert {"name": "MLMD_PASSWORD", "valueFrom": {"secretKeyRef": secret}} in container["env"]
    assert step["spec"]["securityContext"]["runAsUser"] == 1000


def test_no_password_is_committed():
    for path in FOLDER.rglob("*"):
        if path.is_file():
            assert "kind: Secret" not in path.read_text(encoding="utf-8"), path
    for _, _, spec in manifest_links.pods(load(*BASE, *ALONE)):
        for variable in (each for container in spec["containers"] for each in container.get("env", [])):
            assert "PASSWORD" not in variable["name"] or "valueFrom" in variable
    assert (FOLDER / "secret" / ".gitignore").read_text().split() == ["mlmd.env"]


def test_each_kustomization_names_what_is_there():
    overlays = sorted(FOLDER.rglob("kustomization.yaml"))
    assert {path.parent.name for path in overlays} == {
        "manifests", "base", "kueue", "multi-user", "secret", "single-node",
    }  # fmt: skip
    for path in overlays:
        [overlay] = load(path)
        assert overlay["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
        assert overlay["kind"] == "Kustomization"
        assert all((path.parent / name).exists() for name in overlay.get("resources", []))
    assert [path.name for path in BASE] == load(FOLDER / "base" / "kustomization.yaml")[0]["resources"]


def test_the_queue_covers_what_the_pods_ask_for():
    queue, flavor, cluster = load(*KUEUE)
    assert (queue["kind"], flavor["kind"], cluster["kind"]) == (
        "LocalQueue",
        "ResourceFlavor",
        "ClusterQueue",
    )
    assert queue["spec"] == {"clusterQueue": cluster["metadata"]["name"]}
    [group] = cluster["spec"]["resourceGroups"]
    [quotas] = group["flavors"]
    assert quotas["name"] == flavor["metadata"]["name"]
    assert [each["name"] for each in quotas["resources"]] == group["coveredResources"]
    for _, _, spec in manifest_links.pods(load(*BASE, *ALONE)):
        for container in spec["containers"]:
            assert set(container["resources"]["requests"]) <= set(group["coveredResources"])


def rendered(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def by_name(manifests: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}


@kubectl
@pytest.mark.parametrize(
    ("overlay", "path", "value"),
    [
        (".", None, None),
        ("multi-user", "RoleBinding/keras-cnns-tuner.subjects.0.name", "default-editor"),
        ("single-node", "PersistentVolumeClaim/keras-cnns.spec.accessModes", ["ReadWriteOnce"]),
        ("kueue", "Deployment/keras-cnns-serving.metadata.labels.kueue~x-k8s~io/queue-name", "keras-cnns"),
    ],
)
def test_an_overlay_changes_one_thing(overlay, path, value):
    expected = load(*BASE)
    if path:
        expected = changed(expected, path, value)
    if overlay == "kueue":
        expected += load(FOLDER / "kueue" / "queue.yaml")
    found = rendered(FOLDER / overlay)
    assert by_name(found) == by_name(expected)
    assert [problem for each in found for problem in manifest_schema.problems(each)] == []
    assert links(found, {"default-editor"} if overlay == "multi-user" else ACCOUNTS) == []


@kubectl
def test_the_secret_is_made_from_a_file(tmp_path):
    shutil.copy(FOLDER / "secret" / "kustomization.yaml", tmp_path)
    (tmp_path / "mlmd.env").write_text("password=one\nroot-password=two\n")
    [secret] = rendered(tmp_path)
    assert manifest_schema.problems(secret) == []
    assert secret["metadata"]["name"] == "keras-cnns-mlmd"
    assert set(secret["data"]) == SECRETS["keras-cnns-mlmd"]


def test_the_readme_names_what_is_there():
    text = (ROOT / "kubeflow" / "README.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"kubeflow/manifests(?:/[-\w.]*\w)*", text))
    assert {"kubeflow/manifests", "kubeflow/manifests/data.yaml", "kubeflow/manifests/step.yaml"} <= paths
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    for key in SECRETS["keras-cnns-mlmd"]:
        assert f"--from-literal={key}=" in text
    for kind, name in by_name(load(*BASE)):
        if kind in ("Service", "Deployment"):
            assert name in text


def test_the_readme_can_be_followed_where_kfp_is_there_and_has_many_users():
    text = (ROOT / "kubeflow" / "README.md").read_text(encoding="utf-8")
    commands = [line for block in text.split("```")[1::2] for line in block.splitlines()]
    assert text.index("export NS=") < text.index("## 1. "), "who has KFP leaves the first section out"
    pages = [line for line in commands if "svc/ml-pipeline-ui" in line]
    assert pages
    assert all("-n kubeflow " in line for line in pages), "KFP's own namespace, whichever the pipeline's is"
    waiting = [commands[number + 1] for number, line in enumerate(commands) if line.endswith(" &")]
    assert all(line.startswith("curl ") and "--retry-connrefused" in line for line in waiting)
    helped = subprocess.run(
        [sys.executable, str(ROOT / "kubeflow" / "submit.py"), "--help"], capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    submitted = [line for line in commands if "submit.py" in line]
    assert {option for line in submitted for option in re.findall(r" (--[-a-z]+)", line)} == {
        "--host", "--namespace",
    }  # fmt: skip
    assert all(name in helped for name in ("--host URL", "--namespace NS", "KFP_TOKEN", "KFP_COOKIE"))
    assert any(line.startswith("export KFP_TOKEN=") for line in commands)

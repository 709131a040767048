"""The manifests' pods, started for real by `podman kube play` from the files that a cluster gets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import PLAIN, compiled
from kube_play import Podman, has_image, podman, until, why_not
from manifest_schema import load

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "kubeflow" / "manifests"
STORE, STEP = FOLDER / "base" / "store.yaml", FOLDER / "step.yaml"
STORE_POD, STORE_BOX = "keras-cnns-mysql-pod-0", "keras-cnns-mysql-pod-0-mysql"
STEP_BOX = "keras-cnns-step-step"
BASE_IMAGE, STEP_IMAGE = "docker.io/library/debian:13", "localhost/keras-cnns:cpu"
PASSWORDS = {"password": "two words, $one", "root-password": "another"}

pytestmark = [
    pytest.mark.containers,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.xdist_group("containers"),
]

# Writes an artifact, or only reads the artifacts that are there, and prints their URIs.
MLMD = """\
import os, sys
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb
config = pb.ConnectionConfig()
config.mysql.host, config.mysql.port, config.mysql.database = sys.argv[1], 3306, "mlmd"
config.mysql.user, config.mysql.password = "mlmd", os.environ["MLMD_PASSWORD"]
store = metadata_store.MetadataStore(config)
for uri in sys.argv[2:]:
    kind = store.put_artifact_type(pb.ArtifactType(name="Model"))
    store.put_artifacts([pb.Artifact(type_id=kind, uri=uri, name=uri)])
print("URIS", *sorted(each.uri for each in store.get_artifacts()))
"""

# What a step finds around it.
AROUND = """\
import json, os, pathlib
def writes(folder):
    try:
        pathlib.Path(folder, "written").write_text("here")
        return True
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print("AROUND", json.dumps({
    "user": [os.getuid(), os.getgid()], "password": os.environ["MLMD_PASSWORD"], "home": os.environ["HOME"],
    "capabilities": [status[key] for key in ("CapEff", "CapPrm", "CapBnd")],
    "no_new_privileges": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "writes": {folder: writes(folder) for folder in ("/", "/app", "/tmp", "/mnt/keras-cnns")},
}))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    with podman(tmp_path_factory.mktemp("podman")) as made:
        made.secret("keras-cnns-mlmd", PASSWORDS)
        made.run("kube", "play", FOLDER / "base" / "volume.yaml")
        yield made


def ready(machine: Podman) -> bool:
    """Whether the manifest's own readiness probe says so."""
    [container] = load(STORE)[-1]["spec"]["template"]["spec"]["containers"]
    command = container["readinessProbe"]["exec"]["command"]
    return machine.run("exec", STORE_BOX, *command, check=False).returncode == 0


@pytest.fixture(scope="module")
def store(machine: Podman) -> Podman:
    """The store's Deployment, on MariaDB's own image where the machine has it, else on Debian's MariaDB."""
    image = load(STORE)[-1]["spec"]["template"]["spec"]["containers"][0]["image"]
    if not has_image(image):
        if not has_image(BASE_IMAGE):
            pytest.skip(f"neither {image} nor {BASE_IMAGE} is here; sh scripts/build-image makes the latter")
        built = machine.run(
            "build", "--isolation", "chroot", "--network", "host", "--pull=never", "-t", image,
            ROOT / "tests" / "store_image", check=False,
        )  # fmt: skip
        if built.returncode:
            pytest.skip(f"{image} cannot be built here: {built.stderr.strip().splitlines()[-1]}")
    machine.run("kube", "play", STORE)
    until(lambda: ready(machine), 60)
    return machine


def mlmd(
    machine: Podman, *uris: str, password: str = PASSWORDS["password"]
) -> subprocess.CompletedProcess[str]:
    """ML Metadata of this environment speaks to the store, and writes artifacts."""
    command = machine.here(sys.executable, "-W", "ignore", "-c", MLMD, machine.address(STORE_POD), *uris)
    environment = {"MLMD_PASSWORD": password, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def play_step(machine: Podman, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Play the step's manifest, its command replaced if one is given; its exit code and its log."""
    [step] = load(STEP)
    if command:
        step["spec"]["containers"][0] |= {"command": list(command[:1]), "args": list(command[1:])}
    path = folder / "step.json"
    path.write_text(json.dumps(step), encoding="utf-8")
    machine.run("kube", "play", path)
    code = int(machine.run("wait", STEP_BOX).stdout)
    log = machine.run("logs", STEP_BOX)
    return subprocess.CompletedProcess(command, code, log.stdout, log.stderr)


@pytest.fixture
def step(machine: Podman) -> Iterator[Podman]:
    if not has_image(STEP_IMAGE):
        pytest.skip(f"{STEP_IMAGE} is missing; sh scripts/build-image makes it")
    yield machine
    machine.run("pod", "rm", "--force", "keras-cnns-step", check=False)


def test_the_store_is_held_in(store):
    [container] = load(STORE)[-1]["spec"]["template"]["spec"]["containers"]
    found = store.inspect(STORE_BOX)
    assert found["Config"]["User"] == "999:999"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["Memory"] == 1 << 30
    assert found["Args"][-len(container["args"]) :] == container["args"]
    assert {each["Destination"] for each in found["Mounts"]} == {"/var/lib/mysql", "/run/mysqld", "/tmp"}
    inside = store.run("exec", STORE_BOX, "sh", "-c", "id -u; cat /proc/1/status; ! touch /x").stdout
    assert inside.splitlines()[0] == "999"
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in inside


def test_the_store_keeps_what_mlmd_writes(store, tmp_path):
    # Two names that differ in case alone: with MariaDB's own collation the second would be refused.
    wrote = mlmd(store, "/mnt/keras-cnns/tfx/Model", "/mnt/keras-cnns/tfx/model")
    assert wrote.returncode == 0, wrote.stderr
    uris = wrote.stdout.split()
    assert uris[0] == "URIS"
    assert {"/mnt/keras-cnns/tfx/Model", "/mnt/keras-cnns/tfx/model"} <= set(uris)

    # A new pod on the old claim, which podman 4.3 would not play a second time.
    store.run("kube", "down", STORE)
    assert store.run("ps", "--all", "--quiet").stdout == ""
    deployment = tmp_path / "deployment.json"
    deployment.write_text(json.dumps(load(STORE)[-1]), encoding="utf-8")
    store.run("kube", "play", deployment)
    until(lambda: ready(store), 60)
    assert mlmd(store).stdout.split() == uris


def test_the_store_asks_for_the_password(store):
    refused = mlmd(store, password="guessed")
    assert refused.returncode != 0
    assert "mysql_real_connect failed" in refused.stderr
    assert "Access denied for user 'mlmd'" in store.run("logs", STORE_BOX).stderr


def test_a_step_is_held_in(step, tmp_path):
    done = play_step(step, tmp_path, "python", "-c", AROUND)
    assert done.returncode == 0, done.stderr
    around = json.loads(done.stdout.partition("AROUND ")[2])
    read_only = "Read-only file system"
    assert around == {
        "user": [1000, 1000],
        "password": PASSWORDS["password"],
        "home": "/tmp",
        "capabilities": ["0000000000000000"] * 3,
        "no_new_privileges": "1",
        "seccomp": "2",
        "writes": {"/": read_only, "/app": read_only, "/tmp": True, "/mnt/keras-cnns": True},
    }
    found = step.inspect(STEP_BOX)
    mounts = {each["Destination"]: each["Name"] for each in found["Mounts"]}
    assert mounts == {"/mnt/keras-cnns": "keras-cnns", "/tmp": "tmp", "/dev/shm": "memory"}
    assert found["HostConfig"]["Memory"] == 4 << 30
    # What the step wrote lies on the claim and outlives the pod.
    volume = json.loads(step.run("volume", "inspect", "keras-cnns").stdout)[0]["Mountpoint"]
    assert Path(volume, "written").read_text() == "here"


def test_a_step_writes_to_the_store(store, step, tmp_path):
    uri = "/mnt/keras-cnns/from/a/step"
    done = play_step(step, tmp_path, "python", "-c", MLMD, store.address(STORE_POD), uri)
    assert done.returncode == 0, done.stderr
    assert uri in done.stdout.split()
    assert uri in mlmd(store).stdout.split()


def test_the_steps_own_command_runs(step, tmp_path):
    done = play_step(step, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
    assert step.inspect(STEP_BOX)["Config"]["Cmd"] == ["--help"]


def first_step(folder: Path, address: str) -> list[str]:
    """The arguments of the first step of a line on digits, as KFP's launcher fills them in."""
    from cluster.local import compiled as compiling
    from cluster.local import exchange, parameters, placeholders
    from cluster.local.paths import RUN, Paths
    from cluster.local.plan import plan

    cluster = f'[kubeflow]\nmlmd = "mysql://mlmd@{address}:3306/mlmd"\n'
    made = compiled(folder, PLAIN + cluster)
    assert made.code == 0, made.err
    pipeline = compiling.read(folder / "pipeline.yaml")
    values = parameters.of_pipeline(pipeline.spec, ["run_id=by-hand"])
    node = plan(pipeline, values).nodes["image-example-gen"]
    given = exchange.executor_input(node, "digits-lenet5", "by-hand", values, {})
    texts = placeholders.table(Paths(((RUN, Path("/tmp/kfp")),)).here(given))
    return [placeholders.fill(one, texts) for one in node.executor.container.args]


def test_a_step_of_the_line_runs_by_hand_as_the_readme_says(store, step, tmp_path):
    command = load(STEP)[0]["spec"]["containers"][0]["command"]
    done = play_step(step, tmp_path, *command, *first_step(tmp_path / "line", store.address(STORE_POD)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1,437 train · 360 test" in done.stdout
    volume = Path(json.loads(step.run("volume", "inspect", "keras-cnns").stdout)[0]["Mountpoint"])
    shards = list(volume.glob("digits-lenet5/tfx/ImageExampleGen/examples/*/Split-train/*"))
    assert shards
    assert {one.stat().st_uid for one in shards} == {1000}
    [uri] = [one for one in mlmd(store).stdout.split() if "/ImageExampleGen/" in one]
    assert shards[0].is_relative_to(volume / Path(uri).relative_to("/mnt/keras-cnns"))


def test_data_is_copied_to_the_volume(step):
    step.run("kube", "play", FOLDER / "data.yaml")
    # `kubectl cp` pipes one tar into another, which runs in the pod.
    copy = "mkdir -p /mnt/keras-cnns/data && tar cf - -C /etc hostname | tar xmf - -C /mnt/keras-cnns/data"
    step.run("exec", "keras-cnns-data-data", "sh", "-c", copy)
    volume = json.loads(step.run("volume", "inspect", "keras-cnns").stdout)[0]["Mountpoint"]
    copied = Path(volume, "data", "hostname")
    assert copied.read_text().strip() == "keras-cnns-data"
    assert copied.stat().st_uid == 1000
    step.run("kube", "down", FOLDER / "data.yaml")

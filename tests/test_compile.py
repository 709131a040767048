"""What `kubeflow/compile.py` writes: against KFP's proto and SDK, and what its backend refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import PLAIN, ROOT, compiled, documents, refused
from lines import Ran

from cluster import bundle as bundles
from cluster import job, lines, settings, spec, store
from pipeline.config import Config
from pipeline.sources import Dataset
from tuning.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
WRITE = "KERAS_CNNS_WRITE_GOLDEN"
PLACEHOLDER = r"\{\{\$(\.(in|out)puts\.(parameters|artifacts)\['\w+'\](\.(path|output_file))?)?\}\}"
TOLERATION = "[kubeflow.nodes.Trainer]\ntolerations = ["
EVERYTHING = {
    "image": "registry.example.com/team/keras-cnns:1.0", "pvc": "photos", "root": "/mnt/photos",
    "data": "/mnt/photos/data", "mlmd_secret": "store", "image_pull_policy": "Always",
    "image_pull_secret": "registry", "queue": "team",
    "every_node": {"memory": "3Gi", "retries": 1, "backoff": "1m"},
    "nodes": {
        "Trainer": {
            "gpu": 2, "cpu": 8, "memory": "32Gi", "shm": "8Gi", "timeout": "12h", "retries": 5,
            "node_selector": {"cloud.example.com/gpu": "h100"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoExecute", "seconds": 60},
            ],
        },
        "Evaluator": {"cpu": "500m", "memory": "", "retries": 0},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def kfp_run(place: Path) -> Ran:
    return compiled(place, PLAIN)


@pytest.fixture(scope="module")
def pipeline(place: Path, kfp_run: Ran) -> dict[str, Any]:
    assert kfp_run.code == 0, kfp_run.err
    return documents(place / "pipeline.yaml")[0]


@pytest.fixture(scope="module")
def held(place: Path, kfp_run: Ran) -> dict[str, Any]:
    return json.loads((place / "pipeline.ir.json").read_text(encoding="utf-8"))


def small() -> bundles.Bundle:
    """A line that no code changes."""
    nodes = {
        "ImageExampleGen": [], "StatisticsGen": ["ImageExampleGen"],
        "Trainer": ["ImageExampleGen", "StatisticsGen"], "Evaluator": ["Trainer", "ImageExampleGen"],
        "Pusher": ["Evaluator", "Trainer"],
    }  # fmt: skip
    ir = {
        "nodes": [
            {"pipelineNode": {"nodeInfo": {"id": name}, "upstreamNodes": before}}
            for name, before in nodes.items()
        ]
    }
    data = Dataset("folder", "photos", ("a", "b"), 20, 3, "f", (), 0.5, 0.6)
    config = Config(data="/mnt/photos/data", model="resnet50", name="Photos_ResNet 50")
    chosen = {"epochs": 90, "batch_size": 256, "learning_rate": 0.1, "accept": ""}
    return bundles.Bundle(ir, config, data, "/mnt/photos", chosen)


def golden(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get(WRITE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"if that is wanted: {WRITE}=1 pytest {__file__}"


def test_it_says_what_it_wrote_and_what_to_type_next(kfp_run: Ran, place: Path) -> None:
    assert kfp_run.err == ""
    assert [line.partition(": ")[0] for line in kfp_run.out.splitlines()][:2] == [
        "pipeline.yaml", "pipeline.ir.json",
    ]  # fmt: skip
    assert "11 steps of digits-lenet5" in kfp_run.out
    assert "next: python kubeflow/submit.py pipeline.yaml" in kfp_run.out
    assert "run_local" not in kfp_run.out, "it would not reach the cluster's store"
    assert sorted(one.name for one in place.iterdir()) == ["pipeline.ir.json", "pipeline.yaml", "run.toml"]


def test_a_task_for_each_node_in_the_graph_of_the_local_run(
    pipeline: dict[str, Any], held: dict[str, Any]
) -> None:
    nodes = [one["pipelineNode"] for one in held["ir"]["nodes"]]
    assert [one["nodeInfo"]["id"] for one in nodes] == lines.node_names(Config())
    assert lines.node_names(Config(tune=1)) == list(lines.NODES)
    tasks = pipeline["root"]["dag"]["tasks"]
    assert set(tasks) == {spec.task_name(one["nodeInfo"]["id"]) for one in nodes}
    for one in nodes:
        task = tasks[spec.task_name(one["nodeInfo"]["id"])]
        wanted = sorted(spec.task_name(before) for before in one.get("upstreamNodes", ()))
        assert task.get("dependentTasks", []) == wanted
        arguments = pipeline["deploymentSpec"]["executors"][f"exec-{task['taskInfo']['name']}"]["container"][
            "args"
        ]
        assert arguments[:2] == ["--node", one["nodeInfo"]["id"]]


def test_kfps_sdk_loads_it(place: Path, kfp_run: Ran) -> None:
    from kfp import components

    loaded = components.load_component_from_file(str(place / "pipeline.yaml"))
    assert set(loaded.component_spec.inputs) == {
        "root", "mlmd", "run_id", "epochs", "batch_size", "learning_rate", "accept"
    }  # fmt: skip
    assert loaded.component_spec.inputs["epochs"].default == 2
    # What the SDK makes of both documents again is what we wrote.
    assert loaded.pipeline_spec.root.dag.tasks["pusher"].component_ref.name == "comp-pusher"


def test_nothing_that_the_backend_refuses(pipeline: dict[str, Any]) -> None:
    dns = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
    assert dns.fullmatch(pipeline["pipelineInfo"]["name"])
    assert pipeline["schemaVersion"] == "2.1.0"
    for name, executor in pipeline["deploymentSpec"]["executors"].items():
        assert dns.fullmatch(name)
        assert list(executor) == ["container"], "no resolver, importer or customJob"
        container = executor["container"]
        assert "lifecycle" not in container
        words = [*container["command"], *container["args"]]
        assert max(map(len, words)) < 100 * 1024
        for word in words:
            assert "{{" not in re.sub(PLACEHOLDER, "", word), word
    for name, task in pipeline["root"]["dag"]["tasks"].items():
        assert dns.fullmatch(name)
        assert task["cachingOptions"] == {}
        assert "triggerPolicy" not in task
        assert "iterator" not in " ".join(task).lower()
        component = pipeline["components"][task["componentRef"]["name"]]
        assert component["executorLabel"] in pipeline["deploymentSpec"]["executors"]
        wanted = set(component["inputDefinitions"]["parameters"])
        assert set(task["inputs"]["parameters"]) == wanted
        used = set(re.findall(r"inputs\.parameters\['(\w+)'\]", json.dumps(
            pipeline["deploymentSpec"]["executors"][component["executorLabel"]]
        )))  # fmt: skip
        assert used == wanted
    assert set(pipeline["root"]["inputDefinitions"]["parameters"]) >= {"root", "mlmd", "run_id", "epochs"}


def test_the_line_that_the_first_step_brings_is_the_file_beside(
    place: Path, pipeline: dict[str, Any], tmp_path: Path
) -> None:
    words = pipeline["deploymentSpec"]["executors"]["exec-image-example-gen"]["container"]["args"]
    brought = tmp_path / words[words.index("--ir") + 1]
    bundles.unpack(words[words.index("--ir-text") + 1], brought)
    assert brought.read_text(encoding="utf-8") == (place / "pipeline.ir.json").read_text(encoding="utf-8")
    found = bundles.read(brought, "/mnt/elsewhere", {"epochs": "7"}, "a")
    assert found.config.epochs == found.parameters["epochs"] == 7
    assert "/mnt/keras-cnns" not in json.dumps(found.ir)
    assert "/mnt/elsewhere/digits-lenet5/checkpoints" in json.dumps(found.ir)
    others = [key for key in pipeline["deploymentSpec"]["executors"] if key != "exec-image-example-gen"]
    assert all("--ir-text" not in json.dumps(pipeline["deploymentSpec"]["executors"][key]) for key in others)


def test_the_same_line_compiles_to_the_same_text(place: Path, kfp_run: Ran, tmp_path: Path) -> None:
    assert compiled(tmp_path, PLAIN).code == 0
    for name in ("pipeline.yaml", "pipeline.ir.json"):
        assert (tmp_path / name).read_bytes() == (place / name).read_bytes()


def test_everything_that_a_cluster_can_give_stands_where_kfp_reads_it() -> None:
    line = small()
    made = settings.cluster(EVERYTHING, line.nodes)
    found = [spec.pipeline(line, made), spec.platform(line, made)]
    for one in found[0]["deploymentSpec"]["executors"].values():
        words = one["container"]["args"]
        if "--ir-text" in words:  # compressed, and so the library's affair
            words[words.index("--ir-text") + 1] = "PACKED"
    golden("pipeline.yaml", yaml.safe_dump_all(found, sort_keys=True, width=1000))


def searching(**tuner: Any) -> tuple[bundles.Bundle, settings.Cluster]:
    """A line with a search, whose Tuner is a Job, and what a cluster gives it."""
    line = small()
    before = {"Gate": ["ImageExampleGen"], "Tuner": ["ImageExampleGen", "Gate"]}
    more = [
        {"pipelineNode": {"nodeInfo": {"id": name}, "upstreamNodes": each}} for name, each in before.items()
    ]
    ir = {"nodes": [*line.ir["nodes"], *more]}
    every = {"node_selector": {"pool": "team"}, "tolerations": [{"key": "team", "operator": "Exists"}]}
    given = {
        **EVERYTHING, "tuner": "job", "every_node": {**EVERYTHING["every_node"], **every},
        "nodes": {"Tuner": {**EVERYTHING["nodes"]["Trainer"], "gpu": 1, **tuner}},
    }  # fmt: skip
    config = dataclasses.replace(line.config, tune=8, tune_workers=4)
    line = dataclasses.replace(line, ir=ir, config=config)
    return line, settings.cluster(given, line.nodes)


def test_the_step_of_a_job_gets_little_and_its_pods_what_the_tuner_does() -> None:
    """The watcher neither runs out of time nor holds a GPU's machine while the Job waits in a queue."""
    line, made = searching()
    container = spec.pipeline(line, made)["deploymentSpec"]["executors"]["exec-tuner"]["container"]
    pod = spec.platform(line, made)["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-tuner"]
    documents = [container, pod, *job.by_hand(line, made)]
    golden("tuner-job.yaml", yaml.safe_dump_all(documents, sort_keys=True, width=1000))


def test_gpus_that_no_worker_would_use_are_refused() -> None:
    line, made = searching(gpu=2)
    with pytest.raises(BadInput, match=r'Tuner\] gpu must be 0 or 1 with tuner = "job", not 2: each pod has'):
        spec.pipeline(line, made)


def test_the_platform_is_one_of_kfps_proto() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("kfp-kubernetes is of the current lane")
    from google.protobuf import json_format
    from kfp import kubernetes as platform

    line = small()
    executors = spec.platform(line, settings.cluster(EVERYTHING, line.nodes))["platforms"]["kubernetes"]
    for one in executors["deploymentSpec"]["executors"].values():
        json_format.ParseDict(one, platform.kubernetes_executor_config_pb2.KubernetesExecutorConfig())


@pytest.mark.parametrize("mlmd", ["sqlite:metadata.db", "sqlite:/mnt/photos/a.db", "grpc://store:8080"])
def test_another_store_differs_in_its_address_and_needs_no_password(mlmd: str) -> None:
    line, names = small(), small().nodes
    mysql, other = (settings.cluster(EVERYTHING | more, names) for more in ({}, {"mlmd": mlmd}))
    spec.check(other)
    wanted = spec.pipeline(line, mysql)
    wanted["root"]["inputDefinitions"]["parameters"]["mlmd"]["defaultValue"] = mlmd
    assert spec.pipeline(line, other) == wanted
    wanted = spec.platform(line, mysql)
    for pod in wanted["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        del pod["secretAsEnv"]
    assert spec.platform(line, other) == wanted


def test_a_line_that_is_too_long_for_an_argument_is_refused(tmp_path: Path) -> None:
    """TFDS's own files of a data set name its classes; no image is looked at before it is trained with."""
    data = tmp_path / "data" / "many" / "1.0.0"
    data.mkdir(parents=True)
    names = [hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(5000)]
    (data / "label.labels.txt").write_text("\n".join(names), encoding="utf-8")
    splits = [{"name": name, "shardLengths": ["5000"]} for name in ("train", "test")]
    (data / "dataset_info.json").write_text(json.dumps({"name": "many", "splits": splits}), encoding="utf-8")
    parts = {
        "image": {"image": {"shape": {"dimensions": ["8", "8", "1"]}}},
        "label": {"classLabel": {"numClasses": str(len(names))}},
    }
    features = {"featuresDict": {"features": parts}}
    (data / "features.json").write_text(json.dumps(features), encoding="utf-8")
    config = f'data = "many"\ndata_dir = "{data.parents[1]}"\nmodel = "lenet5"\n'
    table = '[kubeflow]\ndata = "/mnt/keras-cnns/data"\n'
    said = refused(compiled(tmp_path, config + table))
    assert "data many: packed, the line with the names of its 5000 classes has" in said
    assert f"an argument of KFP at most {100 * 1024}; give shorter names, or fewer classes" in said
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data", "run.toml"]


def test_class_names_that_come_again_take_little_room() -> None:
    names = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(1000))
    assert len(bundles.packed(names + names)) < 1.1 * len(bundles.packed(names))


@pytest.mark.parametrize("damage", [lambda text: text[:200], lambda text: text[8:], lambda text: "####"])
def test_a_line_that_arrives_damaged_is_refused(damage: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--ir .*line\.json: "):
        bundles.unpack(damage(bundles.packed(small().text())), tmp_path / "line.json")
    assert list(tmp_path.iterdir()) == []


def test_the_job_of_an_earlier_compilation_does_not_stay(tmp_path: Path) -> None:
    search = PLAIN + 'tune = 2\n[kubeflow]\nmlmd = "sqlite:m.db"\n'
    assert compiled(tmp_path, search + 'tuner = "job"\n').code == 0
    assert (tmp_path / "pipeline.tuner.yaml").is_file()
    ran = compiled(tmp_path, search)
    assert (ran.code, ran.err) == (0, "")
    assert "pipeline.tuner.yaml: removed, since this line has no such Job" in ran.out.splitlines()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pipeline.ir.json", "pipeline.yaml", "run.toml"]
    (tmp_path / "pipeline.tuner.yaml").write_text("# somebody else's\n", encoding="utf-8")
    assert compiled(tmp_path, search).code == 0
    assert (tmp_path / "pipeline.tuner.yaml").read_text(encoding="utf-8") == "# somebody else's\n"


def test_vertex_gets_the_job_of_tfxs_own_runner(tmp_path: Path) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    table = """
    [kubeflow]
    image = "europe-docker.pkg.dev/project/team/keras-cnns:1"
    root = "/gcs/bucket/lines"
    queue = "team"
    every_node = {retries = 5}
    nodes.Trainer = {gpu = 1, gpu_type = "NVIDIA_TESLA_T4", shm = "1Gi"}
    """
    given = ["--target", "vertex", "--output", "job.json", "--mlmd", "sqlite:m.db"]
    ran = compiled(tmp_path, PLAIN + table, *given)
    assert ran.code == 0, ran.err
    unused = "queue, mlmd, every_node.retries, nodes.Trainer.shm"
    assert f"not used, as Vertex AI has no place for it: {unused}" in ran.out.splitlines()
    job = json.loads((tmp_path / "job.json").read_text(encoding="utf-8"))
    json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    text = json.dumps(_told(job), indent=1, sort_keys=True)
    golden("vertex.json", text + "\n")


def _told(job: dict[str, Any]) -> dict[str, Any]:
    """A job without what another version of TFX or of our code writes otherwise."""
    pipeline = job["pipelineSpec"]
    executors = {
        name: {
            key: [word for word in value if "\n" not in word] if key == "args" else value
            for key, value in one["container"].items()
        } if "container" in one else {"resolver": sorted(one["resolver"]["outputArtifactQueries"])}
        for name, one in pipeline["deploymentSpec"]["executors"].items()
    }  # fmt: skip
    tasks = {
        name: {
            "after": sorted(one.get("dependentTasks", [])),
            "artifacts": {key: value["taskOutputArtifact"]["producerTask"]
                          for key, value in one.get("inputs", {}).get("artifacts", {}).items()},
            "parameters": sorted(one.get("inputs", {}).get("parameters", {})),
        }
        for name, one in pipeline["root"]["dag"]["tasks"].items()
    }  # fmt: skip
    return {
        "name": job["displayName"], "root": job["runtimeConfig"]["gcsOutputDirectory"],
        "schemaVersion": pipeline["schemaVersion"], "executors": executors, "tasks": tasks,
        "inputs": sorted(pipeline["root"]["inputDefinitions"]["parameters"]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "arguments", "sentence"),
    [
        ("", ["--config", "none.toml"], "none.toml: there is no such file"),
        ("", ["--target", "kpf"], "--target='kpf' is not known. Did you mean 'kfp'?"),
        ("", ["--output", "no/where.yaml"], "there is no folder no"),
        ("", ["--image", "keras-cnns"], "a name with a tag, such as keras-cnns:1.0, not 'keras-cnns'"),
        ("", ["--image", "host:5000/keras-cnns"], "image must be a name with a tag"),
        ("modle = 'lenet5'", [], "key='modle' is not known. Did you mean 'model'?"),
        ("model = 'lenet6'", [], "lenet5"),
        ("warm_start = 'models/a/1'", [], "warm_start"),
        ("data = 'photos'", [], "photos"),
        ("[kubeflow]\nimge = 'a:1'", [], "Did you mean 'image'?"),
        ("[kubeflow]\npvc = 'A b'", [], "pvc must be a name of Kubernetes"),
        ("[kubeflow]\nroot = 'mnt'", [], "root must be a path from / on"),
        ("[kubeflow]\nroot = 7", [], "root must be text, not 7"),
        ("[kubeflow]\nimage_pull_policy = 'always'", [], "Did you mean 'Always'?"),
        ("[kubeflow]\nmlmd = 'postgres://x'", [], "must begin with sqlite:, mysql: or grpc:"),
        ("[kubeflow]\nmlmd = 'mysql://u:hush@host/db'", [], "a password does not belong there"),
        ("[kubeflow.nodes.Trainr]\ncpu = 2", [], "Did you mean 'Trainer'?"),
        ("[kubeflow.nodes.Tuner]\ncpu = 2", [], "node='Tuner' is not known"),
        ("[kubeflow.nodes.Trainer]\ngpus = 2", [], "Did you mean 'gpu'?"),
        ("[kubeflow.nodes.Trainer]\ngpu = 'two'", [], "gpu must be a whole number, not 'two'"),
        ("[kubeflow.nodes.Trainer]\ngpu = true", [], "gpu must be a whole number, not True"),
        ("[kubeflow.nodes.Trainer]\ngpu = -1", [], "gpu must be at least 0, not -1"),
        ("[kubeflow.nodes.Trainer]\nmemory = '4 GB'", [], "memory must be such as 16Gi, not '4 GB'"),
        ("[kubeflow.nodes.Trainer]\nmemory = ' 16Gi'", [], "memory must be such as 16Gi, not ' 16Gi'"),
        ("[kubeflow.nodes.Trainer]\nmemory = 16", [], "from 64Mi to 1Pi, such as 16Gi, not '16'"),
        ("[kubeflow.nodes.Trainer]\nmemory = '16384'", [], "from 64Mi to 1Pi, such as 16Gi, not '16384'"),
        ("[kubeflow.nodes.Trainer]\nmemory = 0", [], "not '0'; give \"\" for no limit"),
        ("[kubeflow.nodes.Trainer]\nmemory = '2Ei'", [], "from 64Mi to 1Pi, such as 16Gi, not '2Ei'"),
        ("[kubeflow.nodes.Trainer]\ncpu = 0", [], "from 1m to 10000, such as 2 or 500m, not '0'; give \"\""),
        ("[kubeflow.nodes.Trainer]\ncpu = '4Gi'", [], "cpu must be from 1m to 10000"),
        ("[kubeflow.nodes.Trainer]\ncpu = nan", [], "cpu must be such as 2 or 500m, not 'nan'"),
        ("[kubeflow.nodes.Trainer]\ntimeout = 'soon'", [], "timeout='soon' is no length of time"),
        ("[kubeflow.nodes.Trainer]\ntolerations = [{ky = 'a'}]", [], "Did you mean 'key'?"),
        ("[kubeflow.nodes.Trainer]\ntolerations = [{operator = 'exists'}]", [], "Did you mean 'Exists'?"),
        ("[kubeflow.nodes.Trainer]\ntolerations = [{seconds = 'soon'}]", [], "must be a whole number"),
        ("[kubeflow.nodes.Trainer]\ntimeout = '0s'", [], "timeout='0s' is no length of time"),
        ("[kubeflow.nodes.Trainer]\nshm = '500K'", [], "shm must be such as 1Gi, not '500K'"),
        ("[kubeflow.nodes.Trainer]\ngpu = 1\ngpu_type = ''", [], "gpu_type must be such as nvidia.com/gpu"),
        (
            "[kubeflow.nodes.Trainer]\ngpu = 1\ngpu_type = 'NVIDIA_TESLA_T4'", [],
            "with its domain, such as nvidia.com/gpu, not 'NVIDIA_TESLA_T4'",
        ),
        (f"{TOLERATION}{{key = 'a', effect = 'NoSchedule', seconds = 60}}]", [], 'effect = "NoExecute"'),
        (f"{TOLERATION}{{key = 'a', seconds = 60}}]", [], 'needs effect = "NoExecute"'),
        (f"{TOLERATION}{{key = 'a', operator = 'Exists', value = 'b'}}]", [], "no value, and a has 'b'"),
        (f"{TOLERATION}{{value = 'b'}}]", [], 'without a key, the operator must be "Exists"'),
        (f"{TOLERATION}{{key = 'a b', value = 'b'}}]", [], "a taint's key is at most 63 letters"),
        (f"{TOLERATION}{{key = 'a', value = 'b c'}}]", [], "the value of a must be at most 63 letters"),
        (f"{TOLERATION}{{key = 'a', effect = 'NoStart'}}]", [], "effect='NoStart' is not known"),
        (f"{TOLERATION}{{key = 'a', operator = 'In'}}]", [], "operator='In' is not known"),
        (f"{TOLERATION}'a']", [], "tolerations must be a list of tables, not of 'a'"),
        ("[kubeflow.nodes.Trainer]\nnode_selector = {'a b' = 'c'}", [], "a label is called by at most 63"),
        ("[kubeflow.nodes.Trainer]\nnode_selector = {'A.b/c' = 'c'}", [], "example.com/pool, not 'A.b/c'"),
        ("[kubeflow.nodes.Trainer]\nnode_selector = {a = '-'}", [], "the value of a must be at most 63"),
        (f"[kubeflow.nodes.Trainer]\nnode_selector = {{a = '{'b' * 64}'}}", [], "at most 63 letters"),
        ("[kubeflow]\npvc = 'a..b'", [], "pvc must be a name of Kubernetes"),
        ("[kubeflow]\nroot = '/app'", [], "root /app lies in /app, which is the image's"),
        ("[kubeflow]\nroot = '//app/'", [], "root /app lies in /app, which is the image's"),
        ("[kubeflow]\nroot = '/app/kubeflow'", [], "root /app/kubeflow lies in /app, which is the image's"),
        ("[kubeflow]\nroot = '/usr/lib'", [], "root /usr/lib lies in /usr, which is the image's"),
        ("[kubeflow]\nroot = '/opt'", [], "root /opt would hide /opt/keras-cnns"),
        ("[kubeflow]\nroot = '/tmp'", [], "give a folder of its own, such as /mnt/keras-cnns"),
        ("[kubeflow]\nroot = '/'", [], "root must be a folder below /, not '/'"),
        ("[kubeflow]\nmlmd = 'sqlite:/tmp/x.db'", [], "share nothing but /mnt/keras-cnns, so the"),
        ("", ["--mlmd", "sqlite:../x.db"], "give sqlite:metadata.db, which does"),
        ("", ["--mlmd", "sqlite:/mnt/keras-cnns-2/x.db"], "mlmd sqlite:/mnt/keras-cnns-2/x.db: the"),
        ("", ["--output", "x.json"], "by which KFP knows a pipeline; name it x.yaml"),
        ("", ["--output", "x"], "--output x must end in .yaml or .yml"),
        ("[kubeflow]\nevery_node = 5", [], "every_node must be a table, not 5"),
        ("[kubeflow]\nnodes.Trainer = 4", [], "Trainer must be a table, not 4"),
        ("kubeflow = 4", [], "kubeflow must be a table, not 4"),
        ("[kubeflow]\nroot = '/mnt/../etc'", [], "without spaces or .., not '/mnt/../etc'"),
        ("", ["--output", "."], "--output must be a file, not '.'"),
        ("", ["--output", ""], "--output must be a file, not ''"),
        ("", ["--image", "Foo/Bär:1"], "image must be a name with a tag"),
        ("[kubeflow.nodes.Trainer]\nnode_selector = {a = 1}", [], "must have text for each label"),
        ("[kubeflow.nodes.Evaluator]\ngpu = 1", [], "this step cannot use a GPU; Trainer and Tuner can"),
        ("", ["--target", "vertex"], "Vertex AI keeps files in a bucket; give /gcs/BUCKET/FOLDER"),
        (
            "[kubeflow]\nroot = '/gcs/b/l'\nnodes.Trainer = {gpu = 1}", ["--target", "vertex"],
            "give Vertex AI's, such as NVIDIA_TESLA_T4",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: str,
    arguments: list[str], sentence: str,
) -> None:  # fmt: skip
    import importlib.util

    loaded = importlib.util.spec_from_file_location("compile_script", ROOT / "kubeflow" / "compile.py")
    assert loaded is not None
    assert loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(config, encoding="utf-8")
    given = arguments if "--config" in arguments else ["--config", "run.toml", *arguments]
    code = module.main(given)
    out, err = capsys.readouterr()
    assert sentence in refused(Ran(code, out, err))
    assert [one.name for one in tmp_path.iterdir()] == ["run.toml"]


def test_no_config_is_refused(tmp_path: Path) -> None:
    from deployed import script

    assert "--config is missing; name the run.toml of a local run" in refused(script("compile", tmp_path))


def test_data_that_pods_do_not_see_is_refused() -> None:
    data = Dataset("folder", "photos", ("a", "b"), 20, 3, "f", (), 0.5, 0.6)
    config = Config(data="/elsewhere/photos", name="n")
    with pytest.raises(BadInput, match=r'say in \[kubeflow\] where it is there: data = "/mnt/x/data/photos"'):
        lines.in_pods(config, data, "/mnt/x", "")
    moved = lines.in_pods(config, data, "/mnt/x", "/mnt/x/data/photos")
    assert (moved.data, moved.models, moved.output) == ("/mnt/x/data/photos", "/mnt/x/models", "/mnt/x/n")
    data = dataclasses.replace(data, kind="tfds")
    assert lines.in_pods(config, data, "/mnt/x", "/mnt/x/tfds").data_dir == "/mnt/x/tfds"


def test_settings_of_a_file_of_its_own_stand_over_the_configurations(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text("pvc = 'mine'\nnodes.Trainer.gpu = 1\n", encoding="utf-8")
    table = "[kubeflow]\npvc = 'theirs'\nmlmd = 'sqlite:m.db'\nnodes.Trainer.cpu = 3\n"
    ran = compiled(tmp_path, PLAIN + table, "--cluster", "cluster.toml", "--image", "a:b")
    assert ran.code == 0, ran.err
    made, platform = documents(tmp_path / "pipeline.yaml")
    container = made["deploymentSpec"]["executors"]["exec-trainer"]["container"]
    assert container["image"] == "a:b"
    assert container["resources"]["cpuLimit"] == 3
    assert container["resources"]["accelerator"] == {"type": "nvidia.com/gpu", "count": "1"}
    pod = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-trainer"]
    assert pod["pvcMount"][0]["constant"] == "mine"
    assert "secretAsEnv" not in pod, "only a mysql: store has a password"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sqlite:/a/b.db", store.Store("sqlite", file="/a/b.db")),
        ("sqlite:b.db", store.Store("sqlite", file="/shared/b.db")),
        ("sqlite:///a/b.db", store.Store("sqlite", file="/a/b.db")),
        ("grpc://host", store.Store("grpc", host="host", port=8080)),
        ("mysql://me@host:1/db", store.Store("mysql", "", "host", 1, "me", "hush", "db")),
        ("mysql://host/db", "write mysql://USER@HOST:3306/DATABASE"),
        ("mysql://me@host", "write mysql://USER@HOST:3306/DATABASE"),
        ("grpc://me@host", "write grpc://HOST:8080"),
        ("mysql:me:hush@host/db", "write mysql://USER@HOST:3306/DATABASE"),
        ("mysql:/me:hush@host/db", "write mysql://USER@HOST:3306/DATABASE"),
        ("mysql://me@host/db?password=hush", "it takes no"),
        ("grpc://host:port", "the port is no number"),
        ("sqlite:", "name a file"),
        ("host:3306", "must begin with sqlite:, mysql: or grpc:"),
    ],
)
def test_the_address_of_a_store(monkeypatch: pytest.MonkeyPatch, text: str, found: Any) -> None:
    monkeypatch.setenv(store.PASSWORD, "hush")
    if isinstance(found, store.Store):
        made = store.parse(text, "/shared")
        assert made == found
        assert "hush" not in repr(made)
    else:
        with pytest.raises(BadInput, match=found) as caught:
            store.parse(text, "/shared")
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://me:hush@host/db", "mysql://me@host/db"),
        ("mysql://me:hush/hush@host/db", "mysql://me@host/db"),
        ("mysql://me:hush@hush@host/db", "mysql://me@host/db"),
        ("mysql://me:hush#hush@host/db", "mysql://me@…"),
        ("mysql://me:x@hush?hush@host/db", "mysql://me@…"),
        ("mysql://:hush@host/db", "mysql://@host/db"),
        ("me:hush@host/db", "me@host/db"),
        ("mysql://me:hush/db", "mysql://me…"),
        ("mysql://me:hush#hush/db", "mysql://me…"),
        ("grpc://host:80hush", "grpc://host…"),
    ],
)
def test_a_password_in_an_address_is_not_repeated(text: str, shown: str) -> None:
    with pytest.raises(BadInput) as caught:
        store.parse(text, "/shared")
    assert "hush" not in str(caught.value)
    assert shown in str(caught.value)


def test_nothing_is_made_where_the_pods_will_work(tmp_path: Path) -> None:
    """Who compiles may not even be allowed to write there."""
    (tmp_path / "file").touch()
    ran = compiled(tmp_path, PLAIN + f'[kubeflow]\nroot = "{tmp_path}/file/volume/"\n')
    assert ran.code == 0, ran.err
    text = (tmp_path / "pipeline.ir.json").read_text(encoding="utf-8")
    assert f"{tmp_path}/file/volume/digits-lenet5/checkpoints" in text
    assert "root//" not in text


def test_another_root_is_set_only_where_a_path_begins(tmp_path: Path) -> None:
    ran = compiled(tmp_path, PLAIN + '[kubeflow]\nroot = "/models"\n')
    assert ran.code == 0, ran.err
    found = bundles.read(tmp_path / "pipeline.ir.json", "/vol/x", {}, "a")
    assert found.config.models == "/vol/x/models"
    assert found.config.output == "/vol/x/digits-lenet5/runs/a"
    assert "/vol/x/vol" not in json.dumps(found.ir)
    assert '\\"run\\": \\"/vol/x/digits-lenet5/runs/a\\"' in json.dumps(found.ir), "for latest.json"


def test_files_that_cannot_be_written_leave_the_older_ones(tmp_path: Path) -> None:
    (tmp_path / "x.ir.json").mkdir()
    (tmp_path / "x.yaml").write_text("old", encoding="utf-8")
    said = refused(compiled(tmp_path, PLAIN, "--output", "x.yaml"))
    assert "--output: x.ir.json cannot be written: it is a folder" in said
    assert (tmp_path / "x.yaml").read_text(encoding="utf-8") == "old"


def test_the_graph_is_that_of_the_local_run(held: dict[str, Any], tmp_path: Path) -> None:
    """One `create_pipeline`: the same nodes after the same ones, in the same order."""
    lines.bring_tfx()
    from pipeline import graph

    config, data = lines.resolved(Config(epochs=2, min_accuracy=0.2))
    place = graph.Place(tmp_path / "tfx", tmp_path / "checkpoints", tmp_path / "models")
    local = graph.compile_pipeline(graph.create_pipeline(config, data, place))
    nodes = [one.pipeline_node for one in local.nodes]
    assert {one.node_info.id: sorted(one.upstream_nodes) for one in nodes} == {
        one["pipelineNode"]["nodeInfo"]["id"]: sorted(one["pipelineNode"].get("upstreamNodes", ()))
        for one in held["ir"]["nodes"]
    }
    assert [one.node_info.id for one in nodes] == [
        one["pipelineNode"]["nodeInfo"]["id"] for one in held["ir"]["nodes"]
    ]

"""Small pipelines of shell commands: compiled by KFP's own SDK, or written by hand."""

# No `from __future__ import annotations`: kfp reads the annotations of components as they are.

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import ROOT

IMAGE = "docker.io/library/debian:13"

# Says when it starts and ends; in between it waits up to 10 seconds for another's start, if asked to.
MEETS = """
echo "$1 starts" >> "$2/order"; touch "$2/$1"; tries=0
while [ -n "$3" ] && [ ! -e "$2/$3" ]; do
  sleep 0.05; tries=$((tries+1)); [ $tries -lt 200 ] || exit 9
done
echo "$1 ends" >> "$2/order"; printf %s "$1" > "$4"
"""
READS = """
import json, os, sys
given = json.loads(sys.argv[1])
model = given["inputs"]["artifacts"]["model"]["artifacts"][0]
assert sys.argv[2] == open(os.path.join(model["uri"], "weights")).read().strip(), model
outputs = given["outputs"]
metrics = outputs["artifacts"]["metrics"]["artifacts"][0]
metrics["metadata"]["accuracy"] = 0.75
with open(outputs["outputFile"], "w") as file:
    left = {"metrics": {"artifacts": [metrics]}}
    json.dump({"parameterValues": {"model_uri": model["uri"]}, "artifacts": left}, file)
print(json.dumps(given, sort_keys=True))
"""


def command(yaml_file: Path, *arguments: object) -> list[str]:
    """`run_local.py` as a person types it, for tests that stop it."""
    return [sys.executable, str(ROOT / "kubeflow" / "run_local.py"), str(yaml_file), *map(str, arguments)]


def record(cwd: Path, run: str) -> dict[str, Any]:
    """What a run left about itself."""
    return json.loads((cwd / "runs" / "kubeflow" / "runs" / run / "state.json").read_text())


def written(folder: Path, tasks: dict[str, dict[str, Any]], **root: Any) -> Path:
    """A pipeline written by hand: a shell script per task, and the parts of KFP's files that are given.

    Args:
        folder: Where the file goes.
        tasks: Per task `script`, `after`, `task`, `component`, `container`, `executor`, `kubernetes`.
        root: Inputs of the pipeline.
    """
    executors: dict[str, Any] = {}
    kubernetes: dict[str, Any] = {}
    components: dict[str, Any] = {}
    graph: dict[str, Any] = {}
    for name, one in tasks.items():
        shell = {
            "image": IMAGE,
            "command": ["sh", "-c", one.get("script", "true")],
            **one.get("container", {}),
        }
        executors[f"exec-{name}"] = one.get("executor", {"container": shell})
        components[f"comp-{name}"] = {"executorLabel": f"exec-{name}", **one.get("component", {})}
        graph[name] = {
            "taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"},
            "dependentTasks": one.get("after", []), **one.get("task", {}),
        }  # fmt: skip
        if "kubernetes" in one:
            kubernetes[f"exec-{name}"] = one["kubernetes"]
    first = {
        "pipelineInfo": {"name": "by-hand"}, "schemaVersion": "2.1.0", "sdkVersion": "kfp-2.5.0",
        "components": components, "deploymentSpec": {"executors": executors},
        "root": {"dag": {"tasks": graph}, "inputDefinitions": {"parameters": root}},
    }  # fmt: skip
    second = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": kubernetes}}}}
    file = folder / "by-hand.yaml"
    file.write_text(yaml.safe_dump_all([first, second] if kubernetes else [first]))
    return file


def compiled(folder: Path) -> dict[str, Path]:
    """Pipelines by kfp's compiler: `diamond`, `values`, `artifacts` and `condition`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp 2.5 is not silent on this Python
        pytest.importorskip("kfp", reason="kfp is not installed (the extra `kubeflow`)")
        from kfp import compiler, dsl

        @dsl.container_component
        def meets(name: str, folder: str, other: str, said: dsl.OutputPath(str)):
            args = [name, folder, other, said]
            return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", MEETS, "sh"], args=args)

        @dsl.container_component
        def says(
            text: str, steps: int, rate: float, big: float, on: bool, items: list, table: dict,
            number: dsl.OutputPath(int), fraction: dsl.OutputPath(float), yes: dsl.OutputPath(bool),
            many: dsl.OutputPath(list), parts: dsl.OutputPath(dict),
        ):  # fmt: skip
            script = (
                'printf "<%s>\\n" "$1" "$2" "$3" "$4" "$5" "$6" "$7"; '
                'printf " 7\\n" > "$8"; printf 2.50 > "$9"; '
                'printf True > "${10}"; printf "%s" "$6" > "${11}"; printf "%s" "$7" > "${12}"'
            )
            return dsl.ContainerSpec(
                image=IMAGE, command=["sh", "-c", script, "sh"],
                args=[text, steps, rate, big, on, items, table, number, fraction, yes, many, parts],
            )  # fmt: skip

        @dsl.container_component
        def trains(model: dsl.Output[dsl.Model]):
            script = 'mkdir -p "$0" && echo 42 > "$0/weights" && echo "uri $1"'
            return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", script], args=[model.path, model.uri])

        @dsl.container_component
        def reads(
            model: dsl.Input[dsl.Model], weights: str, metrics: dsl.Output[dsl.Metrics],
            model_uri: dsl.OutputPath(str),
        ):  # fmt: skip
            return dsl.ContainerSpec(image=IMAGE, command=["python", "-c", READS], args=["{{$}}", weights])

        @dsl.pipeline(name="diamond")
        def diamond(folder: str, name: str = "a"):
            first = meets(name=name, folder=folder, other="")
            left = meets(name="b", folder=folder, other="c").after(first)
            right = meets(name="c", folder=folder, other="b").after(first)
            meets(name=f"{left.outputs['said']}+{right.outputs['said']}", folder=f"{folder}", other=name)

        @dsl.pipeline(name="values")
        def values(
            text: str = "two words", steps: int = 3, rate: float = 1e-05, big: float = 1e21, on: bool = True,
            items: list = [1, 2.5, "a<b"], table: dict = {"b": 2.0, "a": "x"},  # noqa: B006
        ):  # fmt: skip
            first = says(text=text, steps=steps, rate=rate, big=big, on=on, items=items, table=table)
            says(
                text=dsl.PIPELINE_JOB_ID_PLACEHOLDER, steps=first.outputs["number"],
                rate=first.outputs["fraction"], big=-0.5, on=first.outputs["yes"],
                items=first.outputs["many"], table=first.outputs["parts"],
            )  # fmt: skip

        @dsl.pipeline(name="artifacts")
        def artifacts():
            reads(model=trains().outputs["model"], weights="42")

        @dsl.pipeline(name="condition")
        def condition(name: str = "a"):
            with dsl.Condition(name == "a"):
                trains()

        files = {}
        for pipeline in (diamond, values, artifacts, condition):
            files[pipeline.name] = folder / f"{pipeline.name}.yaml"
            compiler.Compiler().compile(pipeline, str(files[pipeline.name]))
        return files

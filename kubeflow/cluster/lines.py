"""From a configuration to the bundle that every target is made of."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.bundle import Bundle
from pipeline import run as local
from pipeline.config import Config, beam_options, check
from pipeline.sources import Dataset
from tuning.errors import BadInput

# Of `pipeline.graph`, in its order, which a test holds against the compiled line.
NODES = (
    "ImageExampleGen", "StatisticsGen", "BaselineStatistics", "SchemaGen", "ExampleValidator", "Gate",
    "Tuner", "Trainer", "Baseline", "Evaluator", "ServingCheck", "Pusher",
)  # fmt: skip


def resolved(config: Config) -> tuple[Config, Dataset]:
    """What a local run of this configuration would do, and the data that it would do it with.

    Raises:
        BadInput: No run can be so.
    """
    check(config)
    if config.warm_start is not None:
        raise BadInput(
            "warm_start: the weights lie on this machine, not in the pods; leave it out of the configuration"
        )
    dataset = local.inspect(config)
    return local.resolve(config, dataset), dataset


def node_names(config: Config) -> list[str]:
    """The graph's nodes, known before TFX is imported."""
    return [name for name in NODES if config.tune or name != "Tuner"]


def in_pods(config: Config, dataset: Dataset, root: str, data: str) -> Config:
    """The configuration with the paths that the pods see.

    Args:
        config: Resolved.
        dataset: Its data.
        root: The folder that all pods share.
        data: Where the data lies there; "" where the configuration's own path is good there, too.

    Raises:
        BadInput: The data does not lie below the root.
    """
    key = "data_dir" if dataset.kind == "tfds" else "data"
    where = data or str(getattr(config, key))
    if dataset.kind != "digits" and not PurePosixPath(where).is_relative_to(root):
        raise BadInput(
            f"{key} {where} does not lie below {root}, which is all that the pods see; copy it to the volume "
            f'and say in [kubeflow] where it is there: data = "{root}/data/{dataset.title}"'
        )
    changed: dict[str, Any] = {} if dataset.kind == "digits" else {key: where}
    return dataclasses.replace(
        config,
        models=f"{root}/models",
        output=f"{root}/{config.name}",
        hyperparameters=None,
        schema=None,
        **changed,
    )


def bundle(config: Config, dataset: Dataset, root: str, data: str) -> Bundle:
    """Compile a line for pods; brings TFX.

    Args:
        config: Resolved.
        dataset: Its data.
        root: As in `in_pods`.
        data: As in `in_pods`.
    """
    moved = in_pods(config, dataset, root, data)
    bring_tfx()
    from google.protobuf import json_format

    from pipeline import graph

    given, place = _given(config, moved), _place(config, root)
    line = graph.create_pipeline(given, dataset, place, beam=beam_options(config), deployed=True)
    ir = json.loads(json_format.MessageToJson(graph.compile_pipeline(line), sort_keys=True))
    return Bundle(ir, moved, dataset, root, graph.parameters(given))


def managed(config: Config, dataset: Dataset, root: str, data: str) -> Any:
    """The line as TFX's own runner for Vertex AI compiles it: a `tfx.orchestration.pipeline.Pipeline`.

    Args:
        config: Resolved.
        dataset: Its data.
        root: As in `in_pods`, below /gcs, where Vertex AI mounts buckets.
        data: As in `in_pods`.
    """
    moved = in_pods(config, dataset, root, data)
    bring_tfx(whole=True)
    from pipeline import graph

    return graph.create_pipeline(
        _given(config, moved), dataset, _place(config, root), beam=beam_options(config), deployed=True,
        managed=True,
    )  # fmt: skip


def bring_tfx(*, whole: bool = False) -> None:
    """Import TFX, quietly and without a GPU.

    Args:
        whole: With all of its components; else only those that the line has.
    """
    from pipeline import lanes
    from tuning import lean

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    lean.tensorflow()
    if not whole:
        lanes.components_one_by_one()
    with lean.imports():
        lanes.complete_tfma()
        from pipeline import graph  # noqa: F401


def _given(config: Config, moved: Config) -> Config:
    """What lies in files of this machine is compiled in."""
    return dataclasses.replace(moved, hyperparameters=config.hyperparameters, schema=config.schema)


def _place(config: Config, root: str) -> Any:
    from pipeline import graph

    place = Path(root) / str(config.name)
    return graph.Place(place / "tfx", place / "checkpoints", Path(root) / "models" / str(config.name))

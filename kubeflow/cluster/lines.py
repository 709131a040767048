"""From a configuration to the bundle that every target is made of."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.bundle import Bundle
from pipeline import run as local
from pipeline.config import Config, check
from pipeline.sources import Dataset
from tuning.errors import BadInput

# Of `pipeline.graph`, in its order, which a test holds against the compiled line.
NODES = (
    "ImageExampleGen", "StatisticsGen", "BaselineStatistics", "SchemaGen", "ExampleValidator", "Gate", "Tuner",
    "Trainer", "Baseline", "Evaluator", "ServingCheck", "Pusher",
)  # fmt: skip


def resolved(config: Config) -> tuple[Config, Dataset]:
    """What a local run of this configuration would do, and the data that it would do it with.

    Raises:
        BadInput: No run can be so.
    """
    check(config)
    if config.warm_start is not None:
        raise BadInput("warm_start: the weights lie on this machine, not in the pods; leave it out of the configuration")
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
            f"{key} {where} does not lie below {root}, which is all that the pods see; "
            f"copy it to the volume and say where it is there: data = \"{root}/data/{dataset.title}\" in [kubeflow]"
        )
    changed: dict[str, Any] = {} if dataset.kind == "digits" else {key: where}
    return dataclasses.replace(
        config, models=f"{root}/models", output=f"{root}/{config.name}", hyperparameters=None, schema=None, **changed
    )


def bundle(config: Config, dataset: Dataset, root: str, data: str) -> Bundle:
    """Compile a line for pods; brings TFX.

    Args:
        config: Resolved.
        dataset: Its data.
        root: As in `in_pods`.
        data: As in `in_pods`.
    """
    from pipeline import lanes
    from tuning import lean

    moved = in_pods(config, dataset, root, data)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    lanes.components_one_by_one()
    with lean.imports():
        lanes.complete_tfma()
        from google.protobuf import json_format

        from pipeline import graph
        from pipeline.config import beam_options

    place = Path(root) / str(config.name)
    given = dataclasses.replace(moved, hyperparameters=config.hyperparameters, schema=config.schema)
    line = graph.create_pipeline(
        given, dataset, graph.Place(place / "tfx", place / "checkpoints", Path(root) / "models" / str(config.name)),
        beam=beam_options(config), deployed=True,
    )  # fmt: skip
    ir = json.loads(json_format.MessageToJson(graph.compile_pipeline(line), sort_keys=True))
    return Bundle(ir, moved, dataset, root, graph.parameters(given))

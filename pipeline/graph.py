"""The pipeline as a pure function of its configuration; runners own paths and stores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.evaluator.component import Evaluator
from tfx.dsl.compiler import compiler
from tfx.dsl.components.base import base_node
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration import data_types, metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.proto import pusher_pb2, trainer_pb2, tuner_pb2
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from pipeline import changes, code, schema, tuned, warm
from pipeline.components import statistics_gen
from pipeline.components.baseline import LastBlessedOther, LastBlessedStatistics
from pipeline.components.example_gen import ImageExampleGen
from pipeline.components.gate import Gate
from pipeline.components.pusher import Pusher
from pipeline.components.schema_gen import SchemaGen
from pipeline.components.serving_check import ServingCheck
from pipeline.components.statistics_gen import StatisticsGen
from pipeline.components.trainer import NUMBERS, Trainer
from pipeline.components.validator import Validator
from pipeline.config import Config
from pipeline.evaluation import eval_config
from pipeline.sources import Dataset, parts

# What ExampleGen looks at; the other options leave its examples in the cache.
_DATA_OPTIONS = (
    "data", "data_dir", "train_split", "val_split", "test_split", "test_share", "val_share", "max_bad_images",
    "seed",
)  # fmt: skip
_DATA_CODE = (
    "pipeline/sources", "pipeline/images.py", "pipeline/looking.py", "pipeline/components/example_gen.py",
    "pipeline/components/statistics_gen.py", "keras_cnns/training/examples.py",
)  # fmt: skip
# What may be changed of a training besides its recipe: `keras_cnns.training.fit.Options`.
_TRAINING_OPTIONS = (
    "weights", "patience", "class_weights", "accumulate", "precision", "xla", "warm_start",
)  # fmt: skip
# What the Tuner searches, and how. Besides, TFX's TuneArgs has the number of workers; all other options leave
# its result in the cache.
_TUNING_OPTIONS = (
    "tune", "tune_space", "tune_engine", "tune_epochs", "tune_fix", "tune_range", "tune_max_parameters",
    "tune_max_macs", "tune_max_latency", "model", "recipe", "epochs", "batch_size", "learning_rate", "mirror",
    "seed", "image_size", "fit",
)  # fmt: skip
_VALIDATION_CODE = (
    "pipeline/changes.py", "pipeline/validation.py", "pipeline/schema.py", "pipeline/components/gate.py",
    "pipeline/components/schema_gen.py", "pipeline/components/validator.py",
)  # fmt: skip
# A push is an effect outside of the metadata store: Pusher itself sees whether the model is already there.
_NEVER_CACHED = ("Pusher",)


@dataclass(frozen=True)
class Place:
    """Where a runner keeps what.

    Attributes:
        root: TFX's artifacts.
        checkpoints: State of unfinished trainings.
        models: Folder of the pushed model's versions.
    """

    root: Path
    checkpoints: Path
    models: Path


def parameters(config: Config) -> dict[str, int | float | str]:
    """What a run of a deployed pipeline may choose anew, with its defaults; the rest is compiled in."""
    searched = config.tune or config.hyperparameters is not None
    numbers = [key for key in NUMBERS if key == "epochs" or not searched]
    return {
        **{key: getattr(config.training, key) for key in numbers},
        "accept": ",".join(changes.accepted(config.accept)),
    }


def create_pipeline(
    config: Config, dataset: Dataset, place: Place, *, beam: Sequence[str] = (), train: bool = True,
    deployed: bool = False, managed: bool = False,
) -> tfx_pipeline.Pipeline:  # fmt: skip
    """ExampleGen → StatisticsGen → SchemaGen → ExampleValidator → gate → Trainer → Evaluator → … → Pusher.

    Args:
        config: A configuration that `run.resolve` has filled in.
        dataset: What `sources.inspect` says of its data.
        place: The runner's folders.
        beam: Options for Beam, such as its runner.
        train: Whether the line goes on behind the gate.
        deployed: Whether `parameters` are TFX's runtime parameters instead of values.
        managed: Whether it is for Vertex AI, whose resolvers know the latest blessed model and nothing else;
            the data is compared with no earlier run's then.
    """
    chosen: dict[str, Any] = dict(parameters(config))
    if deployed:
        chosen = {
            key: data_types.RuntimeParameter(key, type(value), default=value) for key, value in chosen.items()
        }
    accept = chosen.pop("accept")
    options = {key: getattr(config, key) for key in _DATA_OPTIONS}
    examples = ImageExampleGen(options, dataset, code.fingerprint(*_DATA_CODE)).with_id("ImageExampleGen")
    statistics = StatisticsGen(examples=examples.outputs["examples"], stats_options=statistics_gen.options())
    components = [examples, statistics, *_validation(config, statistics, accept, managed)]
    if train:
        components += _behind_the_gate(config, dataset, place, examples, components[-1], chosen, managed)
    return tfx_pipeline.Pipeline(
        pipeline_name=str(config.name),
        pipeline_root=str(place.root),
        components=components,
        enable_cache=True,
        # A deployed line's steps are told of their store. This makes its folder, and the pods' is not here.
        metadata_connection_config=None
        if deployed
        else metadata.sqlite_metadata_connection_config(str(place.root.parent / "metadata.db")),
        beam_pipeline_args=list(beam),
    )


def _validation(
    config: Config, statistics: StatisticsGen, accept: Any, managed: bool
) -> list[base_node.BaseNode]:
    """SchemaGen, what the last blessed run had, the validator and the gate."""
    made_by = code.fingerprint(*_VALIDATION_CODE)
    found = statistics.outputs["statistics"]
    given = "" if config.schema is None else schema.load(Path(config.schema))
    described = SchemaGen(found, given, made_by)
    before = None if managed else Resolver(
        strategy_class=LastBlessedStatistics,
        current=found,
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
    ).with_id("BaselineStatistics")  # fmt: skip
    validator = Validator(
        found, described.outputs["schema"], None if before is None else before.outputs["statistics"],
        bool(given), made_by,
    ).with_id("ExampleValidator")  # fmt: skip
    gate = Gate(validator.outputs["anomalies"], accept, made_by)
    return [described, *([] if before is None else [before]), validator, gate]


def _behind_the_gate(
    config: Config, dataset: Dataset, place: Place, examples: ImageExampleGen, gate: Gate,
    numbers: dict[str, Any], managed: bool,
) -> list[base_node.BaseNode]:  # fmt: skip
    """Tuner (if asked for), Trainer, the last blessed model, Evaluator, ServingCheck and Pusher."""
    measured = "val" if "val" in parts(config, dataset) else "test"
    tuner = _tuner(config, dataset, place, examples, measured) if config.tune else None
    if tuner is not None:
        tuner.add_upstream_node(gate)
    trainer = Trainer(
        examples=examples.outputs["examples"],
        measured=measured,
        hyperparameters=None if tuner is None else tuner.outputs["best_hyperparameters"],
        custom_config=_trainer_config(config, dataset, place),
        numbers=numbers,
    )
    trainer.add_upstream_node(gate)
    baseline = Resolver(
        **({"strategy_class": LatestBlessedModelStrategy} if managed
           else {"strategy_class": LastBlessedOther, "current": trainer.outputs["model"]}),
        model=types.Channel(type=standard_artifacts.Model),
        model_blessing=types.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("Baseline")  # fmt: skip
    evaluator = Evaluator(
        examples=examples.outputs["examples"],
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=eval_config(config, dataset),
    )
    serving_check = ServingCheck(
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        code=code.fingerprint("pipeline/components/serving_check.py", "pipeline/components/serving_probe.py"),
    )
    serving_check.add_upstream_node(evaluator)  # in the order in which people read it
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(place.models))
        ),
        run=str(config.output),
        keep=config.keep,
    )
    return [*([] if tuner is None else [tuner]), trainer, baseline, evaluator, serving_check, pusher]


def _tuner(
    config: Config, dataset: Dataset, place: Place, examples: ImageExampleGen, measured: str
) -> base_node.BaseNode:
    """The search, whose state outlives a kill; without a val part it makes one of the training examples."""
    from pipeline.components.tuner import Tuner  # brings KerasTuner, which most runs do without

    return Tuner(
        examples=examples.outputs["examples"],
        tuner_fn="pipeline.tuner.tuner_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["val" if measured == "val" else "train"]),
        tune_args=tuner_pb2.TuneArgs(num_parallel_trials=config.tune_workers),
        custom_config={
            "config": {key: getattr(config, key) for key in _TUNING_OPTIONS},
            "channels": dataset.channels,
            "measured": measured,
            "folder": str(place.root.parent / "tuning"),
            "code": code.fingerprint("keras_cnns", "tuning", "pipeline/tuned.py", "pipeline/tuner.py"),
        },
    )


def compile_pipeline(pipeline: tfx_pipeline.Pipeline) -> pipeline_pb2.Pipeline:
    """TFX's intermediate representation, with caching off where a step acts outside of the store."""
    ir = compiler.Compiler().compile(pipeline)
    for node in ir.nodes:
        if node.pipeline_node.node_info.id in _NEVER_CACHED:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
    return ir


def _trainer_config(config: Config, dataset: Dataset, place: Place) -> dict:
    """What the training depends on; the code's fingerprint keeps an edited network out of the cache."""
    if config.image_size is None or config.fit is None:
        raise ValueError("image_size and fit must be resolved before the pipeline is built")
    recipe = config.training
    given = {
        "model": config.model,
        "arguments": {},
        "data": config.data,
        "seed": config.seed,
        "recipe": dataclasses.asdict(recipe),
        "preprocess": {
            "height": config.image_size, "width": config.image_size, "channels": dataset.channels,
            "fit": config.fit, "low": recipe.low, "high": recipe.high,
        },
        "options": {key: getattr(config, key) for key in _TRAINING_OPTIONS},
        "warm_start": warm.digest(config.warm_start),
        "checkpoints": str(place.checkpoints),
        "tensorboard": str(place.root.parent / "tensorboard"),
        "code": code.fingerprint(
            "keras_cnns", "tuning/families.py", "tuning/spaces.py", "pipeline/tuned.py", "pipeline/worker.py",
            "pipeline/trainer.py",
        ),
        "tuned": _tuned(config),
    }  # fmt: skip
    values = tuned.from_file(config)
    return given if values is None else tuned.applied(given, values)


def _tuned(config: Config) -> dict | None:
    """What the trainer has to know of the space whose hyperparameters it gets."""
    if not config.tune and config.hyperparameters is None:
        return None
    space = tuned.space_of(config)
    return {
        "family": space.family, "model": space.model, "space": space.rows(), "mirror": config.mirror != "no",
    }  # fmt: skip

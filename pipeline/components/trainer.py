"""TFX's Trainer, whose recipe has a few numbers that each run may choose anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx import types
from tfx.components.trainer import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils

from pipeline.components.artifacts import Artifacts

NUMBERS: dict[str, type] = {"epochs": int, "batch_size": int, "learning_rate": float}


class Executor(executor.GenericExecutor):
    """TFX's, after the numbers were put into the recipe."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Have `pipeline.trainer.run_fn` train."""
        given = json_utils.loads(exec_properties["custom_config"])
        chosen = {key: exec_properties[key] for key in NUMBERS if exec_properties.get(key) is not None}
        whole = json_utils.dumps({**given, "recipe": {**given["recipe"], **chosen}})
        super().Do(input_dict, output_dict, {**exec_properties, "custom_config": whole})


class _Spec(standard_component_specs.TrainerSpec):
    PARAMETERS = {
        **standard_component_specs.TrainerSpec.PARAMETERS,
        **{key: component_spec.ExecutionParameter(type=kind, optional=True) for key, kind in NUMBERS.items()},
    }


class Trainer(base_component.BaseComponent):
    """TFX's Trainer with that executor.

    Args:
        examples: ImageExampleGen's.
        measured: The part that is measured after each epoch.
        hyperparameters: The Tuner's best, where there is one.
        custom_config: What `pipeline.trainer.run_fn` reads.
        numbers: Some of NUMBERS, as values or as TFX's runtime parameters; they stand over the recipe's.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, examples: types.BaseChannel, measured: str, hyperparameters: types.BaseChannel | None,
        custom_config: dict[str, Any], numbers: Mapping[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(
            _Spec(
                examples=examples, hyperparameters=hyperparameters, run_fn="pipeline.trainer.run_fn",
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=[measured]),
                custom_config=json_utils.dumps(custom_config),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun), **numbers,
            )
        )  # fmt: skip

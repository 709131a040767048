"""Pusher: publishes a blessed model as the next version, all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts, standard_component_specs
from tfx.utils import json_utils, proto_utils

from pipeline import code, evaluation
from pipeline.components.artifacts import Artifacts
from pipeline.pushed import confirm, push, same, versions


class Executor(tfx_executor.Executor):
    """TFX's Pusher with numbered versions that appear complete or not at all."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Push the model if both blessings are there, unless the newest version is this very model.

        Raises:
            BadInput: The destination cannot be written or is full; nothing of the model stays there.
        """
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        model, models = Path(self.GetModelPath(input_dict)), Path(destination.filesystem.base_directory)
        given = json_utils.loads(exec_properties["custom_config"])
        newest = [version for version in versions(models)[-1:] if same(model, version)]
        if newest:
            version = newest[0]
            confirm(models, given["keep"])
        else:
            version = push(model, models, _facts(input_dict, given["run"]), given["keep"])
        pushed.set_int_custom_property("already_there", len(newest))
        self._MarkPushed(pushed, pushed_destination=str(version), pushed_version=version.name)


class _Spec(standard_component_specs.PusherSpec):
    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }


class Pusher(base_component.BaseComponent):
    """TFX's Pusher over our executor.

    Args:
        model: The Trainer's model.
        model_blessing: The Evaluator's.
        infra_blessing: The serving check's.
        evaluation: The Evaluator's, from which `latest.json` takes the accuracy.
        push_destination: Folder of the versions.
        run: Folder of the run, for `latest.json`.
        keep: Versions to keep; 0 keeps all.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, model: types.BaseChannel, model_blessing: types.BaseChannel, infra_blessing: types.BaseChannel,
        evaluation: types.BaseChannel, push_destination: pusher_pb2.PushDestination, run: str, keep: int,
    ) -> None:  # fmt: skip
        super().__init__(
            _Spec(
                model=model, model_blessing=model_blessing, infra_blessing=infra_blessing,
                evaluation=evaluation, push_destination=push_destination,
                custom_config=json_utils.dumps({"run": run, "keep": keep}),
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            )
        )  # fmt: skip


def _facts(input_dict: dict[str, list[types.Artifact]], run: str) -> dict[str, Any]:
    found = artifact_utils.get_single_instance(input_dict["evaluation"])
    facts = {"accuracy": evaluation.accuracy(Path(found.uri)), "run": run, "git": code.git()}
    return {key: value for key, value in facts.items() if value is not None}

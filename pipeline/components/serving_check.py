"""ServingCheck: the exported model answers as the trained one does, in a fresh process without our code.

It takes the place of TFX's InfraValidator, which needs a Docker daemon, and gives Pusher the same blessing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import path_utils

from pipeline import workers
from pipeline.components.artifacts import Artifacts

RESULT = "serving.json"


class Executor(base_executor.BaseExecutor):
    """Blesses a model whose signatures all answer what its Keras sibling answers."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Probe the model and write `serving.json` and the blessing."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        run = artifact_utils.get_single_instance(input_dict["model_run"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        request = {
            "model": path_utils.serving_model_path(model.uri),
            "reference": str(Path(run.uri) / "reference.npz"),
        }
        try:
            result = workers.do("serve", request)
            why = _fault(result, exec_properties["tolerance"])
        except RuntimeError as error:
            result, why = {}, str(error)
        result = {**result, "equal": not why, "why": why}
        Path(blessing.uri).mkdir(parents=True, exist_ok=True)
        (Path(blessing.uri) / RESULT).write_text(json.dumps(result), encoding="utf-8")
        (Path(blessing.uri) / ("INFRA_NOT_BLESSED" if why else "INFRA_BLESSED")).touch()
        blessing.set_int_custom_property("blessed", int(not why))


def _fault(result: dict[str, Any], tolerance: float) -> str:
    if result["importable"]:
        return f"the check is worth nothing: {', '.join(result['importable'])} could be imported"
    if not result["max_difference"] <= tolerance:  # a NaN is no equality either
        return (
            f"the exported model's probabilities differ by {result['max_difference']:.2g} "
            f"from the trained model's; {tolerance:g} is allowed"
        )
    return ""


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "tolerance": component_spec.ExecutionParameter(type=float),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ServingCheck(base_component.BaseComponent):
    """Loads the exported model in a fresh process, calls every signature and compares.

    Args:
        model: The Trainer's model.
        model_run: The Trainer's run, with examples and what the saved Keras model answers to them.
        code: Fingerprint of the code that checks.
        tolerance: Largest difference of a probability.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, model: types.BaseChannel, model_run: types.BaseChannel, code: str, tolerance: float = 1e-4
    ) -> None:
        blessing = types.Channel(type=standard_artifacts.InfraBlessing)
        super().__init__(
            _Spec(model=model, model_run=model_run, code=code, tolerance=tolerance, blessing=blessing)
        )

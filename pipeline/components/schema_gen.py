"""The schema: the user's own file, or one that is inferred from the training part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import schema
from pipeline.components import statistics_gen
from pipeline.components.artifacts import Artifacts


class Executor(base_executor.BaseExecutor):
    """Writes schema.pbtxt."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Infer a schema, unless one was given: that is kept as it is, comments too."""
        found = Path(artifact_utils.get_single_instance(input_dict["statistics"]).uri)
        text = exec_properties["given"] or schema.infer(
            *(statistics_gen.read(found / f"Split-{split}") for split in ("train", "test"))
        )
        folder = Path(artifact_utils.get_single_instance(output_dict["schema"]).uri)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / schema.FILE).write_text(text, encoding="utf-8")


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "given": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class SchemaGen(base_component.BaseComponent):
    """A schema with domains and comparators that suit pictures.

    Args:
        statistics: What StatisticsGen wrote.
        given: Text of the user's schema; empty to infer one.
        code: Fingerprint of the code that infers.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, statistics: types.BaseChannel, given: str, code: str) -> None:
        made = types.Channel(type=standard_artifacts.Schema)
        super().__init__(_Spec(statistics=statistics, given=given, code=code, schema=made))


def read(artifact: types.Artifact) -> Any:
    """The schema message that an artifact of ours holds."""
    return schema.parse((Path(artifact.uri) / schema.FILE).read_text(encoding="utf-8"))

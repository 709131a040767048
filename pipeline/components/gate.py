"""The gate: stops the line when validation found errors. ExampleValidator alone only writes them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline.errors import Stopped

_SEVERITY = {
    anomalies_pb2.AnomalyInfo.Severity.ERROR: "error",
    anomalies_pb2.AnomalyInfo.Severity.WARNING: "warning",
}


def anomalies_in(artifact: types.Artifact) -> list[dict[str, str]]:
    """The anomalies that ExampleValidator found in all splits: feature, severity, what."""
    found = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        anomalies = anomalies_pb2.Anomalies()
        anomalies.ParseFromString((Path(artifact.uri) / f"Split-{split}" / "SchemaDiff.pb").read_bytes())
        for feature, info in sorted(anomalies.anomaly_info.items()):
            severity = _SEVERITY.get(info.severity, "unknown")
            what = f"{info.short_description}: {info.description} ({split})"
            found.append({"feature": feature, "severity": severity, "what": what})
    return found


class Executor(base_executor.BaseExecutor):
    """Passes when no anomaly is an error."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Read the anomalies.

        Raises:
            Stopped: Lists the errors.
        """
        found = anomalies_in(artifact_utils.get_single_instance(input_dict["anomalies"]))
        errors = [one for one in found if one["severity"] == "error"]
        if errors:
            named = "".join(f"\n  {one['feature']}: {one['what']}" for one in errors)
            raise Stopped(f"the data was refused, {len(errors)} error{'s' * (len(errors) > 1)}:{named}")


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {"code": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}
    OUTPUTS: dict[str, Any] = {}


class Gate(base_component.BaseComponent):
    """Fails the run on anomalies of severity ERROR, with a list that a person can read.

    Args:
        anomalies: What ExampleValidator wrote.
        code: Fingerprint of the code that judges.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, anomalies: types.BaseChannel, code: str) -> None:
        super().__init__(_Spec(anomalies=anomalies, code=code))

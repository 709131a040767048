"""ExampleValidator for pictures: what TFDV says of schema and last blessed run, in sentences."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from pipeline import validation
from pipeline.changes import Finding
from pipeline.components import schema_gen, statistics_gen
from pipeline.components.artifacts import Artifacts

FINDINGS = "findings.json"  # beside TFDV's own anomalies


class Executor(base_executor.BaseExecutor):
    """Writes TFDV's anomalies as TFX's ExampleValidator does, and what they mean."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Compare and write; stopping is the gate's."""
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        splits = artifact_utils.decode_split_names(statistics.split_names)
        before = input_dict.get("baseline") or []
        held = validation.Comparison(
            train=_part(statistics, "train"),
            test=_part(statistics, "test"),
            val=_part(statistics, "val") if "val" in splits else None,
            schema=schema_gen.read(artifact_utils.get_single_instance(input_dict["schema"])),
            given=bool(exec_properties["given"]),
            before=_part(before[0], "train") if before else None,
        )
        anomalies = held.anomalies()
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        artifact.split_names, artifact.span = statistics.split_names, statistics.span
        for split, found in anomalies.items():
            target = Path(artifact.uri) / f"Split-{split}" / "SchemaDiff.pb"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(found.SerializeToString(deterministic=True))
        told = {
            "compared": bool(before),
            "findings": [dataclasses.asdict(one) for one in validation.findings(held, anomalies)],
        }
        text = json.dumps(told, ensure_ascii=False)
        (Path(artifact.uri) / FINDINGS).write_text(text, encoding="utf-8")


def _part(statistics: types.Artifact, split: str) -> validation.Statistics:
    return statistics_gen.read(Path(statistics.uri) / f"Split-{split}")


class _Spec(component_spec.ComponentSpec):
    PARAMETERS = {
        "given": component_spec.ExecutionParameter(type=int),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "baseline": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class Validator(base_component.BaseComponent):
    """What has changed in the data.

    Args:
        statistics: Of this run.
        schema: The schema.
        baseline: Statistics of the last blessed run, or of none; None where nobody looks for them.
        given: Whether the schema is the user's.
        code: Fingerprint of the code that compares.
    """

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        baseline: types.BaseChannel | None,
        given: bool,
        code: str,
    ) -> None:
        super().__init__(
            _Spec(
                statistics=statistics,
                schema=schema,
                baseline=baseline,
                given=int(given),
                code=code,
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )


def findings_in(artifact: types.Artifact) -> list[Finding]:
    """What was found."""
    return [Finding(**one) for one in _told(artifact)["findings"]]


def compared(artifact: types.Artifact) -> bool:
    """Whether there was a blessed run on other data to compare with."""
    return bool(_told(artifact)["compared"])


def _told(artifact: types.Artifact) -> dict[str, Any]:
    return json.loads((Path(artifact.uri) / FINDINGS).read_text(encoding="utf-8"))

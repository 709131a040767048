"""The gate closes on what ExampleValidator calls an error, and says what it was."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import Stopped


def anomalies(folder: Path, train: list[str], test: list[str]) -> object:
    """What TFX writes where a schema inferred from `train` meets `test`."""
    import tensorflow_data_validation as tfdv
    from tfx.types import artifact_utils, standard_artifacts

    statistics = [
        tfdv.generate_statistics_from_dataframe(pd.DataFrame({"label_text": labels}))
        for labels in (train, test)
    ]
    schema = tfdv.infer_schema(statistics[0])
    artifact = standard_artifacts.ExampleAnomalies()
    artifact.uri, artifact.split_names = str(folder), artifact_utils.encode_split_names(["train", "test"])
    for split, found in zip(("train", "test"), statistics, strict=True):
        (folder / f"Split-{split}").mkdir()
        data = tfdv.validate_statistics(found, schema).SerializeToString()
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(data)
    return artifact


def test_a_class_that_training_never_saw_closes_the_gate(tmp_path: Path) -> None:
    from pipeline.components import gate

    held = anomalies(tmp_path, ["cat", "dog"] * 20, ["cat", "bird"] * 20)
    with pytest.raises(Stopped, match=r"(?s)refused, 1 error:\n  label_text: Unexpected string values.*bird"):
        gate.Executor().Do({"anomalies": [held]}, {}, {})


def test_the_same_classes_leave_it_open(tmp_path: Path) -> None:
    from pipeline.components import gate

    held = anomalies(tmp_path, ["cat", "dog"] * 20, ["dog", "cat"] * 10)
    assert gate.anomalies_in(held) == []
    gate.Executor().Do({"anomalies": [held]}, {}, {})

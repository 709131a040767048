"""The quick statistics are the ones that TFX's own executor writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import lanes, sources
from pipeline.config import Config


def test_small_data_gets_the_statistics_that_beam_would_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes.complete_tfma()
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import statistics_pb2
    from tfx.types import artifact_utils, standard_artifacts

    from pipeline.components import example_gen, statistics_gen

    config = Config()
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "test"])
    facts = example_gen.write(config, sources.inspect(config), tmp_path / "examples")
    (tmp_path / "examples" / example_gen.FACTS).write_text(json.dumps(facts))
    options = {"stats_options_json": statistics_gen.options().to_json()}

    def statistics(name: str, limit: int) -> dict[str, str]:
        monkeypatch.setattr(statistics_gen, "IN_MEMORY", limit)
        made = standard_artifacts.ExampleStatistics()
        made.uri = str(tmp_path / name)
        statistics_gen.Executor().Do({"examples": [examples]}, {"statistics": [made]}, dict(options))
        found = {}
        for split in artifact_utils.decode_split_names(made.split_names):
            data = (tmp_path / name / f"Split-{split}" / "FeatureStats.pb").read_bytes()
            parsed = statistics_pb2.DatasetFeatureStatisticsList.FromString(data)
            for feature in parsed.datasets[0].features:
                feature.num_stats.std_dev = round(feature.num_stats.std_dev, 9)  # sums in another order
            found[split] = text_format.MessageToString(parsed)
        return found

    quick, by_beam = statistics("quick", 10**6), statistics("beam", 0)
    assert quick.keys() == {"train", "test"}
    assert quick["train"].count("features {") == 10
    assert quick == by_beam

"""`--beam-runner`: what Beam is told, and that another runner than the default does the work."""

from __future__ import annotations

from pathlib import Path

import pytest
from lines import pipeline

from pipeline.config import Config, beam_options, check
from pipeline.errors import BadInput


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("FnApiRunner", ["--runner=FnApiRunner"]),
        (
            "SparkRunner --spark_master_url='spark://a b:7077'",
            ["--runner=SparkRunner", "--spark_master_url=spark://a b:7077"],
        ),
        ("pipeline.config.OurRunner", ["--runner=pipeline.config.OurRunner"]),
    ],
)
def test_the_runner_and_its_options_are_handed_on(given: str, told: list[str]) -> None:
    assert beam_options(Config(beam_runner=given)) == told
    check(Config(beam_runner=given))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("FlinkRuner", "FlinkRunner"),
        ("", "--beam-runner"),
        ("no.such.Runner", "no.such.Runner"),
        ("FlinkRunner flink_master=x", "options are written --name=value, not flink_master=x"),
    ],
)
def test_another_word_is_refused_before_anything_starts(given: str, why: str) -> None:
    with pytest.raises(BadInput, match=r"--beam-runner") as caught:
        check(Config(beam_runner=given))
    assert why in str(caught.value)


@pytest.mark.slow
def test_another_runner_does_the_evaluation(tmp_path: Path) -> None:
    ran = pipeline(tmp_path, "run", "--epochs", 4, "--beam-runner", "BundleBasedDirectRunner", "--json")
    assert ran.code in (0, 1), ran.err
    assert ran.json["evaluation"]["count"] == 360
    assert ran.json["config"]["beam_runner"] == "BundleBasedDirectRunner"

"""`--beam-runner`: what Beam is told, and that another runner than the default does the work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from lines import pipeline
from test_example_gen import digest, picture
from test_sources import encoded, records

from pipeline import looking, sources
from pipeline.config import Config, beam_options, check
from tuning.errors import BadInput


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


@pytest.mark.parametrize(
    "runner",
    ["BundleBasedDirectRunner", "DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"],
)
def test_beam_writes_the_shards_that_threads_write(
    runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On parts of its own, with a broken picture and doubles, in ranges of seven pictures."""
    import apache_beam as beam

    from pipeline.components import example_gen

    for index in range(40):
        picture(
            tmp_path / "data" / ("train", "val", "test")[index % 3] / "ab"[index % 2] / f"{index}.png", index
        )
    picture(tmp_path / "data" / "test" / "a" / "again.png", 0)
    (tmp_path / "data" / "train" / "b" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    config = Config(data=str(tmp_path / "data"), beam_runner=runner, max_bad_images=1)
    dataset = sources.inspect(config)
    monkeypatch.setattr(looking, "_IMAGES_A_RANGE", 7)

    def on_beam() -> beam.Pipeline:
        return beam.Pipeline(argv=beam_options(config))

    threads = example_gen.write(config, dataset, tmp_path / "threads")
    assert example_gen.write(config, dataset, tmp_path / "beam", on_beam=on_beam) == threads
    assert digest(tmp_path / "beam") == digest(tmp_path / "threads")
    assert (threads["images"], len(threads["bad"])) == (41, 1)
    assert threads["remarks"]
    assert not (tmp_path / "beam" / "looked-at").exists()


def test_what_is_refused_on_beam_is_one_sentence(tmp_path: Path) -> None:
    """A reader's own refusal, far away in a worker, and too many broken pictures."""
    import apache_beam as beam

    from pipeline.components import example_gen

    rows = [{"image": b"x", "label": index % 2} for index in range(9)]
    file = records(tmp_path / "data" / "one.tfrecord", *rows)
    config = Config(data=str(tmp_path / "data"))
    dataset = sources.inspect(config)

    def on_beam() -> beam.Pipeline:
        return beam.Pipeline(argv=["--runner=BundleBasedDirectRunner"])

    with pytest.raises(BadInput, match="9 images cannot be read, and --max-bad-images allows 0"):
        example_gen.write(config, dataset, tmp_path / "out", on_beam=on_beam)
    assert not (tmp_path / "out" / "looked-at").exists()
    file.write_bytes(file.read_bytes()[:-3])
    changed = dataclasses.replace(dataset, fingerprint="another")
    with pytest.raises(BadInput, match=r"one\.tfrecord cannot be read"):
        example_gen.write(config, changed, tmp_path / "other", on_beam=on_beam)
    assert not (tmp_path / "other" / "looked-at").exists()


def test_ranges_of_a_source_are_the_whole(tmp_path: Path) -> None:
    """Digits, a folder and TFRecords; pieces of one order, also where val is kept apart."""
    pictures = [encoded((index + 1, 3)) for index in range(20)]
    for index, one in enumerate(pictures):
        file = tmp_path / "folder" / "ab"[index % 2] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one)
    rows = [{"image": one, "label": index % 2} for index, one in enumerate(pictures)]
    for name, some in (("train-0", rows[:9]), ("train-1", rows[9:15]), ("test-0", rows[15:])):
        records(tmp_path / "records" / f"{name}.tfrecord", *some)
    for data in ("digits", str(tmp_path / "folder"), str(tmp_path / "records")):
        config = Config(data=data, val_share=0.2)
        dataset = sources.inspect(config)
        whole = list(sources.read(config, dataset))
        step = 900 if data == "digits" else 7
        pieces = [
            one
            for start in range(0, dataset.images, step)
            for one in sources.read(config, dataset, start, start + step)
        ]
        assert pieces == whole
        assert len(whole) == dataset.images

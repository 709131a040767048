"""What validation says of changed data: each change on real pictures, through the real components."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lines import pipeline
from PIL import Image

from pipeline import lanes, schema, sources
from pipeline.config import Config, check
from pipeline.stopped import Stopped
from tuning.errors import BadInput

BASE: dict[str, Any] = {
    "counts": {"cat": 40, "dog": 40}, "side": 32, "mode": "RGB", "bright": 100, "suffix": "png", "seed": 0,
}  # fmt: skip


def pictures(folder: Path, **changed: Any) -> Path:
    """Class folders of noise: so many of each class, of a size, mode, brightness and format."""
    how = BASE | changed
    dice = np.random.default_rng(how["seed"])
    for name, count in how["counts"].items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            shape = (how["side"], how["side"], 3)[: 3 if how["mode"] == "RGB" else 2]
            level = how["bright"] + dice.integers(-30, 31)
            pixels = np.clip(dice.normal(level, 25, shape), 0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.{how['suffix']}")
    return folder


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """ExampleGen, StatisticsGen, SchemaGen, validator and gate, as the line puts them together."""
    lanes.complete_tfma()
    from tfx.types import artifact_utils, standard_artifacts

    from pipeline.components import example_gen, gate, schema_gen, statistics_gen, validator

    def artifact(kind: Any) -> Any:
        made = kind()
        made.uri = str(tmp_path_factory.mktemp(kind.TYPE_NAME))
        return made

    def statistics(data: Path) -> Any:
        config = Config(data=str(data))
        examples, made = (
            artifact(standard_artifacts.Examples),
            artifact(standard_artifacts.ExampleStatistics),
        )
        examples.split_names = artifact_utils.encode_split_names(["train", "test"])
        facts = example_gen.write(config, sources.inspect(config), Path(examples.uri))
        (Path(examples.uri) / example_gen.FACTS).write_text(json.dumps(facts))
        asked = {"stats_options_json": statistics_gen.options().to_json()}
        statistics_gen.Executor().Do({"examples": [examples]}, {"statistics": [made]}, asked)
        return made

    def run(
        data: Path, before: Path | None = None, given: str = "", accept: str = ""
    ) -> list[dict[str, str]]:
        now = statistics(data)
        described = artifact(standard_artifacts.Schema)
        schema_gen.Executor().Do({"statistics": [now]}, {"schema": [described]}, {"given": given})
        anomalies = artifact(standard_artifacts.ExampleAnomalies)
        baseline = [] if before is None else [statistics(before)]
        validator.Executor().Do(
            {"statistics": [now], "schema": [described], "baseline": baseline},
            {"anomalies": [anomalies]},
            {"given": bool(given)},
        )
        found = gate.judged(validator.findings_in(anomalies), accept)
        run.schema = (Path(described.uri) / schema.FILE).read_text()
        errors = [one for one in found if one["severity"] == "error"]
        with pytest.raises(Stopped) if errors else contextlib.nullcontext() as stopped:
            gate.Executor().Do({"anomalies": [anomalies]}, {}, {"accept": accept})
        run.stopped = str(stopped.value) if errors else ""
        assert all(f"\n  {one['name']}: {one['what']}" in run.stopped for one in errors)
        return found

    return run


CHANGED = {  # name in the table: what differs from BASE, severity, the sentence
    "new-class": (
        {"counts": {"cat": 40, "dog": 40, "bird": 20}}, "error",
        "new class bird (16 images), not in the last blessed run",
    ),
    "missing-class": (
        {"counts": {"cat": 40, "cow": 40}}, "error",
        "missing class dog: no image in the training part, but in the last blessed run",
    ),
    "grey": (
        {"mode": "L"}, "error",
        "grey where colour was: 64 of 64 training images are grey (100.0 %), 0.0 % in the last blessed run",
    ),
    "class-balance": (
        {"counts": {"cat": 70, "dog": 10}}, "warning",
        "class balance moved: cat is 87.5 % of the training images, 50.0 % in the last blessed run "
        "(Jensen-Shannon divergence 0.12, allowed 0.021)",
    ),
    "sizes": (
        {"side": 28}, "warning",
        "sizes changed: 28×28 pixels; 32×32 pixels in the last blessed run "
        "(Jensen-Shannon divergence 1, allowed 0.31)",
    ),
    "brightness": (
        {"bright": 180}, "warning",
        "brightness moved: 178 of 255 on average, 98 in the last blessed run "
        "(Jensen-Shannon divergence 1, allowed 0.31)",
    ),
    "formats": (
        {"suffix": "jpg"}, "warning",
        "formats changed: 100.0 % of the training images are JPEG, 0.0 % in the last blessed run",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_each_change_has_its_sentence(name: str, line: Callable[..., Any], tmp_path: Path) -> None:
    changed, severity, sentence = CHANGED[name]
    before, now = pictures(tmp_path / "before"), pictures(tmp_path / "now", **changed)
    found = {one["name"]: one for one in line(now, before)}
    assert name in found, found
    assert (found[name]["severity"], found[name]["what"]) == (severity, sentence)
    let_through = {one["name"]: one["severity"] for one in line(now, before, accept=",".join(found))}
    assert set(let_through.values()) == {"accepted"}


def test_colour_where_grey_was_has_its_own(line: Callable[..., Any], tmp_path: Path) -> None:
    grey = pictures(tmp_path / "grey", mode="L")
    mixed = pictures(tmp_path / "mixed", mode="L")
    pictures(mixed, counts={"cat": 4})
    one = line(mixed, grey)[0]
    assert (one["name"], one["severity"]) == ("colour", "error")
    assert one["what"].startswith("colour where grey was: ")
    assert one["what"].endswith(" in colour (6.2 %), 0.0 % in the last blessed run")


def test_a_few_grey_ones_more_or_less_are_no_change(line: Callable[..., Any], tmp_path: Path) -> None:
    """Two samples of data that always had some: nights must not be refused by chance."""
    shares = {"before": 3, "now": 5}
    for name, few in shares.items():
        pictures(tmp_path / name, counts={"cat": 60, "dog": 60}, seed=few)
        pictures(tmp_path / name, counts={"cat": few, "dog": few}, mode="L", seed=few)
    now, before = tmp_path / "now", tmp_path / "before"
    assert [one for one in line(now, before) if one["name"] in ("grey", "colour")] == []
    strict = line.schema
    assert [one["name"] for one in line(now, before, given=strict)][:1] == ["grey"], "a user's word is law"


def test_other_pictures_of_the_same_kind_are_no_change(line: Callable[..., Any], tmp_path: Path) -> None:
    before = pictures(tmp_path / "before")
    for seed in (1, 2, 3):
        assert line(pictures(tmp_path / str(seed), seed=seed), before) == []


def test_a_first_run_has_nothing_to_compare_with_and_passes(line: Callable[..., Any], photos: Path) -> None:
    assert line(photos) == []


def test_contrast_that_moved_is_told_as_that(line: Callable[..., Any], tmp_path: Path) -> None:
    before, now = pictures(tmp_path / "before"), pictures(tmp_path / "now")
    for file in now.rglob("*.png"):
        pixels = np.asarray(Image.open(file)).astype(float)
        Image.fromarray((pixels.mean() + (pixels - pixels.mean()) / 4).astype("uint8")).save(file)
    [one] = [one for one in line(now, before) if one["name"] != "skew"]
    assert one["name"] == "contrast"
    assert one["what"].startswith("contrast moved: 4 of 255 on average, 17 in the last blessed run (Jensen")


def test_a_test_part_that_differs_from_the_training_part_is_told(
    line: Callable[..., Any], tmp_path: Path
) -> None:
    pictures(tmp_path / "data" / "train")
    pictures(tmp_path / "data" / "test", bright=200, mode="L", counts={"cat": 60, "dog": 20})
    found = {one["feature"]: one["what"] for one in line(tmp_path / "data") if one["name"] == "skew"}
    differ = "the training and the test part differ in"
    assert found["colour"] == f"{differ} colour: colour is 100.0 % of one, 0.0 % of the other"
    assert found["label_text"] == f"{differ} class balance: cat is 50.0 % of one, 75.0 % of the other"
    assert found["brightness"].startswith(f"{differ} brightness: 97 and 195 of 255 on average (Jensen")


def test_a_given_schema_decides_which_classes_are_expected(line: Callable[..., Any], tmp_path: Path) -> None:
    """An edited copy in git is the authority: a class that it names is no surprise, whatever came before."""
    before, now = pictures(tmp_path / "before"), pictures(tmp_path / "now", counts={"cat": 40, "bird": 40})
    line(before)
    assert line.schema.startswith("# What the pictures of this data set should be like")
    [new, missing] = line(now, given=line.schema)
    assert new["what"] == "new class bird (32 images), not in the schema"
    assert missing["what"] == "missing class dog: no image in the training part, but in the schema"
    assert "--accept new-class,missing-class" in line.stopped
    edited = line.schema.replace('value: "dog"', 'value: "bird"')
    assert line(now, before, given=edited) == []
    assert line.schema == edited, "the user's file is the schema, comments and all"


def test_a_given_schema_knows_colours_and_ranges(line: Callable[..., Any], tmp_path: Path) -> None:
    line(pictures(tmp_path / "before"))
    wide = line.schema.replace(
        'name: "width"\n  type: INT\n', 'name: "width"\n  type: INT\n  int_domain { max: 30 }\n'
    )
    found = line(pictures(tmp_path / "grey", mode="L"), given=wide)
    by_name = {one["name"]: one["what"] for one in found}
    assert by_name["grey"].endswith("64 of 64 training images are grey (100.0 %), the schema allows none")
    assert by_name["schema"].startswith("width in the t")
    assert "Unexpectedly large value: 32" in by_name["schema"]


def test_thresholds_are_the_schemas(line: Callable[..., Any], tmp_path: Path) -> None:
    before, now = pictures(tmp_path / "before"), pictures(tmp_path / "now", bright=108)
    assert line(now, before) == []
    head, tail = line.schema.split('name: "brightness"')
    place = tail.index("threshold: ", tail.index("drift_comparator"))
    strict = f'{head}name: "brightness"{tail[:place]}threshold: 0.01 # {tail[place + 11 :]}'
    [one] = line(now, before, given=strict)
    assert one["name"] == "brightness"
    assert one["what"].endswith("allowed 0.01)")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("these are no features", "is no schema as text"),
        ("", "describes no feature"),
        ('feature { name: "colr" }', "feature='colr' is not known|colr.*colour"),
        (None, "there is no such file"),
    ],
)
def test_a_file_that_is_no_schema_is_refused_in_one_sentence(
    text: str | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.pbtxt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput, match=why) as refused:
        check(Config(schema=str(file)))
    assert str(refused.value).startswith(f"--schema {file}: ")
    assert "\n" not in str(refused.value)


def test_accept_takes_the_names_that_the_gate_prints() -> None:
    check(Config(accept="grey, new-class"))
    with pytest.raises(BadInput, match=r"--accept.*gray.*grey"):
        check(Config(accept="gray"))


def test_the_names_of_columns_are_those_of_the_examples(line: Callable[..., Any]) -> None:
    from pipeline.components import statistics_gen

    assert set(schema.FEATURES) == {
        *statistics_gen._COLUMNS,
        statistics_gen.BRIGHTNESS,
        statistics_gen.CONTRAST,
    }


@pytest.fixture(scope="module")
def blessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a model of cats and dogs was blessed; its data is to be changed."""
    home = tmp_path_factory.mktemp("blessed")
    pictures(home / "animals")
    ran = pipeline(home, "run", "--data", "animals", "--epochs", 1, "--min-accuracy", 0, "--json")
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["validation"] == {"anomalies": [], "passed": True, "compared": False}
    return home


def test_validate_holds_data_against_the_last_blessed_run(blessed: Path) -> None:
    same = pipeline(blessed, "validate", "--data", "animals")
    assert same.code == 0, same.err
    header, *steps, outcome, following = same.out.splitlines()
    assert header == "animals · 80 images · 2 classes · runs/animals-lenet5"
    assert [line[:12] for line in steps] == [
        " 1/5  exampl",
        " 2/5  statis",
        " 3/5  schema",
        " 4/5  valida",
        " 5/5  gate  ",
    ]
    assert all(line.endswith(" cached") for line in steps)
    assert outcome.startswith("the data passed in ")
    assert following.startswith("next: ")
    assert following.endswith(" -m pipeline run --data animals")

    kept = (blessed / "runs" / "animals-lenet5" / "result.json").read_text()
    shutil.move(blessed / "animals", blessed / "original")
    pictures(blessed / "animals", counts={"cat": 40, "dog": 40, "bird": 20}, bright=180)
    changed = pipeline(blessed, "validate", "--data", "animals")
    assert changed.code == 1, changed.out
    assert "warning · brightness: brightness moved: 178 of 255 on average" in changed.out
    assert "the data was refused, 1 error:\n  new-class: new class bird (16 images), not in" in changed.out
    assert "if that is wanted: --accept new-class" in changed.out
    assert changed.out.splitlines()[-1].endswith(" -m pipeline validate --data animals")
    assert "Traceback" not in changed.out + changed.err
    folder = blessed / "runs" / "animals-lenet5"
    found = json.loads((folder / "validation.json").read_text())
    assert (found["outcome"], found["validation"]["passed"]) == ("refused", False)
    assert "new class bird" in (folder / "validation.html").read_text()
    assert (folder / "result.json").read_text() == kept, "a run's own result stays"
    assert (folder / "schema.pbtxt").read_text().count('value: "bird"') == 1

    refused = pipeline(blessed, "run", "--data", "animals", "--json")
    assert refused.code == 1
    assert refused.json["outcome"] == "refused"
    assert refused.json["dataset"]["images"] == 100, "what was learned until then is in the result"
    assert "new class bird" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_change_that_was_accepted_and_blessed_is_the_next_runs_measure(blessed: Path) -> None:
    """Alone or behind the test above: more pictures of a third class."""
    pictures(blessed / "animals", counts={"cat": 40, "dog": 40, "owl": 20}, bright=180)
    quick = ("--data", "animals", "--epochs", 1, "--min-accuracy", 0, "--max-drop", 1)
    accepted = pipeline(blessed, "run", *quick, "--accept", "new-class", "--json")
    assert accepted.code == 0, accepted.out + accepted.err
    severities = {one["name"]: one["severity"] for one in accepted.json["validation"]["anomalies"]}
    assert severities.pop("new-class") == "accepted"
    assert set(severities.values()) == {"warning"}
    assert accepted.json["evaluation"]["comparison"].startswith("the first model: "), "of these classes"

    again = pipeline(blessed, "run", *quick, "--json")
    assert (again.code, again.json["outcome"]) == (0, "unchanged"), again.json["sentence"]
    assert again.json["validation"] == {"anomalies": [], "passed": True, "compared": False}

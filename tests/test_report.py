"""The report of a run, read as text and opened in a real browser."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from browser import FAINT, OUTSIDE, chromium, open_file
from PIL import Image, ImageDraw

from pipeline import report
from pipeline.report import matrix, pictures
from tuning.pages import charts, tags

ROOT = Path(report.__file__).parents[2]
DIGITS = tuple("0123456789")
HOSTILE = '<script>alert(1)</script>" onload="alert(2)'
PARTS = ("dataset", "validation", "training", "evaluation", "serving", "steps", "versions", "git", "config")


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def per_class(classes, random):
    return [
        {
            "label": label,
            "count": 36,
            "accuracy": (found := random.randint(29, 36)) / 36,
            "interval": [max(0.0, found / 36 - 0.09), min(1.0, found / 36 + 0.05)],
            "precision": random.uniform(0.85, 1.0),
        }
        for label in classes
    ]


def confusion(classes, random):
    counts = [[0] * len(classes) for _ in classes]
    for row, line in enumerate(counts):
        line[row] = 36
        for _ in range(random.randint(0, 6)):
            column = random.randrange(len(classes))
            line[row] -= 1
            line[column] += 1
    return counts


def history(epochs):
    return [
        {
            "epoch": epoch,
            "loss": 2.1 * 0.7**epoch + 0.02,
            "accuracy": 1 - 0.8 * 0.62**epoch,
            "val_loss": 2.0 * 0.72**epoch + 0.07,
            "val_accuracy": 0.981 - 0.7 * 0.6**epoch,
            "learning_rate": 0.01 * 0.8**epoch,
            "seconds": 0.34,
        }
        for epoch in range(1, epochs + 1)
    ]


def picture(path, text, size=8):
    path.parent.mkdir(exist_ok=True)
    image = Image.new("L", (size, size), 20)
    ImageDraw.Draw(image).text((1, -2), text[:1], fill=240)
    image.save(path)
    return path


def made(folder, classes=DIGITS, epochs=12):
    """A folder as a complete run leaves it, and what its result.json says."""
    random, classes = Random(4), list(classes)
    samples = [{"file": f"samples/{i}.png", "label": label} for i, label in enumerate(classes)]
    mistakes = [
        {
            "file": f"mistakes/{i}.png",
            "true": classes[i % len(classes)],
            "predicted": classes[(i + 3) % len(classes)],
            "probability": 0.99 - i / 40,
        }
        for i in range(12)
    ]
    for one in samples:
        picture(folder / one["file"], one["label"])
    for one in mistakes:
        picture(folder / one["file"], one["true"])
    counts = confusion(classes, random)
    steps = (
        ("examples", "1,437 train · 360 test · 4 shards", 1.3),
        ("statistics", "1,797 images", 2.1),
        ("schema", "10 classes", 0.2),
        ("validate", "no anomalies", 0.2),
        ("gate", "passed", 0.1),
        ("train", "epoch 12/12 · accuracy 0.994", 4.1),
        ("evaluate", "accuracy 0.981 [0.961–0.991] ≥ 0.950 · worst class 8: 0.94", 3.4),
        ("serving check", "3 signatures · equal to the trained model · 1.9 ms an image", 2.6),
        ("push", "models/digits-lenet5/3", 0.1),
    )
    return {
        "schema": 1,
        "name": "digits-lenet5",
        "data": "digits",
        "model": "lenet5",
        "outcome": "pushed",
        "sentence": "blessed and pushed in 19 s",
        "started": "2026-11-24T10:00:00+00:00",
        "seconds": 19.2,
        "command": "python -m pipeline run --data digits --model lenet5 --epochs 12",
        "output": "runs/digits-lenet5",
        "pushed": "models/digits-lenet5/3",
        "next": "python -m pipeline predict models/digits-lenet5 some-digit.png",
        "dataset": {
            "classes": classes,
            "images": 180 * len(classes),
            "splits": {
                "train": {
                    "count": 144 * len(classes),
                    "per_class": [random.randint(130, 150) for _ in classes],
                },
                "test": {"count": 36 * len(classes), "per_class": [36] * len(classes)},
            },
            "sizes": {"8×8": 180 * len(classes)},
            "formats": {"PNG": 180 * len(classes)},
            "samples": samples,
            "bad": [{"path": "7/scan-0113.png", "why": "truncated"}],
            "fingerprint": "9f2c4e1b7a60d853",
        },
        "validation": {"anomalies": [], "passed": True},
        "training": {
            "history": history(epochs),
            "parameters": 61706,
            "images_per_second": 12345.0,
            "device": "CPU (2 cores)",
            "recipe": {"optimizer": "sgd", "learning_rate": 0.01, "batch_size": 32, "epochs": epochs},
        },
        "evaluation": {
            "accuracy": 0.981,
            "interval": [0.961, 0.991],
            "loss": 0.08,
            "threshold": 0.95,
            "blessed": True,
            "count": 36 * len(classes),
            "top5": 0.999,
            "calibration_error": 0.012,
            "slices": [
                {
                    "feature": "size",
                    "value": "up to 8 px",
                    "count": 300,
                    "accuracy": 0.983,
                    "interval": [0.961, 0.993],
                },
                {
                    "feature": "origin",
                    "value": "phone",
                    "count": 60,
                    "accuracy": 0.97,
                    "interval": [0.89, 0.99],
                },
            ],
            "baseline": {
                "version": "models/digits-lenet5/2",
                "accuracy": 0.978,
                "difference": 0.003,
                "interval": [-0.005, 0.011],
            },
            "per_class": per_class(classes, random),
            "confusion": counts,
            "mistakes": mistakes,
        },
        "serving": {
            "signatures": ["serving_default", "serve_bytes", "serve_tensor"],
            "max_difference": 1e-7,
            "milliseconds": 1.9,
            "equal": True,
        },
        "steps": [
            {
                "number": number,
                "name": name,
                "detail": detail,
                "seconds": seconds,
                "cached": number < 4,
                "state": "done",
            }
            for number, (name, detail, seconds) in enumerate(steps, start=1)
        ],
        "versions": {"python": "3.10.13", "keras": "3.12.4", "tensorflow": "2.16.2", "tfx": "1.16.0"},
        "git": {"revision": "abc123", "dirty": True},
        "config": {"data": "digits", "data_dir": None, "model": "lenet5", "seed": 0, "min_accuracy": 0.95},
    }


def written(folder, result):
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return report.write(folder)


class Page(HTMLParser):
    """Reads a report: its words, its elements, and whether every element is closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, element, attributes):
        self.elements.append((element, dict(attributes)))
        if element not in tags.VOID:
            self.open.append(element)

    def handle_endtag(self, element):
        assert self.open.pop() == element

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def all(self, element, **wanted):
        return [
            attributes
            for name, attributes in self.elements
            if name == element and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def test_header_answers_what_one_asks_first(tmp_path):
    text = read(written(tmp_path, made(tmp_path))).text
    for wanted in (
        "digits · lenet5 · 24 November 2026, 10:00 UTC",
        "0.981 accuracy on 360 test images",
        "interval 0.961–0.991",
        "needed 0.950",
        "last blessed 0.978",
        "models/digits-lenet5/3",
        "19.2 s",
        "python -m pipeline predict models/digits-lenet5 some-digit.png",
        "Blessed: 0.981 reaches the 0.950 asked for. It is 0.003 above the last blessed model, models/",
    ):
        assert wanted in text


def test_is_one_file_without_script_or_address(tmp_path):
    path = written(tmp_path, made(tmp_path))
    page = read(path)
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["report.html", "result.json"]
    assert not page.all("script")
    assert all(one["src"].startswith("data:image/png;base64,") for one in page.all("img"))
    assert len(page.all("img")) == 10 + 12
    assert not re.search(r"(?:https?:)?//\w|url\(|@import", path.read_text(encoding="utf-8"))


def test_everything_has_its_name_for_a_screen_reader(tmp_path):
    page = read(written(tmp_path, made(tmp_path)))
    assert all(one["alt"] for one in page.all("img"))
    assert all(one["scope"] in ("row", "col") for one in page.all("th"))
    assert all(one.get("aria-label") or one.get("aria-hidden") == "true" for one in page.all("svg"))
    assert len(page.all("table")) == len(page.all("caption")) + len(
        page.all("table", **{"aria-label": "Confusion matrix"})
    )
    levels = [int(name[1]) for name, _ in page.elements if name in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_hostile_words_stay_words(tmp_path):
    plain = read(written(tmp_path, made(tmp_path)))
    result = made(tmp_path, [HOSTILE, *DIGITS[1:]])
    for key in ("name", "data", "model", "sentence", "command", "output", "pushed", "next", "started"):
        result[key] = HOSTILE
    result["dataset"]["bad"] = [{"path": HOSTILE, "why": HOSTILE}]
    result["validation"]["anomalies"] = [{"feature": HOSTILE, "severity": "error", "what": HOSTILE}]
    result["config"] = {HOSTILE: HOSTILE}
    result["steps"][0]["detail"] = HOSTILE
    page = read(written(tmp_path, result))
    assert not page.all("script")
    assert not [attributes for _, attributes in page.elements if "onload" in attributes]
    assert page.text.count(HOSTILE) >= 20
    assert len(page.all("img")) == len(plain.all("img"))
    assert any(HOSTILE in one["alt"] for one in page.all("img"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("left", ["absent", None])
def test_a_missing_part_is_said_in_a_sentence(tmp_path, part, left):
    result = made(tmp_path)
    result[part] = None
    if left == "absent":
        del result[part]
    page = read(written(tmp_path, result))
    assert len(page.all("h2")) == 4
    sentences = {
        "dataset": "No description of the data: this run did not record it.",
        "validation": "No checks: this run did not record it.",
        "training": "No training: this run did not record it.",
        "evaluation": "No evaluation: this run did not record it.",
        "serving": "No serving check: this run did not record it.",
        "steps": "No steps: this run did not record it.",
        "config": "No configuration: this run did not record it.",
    }
    assert sentences.get(part, "") in page.text


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        ("failed", "No training: this run did not record it."),
        ("interrupted", "No training: the run was interrupted before it got there."),
        ("unchanged", "No training: nothing had changed, so the step did not run again."),
    ],
)
def test_with_nothing_but_the_first_block(tmp_path, outcome, why):
    result = {key: value for key, value in made(tmp_path).items() if key not in PARTS}
    page = read(written(tmp_path, {**result, "outcome": outcome, "pushed": None}))
    assert why in page.text
    assert "nothing was pushed" in page.text


def stopped(folder):
    """A run that the gate stopped."""
    result = made(folder)
    for part in ("training", "evaluation", "serving"):
        del result[part]
    result.update(outcome="failed", sentence="stopped at the gate: 7 anomalies", pushed=None)
    result["validation"] = {
        "anomalies": [
            {"feature": "label", "severity": "error", "what": f"label {i} is unknown"} for i in range(10, 17)
        ],
        "passed": False,
    }
    for step in result["steps"][4:]:
        step.update(state="not run", seconds=None, detail=None)
    result["steps"][4].update(state="failed", seconds=0.1)
    return result


def test_a_run_stopped_at_the_gate_says_where_and_why(tmp_path):
    page = read(written(tmp_path, stopped(tmp_path)))
    header = page.text.split("What came out")[0]
    assert "label label 10 is unknown" in header
    assert "and 2 more, under What it was given" in header
    assert "No accuracy: the run stopped at step 5, gate." in page.text
    assert "No evaluation and no serving check: the run stopped at step 5, gate." in page.text
    assert "5 of 9 steps in 19.2 s; the longest was statistics, 2.1 s." in page.text


@pytest.mark.parametrize(
    ("accuracy", "baseline", "sentence"),
    [
        (0.91, None, "Not blessed: 0.910 is below the 0.950 asked for. There was no blessed model"),
        (0.9497, None, "Not blessed: 0.94970 is below the 0.95000 asked for."),
        (0.96, 0.99, "Not blessed: 0.960 reaches the 0.950 asked for. It is 0.030 below the last blessed"),
        (0.96, 0.96, "Not blessed: 0.960 reaches the 0.950 asked for. It equals the last blessed"),
        (float("nan"), None, "Not blessed. There was no blessed model to compare it with."),
        (float("nan"), 0.9, "Not blessed. It cannot be compared with the last blessed"),
    ],
)
def test_the_verdict_says_against_what(tmp_path, accuracy, baseline, sentence):
    result = made(tmp_path)
    before = baseline and {"version": "models/digits-lenet5/2", "accuracy": baseline}
    result["evaluation"].update(accuracy=accuracy, blessed=False, baseline=before)
    assert sentence in read(written(tmp_path, result)).text


def test_groups_of_images_and_other_measures_are_told(tmp_path):
    result = made(tmp_path)
    text = read(written(tmp_path, result)).text
    assert "It is 0.003 above the last blessed model, models/digits-lenet5/2 (95 % interval" in text
    assert "of the difference -0.005 to +0.011)" in text
    for words in ("a folder is one inside of", "phone", "up to 8 px", "five likeliest", "calibration error"):
        assert words in text
    for key in ("slices", "top5", "calibration_error"):
        del result["evaluation"][key]
    text = read(written(tmp_path, result)).text
    for words in ("Groups of images", "five likeliest", "calibration error", "certainty"):
        assert words not in text
    assert "loss (cross-entropy)" in text


def test_matrix_rows_are_named_in_the_order_of_the_classes(tmp_path):
    result = made(tmp_path, ["cat", "dog"])
    result["evaluation"]["confusion"] = [[30, 6], [0, 36]]
    result["evaluation"]["per_class"].reverse()
    assert "The most frequent mistake is cat taken for dog, 6 times." in read(written(tmp_path, result)).text
    del result["dataset"]
    result["evaluation"]["per_class"].pop()
    assert "The most frequent mistake is 0 taken for 1, 6 times." in read(written(tmp_path, result)).text


def test_matrix_shows_every_count_of_few_classes(tmp_path):
    result = made(tmp_path, ["cat", "dog", "owl"])
    result["evaluation"]["confusion"] = [[30, 5, 1], [0, 36, 0], [18, 0, 18]]
    page = read(written(tmp_path, result))
    shades = {"hit4": 1, "hit5": 1, "hit3": 1, "miss4": 1, "miss2": 1, "miss5": 1}
    assert {shade: len(page.all("td", **{"class": f"cell {shade}"})) for shade in shades} == shades
    assert "The most frequent mistake is owl taken for cat, 18 times." in page.text
    assert "cat3051" in page.text.replace(" ", "")


@pytest.mark.parametrize(("size", "side"), [(21, 1), (100, 1), (200, 1), (1000, 5)])
def test_matrix_of_many_classes_has_a_square_for_each_mistake(size, side):
    counts = confusion([str(index) for index in range(size)], Random(7))
    drawn = matrix.dense_matrix(counts)
    squares = set(re.findall(r"M(\d+) (\d+)h1v1h-1z", drawn))
    wanted = {(c // side, r // side) for r, row in enumerate(counts) for c, count in enumerate(row) if count}
    assert {(int(column), int(row)) for column, row in squares} == wanted
    assert f"0 0 {size // side} {size // side}" in drawn


@pytest.mark.parametrize(("size", "limit"), [(2, 60_000), (10, 80_000), (100, 250_000), (1000, 1_800_000)])
def test_reads_well_with_few_and_many_classes(tmp_path, size, limit):
    labels = [f"kind {index}" for index in range(size)]
    path = written(tmp_path, made(tmp_path, labels))
    page = read(path)
    assert path.stat().st_size < limit
    assert len(page.all("img")) == min(size, 20) + 12
    assert bool(page.all("table", **{"aria-label": "Confusion matrix"})) == (size <= 20)
    assert all(label in page.text for label in labels)


def test_pictures_are_bounded_and_odd_ones_are_named(tmp_path):
    result = made(tmp_path)
    result["dataset"]["samples"] = [{"file": f"samples/{i % 10}.png", "label": "0"} for i in range(60)]
    mistakes = [{**result["evaluation"]["mistakes"][0], "file": f"mistakes/{i % 12}.png"} for i in range(60)]
    (tmp_path / "mistakes/text.png").write_text("no picture")
    (tmp_path / "mistakes/huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(pictures.MAX_PICTURE_BYTES))
    picture(tmp_path.parent / f"{tmp_path.name}-outside" / "x.png", "x")
    odd = ["mistakes/text.png", "mistakes/huge.png", "mistakes/none.png", f"../{tmp_path.name}-outside/x.png"]
    for one, file in zip(mistakes, odd, strict=False):
        one["file"] = file
    result["evaluation"]["mistakes"] = mistakes
    page = read(written(tmp_path, result))
    assert len(page.all("img")) == 20 + 16
    for words, times in (
        ("neither PNG nor JPEG", 1),
        ("picture too large to carry", 1),
        ("picture missing", 2),
    ):
        assert page.text.count(words) == times


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("size", "pixels"), [(32, "pixels"), (200, None)])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_small_pictures_keep_their_pixels(tmp_path, mode, size, pixels, kind):
    result = made(tmp_path)
    Image.new(mode, (size, size)).save(tmp_path / f"samples/one.{kind}")
    result["dataset"]["samples"] = [{"file": f"samples/one.{kind}", "label": "0"}]
    result["evaluation"]["mistakes"] = []
    (image,) = read(written(tmp_path, result)).all("img")
    assert image["src"].startswith(f"data:image/{kind};base64,")
    assert image.get("class") == pixels


def test_samples_show_every_class_before_a_second_of_any(tmp_path):
    result = made(tmp_path)
    result["dataset"]["samples"] = [
        {"file": f"samples/{i // 6}.png", "label": str(i // 6)} for i in range(60)
    ]
    result["evaluation"]["mistakes"] = []
    alts = [one["alt"] for one in read(written(tmp_path, result)).all("img")]
    assert alts == [f"a picture of {digit}" for digit in DIGITS] * 2


def test_what_the_machine_decided_and_where_pictures_lie_is_told(tmp_path):
    result = made(tmp_path)
    plain = read(written(tmp_path, result)).text
    assert "went on after" not in plain
    assert "Which pictures" not in plain
    result["output"] = "runs/my pets"
    result["training"] |= {"precision": "mixed_bfloat16", "xla": False, "kept_epoch": 7, "resumed_after": 3}
    result["evaluation"]["mistakes"][0]["source"] = "test/cat/8.jpg"
    text = read(written(tmp_path, result)).text
    assert "run --config 'runs/my pets/run.toml'" in text
    result["steps"] = result["steps"][:5]
    assert "run.toml" not in read(written(tmp_path, result)).text, "where `validate` ended, there is none"
    for wanted in (
        "precisionmixed_bfloat16", "XLAno", "weights of epoch7", "went on after epoch3",
        "tensorboard --logdir 'runs/my pets/tensorboard'", "test/cat/8.jpg03",
    ):  # fmt: skip
        assert wanted in text


def test_a_loss_that_is_no_number_is_said_and_not_drawn(tmp_path):
    result = made(tmp_path)
    for one in result["training"]["history"][4:]:
        one.update(loss=float("nan"), val_loss=float("inf"))
    path = written(tmp_path, result)
    assert "12 epochs; the loss was no longer a number from epoch 5 on." in read(path).text
    lines = re.findall(r'points="([^"]*)"', path.read_text(encoding="utf-8"))
    assert not any("nan" in line or "inf" in line for line in lines)
    assert sorted(len(line.split()) for line in lines if line != "0,5 22,5") == [4, 4, 12, 12, 12]


def test_one_epoch_is_told_and_not_drawn(tmp_path):
    page = read(written(tmp_path, made(tmp_path, epochs=1)))
    assert "1 epoch. Validation accuracy was 0.561." in page.text
    assert not page.all("svg", **{"class": "chart"})


@pytest.mark.parametrize(
    ("low", "high", "count", "marks"),
    [
        (0.0, 1.0, 4, (0.0, 0.5, 1.0)),
        (0.95, 0.991, 3, (0.94, 0.96, 0.98, 1.0)),
        (1, 12, 6, (0, 2, 4, 6, 8, 10, 12)),
        (0.0021, 0.0098, 4, (0.002, 0.004, 0.006, 0.008, 0.01)),
        (5.0, 5.0, 4, (4.5, 5.0, 5.5)),
        (0.0, 0.0, 4, (-1.0, -0.5, 0.0, 0.5, 1.0)),
        (-3.0, 240_000.0, 4, (-100_000, 0, 100_000, 200_000, 300_000)),
    ],
)
def test_ticks_are_round_and_enclose(low, high, count, marks):
    assert charts.ticks(low, high, count) == pytest.approx(marks)


def test_lines_lie_where_their_values_are():
    line = charts.Series("training", ((1.0, 0.0), (2.0, 1.0), (3.0, 0.5)))
    chart = charts.line_chart("accuracy", [line])
    left, right = charts.LEFT, charts.WIDTH - charts.RIGHT
    top, bottom = charts.TOP, charts.HEIGHT - charts.BOTTOM
    middle, half = (left + right) / 2, (top + bottom) / 2
    assert f'points="{left:.1f},{bottom:.1f} {middle:.1f},{top:.1f} {right:.1f},{half:.1f}"' in chart
    assert "accuracy over the epochs: training from 0 to 0.5" in chart


def test_writing_again_replaces_the_report(tmp_path):
    result = made(tmp_path)
    first = written(tmp_path, result).read_text(encoding="utf-8")
    assert written(tmp_path, result).read_text(encoding="utf-8") == first
    assert "another sentence" in written(tmp_path, {**result, "sentence": "another sentence"}).read_text(
        "utf-8"
    )
    assert not list(tmp_path.glob("*.part"))


def test_refuses_what_is_no_result(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no result\.json; give the folder that a run made"):
        report.write(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(ValueError, match="not readable as JSON"):
        report.write(tmp_path)
    for content, found in (("[]", "None"), ('{"schema": 2}', "2")):
        (tmp_path / "result.json").write_text(content)
        with pytest.raises(ValueError, match=f"schema must be 1, not {found}"):
            report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_needs_only_the_standard_library(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(made(tmp_path)))
    code = "import pathlib, sys; sys.path.insert(0, sys.argv[1])\nfrom pipeline import report"
    code += "\nreport.write(pathlib.Path(sys.argv[2]))"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(ROOT), str(tmp_path)], check=True)
    assert (tmp_path / "report.html").exists()


LONG = "Acherontia_atropos_" * 8

CASES = {
    "two": lambda folder: made(folder, ["cat", "dog"], epochs=1),
    "ten": made,
    "hundred": lambda folder: made(folder, [f"class number {index}" for index in range(100)], epochs=90),
    "long and hostile": lambda folder: made(folder, [HOSTILE, LONG, "ship", "truck"]),
    "stopped": stopped,
    "nothing": lambda folder: {key: value for key, value in made(folder).items() if key not in PARTS},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (380, "light")])
def test_in_a_browser(browser, tmp_path, case, width, scheme):
    path = written(tmp_path, CASES[case](tmp_path))
    with open_file(browser, path, width, scheme) as (page, seen):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(FAINT) == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert page.get_by_role("heading", level=1).inner_text() == "digits-lenet5"
    assert seen.complaints == []
    assert seen.requests == [path.resolve().as_uri()]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (380, "light")])
def test_the_main_jobs_own_report_in_a_browser(browser, home, main_job, tmp_path, width, scheme):
    shutil.copytree(home.with_name("as-it-was"), tmp_path / "run")
    path = report.write(tmp_path / "run")
    with open_file(browser, path, width, scheme) as (page, seen):
        for name in ("What came out", "How it learned", "What it was given", "How it was made"):
            assert page.get_by_role("heading", level=2, name=name).is_visible()
        for name in ("What was taken for what", "The worst mistakes", "Some of the images", "Versions"):
            assert page.get_by_role("heading", level=3, name=name).is_visible()
        assert page.locator(".chart polyline").count() >= 4
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        assert page.locator(".nothing").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(FAINT) == []
    assert seen.complaints == []
    assert seen.requests == [path.resolve().as_uri()]


def test_on_paper_everything_is_open_and_light(browser, tmp_path):
    path = written(tmp_path, made(tmp_path))
    with open_file(browser, path, scheme="dark") as (page, seen):
        row = page.locator("details td").first
        assert not row.is_visible()
        page.emulate_media(media="print", color_scheme="dark")
        assert row.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate(FAINT) == []
    assert seen.complaints == []


def test_the_part_that_was_measured_on_and_what_was_chosen_by_it_are_told() -> None:
    from pipeline.report.learned import learned

    history = [{"epoch": n, "accuracy": n / 9, "val_accuracy": n / 10, "loss": 1.0} for n in (1, 2, 3)]
    told = "the best epoch was chosen on the test part; --val-share 0.1 keeps one apart"
    training = {"history": history, "measured_on": "test", "remarks": [told]}
    page = learned({"output": "runs/x", "training": training})
    assert "Accuracy on the test part began at" in page
    assert f"<p>T{told[1:]}.</p>" in page
    training = {"history": history, "measured_on": "val"}
    assert "keeps one apart" not in learned({"output": "runs/x", "training": training})

"""`predict`: files and folders, a row each, in batches, and what it says of a picture that cannot be read."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from lines import Ran, pipeline

from pipeline import predict, pushed
from tuning.errors import BadInput


@pytest.fixture(scope="module")
def model(home: Path, main_job: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pushed model, which other tests do not push to."""
    folder = tmp_path_factory.mktemp("models") / "digits"
    pushed.push(home / "models" / "digits-lenet5" / "1", folder, {"accuracy": 0.98})
    return folder


@pytest.fixture(scope="module")
def samples(home: Path, main_job: Ran) -> Path:
    return home / "runs" / "digits-lenet5" / "samples"


@pytest.fixture
def pictures(samples: Path, tmp_path: Path) -> Path:
    """Four good pictures and two that are none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("1-1", "2-1", "7-1"):
        shutil.copy(samples / f"{name}.png", folder)
    (folder / "broken.png").write_bytes((samples / "1-1.png").read_bytes()[:60])
    (folder / "words.jpg").write_text("not a picture")
    return folder


def test_a_table_and_json_say_the_same(model: Path, pictures: Path, samples: Path, tmp_path: Path) -> None:
    arguments = ("predict", model, pictures, samples / "9-1.png", "--top", 2)
    table = pipeline(tmp_path, *arguments)
    rows = json.loads(pipeline(tmp_path, *arguments, "--json").out)
    assert [Path(row["file"]).name for row in rows] == [
        "1-1.png", "2-1.png", "7-1.png", "broken.png", "words.jpg", "9-1.png",
    ]  # fmt: skip
    for line, row in zip(table.out.splitlines(), rows, strict=True):
        file, first = re.split(r" {3,}", line)[:2]
        assert file == row["file"]
        assert first == (row["error"] if "error" in row else f"{row['label']} {row['probability']:.3f}")
    good = [row for row in rows if "error" not in row]
    assert [row["label"] for row in good] == ["1", "2", "7", "9"]
    assert all(len(row["classes"]) == 2 for row in good)


def test_a_bad_picture_is_named_in_its_row_and_the_others_are_answered(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    ran = pipeline(tmp_path, "predict", model, pictures)
    assert ran.code == 1
    assert ran.err == "2 of 5 pictures cannot be read\n"
    errors = [line.split("   ", 1)[1].strip() for line in ran.out.splitlines() if "cannot be read" in line]
    assert errors == ["cannot be read: truncated", "cannot be read: not an image"]
    for name in ("broken.png", "words.jpg"):
        (pictures / name).unlink()
    whole = pipeline(tmp_path, "predict", model, pictures)
    assert (whole.code, whole.err, len(whole.out.splitlines())) == (0, "", 3)


def test_whatever_lies_in_a_folder_is_answered_or_named(model: Path, samples: Path, tmp_path: Path) -> None:
    """Pipes that nobody writes to, folders called like pictures, names that are no text or move a cursor."""
    folder = tmp_path / "odd"
    (folder / "folder.png").mkdir(parents=True)
    shutil.copy(samples / "5-1.png", folder / "folder.png" / "inside.png")
    shutil.copy(samples / "7-1.png", folder / "two\nlines\x1b[31m.png")
    shutil.copy(samples / "2-1.png", os.fsencode(folder) + b"/\xff.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("nowhere")
    with (folder / "large.jpg").open("wb") as file:
        file.truncate(1 << 30)
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    table = pipeline(tmp_path, "predict", model, "odd", limit=60, **strict)
    assert table.code == 1, table.err
    assert "\x1b" not in table.out
    assert sorted(line.split("   ")[0].rstrip() for line in table.out.splitlines()) == [
        "odd/\\udcff.png", "odd/folder.png/inside.png", "odd/large.jpg", "odd/link.png", "odd/pipe.png",
        "odd/two\\nlines\\x1b[31m.png",
    ]  # fmt: skip
    rows = {row["file"]: row for row in pipeline(tmp_path, "predict", model, "odd", "--json", **strict).json}
    assert {name: row.get("label", row.get("error")) for name, row in rows.items()} == {
        "odd/folder.png/inside.png": "5",
        "odd/two\nlines\x1b[31m.png": "7",
        "odd/\udcff.png": "2",
        "odd/pipe.png": "cannot be read: no regular file",
        "odd/link.png": "cannot be read: No such file or directory",
        "odd/large.jpg": "cannot be read: too large for a picture",
    }


def test_only_two_batches_are_read_at_once(model: Path, samples: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.png" for index in range(4 * predict.BATCH)]
    for file in files:
        shutil.copy(samples / "3-1.png", file)
    rows = predict.predict(model, files)
    assert next(rows)["label"] == "3"
    for file in files[2 * predict.BATCH :]:
        file.unlink()  # what was read already would still be answered
    rest = list(rows)
    assert {row["label"] for row in rest[: 2 * predict.BATCH - 1]} == {"3"}
    assert {row.get("error") for row in rest[2 * predict.BATCH - 1 :]} == {
        "cannot be read: No such file or directory"
    }


def test_large_files_make_small_batches(tmp_path: Path) -> None:
    files = [tmp_path / str(index) for index in range(5)]
    for file in files:
        with file.open("wb") as held:
            held.truncate(predict.BATCH_BYTES // 2)
    assert [len(batch) for batch in predict._batches(files)] == [2, 2, 1]


def test_it_follows_latest(model: Path, samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "digits"
    for text in ("one", "two"):
        source = tmp_path / text
        shutil.copytree(model / "1", source)
        (source / "labels.txt").write_text("".join(f"{text}-{digit}\n" for digit in range(10)))
        pushed.push(source, folder)
    [row] = predict.predict(folder, [samples / "4-1.png"])
    assert row["label"] == "two-4"
    pushed.rollback(folder)
    [row] = predict.predict(folder, [samples / "4-1.png"])
    assert row["label"] == "one-4"
    [row] = predict.predict(folder / "2", [samples / "4-1.png"])
    assert row["label"] == "two-4", "a version that is named is taken"


def test_what_is_no_model_is_refused(tmp_path: Path, samples: Path) -> None:
    (tmp_path / "models" / "x" / "1").mkdir(parents=True)
    (tmp_path / "models" / "x" / "1" / "saved_model.pb").write_bytes(b"?")
    with pytest.raises(BadInput, match=r"x/1 is not a model that this line exported"):
        list(predict.predict(tmp_path / "models" / "x", [samples / "4-1.png"]))

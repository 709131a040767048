"""A folder of class folders through the whole line, and what a changed or broken picture does."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from lines import cached, pipeline
from PIL import Image

from pipeline.report.pictures import MAX_PICTURE_BYTES

SHARED = Path(__file__).parents[2] / "shared" / "data"
CIFAR = ("airplane", "frog", "ship")


@pytest.fixture(scope="module")
def stripes(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict]:
    """(home, data, result) of a first run on a copy of the photos, some of them as large as a camera's."""
    home = tmp_path_factory.mktemp("folder-job")
    data = home / "stripes"
    shutil.copytree(photos, data)
    dice = np.random.default_rng(1)
    for file in (data / "plain").glob("*.jpg"):
        pixels = dice.integers(0, 60, (800, 1200, 3)).astype("uint8")
        Image.fromarray(pixels).save(file, quality=95)
        assert file.stat().st_size > MAX_PICTURE_BYTES
    ran = pipeline(home, "run", "--data", data, "--epochs", 25, "--batch-size", 16, "--json")
    assert ran.code == 0, ran.out + ran.err
    return home, data, ran.json


def test_a_folder_of_photos_goes_through_end_to_end(stripes: tuple[Path, Path, dict]) -> None:
    home, _, result = stripes
    assert result["outcome"] == "pushed"
    assert result["dataset"]["classes"] == ["across", "down", "plain"]
    assert result["dataset"]["images"] == 90
    assert result["dataset"]["splits"]["test"]["per_class"] == [6, 6, 6]
    assert result["dataset"]["formats"] == {"JPEG": 36, "PNG": 36, "BMP": 6, "GIF": 6, "WebP": 6}
    assert result["config"]["min_accuracy"] == pytest.approx(1 / 3 + 0.01, abs=1e-4)
    assert (home / result["pushed"] / "labels.txt").read_text() == "across\ndown\nplain\n"


def test_its_report_shows_pictures_of_every_size(stripes: tuple[Path, Path, dict]) -> None:
    home, data, result = stripes
    run = home / result["output"]
    shown = [*result["dataset"]["samples"], *result["evaluation"]["mistakes"]]
    sizes = set()
    for one in shown:
        with Image.open(run / one["file"]) as picture:
            sizes.add(picture.size)
    assert (256, 171) in sizes, "a large one, smaller"
    assert max(map(max, sizes)) == 256
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == len(shown)
    assert all((data / one["source"]).is_file() for one in result["evaluation"]["mistakes"])


def test_its_model_answers_for_files_and_folders(stripes: tuple[Path, Path, dict]) -> None:
    home, data, _ = stripes
    ran = pipeline(
        home, "predict", "models/stripes-lenet5", data / "plain", data / "down" / "00.jpg", "--json"
    )
    assert ran.code == 0, ran.err
    assert len(ran.json) == 31
    right = [row for row in ran.json[:30] if row["label"] == "plain"]
    assert len(right) > 15
    assert all(abs(sum(one["probability"] for one in row["classes"]) - 1) < 1e-4 for row in ran.json)


@pytest.mark.slow
def test_a_changed_image_is_not_served_from_the_cache(stripes: tuple[Path, Path, dict]) -> None:
    home, data, _ = stripes
    shutil.copy(data / "plain" / "01.png", data / "plain" / "03.png")
    ran = pipeline(home, "run", "--data", data, "--epochs", 1, "--min-accuracy", 0, "--max-drop", 1, "--json")
    assert ran.code == 0, ran.err
    assert cached(ran.json) == set()


def test_a_truncated_image_is_named_and_refused_or_left_out(photos: Path, tmp_path: Path) -> None:
    data = tmp_path / "stripes"
    shutil.copytree(photos, data)
    whole = (data / "down" / "05.png").read_bytes()
    (data / "down" / "05.png").write_bytes(whole[: len(whole) // 2])
    (data / "plain" / "notes.jpg").write_text("not a picture")
    ran = pipeline(tmp_path, "run", "--data", "stripes")
    assert ran.code == 2
    assert "2 images cannot be read, and --max-bad-images allows 0" in ran.err
    assert "  down/05.png: truncated\n" in ran.err
    assert "  plain/notes.jpg: not an image\n" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "runs" / "stripes-lenet5").exists()
    assert not (tmp_path / "models").exists()

    allowed = pipeline(
        tmp_path,
        "run",
        "--data",
        "stripes",
        "--max-bad-images",
        2,
        "--epochs",
        1,
        "--min-accuracy",
        0,
        "--json",
    )
    assert allowed.code == 0, allowed.err
    assert [one["path"] for one in allowed.json["dataset"]["bad"]] == ["down/05.png", "plain/notes.jpg"]
    assert allowed.json["dataset"]["images"] == 89


def test_the_best_epoch_is_chosen_on_val_and_judged_on_test(photos: Path, tmp_path: Path) -> None:
    """The test part's classes are wrong, so that nothing that is good on val can be good on it."""
    kinds = ("across", "down", "plain")
    for index, kind in enumerate(kinds):
        for part, wanted, start, stop in (
            ("train", kind, 0, 20), ("val", kind, 20, 25), ("test", kinds[index - 1], 25, 30),
        ):  # fmt: skip
            folder = tmp_path / "parted" / part / wanted
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted((photos / kind).iterdir())[start:stop]:
                shutil.copy(file, folder)
    ran = pipeline(
        tmp_path, "run", "--data", "parted", "--epochs", 25, "--batch-size", 16, "--weights", "accuracy",
        "--min-accuracy", 0, "--min-slice-accuracy", 0.9, "--json",
    )  # fmt: skip
    assert ran.code == 1, ran.out + ran.err
    found = ran.json["training"]
    assert {name: part["count"] for name, part in ran.json["dataset"]["splits"].items()} == {
        "train": 60, "val": 15, "test": 15,
    }  # fmt: skip
    accuracies = [row["val_accuracy"] for row in found["history"]]
    assert accuracies[found["kept_epoch"] - 1] == max(accuracies) > 0.6
    assert (found["measured_on"], found["remarks"]) == ("val", [])
    assert ran.json["evaluation"]["count"] == 15
    assert ran.json["evaluation"]["accuracy"] < 0.4
    assert "is below --min-slice-accuracy 0.900" in ran.json["sentence"]
    assert "Accuracy on the val part began" in Path(tmp_path, ran.json["report"]).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "tfds").is_dir(), reason="the shared MNIST is not here")
def test_mnist_reaches_the_accuracy_of_its_time_in_one_command(tmp_path: Path) -> None:
    """At least 98.9 %; LeCun et al. 1998, section III-B, print an error of 0.95 %."""
    ran = pipeline(tmp_path, "run", "--data", "mnist", "--data-dir", SHARED / "tfds", "--json", limit=3600)
    assert ran.code == 0, ran.err
    assert ran.json["evaluation"]["count"] == 10_000
    assert ran.json["evaluation"]["accuracy"] >= 0.989


@pytest.mark.skipif(not (SHARED / "cifar10-jpeg.tar.xz").is_file(), reason="the shared CIFAR-10 is not here")
def test_real_jpegs_with_their_own_train_and_test_parts(tmp_path: Path) -> None:
    """The first CIFAR-10 pictures of three classes, from the archive as a user would unpack it."""
    wanted = dict.fromkeys((f"{part}/{kind}" for part in ("train", "test") for kind in CIFAR), 0)
    with tarfile.open(SHARED / "cifar10-jpeg.tar.xz") as archive:
        for member in archive:
            folder = "/".join(member.name.split("/")[-3:-1])
            if member.isfile() and wanted.get(folder, 60) < 60:
                wanted[folder] += 1
                target = tmp_path / "cifar" / folder / Path(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
            if min(wanted.values()) == 60:
                break
    ran = pipeline(tmp_path, "run", "--data", "cifar", "--epochs", 15, "--json")
    assert ran.code == 0, ran.out + ran.err
    facts = ran.json["dataset"]
    assert (facts["images"], facts["formats"], facts["sizes"]) == (360, {"JPEG": 360}, {"32×32": 360})
    assert [part["count"] for part in facts["splits"].values()] == [180, 180]
    assert ran.json["outcome"] == "pushed"


def test_a_size_that_only_the_auxiliary_heads_refuse_is_bad_input(photos: Path, tmp_path: Path) -> None:
    """GoogLeNet takes 31 pixels, and is trained with heads that need 79."""
    ran = pipeline(tmp_path, "run", "--data", photos, "--model", "googlenet", "--image-size", 64)
    assert ran.code == 2, ran.out + ran.err
    assert "--model googlenet: input_shape=(64, 64, 3) is too small" in ran.err
    assert "(79, 79, 3)" in ran.err
    assert not (tmp_path / "models").exists()

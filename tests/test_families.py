"""Every family through the whole line on CIFAR-10's JPEGs: trained, validated, exported, pushed."""

from __future__ import annotations

import math
import tarfile
from pathlib import Path

import pytest
from lines import pipeline

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"
PICTURES = 20  # of each of the ten classes
slow = pytest.mark.slow


@pytest.fixture(scope="session")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten class folders with a few JPEGs each."""
    if not ARCHIVE.is_file():
        pytest.skip("CIFAR-10's JPEGs, shared/data/cifar10-jpeg.tar.xz, are not here")
    root = tmp_path_factory.mktemp("data") / "cifar"
    taken: dict[str, int] = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            part, label, *_ = [*Path(member.name).parts, ""]
            if not member.isfile() or part != "train" or taken.get(label, 0) == PICTURES:
                continue
            taken[label] = taken.get(label, 0) + 1
            path = root / label / Path(member.name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = archive.extractfile(member)
            assert picture is not None
            path.write_bytes(picture.read())
    assert set(taken.values()) == {PICTURES}
    assert len(taken) == 10
    return root


@pytest.mark.parametrize(
    ("model", "side"),
    [
        ("googlenet", 79),
        ("cifar_resnet20", 32),
        pytest.param("lenet5_modern_cifar", 32, marks=slow),
        pytest.param("alexnet", 67, marks=slow),
        pytest.param("vgg11", 32, marks=slow),
        pytest.param("vgg11_bn", 32, marks=slow),
        pytest.param("bn_inception", 64, marks=slow),
        pytest.param("resnet50", 64, marks=slow),
        pytest.param("resnet50_v2", 64, marks=slow),
        pytest.param("resnext50_32x4d", 64, marks=slow),
        pytest.param("densenet121", 64, marks=slow),
        pytest.param("cifar_densenet_bc_L100_k12", 32, marks=slow),
        pytest.param("se_resnet50", 64, marks=slow),
        pytest.param("se_resnext50_32x4d", 64, marks=slow),
        pytest.param("se_bn_inception", 64, marks=slow),
        pytest.param("se_vgg16_bn", 32, marks=slow),
        pytest.param("senet154", 32, marks=slow),
    ],
)
def test_a_family_is_trained_and_pushed(model: str, side: int, cifar: Path, tmp_path: Path) -> None:
    import keras

    import keras_cnns.layers  # noqa: F401 - what a saved network may hold

    ran = pipeline(
        tmp_path, "run", "--data", cifar, "--model", model, "--image-size", side, "--epochs", 2,
        "--min-accuracy", 0, "--json", limit=1500,
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["outcome"] == "pushed"
    # So few steps need not lower the loss: SGD starts at the papers' rates.
    assert all(math.isfinite(row["loss"]) for row in ran.json["training"]["history"])
    trained = keras.models.load_model(tmp_path / ran.json["pushed"] / "model.keras", compile=False)
    assert trained.input_shape == (None, side, side, 3)
    assert trained.output_shape == (None, 10)
    assert not [layer.name for layer in trained.layers if layer.name.startswith("aux")]

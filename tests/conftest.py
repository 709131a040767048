"""One run of the main job, shared by all tests that look at what it leaves."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lines import Ran, pipeline

# Files whose tests take half a minute each begin first, so that no worker is left alone with them at the end.
_LONG = {
    "test_workers", "test_search", "test_tuned", "test_tuner_job", "test_deployed", "test_resume",
    "test_config", "test_folders", "test_validation", "test_isolation", "test_tuning_page",
}  # fmt: skip


def pytest_configure() -> None:
    """Let children of the tests hear Ctrl-C, which whatever runs in the background is made to ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Tests that share a run are run by one worker, so that it runs once (pytest -n, --dist loadgroup)."""
    for item in items:
        for shared in ("main_job", "small_search"):
            if shared in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(shared.replace("_", " ")))
    items.sort(key=lambda item: item.path.stem not in _LONG)
    yield
    for item in items:  # xdist 3.8 writes the group where pytest 9.2 no longer looks
        grouped = vars(item).get("_nodeid", item.nodeid)
        if grouped != item.nodeid:
            from _pytest.nodeid import coerce_node_id

            item._id = coerce_node_id(grouped)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the main job ran."""
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="session")
def main_job(home: Path) -> Ran:
    """The main job as README has it; other tests run it again, and what it left first is kept beside."""
    ran = pipeline(home, "run")
    assert ran.code == 0, ran.out + ran.err
    left_out = shutil.ignore_patterns("tfx")
    shutil.copytree(home / "runs" / "digits-lenet5", home.with_name("as-it-was"), ignore=left_out)
    return ran


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: colour pictures of three kinds, in mixed sizes and formats."""
    import numpy as np
    from PIL import Image

    root = tmp_path_factory.mktemp("data") / "stripes"
    dice = np.random.default_rng(0)
    for kind in ("across", "down", "plain"):
        (root / kind).mkdir(parents=True)
        for index in range(30):
            side = int(dice.integers(24, 60))
            pixels = dice.integers(0, 60, (side, side, 3))
            if kind == "across":
                pixels[::6] += 180
            if kind == "down":
                pixels[:, ::6] += 180
            suffix = "png" if index % 2 else "jpg"
            if index >= 24:
                suffix = ("bmp", "gif", "webp")[index % 3]
            Image.fromarray(pixels.astype("uint8")).save(root / kind / f"{index:02d}.{suffix}")
    return root

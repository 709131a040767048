"""A version appears whole, under a number of its own, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.components import pusher
from pipeline.errors import BadInput


def model(folder: Path, text: str = "weights") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "data").write_text(text)
    return folder


def test_versions_are_numbered(tmp_path: Path) -> None:
    first = pusher.push(model(tmp_path / "a"), tmp_path / "models")
    second = pusher.push(model(tmp_path / "b", "others"), tmp_path / "models")
    assert (first.name, second.name) == ("1", "2")
    assert pusher.versions(tmp_path / "models") == [first, second]
    assert pusher.same(tmp_path / "b", second)
    assert not pusher.same(tmp_path / "a", second)


def test_two_pushes_at_once_take_two_numbers(tmp_path: Path) -> None:
    models = [model(tmp_path / str(index), str(index)) for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        pushed = list(pool.map(lambda one: pusher.push(one, tmp_path / "models"), models))
    assert sorted(int(version.name) for version in pushed) == list(range(1, 9))
    assert all(pusher.same(one, version) for one, version in zip(models, pushed, strict=True))
    assert len(list((tmp_path / "models").iterdir())) == 8


def test_a_destination_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(BadInput, match=r"--models .*models: .*; nothing was pushed"):
        pusher.push(model(tmp_path / "a"), tmp_path / "models")

"""A version appears whole, under its own number, or not at all; `latest.json` says which one is served."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lines import Ran, pipeline

from pipeline import pushed
from tuning.errors import BadInput


def model(folder: Path, text: str = "weights") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables" / "data").write_text(text)
    return folder


def served(folder: Path) -> str:
    return pushed.current(folder).name


def numbers(folder: Path) -> list[str]:
    return [version.name for version in pushed.versions(folder)]


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """A model with versions 1 to 5, the accuracy of each its number's tenth."""
    folder = tmp_path / "models" / "cats"
    for number in range(1, 6):
        one = model(tmp_path / f"made-{number}", str(number))
        pushed.push(one, folder, {"accuracy": number / 10, "run": f"runs/{number}"})
    return folder


def test_versions_are_numbered(tmp_path: Path) -> None:
    first = pushed.push(model(tmp_path / "a"), tmp_path / "models" / "cats")
    second = pushed.push(model(tmp_path / "b", "others"), tmp_path / "models" / "cats")
    assert (first.name, second.name) == ("1", "2")
    assert pushed.versions(tmp_path / "models" / "cats") == [first, second]
    assert pushed.same(tmp_path / "b", second)
    assert not pushed.same(tmp_path / "a", second)


def test_latest_names_the_newest_with_what_is_known_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "cats"
    facts = {"accuracy": 0.981, "run": "runs/cats", "git": {"revision": "abc", "dirty": False}}
    pushed.push(model(tmp_path / "a"), folder, {"accuracy": 0.5})
    pushed.push(model(tmp_path / "b", "others"), folder, facts)
    told = json.loads((folder / "latest.json").read_text())
    assert {**told, "when": ""} == {"version": 2, "when": "", **facts}
    assert abs(time.time() - time.mktime(time.strptime(told["when"][:19], "%Y-%m-%dT%H:%M:%S"))) < 86400
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "latest.json"]


def test_two_pushes_at_once_take_two_numbers(tmp_path: Path) -> None:
    models = [model(tmp_path / str(index), str(index)) for index in range(8)]
    folder = tmp_path / "models" / "cats"
    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda one: pushed.push(one, folder), models))
    assert sorted(int(version.name) for version in versions) == list(range(1, 9))
    assert all(pushed.same(one, version) for one, version in zip(models, versions, strict=True))
    assert sorted(path.name for path in folder.iterdir()) == [*"12345678", "latest.json"]
    assert served(folder) == "8"


PUSHES = """
import sys
from pathlib import Path
from pipeline import pushed
source, folder, keep = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(25):
    version = pushed.push(source, folder, {"run": str(source)}, keep)
    print(version.name, flush=True)
"""


@pytest.mark.parametrize("keep", [0, 2])
def test_two_processes_that_push_at_once_do_not_collide(tmp_path: Path, keep: int) -> None:
    folders = [tmp_path / "models" / "cats", tmp_path / "models" / ("dogs" if keep else "cats")]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PUSHES, str(model(tmp_path / name, name * 9999)), str(folder), str(keep)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, folder in zip(("one", "two"), folders, strict=True)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    seen = 0
    while any(process.poll() is None for process in processes):
        for folder in set(folders):
            named = pushed.latest(folder) if folder.is_dir() else None
            if named is None:
                continue
            assert named["version"] >= seen or keep, "latest.json never goes back by itself"
            seen = named["version"]
            version = folder / str(seen)
            if version.is_dir():  # with few kept it may have been retired since
                assert named["run"] == pushed.facts_of(version).get("run", named["run"])
            else:
                assert keep
    told = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    if not keep:
        assert sorted(map(int, told[0] + told[1])) == list(range(1, 51))
        for source, mine in zip(("one", "two"), told, strict=True):
            assert all(pushed.same(tmp_path / source, folders[0] / number) for number in mine)
        assert served(folders[0]) == "50"
    else:
        assert [numbers(folder) for folder in folders] == [["24", "25"]] * 2
    for folder in folders:
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == sorted(
        {"models.config", *(folder.name for folder in folders)}
    )


def test_a_push_that_is_killed_replaces_nothing_and_the_next_one_mends_it(five: Path, tmp_path: Path) -> None:
    large = model(tmp_path / "large")
    with (large / "variables" / "data").open("wb") as file:
        file.write(os.urandom(1 << 20) * 400)
    process = subprocess.Popen(
        [sys.executable, "-c", PUSHES, str(large), str(five), "0"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list(five.glob(".incoming-*/variables/data")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert list(five.glob(".incoming-*")), "it was killed while it copied"
    assert (served(five), numbers(five)) == ("5", list("12345"))
    shutil.rmtree(large)
    # Killed after the version got its name and before latest.json said so: a retry finds the very model.
    shutil.copytree(model(tmp_path / "late", "late"), five / "6")
    assert served(five) == "5"
    pushed.confirm(five)
    assert served(five) == "6"
    assert "versions: 6" in (five.parent / "models.config").read_text()


def test_only_the_last_ones_are_kept_and_what_is_served(five: Path, tmp_path: Path) -> None:
    pushed.rollback(five, 2)
    pushed.confirm(five, keep=2)
    assert numbers(five) == ["2", "4", "5"], "2 is served, 4 and 5 are the newest"
    pushed.push(model(tmp_path / "new", "new"), five, keep=1)
    assert (numbers(five), served(five)) == (["6"], "6")
    assert sorted(path.name for path in five.iterdir()) == ["6", "latest.json"]


def test_rollback_and_what_follows_it(five: Path, tmp_path: Path) -> None:
    ran = pipeline(tmp_path, "rollback", "cats")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("models/cats: version 4 is served now (accuracy 0.400, pushed 20")
    assert "before: version 5, which stays; rollback cats --to 5 brings it back" in ran.out
    assert "--model_config_file_poll_wait_seconds" in ran.out
    told = pushed.latest(five)
    assert told is not None
    assert (told["version"], told["accuracy"], told["run"], told["rolled_back_from"]) == (4, 0.4, "runs/4", 5)
    assert pipeline(tmp_path, "rollback", "models/cats", "--json").json["version"] == 3
    assert pipeline(tmp_path, "rollback", "cats", "--to", 1, "--json").json["before"] == 3
    assert numbers(five) == list("12345")
    pushed.confirm(five)
    assert served(five) == "1", "a run that changes nothing does not undo it"
    pushed.rollback(five, 5)
    assert "rolled_back_from" not in (pushed.latest(five) or {})
    pushed.rollback(five)
    assert pushed.push(model(tmp_path / "new", "new"), five).name == served(five) == "6"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cat"], "models/cat: there is no such model; did you mean cats?"),
        (["cats", "--to", "9"], "--to 9: models/cats has no such version; there: 1, 2, 3, 4, 5"),
        (["cats", "--to", "x"], "argument --to: invalid int value: 'x'"),
        (["cats", "--models", "none"], "none/cats: there is no such model"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(
    five: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = pipeline(tmp_path, "rollback", *arguments)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert sentence in ran.err
    assert served(five) == "5"


def test_there_is_nothing_before_the_first(five: Path) -> None:
    pushed.rollback(five, 1)
    with pytest.raises(BadInput, match="there is no version before 1"):
        pushed.rollback(five)


def test_tensorflow_serving_reads_the_config(five: Path, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    odd = five.parent / 'dogs "and" wölfe'
    pushed.push(model(tmp_path / "d"), odd)
    pushed.rollback(five, 3)
    text = (five.parent / "models.config").read_text(encoding="utf-8")
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    found = {
        one.name: (one.base_path, one.model_platform, list(one.model_version_policy.specific.versions))
        for one in parsed.model_config_list.config
    }
    assert found == {
        "cats": (str(five.resolve()), "tensorflow", [3]),
        odd.name: (str(odd.resolve()), "tensorflow", [1]),
    }


def test_a_latest_that_names_nothing_is_said(five: Path) -> None:
    shutil.rmtree(five / "5")
    with pytest.raises(BadInput, match=r"names version 5, which is not there; rollback cats --to 4 names"):
        pushed.current(five)
    (five / "latest.json").write_text("{")
    with pytest.raises(BadInput, match=r"latest\.json cannot be read"):
        pushed.current(five)
    pushed.rollback(five, 4)
    assert served(five) == "4"


def test_a_destination_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(BadInput, match=r"--models .*models: .*; nothing was pushed"):
        pushed.push(model(tmp_path / "a"), tmp_path / "models")


def test_where_latest_cannot_be_written_no_version_stays(five: Path, tmp_path: Path) -> None:
    (five.parent / "models.config").unlink()
    (five.parent / "models.config").mkdir()
    with pytest.raises(BadInput, match="nothing was pushed"):
        pushed.push(model(tmp_path / "a", "a"), five)
    assert (numbers(five), served(five)) == (list("12345"), "5")


def test_a_run_tells_latest_and_leaves_a_rollback_alone(home: Path, main_job: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "digits-lenet5"
    pushed.push(model(tmp_path / "older"), folder)
    run = ("run", "--models", tmp_path / "models", "--keep", 2, "--json")
    first = pipeline(home, *run).json
    assert first["outcome"] == "pushed"
    told = pushed.latest(folder) or {}
    assert told["version"] == 2
    assert told["accuracy"] == pytest.approx(first["evaluation"]["accuracy"])
    assert (told["run"], told.get("git")) == (first["output"], first["git"])
    assert "versions: 2" in (tmp_path / "models" / "models.config").read_text()
    pushed.rollback(folder)
    again = pipeline(home, *run).json
    assert again["outcome"] == "unchanged"
    assert again["steps"][-1]["detail"].endswith(
        "models/digits-lenet5/2 is this model; version 1 is served, by a rollback"
    )
    assert served(folder) == "1"

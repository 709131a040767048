"""docs/tuning.md and README's third use: commands are read by the parser, code runs as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import COMMANDS as LINES
from pipeline.commands import _options
from pipeline.config import check
from tuning import asked, families, terminal
from tuning.__main__ import COMMANDS
from tuning.commands.search import asked_for

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
TYPED = re.findall(
    r"^(?:KERASTUNER\S+ )*(python -m (?:tuning|pipeline) [^\n]*)", PAGE, re.MULTILINE
) + re.findall(r"^(python -m (?:tuning|pipeline run --tune) [^\n]*)", README, re.MULTILINE)
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("command", [one for one in TYPED if "…" not in one.split("#")[0]])
def test_a_command_is_one(command: str) -> None:
    words = shlex.split(command, comments=True)[2:]
    package, names = ("tuning", COMMANDS) if words[0] == "tuning" else ("pipeline", LINES)
    given = terminal.build(package, "", names).parse_args(words[1:])
    if words[:2] == ["tuning", "search"]:
        assert asked.check(asked_for(given)).searched()
    elif words[0] == "pipeline" and not given.hyperparameters:
        check(_options.config_of(given))


def test_there_are_commands() -> None:
    assert len(TYPED) >= 10


def test_the_code_runs_as_it_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)
    assert names["result"]["outcome"] == "finished"
    assert "val_accuracy" in capsys.readouterr().out
    assert (tmp_path / "searches" / "digits-lenet5_modern" / "report.html").is_file()
    exec(BLOCKS[1], names)
    assert names["tuner"].hypermodel.name == "resnet"


def test_the_page_names_every_engine_and_limit() -> None:
    for engine in asked.ENGINES:
        assert f"`{engine}`" in PAGE, engine
    for option in ("--max-parameters", "--max-macs", "--max-latency", "--workers", "--budget", "--objective"):
        assert option in PAGE, option


def test_every_family_has_a_line_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    from tuning.__main__ import main

    assert main(["spaces"]) == 0
    told = capsys.readouterr().out
    for family in families.FAMILIES:
        assert f"\n{family} " in f"\n{told}"
    assert main(["spaces", "resnet"]) == 0
    assert "growth" not in capsys.readouterr().out

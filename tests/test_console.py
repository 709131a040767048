"""What a person sees of a running line, in a terminal and in a log, and what is kept of it for the report."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from pipeline import console

EPOCH = {"epoch": 3, "epochs": 30, "step": 195, "steps": 390, "accuracy": 0.5}


@pytest.mark.parametrize(("every", "told"), [(0, 3), (3600, 0)])
def test_a_log_hears_of_a_long_step_now_and_again(
    every: int, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LOGGED_EVERY", every)
    text = io.StringIO()
    screen = console.Screen(Console(file=text, width=60))
    screen.starts("train")
    for _ in range(2):
        screen.goes_on(EPOCH)
    screen.goes_on({"images": 1500, "of": 60000})
    lines = text.getvalue().splitlines()
    assert len(lines) == told
    assert lines[:1] == [" 6/9  train         epoch 3/30 · accuracy 0.500"][:told]
    assert lines[2:] == [" 6/9  train         1,500 of 60,000 images"][:told]


def test_a_silent_screen_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LOGGED_EVERY", 0)
    text = io.StringIO()
    screen = console.Screen(Console(file=text, width=60), silent=True)
    screen.starts("train")
    screen.goes_on(EPOCH)
    screen.ends("train", "done", 1.0, cached=False)
    assert not text.getvalue()


def test_a_terminal_moves() -> None:
    text = io.StringIO()
    screen = console.Screen(Console(file=text, width=80, force_terminal=True))
    screen.starts("train")
    screen.goes_on(EPOCH)
    screen.close()
    assert "epoch 3/30 · accuracy 0.500" in text.getvalue()


def test_a_step_that_fails_took_its_time_and_the_rest_took_none() -> None:
    drawn = io.StringIO()
    screen = console.Screen(Console(file=drawn), names=("examples", "train", "push"))
    screen.starts("examples")
    screen.ends("examples", "3 shards", 1.25, cached=False)
    screen.starts("train")
    time.sleep(0.2)
    screen.fails()
    seconds = [step["seconds"] for step in screen.all_steps()]
    assert [step["state"] for step in screen.all_steps()] == ["done", "failed", "not run"]
    assert seconds[0] == 1.25
    assert 0.2 <= seconds[1] < 5
    assert seconds[2] is None
    lines = [" ".join(line.split()) for line in drawn.getvalue().splitlines()]
    assert lines == ["1/3 examples 3 shards 1.2 s", f"2/3 train failed {seconds[1]:.1f} s"]

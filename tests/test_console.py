"""What a person sees of a running line: in a terminal it moves, in a log it is a line now and again."""

from __future__ import annotations

import io

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

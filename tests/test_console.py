"""What the screen keeps of the steps for the report."""

from __future__ import annotations

import io
import time

from rich.console import Console

from pipeline.console import Screen


def test_a_step_that_fails_took_its_time_and_the_rest_took_none() -> None:
    drawn = io.StringIO()
    screen = Screen(Console(file=drawn), names=("examples", "train", "push"))
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

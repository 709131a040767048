"""Our main job against a bare TFX pipeline: wall time of whole processes, alternating.

Both take scikit-learn's digits from the images to a pushed LeNet-5 through the same TFX components, with the
same images, split, network, recipe and thresholds. Each run has a folder of its own, so that no TFX cache
answers. Ours includes its gate, serving check, three signatures and report.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _pairs

TARGET = 0.75  # of the bare pipeline's wall time
ACCURACY = 0.95  # below it a pipeline pushes nothing, and there is nothing to compare
BARE, OURS = "bare TFX", "python -m pipeline run"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and the ratio, and return the exit code."""
    parser = _pairs.parser(__doc__, rounds=3)
    parser.add_argument(
        "--epochs", type=_pairs.positive, default=12, metavar="N", help="of both trainings (default: 12)"
    )
    given = parser.parse_args(arguments)
    bare, ours = _pairs.alternate(_commands(given.epochs), given.rounds)
    print(f"\n{_pairs.table([bare, ours], value='accuracy')}\n")
    share = _pairs.ratio(ours, bare)
    figure = f"{share:.2f} of the bare pipeline's wall time (target {TARGET})"
    return _pairs.finish(figure, missed(share, [bare, ours]), given.check)


def _commands(epochs: int) -> list[_pairs.Command]:
    def bare(folder: Path) -> list[str]:
        script = Path(__file__).with_name("bare_tfx.py")
        return _pairs.python(str(script), str(folder), "--epochs", str(epochs))

    def ours(folder: Path) -> list[str]:
        return _pairs.python(
            "-m", "pipeline", "run", "--json", "--data", "digits", "--model", "lenet5",
            "--epochs", str(epochs), "--output", str(folder), "--models", str(folder.with_name("models")),
        )  # fmt: skip

    return [_pairs.Command(BARE, bare, bare_accuracy), _pairs.Command(OURS, ours, our_accuracy)]


def bare_accuracy(output: str) -> float:
    """The accuracy that `bare_tfx.py` printed: its last line begins with it.

    Raises:
        ValueError: It is not there.
    """
    found = re.search(r"^([\d.]+) accuracy, .*\n\Z", output, re.MULTILINE)
    if not found:
        raise ValueError("it printed no accuracy")
    return float(found[1])


def our_accuracy(output: str) -> float:
    """The accuracy in the JSON object that `python -m pipeline run --json` printed.

    Raises:
        ValueError: It is not there.
    """
    try:
        result = json.loads(output)
        return float(result["evaluation"]["accuracy"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("it printed no accuracy") from None


def missed(share: float, rows: Sequence[_pairs.Times]) -> list[str]:
    """A sentence for each target that is missed."""
    sentences = [
        f"{row.name} has an accuracy of {min(row.values):.3f}, below {ACCURACY}: this is no comparison"
        for row in rows
        if min(row.values) < ACCURACY
    ]
    if share > TARGET:
        sentences.append(f"the ratio is {share:.3f}, above {TARGET}")
    return sentences


if __name__ == "__main__":
    sys.exit(main())

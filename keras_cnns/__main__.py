"""`python -m keras_cnns list [PATTERN]`, `show NAME` and `draw NAME`."""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from keras_cnns import __version__
from keras_cnns._checks import unknown
from keras_cnns.registry import MODELS, Entry, create_model, find, list_models

if TYPE_CHECKING:
    import keras

    from keras_cnns.analysis.counts import Row
    from keras_cnns.analysis.groups import Group


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments, by default those of the process.

    Returns:
        The exit code: 0, or 2 for a name that is not known.
    """
    arguments = _parser().parse_args(argv)
    try:
        text = {"list": _list, "show": _show, "draw": _draw}[arguments.command](arguments)
    except ValueError as error:
        print(f"keras_cnns: {error}", file=sys.stderr)
        return 2
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_cnns",
        description="Classic image-classification networks as their papers print them.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | show | draw")
    listing = commands.add_parser("list", help="the networks, with input and paper")
    listing.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as 'lenet5*'")
    showing = commands.add_parser(
        "show", help="a network's layer groups: shapes, parameters, MACs, receptive fields"
    )
    showing.add_argument("name", metavar="NAME", help="as in the list")
    showing.add_argument("--layers", action="store_true", help="every layer, not the paper's groups of them")
    drawing = commands.add_parser("draw", help="a network as an SVG picture, on standard output")
    drawing.add_argument("name", metavar="NAME", help="as in the list")
    for command in (showing, drawing):
        command.add_argument("--input", metavar="HxWxC", help="another input size in pixels, such as 64x64x3")
        command.add_argument("--classes", type=int, metavar="N", help="another number of classes")
    for command in (listing, showing):
        command.add_argument("--json", action="store_true", help="for programs")
    return parser


def _list(arguments: argparse.Namespace) -> str:
    names = list_models(arguments.pattern)
    if not names:
        raise unknown("model", arguments.pattern, list_models())
    if arguments.json:
        return json.dumps([{"name": name, **_as_data(MODELS[name])} for name in names], indent=2)
    found = [(name, entry) for name, entry in MODELS.items() if name in names]  # as history has them
    table = _table(
        ("name", "input", "classes", "what"),
        [(f"  {name}", _by(one.input_shape), str(one.classes), one.description) for name, one in found],
    )
    head, rule, *rows = table.splitlines()
    by_paper: dict[str, list[str]] = {}
    for (_, entry), row in zip(found, rows, strict=True):
        by_paper.setdefault(f"{entry.family} · {entry.paper}", []).append(row)
    return "\n".join([head, rule, *(line for paper, own in by_paper.items() for line in ("", paper, *own))])


def _as_data(entry: Entry) -> dict[str, object]:
    keys = ("family", "paper", "description", "input_shape", "classes")
    return {key: getattr(entry, key) for key in keys}


def _show(arguments: argparse.Namespace) -> str:
    entry, model = find(arguments.name), _built(arguments)
    from keras_cnns.analysis import counts
    from keras_cnns.analysis.groups import groups

    rows = counts.layer_table(model)
    trainable, total = counts.parameters(model)
    macs = sum(row.macs or 0 for row in rows)
    if arguments.json:
        parts = {
            "groups": [asdict(group) for group in groups(model)],
            "layers": [asdict(row) for row in rows],
        }
        shape = {"input_shape": model.input_shape[1:], "classes": model.outputs[0].shape[-1]}
        summary = {"trainable_parameters": trainable, "total_parameters": total, "macs": macs}
        whole = {"name": model.name, **_as_data(entry), **shape, **summary, **parts}
        return json.dumps(whole, indent=2)
    table = _layers(rows) if arguments.layers else _groups(groups(model))
    first = f"{model.name} · {entry.paper}\n{entry.description} · input {_by(model.input_shape[1:])}"
    last = f"{trainable:,} trained parameters of {total:,} · {macs:,} MACs an image"
    hint = "" if arguments.layers else f"\nnext: python -m keras_cnns show {arguments.name} --layers"
    return f"{first}\n\n{table}\n\n{last}{hint}"


def _draw(arguments: argparse.Namespace) -> str:
    entry, model = find(arguments.name), _built(arguments)
    from keras_cnns.analysis.drawing import draw

    return draw(model, f"{model.name} · {entry.paper}").rstrip("\n")


def _built(arguments: argparse.Namespace) -> "keras.Model":
    """The network, its weights without values: nobody asks for them here, and VGG's are half a gigabyte."""
    overrides = _overrides(arguments)
    # What the backend says while it loads is left out: start-up lines, advice about newer Pythons.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore", FutureWarning)
    import keras

    with keras.StatelessScope(initialize_variables=False):
        return create_model(arguments.name, **overrides)


def _overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arguments.input is not None:
        sides = arguments.input.lower().replace("×", "x").split("x")
        if len(sides) != 3 or not all(side.strip().isdecimal() for side in sides):
            raise ValueError(f"--input={arguments.input!r} is not HEIGHTxWIDTHxCHANNELS, such as 64x64x3.")
        found["input_shape"] = tuple(map(int, sides))
    if arguments.classes is not None:
        found["classes"] = arguments.classes
    return found


# "field" is the receptive field, in a word that leaves a line 80 columns.
_HEADS = ("shape", "parameters", "MACs", "field", "jump")


def _groups(found: "Sequence[Group]") -> str:
    """The paper's table. What changes nothing that the table shows is left out."""
    rows = [group for group in found if group.name not in ("flatten", "dropout", "predictions")]
    return _table(("group", *_HEADS), [(group.name, *_counted(group)) for group in rows], numbers_from=2)


def _layers(found: "Sequence[Row]") -> str:
    return _table(
        ("layer", "kind", *_HEADS), [(row.name, row.kind, *_counted(row)) for row in found], numbers_from=3
    )


def _counted(row: "Group | Row") -> tuple[str, ...]:
    counted = (row.parameters, row.macs, row.receptive_field, row.jump)
    return (_by(row.shape), *map(_count, counted))


def _by(shape: Sequence[int | None]) -> str:
    return " × ".join("?" if side is None else str(side) for side in shape)


def _count(value: int | None) -> str:
    return f"{value:,}" if value else "–"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers_from: int = 99) -> str:
    """Columns under their heads, words to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, tuple("─" * width for width in widths), *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column >= numbers_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())

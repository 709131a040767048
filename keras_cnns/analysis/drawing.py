"""A network as a picture: one block for each of the paper's layer groups, drawn from the model itself.

A block is as high as the root of its maps' side and as wide as the logarithm of their number; fully connected
groups are bars. Each says its shape, its parameters and what one unit sees, and to a pointer everything else.
Below, the last repeated unit of a middle group is drawn layer by layer where it has branches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import keras

from keras_cnns.analysis.groups import Group, groups
from keras_cnns.analysis.unit import Box, Unit, middle_unit, repeats

_WIDTH, _MARGIN, _GAP, _TOP, _BASE = 960, 24, 10, 70, 250
_BAR = 24  # the narrowest block; with the gap, room for two slanted lines
_DOUBLING = 20  # the most pixels for twice as many maps
_LEAN = 75  # what the last label needs to the right
_LETTER, _LINE = 7.2, 17  # a letter in the widest of the common fonts; from line to line along the base
_LEGEND = "below each block: output shape · parameters · pixels that one unit sees"
_STYLE = """
  svg { background: #ffffff; color: #1f2328 } text { fill: currentColor; font: 12px system-ui, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .quiet { fill: #59636e }
  .box { text-anchor: middle; font-size: 11px }
  .maps { fill: #a9c8ee; stroke: #2f6db5 } .weightless { fill: #e3e8ee; stroke: #6b7580 }
  .vector { fill: #f2c38f; stroke: #b3701c } .head { fill: #d3c2ef; stroke: #6f4bb0 }
  .zoomed { stroke-width: 3 } polyline { fill: none; stroke: #6b7580 } marker path { fill: #6b7580 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3 } .quiet { fill: #9aa5b1 }
    .maps { fill: #24507f; stroke: #8fb7e8 } .weightless { fill: #2a313a; stroke: #8a94a0 }
    .vector { fill: #744a14; stroke: #f2c38f } .head { fill: #533a85; stroke: #c9b3ea }
    polyline { stroke: #8a94a0 } marker path { fill: #8a94a0 }
  }
"""
_ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0.5 8 4 0 7.5z"/></marker>'
)


@dataclass(frozen=True)
class _Block:
    group: Group
    units: int
    zoomed: bool

    @property
    def kind(self) -> str:
        if self.group.name.startswith("aux"):
            return "head"
        if not self.group.parameters:
            return "weightless"
        return "maps" if len(self.group.shape) == 3 else "vector"

    @property
    def labels(self) -> tuple[str, str]:
        field = self.group.receptive_field
        figures = [
            f"{self.group.parameters:,}" if self.group.parameters else "",
            f"sees {field}" if field else "",
        ]
        return f"{self.group.name} {_by(self.group.shape)}", " · ".join(filter(None, figures))

    @property
    def details(self) -> str:
        parts = [f"{self.group.layers} layers", f"{self.group.parameters:,} parameters"]
        if self.group.macs:
            parts.append(f"{self.group.macs:,} multiply-adds")
        if self.group.receptive_field:
            parts.append(f"one unit sees {self.group.receptive_field} pixels")
        return f"{self.group.name}: {', '.join(parts)}"

    @property
    def doublings(self) -> float:
        return math.log2(self.group.shape[-1] or 1)


def draw(model: keras.Model, title: str) -> str:
    """Draw a network.

    Args:
        model: A functional model of images with a fixed input size.
        title: The line above the picture.

    Returns:
        An SVG file's text, 960 wide, for light and dark surroundings.

    Raises:
        TypeError: A layer has no counting rule.
    """
    unit = middle_unit(model)
    counted = repeats(model)
    blocks = [
        _Block(group, counted.get(group.name, 1), unit is not None and group.name == unit.group)
        for group in groups(model)
        if group.name not in ("flatten", "dropout", "predictions")
    ]
    longest = max(len(label) for block in blocks for label in block.labels)
    bottom = math.ceil(_BASE + 40 + longest * _LETTER * math.sin(math.radians(60)))
    parts = [*_row(blocks, max(model.input_shape[1:3]))]
    if unit:
        more, bottom = _zoom(unit, bottom)
        parts += more
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{bottom}" '
        f'viewBox="0 0 {_WIDTH} {bottom}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{_STYLE}</style>\n{_ARROW}\n"
        f"{_text(title, _MARGIN, 30, 'title')}\n"
        f"{_text(_LEGEND, _MARGIN, 50, 'quiet')}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _row(blocks: Sequence[_Block], side: int) -> list[str]:
    """All groups from left to right on one line, auxiliary heads above it."""
    room = _WIDTH - 2 * _MARGIN - _LEAN - _GAP * (len(blocks) - 1) - _BAR * len(blocks)
    maps = [block for block in blocks if len(block.group.shape) == 3]
    scale = min(room / max(sum(block.doublings for block in maps), 1), _DOUBLING)
    parts, x = [], float(_MARGIN)
    for block in blocks:
        width, height = _size(block, scale, side)
        start, foot = x + width, _BASE
        if block.kind == "head":
            start, foot = x, _BASE - 16
            parts.append(_line([(x + width / 2, foot), (x + width / 2, _BASE - 4)]))
        if block is not blocks[-1]:
            parts.append(_line([(start, _BASE - 4), (x + width + _GAP, _BASE - 4)]))
        parts.append(_block(block, x, foot - height, width, height))
        x += width + _GAP
    return parts


def _size(block: _Block, scale: float, side: int) -> tuple[float, float]:
    if len(block.group.shape) != 3:
        return _BAR, 12 * (1 + block.doublings)
    root = math.sqrt((block.group.shape[0] or side) / side)
    return _BAR + scale * block.doublings, 10 + (_BASE - _TOP - 10) * root


def _block(block: _Block, x: float, y: float, width: float, height: float) -> str:
    middle, foot = x + width / 2, _BASE + 14
    first, second = block.labels
    return (
        f"<g><title>{escape(block.details)}</title>"
        + _rect(f"{block.kind} zoomed" if block.zoomed else block.kind, x, y, width, height)
        + (_text(f"×{block.units}", middle, y + height / 2 + 4, "box") if block.units > 1 else "")
        + _slanted(first, middle + 2, foot, "label")
        + (_slanted(second, middle + 2 - _LINE, foot, "quiet") if second else "")
        + "</g>"
    )


def _slanted(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" transform="translate({x:.1f} {y:.1f}) rotate(60)">{escape(text)}</text>'


def _zoom(unit: Unit, top: float) -> tuple[list[str], int]:
    """A unit's layers in columns, and where the picture ends; what skips layers runs above them."""
    columns, lanes = 1 + unit.boxes[-1].rank, max(box.lane for box in unit.boxes)
    pitch = min((_WIDTH - 2 * _MARGIN) / columns, 150)
    width, height = pitch - 20, max(_height(box) for box in unit.boxes)
    first = top + 24 + 16 * unit.skips + height / 2

    def centre(box: Box) -> tuple[float, float]:
        return _MARGIN + box.rank * pitch + width / 2, first + box.lane * (height + 12)

    parts = [_text(unit.title, _MARGIN, top + 4, "title")]
    for box in unit.boxes:
        for before, line in zip(box.inputs, box.over, strict=True):
            (from_x, from_y), (x, y) = centre(before), centre(box)
            start, turn, end = (from_x + width / 2, from_y), x - width / 2 - 10, (x - width / 2, y)
            path = [start, (turn, from_y), (turn, y), end]
            if line:
                turn, above = from_x + width / 2 + 10, first - height / 2 - 16 * line + 4
                path = [start, (turn, from_y), (turn, above), (x, above), (x, y - _height(box) / 2)]
            parts.append(_line(path, arrow=True))
    parts += [_boxed(box, *centre(box), width) for box in unit.boxes]
    return parts, math.ceil(first + lanes * (height + 12) + height / 2 + 20)


def _boxed(box: Box, x: float, y: float, width: float) -> str:
    top = y - _height(box) / 2
    lines = (_text(line, x, top + 16 + 14 * i, "box") for i, line in enumerate(box.lines))
    return f"<g>{_rect(box.kind, x - width / 2, top, width, _height(box))}{''.join(lines)}</g>"


def _height(box: Box) -> int:
    return 10 + 14 * len(box.lines)


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _line(points: Sequence[tuple[float, float]], *, arrow: bool = False) -> str:
    end = ' marker-end="url(#arrow)"' if arrow else ""
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"{end}/>'


def _by(shape: Sequence[Any]) -> str:
    return "×".join(map(str, shape))

"""A network as a picture: one block for each of the paper's layer groups, drawn from the model itself.

A block is as high as the root of its maps' side and as wide as the logarithm of their number; fully connected
groups are bars. Each says its shape, and to a pointer its parameters, multiply-adds and receptive field.
"""

import math
from dataclasses import dataclass
from html import escape

import keras

from keras_cnns.analysis.groups import Group, groups

_WIDTH, _MARGIN, _GAP, _BASE, _TOP = 960, 24, 10, 250, 56
_BAR = 16  # width of a fully connected group
_LABELS = 170  # height that the slanted labels need
_STYLE = """
  svg { background: #ffffff; color: #1f2328 } text { fill: currentColor; font: 12px system-ui, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .maps { fill: #8fb7e8; stroke: #2f6db5 }
  .weightless { fill: #e3e8ee; stroke: #8a94a0 } .vector { fill: #f2c38f; stroke: #b3701c }
  .head { fill: #c9b3ea; stroke: #6f4bb0 } line { stroke: currentColor; opacity: .45 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; color: #e6edf3 } .maps { fill: #2b5a91; stroke: #8fb7e8 }
    .weightless { fill: #2a313a; stroke: #8a94a0 } .vector { fill: #8a5a1c; stroke: #f2c38f }
    .head { fill: #533a85; stroke: #c9b3ea }
  }
"""


@dataclass(frozen=True)
class _Block:
    group: Group
    width: float
    height: float

    @property
    def kind(self) -> str:
        if self.group.name.startswith("aux"):
            return "head"
        if len(self.group.shape) != 3:
            return "vector"
        return "maps" if self.group.parameters else "weightless"

    @property
    def label(self) -> str:
        return f"{self.group.name} {'×'.join(map(str, self.group.shape))}"

    @property
    def details(self) -> str:
        parts = [f"{self.group.layers} layers", f"{self.group.parameters:,} parameters"]
        if self.group.macs:
            parts.append(f"{self.group.macs:,} multiply-adds")
        if self.group.receptive_field:
            parts.append(f"one unit sees {self.group.receptive_field} pixels")
        return f"{self.group.name}: {', '.join(parts)}"


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
    shown = [group for group in groups(model) if group.name not in ("flatten", "dropout", "predictions")]
    blocks = [_block(group, max(model.input_shape[1:3])) for group in shown]
    bars = sum(len(block.group.shape) != 3 for block in blocks)
    # The last label leans to the right, for which 60 are left free.
    room = _WIDTH - 2 * _MARGIN - 60 - _GAP * (len(blocks) - 1) - _BAR * bars
    scale = room / sum(block.width for block in blocks)
    parts, x = [], float(_MARGIN)
    for i, block in enumerate(blocks):
        width = block.width * scale or _BAR
        if i:
            parts.append(f'<line x1="{x - _GAP:.1f}" x2="{x:.1f}" y1="{_BASE - 4}" y2="{_BASE - 4}"/>')
        parts.append(_drawn(block, x, width))
        x += width + _GAP
    height = _BASE + _LABELS
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<text class="title" x="{_MARGIN}" y="30">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _block(group: Group, side: int) -> _Block:
    maps = 1 + math.log2(group.shape[-1] or 1)
    if len(group.shape) != 3:
        return _Block(group, 0, 12 * maps)
    return _Block(group, maps, 10 + (_BASE - _TOP - 10) * math.sqrt((group.shape[0] or side) / side))


def _drawn(block: _Block, x: float, width: float) -> str:
    top, middle = _BASE - block.height, x + width / 2
    return (
        f'<g><title>{escape(block.details)}</title><rect class="{block.kind}" x="{x:.1f}" y="{top:.1f}" '
        f'width="{width:.1f}" height="{block.height:.1f}" rx="2"/>'
        f'<text transform="translate({middle - 4:.1f} {_BASE + 14}) rotate(60)">'
        f"{escape(block.label)}</text></g>"
    )

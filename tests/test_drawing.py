"""The pictures of docs/networks.md: drawn from the models, complete, and readable in light and dark."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import keras
import pytest
from browser import chromium, open_file

from keras_cnns import create_model
from keras_cnns.analysis.drawing import draw
from keras_cnns.analysis.groups import groups
from keras_cnns.analysis.unit import middle_unit, repeats, unit_of
from keras_cnns.registry import find

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
NAMES = [
    "lenet5", "alexnet", "vgg16", "googlenet_aux", "bn_inception", "resnet34", "resnext50_32x4d",
    "densenet121", "se_resnet50",
]  # fmt: skip
LEFT_OUT = ("flatten", "dropout", "predictions")


@cache
def built(name):
    """Built once: on JAX a large network takes most of a minute."""
    return create_model(name)


def texts_of(svg):
    return [element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("}text")]


def edges(unit):
    """(from, to, line above the boxes) with a box's first line for its name."""
    return [
        (before.lines[0], box.lines[0], line)
        for box in unit.boxes
        for before, line in zip(box.inputs, box.over, strict=True)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_committed_pictures_are_what_the_models_give(name):
    """`python -m keras_cnns draw NAME > docs/pictures/NAME.svg` draws one anew."""
    model = built(name)
    drawn = draw(model, f"{name} · {find(name).paper}")
    assert drawn == (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    texts = texts_of(drawn)
    for group in groups(model):
        if group.name not in LEFT_OUT:
            assert f"{group.name} {'×'.join(map(str, group.shape))}" in texts
            assert any(text.startswith(f"{group.parameters:,}") for text in texts) or not group.parameters
            assert group.receptive_field is None or any(
                text.endswith(f"sees {group.receptive_field}") for text in texts
            )


def test_command_draws_for_another_input():
    command = [sys.executable, "-m", "keras_cnns", "draw", "cifar_resnet20", "--input", "64x64x3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"stage3 16×16×64", "×3", "stage2_3, the last of 3 units of stage2"} <= set(texts_of(done.stdout))


@pytest.mark.parametrize(
    ("layer", "unit"),
    [
        ("conv4_6_1_bn", "conv4_6"),
        ("conv4_6", "conv4_6"),
        ("block3_24_concat", "block3_24"),
        ("inception3a_3x3_reduce", "inception3a"),
        ("conv1_bn", "conv1"),
        ("pool1_pad", "pool1"),
    ],
)
def test_unit_of_a_layer(layer, unit):
    assert unit_of(layer) == unit


def test_residual_unit_has_its_shortcut_above_the_convolutions():
    """He et al. 2015, figure 2; table 1 has three units in each stage of the 20-layer net for CIFAR-10."""
    model = create_model("cifar_resnet20")
    assert {repeats(model)[f"stage{i}"] for i in (1, 2, 3)} == {3}
    assert edges(middle_unit(model)) == [
        ("stage2_2", "3×3 conv", 0),
        ("3×3 conv", "3×3 conv", 0),
        ("stage2_2", "add", 1),
        ("3×3 conv", "add", 0),
    ]


def test_gate_is_drawn_within_the_shortcut():
    """Hu et al. 2017, figure 3: the shortcut's line stands above the gate's."""
    unit = middle_unit(create_model("cifar_se_preresnet110"))
    assert unit.skips == 2
    assert [line for _, to, line in edges(unit) if to == "add"] == [2, 0]
    assert sorted(line for _, to, line in edges(unit) if to == "multiply") == [0, 1]


def test_inception_module_has_four_branches():
    """Szegedy et al. 2014, figure 2(b), with the widths of table 1's row inception (4c)."""
    unit = middle_unit(built("googlenet_aux"))
    assert unit.title == "inception4c"
    assert unit.boxes[0].lines == ["inception4b", "14×14×512"]
    assert [box.lines[:2] for box in unit.boxes[1:-1]] == [
        ["1×1 conv", "128 maps"],
        ["1×1 conv", "128 maps"],
        ["3×3 conv", "256 maps"],
        ["1×1 conv", "24 maps"],
        ["5×5 conv", "64 maps"],
        ["3×3 pool", "maximum"],
        ["1×1 conv", "64 maps"],
    ]
    assert [box.lane for box in unit.boxes[1:-1]] == [0, 1, 1, 2, 2, 3, 3]
    assert unit.boxes[-1].lines == ["concatenate", "14×14×512"]


def test_plain_chain_has_no_unit_to_show():
    inputs = keras.Input((8, 8, 3))
    chain = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv1")(inputs))
    assert middle_unit(chain) is None
    assert "conv1 6×6×4" in texts_of(draw(chain, "a & b"))


# Every text as a quadrilateral on the screen, turned ones too: whether it is within the picture and its box,
# whether it meets another text, and its contrast with what is behind it (WCAG 2, 1.4.3).
MEASURE = """() => {
  const svg = document.documentElement, whole = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent);
  const quad = t => {
    const b = t.getBBox(), m = t.getScreenCTM();
    const left = b.x, right = b.x + b.width, top = b.y + 2, bottom = b.y + b.height - 2;
    return [[left, top], [right, top], [right, bottom], [left, bottom]]
      .map(([x, y]) => new DOMPoint(x, y).matrixTransform(m));
  };
  const apart = (p, q) => [p, q].some(one => one.some((corner, i) => {
    const next = one[(i + 1) % 4], nx = next.y - corner.y, ny = corner.x - next.x;
    const on = points => points.map(a => a.x * nx + a.y * ny);
    return Math.max(...on(p)) <= Math.min(...on(q)) || Math.max(...on(q)) <= Math.min(...on(p));
  }));
  const light = color => color.match(/\\d+/g).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const quads = texts.map(quad), outside = [], overlapping = [], faint = [], leaving = [];
  texts.forEach((t, i) => {
    const within = p => p.x >= whole.left && p.x <= whole.right && p.y >= whole.top && p.y <= whole.bottom;
    if (!quads[i].every(within)) outside.push(t.textContent);
    texts.slice(i + 1).forEach((other, j) => {
      if (!apart(quads[i], quads[i + 1 + j])) overlapping.push([t.textContent, other.textContent]);
    });
    const box = t.classList.contains("box") && t.parentNode.querySelector("rect");
    if (box) {
      const inner = t.getBoundingClientRect(), outer = box.getBoundingClientRect();
      if (inner.left < outer.left || inner.right > outer.right) leaving.push(t.textContent);
    }
    const ground = box ? getComputedStyle(box).fill : getComputedStyle(svg).backgroundColor;
    const [dark, bright] = [light(getComputedStyle(t).fill), light(ground)].sort((a, b) => a - b);
    if ((bright + 0.05) / (dark + 0.05) < 4.5) faint.push(t.textContent);
  });
  const sizes = texts.map(t => parseFloat(getComputedStyle(t).fontSize));
  return {outside, overlapping, leaving, faint, smallest: Math.min(...sizes),
    ground: getComputedStyle(svg).backgroundColor};
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_readable_in_a_browser(scheme):
    """Inside the picture and their boxes, apart from each other, and distinct from what is behind them."""
    ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    fine = {"outside": [], "overlapping": [], "leaving": [], "faint": [], "smallest": 11, "ground": ground}
    with chromium() as browser:
        for name in NAMES:
            with open_file(browser, PICTURES / f"{name}.svg", width=960, scheme=scheme) as (page, seen):
                found = page.evaluate(MEASURE)
            smallest = found.pop("smallest")
            assert (name, {"smallest": min(smallest, 11), **found}) == (name, fine)
            assert not seen.complaints

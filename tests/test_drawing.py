"""The pictures of docs/networks.md: drawn from the models, complete, and readable in light and dark."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from browser import chromium, open_file

from keras_cnns import create_model
from keras_cnns.analysis.drawing import draw
from keras_cnns.analysis.groups import groups
from keras_cnns.registry import find

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
NAMES = ["lenet5", "alexnet", "vgg16", "googlenet_aux", "resnet34", "densenet121", "se_resnet50"]
LEFT_OUT = ("flatten", "dropout", "predictions")


@pytest.mark.parametrize("name", NAMES)
def test_committed_pictures_are_what_the_models_give(name):
    """`python -m keras_cnns draw NAME > docs/pictures/NAME.svg` draws one anew."""
    model = create_model(name)
    drawn = draw(model, f"{name} · {find(name).paper}")
    assert drawn == (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    texts = [element.text for element in ET.fromstring(drawn).iter() if element.tag.endswith("}text")]
    shown = [group for group in groups(model) if group.name not in LEFT_OUT]
    assert texts[1:] == [f"{group.name} {'×'.join(map(str, group.shape))}" for group in shown]


def test_command_draws_for_another_input():
    command = [sys.executable, "-m", "keras_cnns", "draw", "cifar_resnet20", "--input", "64x64x3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "stage3 16×16×64" in done.stdout
    ET.fromstring(done.stdout)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_readable_in_a_browser(scheme):
    """Inside the picture, apart from each other, and of another colour than the ground."""
    with chromium() as browser:
        for name in NAMES:
            with open_file(browser, PICTURES / f"{name}.svg", scheme=scheme) as (page, seen):
                found = page.evaluate(
                    """() => {
                        const svg = document.documentElement, box = svg.getBoundingClientRect();
                        const texts = [...svg.querySelectorAll("text")].map(t => t.getBoundingClientRect());
                        const inside = texts.every(t => t.left >= box.left && t.right <= box.right
                            && t.top >= box.top && t.bottom <= box.bottom);
                        const starts = texts.slice(1).map(t => t.left);
                        const gaps = starts.slice(1).map((x, i) => x - starts[i]);
                        const style = getComputedStyle(svg.querySelector("text"));
                        return [inside, Math.min(...gaps), style.fill, getComputedStyle(svg).backgroundColor];
                    }"""
                )
            inside, gap, text, ground = found
            assert inside, name
            assert gap > 16, name  # lines of 12 pixels at 60 degrees need 14
            assert (text, ground) == {
                "light": ("rgb(31, 35, 40)", "rgb(255, 255, 255)"),
                "dark": ("rgb(230, 237, 243)", "rgb(13, 17, 23)"),
            }[scheme]
            assert not seen.complaints

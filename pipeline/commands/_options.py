"""The options that are fields of a configuration, for every command that takes one."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from pipeline.config import Config, kind, load, option_name


def add_config(parser: argparse.ArgumentParser) -> None:
    """One option a field, and `--config` for a file with the same names."""
    for one in fields(Config):
        default = (
            "" if one.default is None or "default:" in one.metadata["help"] else f" (default: {one.default})"
        )
        parser.add_argument(
            option_name(one.name), type=kind(one.type), metavar=one.metadata["metavar"],
            help=one.metadata["help"] + default,
        )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="take options from a file, as run.toml"
    )


def config_of(given: argparse.Namespace) -> Config:
    """The file's values, over which the options stand.

    Raises:
        BadInput: The file cannot be read, or holds what no configuration has.
    """
    values = load(given.config) if given.config else {}
    values |= {
        one.name: getattr(given, one.name) for one in fields(Config) if getattr(given, one.name) is not None
    }
    return Config(**values)

"""Habits of the code that a test can hold."""

import ast
import re
from pathlib import Path

import pytest

from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.pretraining import CollectSettings, IdmSettings, SftSettings
from eva_rl.config.rules import ALIGN_RULES

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "eva_rl").rglob("*.py"), *(ROOT / "recipes").glob("*.py")])
CONFIGS = sorted((ROOT / "recipes" / "configs").glob("*.yaml"))
SETTINGS = {"collect": CollectSettings, "idm": IdmSettings, "sft": SftSettings}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 70


def test_no_file_is_too_long():
    too_long = [str(file) for file in SOURCES if len(file.read_text().splitlines()) > MAX_FILE_LINES]
    assert not too_long


def test_no_function_is_too_long():
    functions = [
        (file, node)
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    lengths = {f"{file}:{node.name}": node.end_lineno - node.lineno for file, node in functions}
    assert not {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES}


def test_no_file_has_a_name_that_says_nothing():
    nothing = re.compile(r"(utils?|common|helpers?|misc|core|base)")
    assert not [
        str(file) for file in SOURCES if nothing.fullmatch(file.stem) or nothing.fullmatch(file.parent.name)
    ]


def test_nothing_is_left_unfinished():
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert not [str(file) for file in SOURCES if unfinished.search(file.read_text())]


def test_there_are_configs_to_check():
    assert {"embedded", "smoke"} <= {file.stem for file in CONFIGS}


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_recipe_config_loads(file):
    settings_type = SETTINGS.get(file.stem, AlignSettings)
    rules = ALIGN_RULES if settings_type is AlignSettings else ()
    load_settings(settings_type, file=file, overrides=(), rules=lambda: rules)

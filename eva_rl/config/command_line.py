"""The command line of a recipe: `--help` that teaches, `--config FILE`, `--local`, `--section.name value`."""

import sys
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from eva_rl.config.loading import RuleSource, load_settings
from eva_rl.config.section import ConfigError, Section

S = TypeVar("S", bound=Section)

USAGE_ERROR = 2

SHORTHANDS = {"--local": ("--cluster.address", "local")}
"""Words that stand for a setting and its value."""


def settings_from_command_line(
    settings_type: type[S],
    arguments: Sequence[str],
    *,
    program: str,
    purpose: str,
    default_config: Path,
    rules: RuleSource[S] = tuple,
) -> S:
    """Reads a recipe's settings; on `--help` or on problems it prints and ends the process.

    Args:
        settings_type: the class that describes all settings of the recipe.
        arguments: the words after the program's name.
        program: how the recipe is called, for the help page.
        purpose: what the recipe does, for the help page.
        default_config: YAML file that is used without `--config`.
        rules: gives the checks between sections; a function, so that `--help` imports nothing heavy.

    Raises:
        SystemExit: 0 after `--help`, 2 when settings are unknown or impossible.
    """
    words = list(arguments)
    file, words = _take_config(words, default_config)
    words = [part for word in words for part in SHORTHANDS.get(word, (word,))]
    try:
        if "-h" in words or "--help" in words:
            settings = load_settings(settings_type, file=file, overrides=())
            sys.stdout.write(_help_page(settings, program=program, purpose=purpose, file=file))
            raise SystemExit(0)
        return load_settings(settings_type, file=file, overrides=words, rules=rules)
    except ConfigError as error:
        count = len(error.problems)
        sys.stderr.write(f"{program}: {count} problem{'s' * (count > 1)} in the settings\n")
        sys.stderr.writelines(f"  - {problem}\n" for problem in error.problems)
        sys.stderr.write(f"See `{program} --help` for every setting.\n")
        raise SystemExit(USAGE_ERROR) from None


def _take_config(words: list[str], default_config: Path) -> tuple[Path, list[str]]:
    for position, word in enumerate(words):
        if word.startswith("--config="):
            return Path(word.partition("=")[2]), words[:position] + words[position + 1 :]
        if word == "--config" and position + 1 < len(words):
            return Path(words[position + 1]), words[:position] + words[position + 2 :]
    return default_config, words


def _help_page(settings: Section, *, program: str, purpose: str, file: Path) -> str:
    lines = [
        f"usage: {program} [--config FILE] [--local] [--section.name value ...]",
        "",
        textwrap.fill(purpose, 100),
        "",
        f"Values shown are those of {file}; give another file with --config.",
        "--local runs on a Ray of its own, whatever cluster there is: --cluster.address local.",
    ]
    for section_name, section in settings:
        lines += ["", f"{section_name}: {_first_sentence(section)}"]
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            lines.append(f"  --{section_name}.{name} {_type_name(field.annotation)}  (now: {_shown(value)})")
            lines.append(
                textwrap.fill(field.description or "", 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
            )
    return "\n".join(lines) + "\n"


def _first_sentence(section: Section) -> str:
    return (type(section).__doc__ or "").strip().splitlines()[0]


def _type_name(annotation: object) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return "{" + ",".join(str(choice) for choice in typing.get_args(annotation)) + "}"
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) in (tuple, list):
        return "[" + ", ".join(_type_name(part) for part in parts if part is not Ellipsis) + "]"
    if typing.get_origin(annotation) is dict:
        return "{name: " + _type_name(parts[1]) + "}"
    if parts:
        return " | ".join(_type_name(part) for part in parts)
    return getattr(annotation, "__name__", str(annotation)).upper()


def _shown(value: object) -> str:
    if value is None:
        return "default"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(str(part) for part in value) + "]"
    return str(value)

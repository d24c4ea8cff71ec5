"""Credentials in what a run writes down: tokens and passwords are replaced before they reach a file."""

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
LEAST_LENGTH = 8
"""Of a value in the environment that is hidden wherever it appears; shorter ones would hide words."""

_SECRET_NAME = (
    r"[\w.-]*(?:token(?!iz)|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|credential|signature)[\w.-]*"
)
_NAME = re.compile(_SECRET_NAME, re.IGNORECASE)
_PATH_NAME = re.compile(r"(?:path|file|mode|dir|directory)$", re.IGNORECASE)
_IN_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?P<name>(?<![\w.]){_SECRET_NAME})(?P<sign>=|:\s|\s)(?P<value>[^\s&,;'\"]+)", re.IGNORECASE
)
_IN_QUERY = re.compile(r"(?P<name>[?&](?:sig|key|auth|sas)=)[^\s&#]+", re.IGNORECASE)


def without_secrets(data: Any) -> Any:
    """The same data with credentials hidden: in URIs, after telling names, and of the environment.

    Args:
        data: strings, numbers, and lists and mappings of them, as written to YAML or JSON.
    """
    return _hidden(data, _environment_secrets())


def _hidden(data: Any, known: list[str]) -> Any:
    if isinstance(data, str):
        return _hidden_in_text(data, known)
    if isinstance(data, Mapping):
        return {
            name: HIDDEN
            if isinstance(value, str) and value and _is_secret(str(name))
            else _hidden(value, known)
            for name, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [_hidden(item, known) for item in data]
    return data


def _hidden_in_text(text: str, known: list[str]) -> str:
    for value in known:
        text = text.replace(value, HIDDEN)
    text = _IN_URI.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _IN_QUERY.sub(rf"\g<name>{HIDDEN}", text)
    return _ASSIGNED.sub(_assigned, text)


def _assigned(match: re.Match[str]) -> str:
    """A name that says secret and the word after it; `--data.token_path x` names a file, not a secret."""
    is_option_or_equation = match["sign"] == "=" or match["name"].startswith("--")
    if not is_option_or_equation or not _is_secret(match["name"]):
        return match[0]
    return f"{match['name']}{match['sign']}{HIDDEN}"


def _is_secret(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not _PATH_NAME.search(name)


def _environment_secrets() -> list[str]:
    values = {value for name, value in os.environ.items() if _is_secret(name) and len(value) >= LEAST_LENGTH}
    return sorted(values, key=len, reverse=True)

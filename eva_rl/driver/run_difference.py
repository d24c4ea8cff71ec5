"""What exactly differs between two runs: settings, code, data, versions, hardware, and from which step on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from eva_rl.driver.ledger import CHAIN, ledger_lines
from eva_rl.driver.run_directory import RunDirectory
from eva_rl.driver.settings_change import MISSING, differences
from eva_rl.metrics.jsonl import read_rows
from eva_rl.metrics.table import is_reproducible

COMPARED = (
    "commit",
    "sources",
    "versions",
    "hardware",
    "world_model.hash",
    "idm.hash",
    "data",
    "penalty_scale",
)
"""Facts of provenance.json that should be equal; the others say who started a run, when and where."""


def run_differences(first: RunDirectory, second: RunDirectory) -> Iterator[str]:
    """One line per difference; nothing where two runs are the same.

    Metrics that speak of clocks and machines are passed over: MACHINE_METRICS.
    """
    then, now = (yaml.safe_load(run.settings.read_text()) for run in (first, second))
    for change in differences(then, now):
        yield f"setting {change.name}: {change.then!r} | {change.now!r}"
    facts = [_facts(run.provenance) for run in (first, second)]
    for name in sorted({*facts[0], *facts[1]}):
        values = [known.get(name, MISSING) for known in facts]
        if values[0] != values[1] and _is_compared(name):
            yield f"{name}: {values[0]!r} | {values[1]!r}"
    yield from _first_difference("metrics", _metrics(first), _metrics(second))
    yield from _first_difference("ledger", _ledger(first), _ledger(second))


def _is_compared(name: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in COMPARED)


def _first_difference(
    what: str, first: list[Mapping[str, Any]], second: list[Mapping[str, Any]]
) -> Iterator[str]:
    """The first training step whose rows differ, with every value that does; then the lengths."""
    for step, (left, right) in enumerate(zip(first, second, strict=False)):
        names = [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]
        if names:
            for name in names:
                yield f"{what}, training step {step}, {name}: {left.get(name)!r} | {right.get(name)!r}"
            return
    if len(first) != len(second):
        yield f"{what}: {len(first)} training steps | {len(second)}"


def _facts(file: Path) -> dict[str, Any]:
    return dict(_flat(json.loads(file.read_text()))) if file.is_file() else {}


def _metrics(run: RunDirectory) -> list[Mapping[str, Any]]:
    rows = read_rows(run.metrics) if run.metrics.is_file() else []
    return [{name: value for name, value in row.items() if is_reproducible(name)} for row in rows]


def _ledger(run: RunDirectory) -> list[Mapping[str, Any]]:
    lines = ledger_lines(run.ledger.read_bytes()) if run.ledger.is_file() else []
    return [dict(_flat({name: value for name, value in line.items() if name != CHAIN})) for line in lines]


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested entries by dotted names, so that a difference names the smallest thing."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{prefix}.{index}")
    else:
        yield prefix, value

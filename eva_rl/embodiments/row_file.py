"""One row of limits as a file that people can read, change and give to a run."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import yaml

from eva_rl.embodiments.embodiment import Embodiment
from eva_rl.embodiments.joint_limits import JointLimits
from eva_rl.embodiments.model_file import RobotFileError

ROW_FIELDS = ("embodiment", "source", "own_settings", "notes", "mirror_signs", "arms")


def as_data(row: Embodiment) -> dict[str, Any]:
    """The row as plain data, ready for YAML or JSON; figures that do not exist are left out."""
    arms = {}
    for name, arm in zip(row.arm_names, row.arms, strict=True):
        figures = {key: value for key, value in asdict(arm).items() if value is not None}
        arms[name] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in figures.items()
        }
    mirror = {} if row.mirror_signs is None else {"mirror_signs": list(row.mirror_signs)}
    return {
        "embodiment": row.name,
        "source": row.source,
        "own_settings": list(row.own_settings),
        "notes": row.notes,
        **mirror,
        "arms": arms,
    }


def as_yaml(row: Embodiment) -> str:
    """The row as YAML."""
    return yaml.safe_dump(as_data(row), sort_keys=False, width=110, default_flow_style=None)


def read_row(path: Path) -> Embodiment:
    """Reads a row that `eva-rl limits` wrote, or that somebody wrote by hand.

    Raises:
        RobotFileError: the file is missing, no YAML, or not such a row.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RobotFileError(f"{path} is no readable YAML: {error}") from error
    if not isinstance(data, dict) or not {"embodiment", "source", "arms"} <= set(data) <= set(ROW_FIELDS):
        raise RobotFileError(
            f"{path} must have the keys {', '.join(ROW_FIELDS)} (own_settings, notes and mirror_signs may be "
            "missing); see what `eva-rl limits` prints"
        )
    if not isinstance(data["arms"], dict):
        raise RobotFileError(f"{path}: arms must name each arm's figures, got {data['arms']!r}")
    row = Embodiment(
        name=str(data["embodiment"]),
        arm_names=tuple(data["arms"]),
        arms=tuple(_arm(name, figures, path) for name, figures in data["arms"].items()),
        source=str(data["source"]),
        own_settings=tuple(data.get("own_settings") or ()),
        notes=str(data.get("notes") or ""),
    )
    try:
        return replace(row, mirror_signs=_mirror(data.get("mirror_signs")))
    except ValueError as error:
        raise RobotFileError(f"{path}: {error}") from error


def _mirror(signs: Any) -> tuple[float, ...] | None:
    if signs is None:
        return None
    if not isinstance(signs, list) or not all(isinstance(sign, int | float) for sign in signs):
        raise ValueError(f"mirror_signs must be a list of 1 and -1, got {signs!r}")
    return tuple(float(sign) for sign in signs)


def _arm(name: str, figures: Any, path: Path) -> JointLimits:
    known = [field.name for field in fields(JointLimits)]
    if not isinstance(figures, dict) or not set(figures) <= set(known):
        raise RobotFileError(f"{path}: arm {name} may have the figures {', '.join(known)}, got {figures!r}")
    values: dict[str, Any] = {}
    for key, value in figures.items():
        is_list = isinstance(value, list)
        numbers = value if is_list else [value]
        is_numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers)
        if not is_numeric or is_list == key.startswith("gripper"):
            wanted = "a number" if key.startswith("gripper") else "a list of numbers, one per joint"
            raise RobotFileError(f"{path}: {key} of arm {name} must be {wanted}, got {value!r}")
        values[key] = tuple(value) if is_list else value
    try:
        return JointLimits(**values)
    except (TypeError, ValueError) as error:
        raise RobotFileError(f"{path}: arm {name}: {error}") from error

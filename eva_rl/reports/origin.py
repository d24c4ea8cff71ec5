"""What was run: facts of the provenance file and the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eva_rl.config.align import AlignSettings

FACTS = ("command", "commit", "seed", "started", "finished", "penalty_scale")
TIMES = ("started", "finished")
GROUPS = {
    "world_model": "world model",
    "idm": "inverse dynamics model",
    "hardware": "hardware",
    "versions": "versions",
}


@dataclass(frozen=True, kw_only=True)
class SettingRow:
    """One setting.

    Attributes:
        name: `section.name`.
        value: in this run.
        default: the library's.
        is_changed: whether the two differ.
    """

    name: str
    value: str
    default: str
    is_changed: bool


def facts_of(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Lists plain facts in reading order, then everything else that the file holds."""
    facts = [(name.replace("_", " "), _fact(provenance, name)) for name in FACTS if name in provenance]
    duration = duration_of(provenance)
    if duration:
        facts.insert(min(5, len(facts)), ("duration", duration))
    others = [name for name in provenance if name not in (*FACTS, *GROUPS)]
    return facts + [(name.replace("_", " "), _shown(provenance[name])) for name in others]


def groups_of(provenance: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Lists the grouped facts: models, hardware, versions."""
    return {
        label: [(key.replace("_", " "), _shown(value)) for key, value in provenance[name].items()]
        for name, label in GROUPS.items()
        if isinstance(provenance.get(name), dict)
    }


def duration_of(provenance: Mapping[str, Any]) -> str:
    """Writes the time from start to finish; empty while it is unknown."""
    if not provenance.get("started") or not provenance.get("finished"):
        return ""
    started, finished = (datetime.fromisoformat(provenance[name]) for name in ("started", "finished"))
    minutes, seconds = divmod(round((finished - started).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def setting_rows(settings: Mapping[str, Mapping[str, Any]]) -> list[SettingRow]:
    """Lists every setting of the run beside its default, in the file's order."""
    defaults = AlignSettings().model_dump(mode="json")
    rows = []
    for section, values in settings.items():
        for name, value in values.items():
            default = defaults.get(section, {}).get(name)
            row = SettingRow(
                name=f"{section}.{name}",
                value=_shown(value),
                default=_shown(default),
                is_changed=value != default,
            )
            rows.append(row)
    return rows


def time_of(moment: str) -> str:
    """Writes an ISO time for people: `2026-03-02 10:00 +0000`."""
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M %z").rstrip()


def _fact(provenance: Mapping[str, Any], name: str) -> str:
    return time_of(provenance[name]) if name in TIMES else _shown(provenance[name])


def _shown(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001  an en dash for nothing
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items()) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)

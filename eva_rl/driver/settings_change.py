"""What differs between the settings of two runs, and what a resumed run may change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eva_rl.config.align import AlignSettings
from eva_rl.config.placement import PlacedSection
from eva_rl.trust.secrets import without_secrets

MISSING = "<missing>"


@dataclass(frozen=True, kw_only=True)
class SettingChange:
    """One setting with two values.

    Example:
        SettingChange(name="learner.betas", then=[0.9, 0.99], now=[0.9, 0.5])

    Attributes:
        then: in the earlier run; MISSING where its version had no such setting.
        now: in the later one.
    """

    name: str
    then: Any
    now: Any


def settings_as_data(settings: AlignSettings) -> dict[str, dict[str, Any]]:
    """Settings as plain YAML values, without credentials, and without where and whether to continue."""
    values = settings.model_dump(mode="json")
    for name in ("directory", "resume"):
        del values["run"][name]
    return without_secrets(values)


def differences(
    then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> list[SettingChange]:
    """Every setting that two sets of them do not share, in the order of their sections."""
    names = [
        (section, name)
        for section in dict.fromkeys([*then, *now])
        for name in dict.fromkeys([*then.get(section, {}), *now.get(section, {})])
    ]
    pairs = [
        SettingChange(
            name=f"{section}.{name}",
            then=then.get(section, {}).get(name, MISSING),
            now=now.get(section, {}).get(name, MISSING),
        )
        for section, name in names
    ]
    return [pair for pair in pairs if pair.then != pair.now]


def changed_settings(
    then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> list[SettingChange]:
    """The changes that would make a resumed run another run; `MAY_CHANGE` says which would not.

    Args:
        then: what the run started with, as `settings_as_data` gave it.
        now: what it is to continue with.
    """
    return [
        change
        for change in differences(then, now)
        if change.name not in MAY_CHANGE and change.name.partition(".")[0] not in MAY_CHANGE
    ]


MAY_CHANGE = (
    "cluster",
    "metrics",
    *(f"{role}.{name}" for role in ("generators", "scorers") for name in ("count", "min_count", "max_count")),
    *(
        f"{role}.{name}"
        for role in ("generators", "scorers", "learner", "evaluation")
        for name in PlacedSection.model_fields
    ),
    "learner.num_ranks",
    "learner.zero_stage",
    "learner.offloads_optimizer",
    "evaluation.num_evaluators",
    "schedule.checkpoint_every_steps",
    "schedule.checkpoint_directory",
    "schedule.keep_checkpoints",
    "schedule.keep_best_checkpoints",
    "schedule.best_metric",
    "schedule.best_is",
    "schedule.deadline_s",
    "schedule.max_failed_saves",
    "schedule.self_test",
)
"""Sections and settings that say where a run computes and what it keeps.

They do not change what comes out, but for the rounding of sums that another number of learner ranks makes.
"""

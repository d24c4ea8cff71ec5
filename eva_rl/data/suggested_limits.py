"""What `eva-rl data stats` says: limits that the demonstrations keep, and the units of their joints.

For robots whose limits nobody published: a quantile of what experts commanded is a limit that they can keep.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.formats import open_episode
from eva_rl.data.inspection import damage_lines
from eva_rl.data.statistics import ActionStatistics
from eva_rl.embodiments.quantiles import seen_figures
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.records.episode import EpisodeHeader, EpisodeRef

LIMIT_FIGURES = ("low", "high", "velocity", "acceleration")


def suggest_limits(refs: Sequence[EpisodeRef], *, quantile: float = 0.001) -> dict[str, Any]:
    """Takes the figures of every joint over all episodes, at each episode's own rate.

    Args:
        refs: of one robot.
        quantile: share of frames below the low and above the high limit, and above each of the others.

    Returns:
        Plain figures, ready for JSON: embodiment; num_episodes; num_frames; quantile; joints: per joint its
        name, low, high, velocity, acceleration, mean and std (rad and seconds, grippers 0..1); arms: the same
        figures as fields of JointLimits, per arm; damaged: reason per episode.

    Raises:
        ValueError: no episode is readable, or they are of different robots.
    """
    headers, damaged = _read(refs)
    robots = sorted({header.embodiment for header in headers})
    if len(robots) != 1:
        first = next(iter(damaged.items()), ("no episode", "nothing was listed"))
        raise ValueError(
            f"one robot's episodes are needed, got {', '.join(robots) or f'none ({first[0]}: {first[1]})'}"
        )
    targets = np.concatenate([header.actions for header in headers])
    statistics = ActionStatistics.from_actions(targets, quantile=quantile)
    seen = seen_figures(
        [header.actions for header in headers],
        [header.frame_rate_hz for header in headers],
        quantile=quantile,
    )
    figures = vars(seen) | {"mean": statistics.mean, "std": statistics.std}
    rounded = {name: [round(float(value), 5) for value in values] for name, values in figures.items()}
    names = joint_names(robots[0])
    return {
        "embodiment": robots[0],
        "num_episodes": len(headers),
        "num_frames": len(targets),
        "quantile": quantile,
        "joints": [
            {"name": name, **{figure: values[number] for figure, values in rounded.items()}}
            for number, name in enumerate(names)
        ],
        "arms": _arms(robots[0], rounded),
        "damaged": damaged,
    }


def joint_names(embodiment: str) -> list[str]:
    """Names the dimensions of an action, such as "left 1" and "left gripper"."""
    row = EMBODIMENTS[embodiment]
    return [
        f"{arm} {joint}"
        for arm, limits in zip(row.arm_names, row.arms, strict=True)
        for joint in (*range(1, limits.num_joints + 1), "gripper")
    ]


def as_text(suggestion: Mapping[str, Any]) -> str:
    """The same for people: a table, and rows to paste into a table of limits."""
    lines = [
        f"{suggestion['embodiment']}: {suggestion['num_episodes']} episodes, "
        f"{suggestion['num_frames']} frames; suggested limits hold for all but "
        f"{suggestion['quantile']:.2%} of the frames at each end",
        f"{'':16}" + "".join(f"{name:>14}" for name in (*LIMIT_FIGURES, "mean", "std")),
    ]
    for joint in suggestion["joints"]:
        values = (joint[name] for name in (*LIMIT_FIGURES, "mean", "std"))
        lines.append(f"{joint['name']:16}" + "".join(f"{value:14.4f}" for value in values))
    for arm, limits in suggestion["arms"].items():
        fields = ", ".join(
            f"{name}={tuple(value) if isinstance(value, list) else value}" for name, value in limits.items()
        )
        lines.append(f"{arm}: JointLimits({fields})")
    return "\n".join([*lines, *damage_lines(suggestion["damaged"])])


def _read(refs: Sequence[EpisodeRef]) -> tuple[list[EpisodeHeader], dict[str, str]]:
    headers: list[EpisodeHeader] = []
    damaged: dict[str, str] = {}
    for ref in refs:
        try:
            header = open_episode(ref).header
        except DamagedEpisodeError as error:
            damaged[str(ref)] = error.reason
            continue
        dimension = EMBODIMENTS[header.embodiment].dimension
        if header.actions.shape[1] != dimension:
            damaged[str(ref)] = (
                f"has {header.actions.shape[1]} dimensions, {header.embodiment} has {dimension}"
            )
        elif not np.isfinite(header.actions).all():
            damaged[str(ref)] = "actions are not finite"
        elif not header.num_frames:
            damaged[str(ref)] = "has no frames"
        else:
            headers.append(header)
    return headers, damaged


def _arms(embodiment: str, figures: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    row = EMBODIMENTS[embodiment]
    arms = {}
    for arm, gripper in zip(row.arm_names, row.gripper_indices, strict=True):
        joints = row.joints_of(arm)
        arms[arm] = {
            "position_low": list(figures["low"][joints]),
            "position_high": list(figures["high"][joints]),
            "velocity": list(figures["velocity"][joints]),
            "acceleration": list(figures["acceleration"][joints]),
            "gripper_velocity": figures["velocity"][gripper],
            "gripper_acceleration": figures["acceleration"][gripper],
        }
    return arms

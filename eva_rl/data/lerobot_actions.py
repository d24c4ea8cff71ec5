"""Whether a LeRobot dataset's `action` is what this project needs: absolute joint targets in our order."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.embodiments import Embodiment

ACTION = "action"
STATE = "observation.state"
POSE_WORDS = frozenset({"x", "y", "z", "roll", "pitch", "yaw", "rx", "ry", "rz", "qx", "qy", "qz", "qw"})
LARGEST_JOINT_RAD = 4 * math.pi
"""No joint of a robot arm turns further; figures above are degrees or encoder counts."""


def names_of(feature: Mapping[str, Any]) -> list[str]:
    """Names of a feature's dimensions: a list, or a mapping that holds one; empty where there are none."""
    names = feature.get("names")
    if isinstance(names, Mapping):
        names = next((values for values in names.values() if isinstance(values, list)), None)
    return [str(name) for name in names] if isinstance(names, list) else []


def check_layout(features: Mapping[str, Mapping[str, Any]], *, embodiment: Embodiment, source: str) -> None:
    """Refuses datasets whose `action` has other dimensions, another order, or other quantities.

    Raises:
        DamagedEpisodeError: names what the dataset has.
    """
    vectors = {
        key: list(feature.get("shape", ()))
        for key, feature in features.items()
        if feature.get("dtype") in ("float32", "float64")
    }
    if vectors.get(ACTION) != [embodiment.dimension]:
        found = ", ".join(f"{key} {shape}" for key, shape in vectors.items())
        raise DamagedEpisodeError(
            source,
            f"{ACTION} must have {embodiment.dimension} dimensions for {embodiment.name} "
            f"({len(embodiment.arms)} arms, each with its gripper last); the dataset has "
            f"{found or 'no vectors'}: name its own robot (robot.embodiment, --embodiment), or add a row to "
            "EMBODIMENTS",
        )
    names = names_of(features[ACTION])
    plain = [name.lower().removeprefix("left_").removeprefix("right_") for name in names]
    if any("delta" in name for name in plain) or POSE_WORDS.intersection(plain):
        raise DamagedEpisodeError(
            source, f"{ACTION} holds no absolute joint targets; its names are {', '.join(names)}"
        )
    grippers = tuple(number for number, name in enumerate(plain) if "gripper" in name)
    if grippers and grippers != embodiment.gripper_indices:
        raise DamagedEpisodeError(
            source,
            f"{ACTION} has grippers at {list(grippers)}, {embodiment.name} at "
            f"{list(embodiment.gripper_indices)}; its names are {', '.join(names)}",
        )


def refuse_differences(
    actions: NDArray[np.float32],
    states: NDArray[np.float32] | None,
    *,
    embodiment: Embodiment,
    source: str,
) -> None:
    """Refuses actions that are joint differences, or in degrees, as far as figures can tell.

    Args:
        actions: [frames, dimensions].
        states: measured joints, [frames, dimensions], if there are any.
        embodiment: tells arms from grippers.
        source: what to name.

    Raises:
        DamagedEpisodeError: actions follow the change of the measured joints rather than the joints, or
            are larger than any angle of a joint in rad.
    """
    arms = list(embodiment.arm_indices)
    targets = actions[:, arms].astype(np.float64)
    largest = np.abs(targets).max(initial=0.0)
    if largest > LARGEST_JOINT_RAD:
        raise DamagedEpisodeError(
            source, f"{ACTION} reaches {largest:.1f}, which no joint does in rad; degrees must be converted"
        )
    if states is None or states.shape != actions.shape or len(actions) < 3:
        return
    if not (np.isfinite(actions).all() and np.isfinite(states).all()):
        return  # refused elsewhere, for that
    joints = states[:, arms].astype(np.float64)
    as_targets = np.sqrt(np.mean((targets[:-1] - joints[1:]) ** 2))
    as_differences = np.sqrt(np.mean((targets[:-1] - np.diff(joints, axis=0)) ** 2))
    if as_differences < as_targets / 3:
        raise DamagedEpisodeError(
            source,
            f"{ACTION} follows the differences of {STATE} (error {as_differences:.3f} rad), not the joints "
            f"themselves ({as_targets:.3f} rad); absolute targets are needed",
        )

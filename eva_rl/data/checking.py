"""What one episode is like, and whether it can be trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.formats import open_episode
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.embodiments.violations import count_command_violations
from eva_rl.records.episode import Episode, EpisodeHeader, EpisodeRef


@dataclass(frozen=True, kw_only=True)
class EpisodeFinding:
    """What was found when an episode was read once.

    Example:
        EpisodeFinding(ref=EpisodeRef(...), problem=None, num_frames=17, frame_rate_hz=5.0,
                       height=48, width=64, embodiment="bimanual", num_instructions=3,
                       violations={"position": 0, "velocity": 2, "acceleration": 0})

    Attributes:
        problem: why it cannot be used, None if it can; the other fields are empty then.
        num_instructions: seen and unseen ones.
        violations: frames whose drive targets break the robot's own limits, per kind of limit.
    """

    ref: EpisodeRef
    problem: str | None = None
    num_frames: int = 0
    frame_rate_hz: float = 0.0
    height: int = 0
    width: int = 0
    embodiment: str = ""
    num_instructions: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)


def find_out(ref: EpisodeRef, *, num_dimensions: int | None, decodes_all: bool = True) -> EpisodeFinding:
    """Reads an episode once and says what it is like or what is wrong with it.

    Args:
        ref: the episode.
        num_dimensions: joint dimensions of the robot that is trained; None: as many as its own robot has.
        decodes_all: whether every picture is decoded; else only the first one is, and of the others the
            number, the times and the ends are looked at. That is many times faster, and misses pictures that
            are damaged in the middle: whoever decodes them later names them.
    """
    try:
        stored = open_episode(ref)
        header = stored.header
        check_header(header, num_dimensions=num_dimensions or EMBODIMENTS[header.embodiment].dimension)
        if decodes_all:
            height, width, _ = stored.load().frames.shape[1:]
        else:
            stored.check_pictures()
            height, width, _ = next(iter(stored.decode([0]))).shape
    except DamagedEpisodeError as error:
        problem = error.reason if error.path == str(ref) else str(error)
        return EpisodeFinding(ref=ref, problem=problem)
    return EpisodeFinding(
        ref=ref,
        num_frames=header.num_frames,
        frame_rate_hz=header.frame_rate_hz,
        height=height,
        width=width,
        embodiment=header.embodiment,
        num_instructions=len(header.seen_instructions) + len(header.unseen_instructions),
        violations=_violations(header),
    )


def _violations(header: EpisodeHeader) -> dict[str, int]:
    embodiment, targets = EMBODIMENTS[header.embodiment], header.actions.astype(np.float64)
    if targets.shape[1] != embodiment.dimension:
        return {}
    return count_command_violations(targets, embodiment, frame_rate_hz=header.frame_rate_hz)


def check_episode(episode: Episode, *, num_dimensions: int) -> None:
    """Refuses an episode that would poison training.

    Args:
        episode: as read from its file.
        num_dimensions: joint dimensions of the robot that is trained.

    Raises:
        DamagedEpisodeError: wrong shapes, or what `check_header` refuses.
    """
    shape = episode.frames.shape
    if len(shape) != 4 or shape[-1] != 3 or len(episode.frames) != episode.num_frames:
        raise DamagedEpisodeError(
            episode.source, f"frames have shape {shape}, wanted [{episode.num_frames}, height, width, 3]"
        )
    check_header(episode, num_dimensions=num_dimensions)


def check_header(header: EpisodeHeader, *, num_dimensions: int) -> None:
    """Refuses an episode by what is known without its pictures.

    Raises:
        DamagedEpisodeError: no frames, wrong dimensions, NaN or infinite targets, no instruction, or no
            positive rate.
    """
    actions, measured = header.actions, header.measured_positions
    texts = (*header.seen_instructions, *header.unseen_instructions)
    problems = {
        "has no frames": not header.num_frames,
        f"actions have shape {actions.shape}, wanted [{len(actions)}, {num_dimensions}]": actions.shape
        != (len(actions), num_dimensions),
        f"actions are not finite{_place_of_damage(actions)}": not np.isfinite(actions).all(),
        "measured positions are not finite or shaped unlike the actions": measured is not None
        and (measured.shape != actions.shape or not np.isfinite(measured).all()),
        "has no seen instruction": not header.seen_instructions,
        "an instruction is empty": any(not isinstance(text, str) or not text.strip() for text in texts),
        f"frame rate is {header.frame_rate_hz} Hz": not 0 < header.frame_rate_hz < float("inf"),
    }
    for problem, is_present in problems.items():
        if is_present:
            raise DamagedEpisodeError(header.source, problem)


def _place_of_damage(actions: NDArray[np.float32]) -> str:
    places = np.argwhere(~np.isfinite(actions))
    if len(places) == 0:
        return ""
    frame, dimension = places[0]
    more = f", and {len(places) - 1} more" if len(places) > 1 else ""
    return f" (frame {frame}, dimension {dimension} is {actions[frame, dimension]}{more})"

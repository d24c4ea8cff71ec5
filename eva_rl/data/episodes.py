"""Which recorded episodes of a directory can be used, and why the others cannot."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eva_rl.data.robotwin_hdf5 import DamagedEpisodeError, read_episode
from eva_rl.records.episode import Episode


class EpisodeDirectoryError(ValueError):
    """A directory of episodes that cannot be used as a whole."""


@dataclass(frozen=True, kw_only=True)
class EpisodeSurvey:
    """What was found in a directory of episodes.

    Example:
        EpisodeSurvey(usable=(Path("demos/click_bell/embedded/data/episode0.hdf5"), ...),
                      damaged={"demos/click_bell/embedded/data/episode7.hdf5": "not readable (truncated)"},
                      num_episodes_per_task={"click_bell": 49}, num_frames=833)

    Attributes:
        usable: files that passed every check, in the order of `list_episode_files`.
        damaged: reason per refused file.
        num_episodes_per_task: usable episodes.
        num_frames: frames in all usable episodes.
    """

    usable: tuple[Path, ...]
    damaged: Mapping[str, str]
    num_episodes_per_task: Mapping[str, int]
    num_frames: int

    def __str__(self) -> str:
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in list(self.damaged.items())[:5])
        counts = f"{len(self.usable)} usable, {len(self.damaged)} damaged"
        return f"{counts} episodes, {self.num_frames} frames{reasons}"


def list_episode_files(directory: Path, *, tasks: Sequence[str] | None = None) -> list[Path]:
    """Lists the episodes below a directory: by task, then task configuration, then number.

    Args:
        directory: holds <task>/<task_config>/data/episode{i}.hdf5.
        tasks: only these tasks; None for all.

    Raises:
        EpisodeDirectoryError: there are none, or a task has none.
    """
    files = [
        path for path in directory.glob("*/*/data/episode*.hdf5") if re.fullmatch(r"episode\d+", path.stem)
    ]
    found = {path.parents[2].name for path in files}
    missing = sorted(set(tasks or ()) - found)
    if missing or not files:
        raise EpisodeDirectoryError(
            f"{directory} has no episodes of {', '.join(missing) or 'any task'} "
            "(looked for <task>/<task_config>/data/episode<i>.hdf5; "
            f"tasks found: {', '.join(sorted(found)) or 'none'})"
        )
    wanted = [path for path in files if tasks is None or path.parents[2].name in tasks]
    return sorted(wanted, key=lambda path: (path.parents[2].name, path.parents[1].name, int(path.stem[7:])))


def check_episode(episode: Episode, *, num_dimensions: int) -> None:
    """Refuses an episode that would poison training.

    Args:
        episode: as read from its file.
        num_dimensions: joint dimensions of the robot that is trained.

    Raises:
        DamagedEpisodeError: wrong shapes, NaN or infinite targets, no instruction, or no positive rate.
    """
    frames, actions, measured = episode.frames, episode.actions, episode.measured_positions
    texts = (*episode.seen_instructions, *episode.unseen_instructions)
    problems = {
        f"frames have shape {frames.shape}, wanted [frames, height, width, 3]": frames.ndim != 4
        or frames.shape[-1] != 3,
        f"actions have shape {actions.shape}, wanted [{len(frames)}, {num_dimensions}]": actions.shape
        != (len(frames), num_dimensions),
        "actions are not finite": not np.isfinite(actions).all(),
        "measured positions are not finite or shaped unlike the actions": measured is not None
        and (measured.shape != actions.shape or not np.isfinite(measured).all()),
        "has no seen instruction": not episode.seen_instructions,
        "an instruction is empty": any(not isinstance(text, str) or not text.strip() for text in texts),
        f"frame rate is {episode.frame_rate_hz} Hz": not 0 < episode.frame_rate_hz < float("inf"),
    }
    for problem, is_present in problems.items():
        if is_present:
            raise DamagedEpisodeError(episode.source, problem)


def survey_episodes(
    files: Sequence[Path],
    *,
    num_dimensions: int,
    max_damaged_share: float = 0.05,
    are_mixed_rates_allowed: bool = False,
) -> EpisodeSurvey:
    """Reads every file once, decoding its images, and separates usable from damaged episodes.

    Args:
        files: as `list_episode_files` gives them.
        num_dimensions: joint dimensions of the robot that is trained.
        max_damaged_share: more damaged files than this share refuse the whole directory.
        are_mixed_rates_allowed: windows are resampled to the model's rate, so mixed rates work; but they
            mostly mean that a rate was labelled wrongly, hence the refusal by default.

    Raises:
        EpisodeDirectoryError: too many damaged files, or mixed frame rates that are not allowed.
    """
    damaged: dict[str, str] = {}
    usable: list[Path] = []
    tasks: Counter[str] = Counter()
    rates: Counter[float] = Counter()
    num_frames = 0
    for path in files:
        try:
            episode = read_episode(path)
            check_episode(episode, num_dimensions=num_dimensions)
        except DamagedEpisodeError as error:
            damaged[str(path)] = error.reason
            continue
        usable.append(path)
        tasks[episode.task] += 1
        rates[round(episode.frame_rate_hz, 6)] += 1
        num_frames += len(episode.frames)
    survey = EpisodeSurvey(
        usable=tuple(usable),
        damaged=damaged,
        num_episodes_per_task=dict(sorted(tasks.items())),
        num_frames=num_frames,
    )
    if not usable or len(damaged) > max_damaged_share * len(files):
        raise EpisodeDirectoryError(
            f"{len(damaged)} of {len(files)} episodes are damaged, data.max_damaged_share allows "
            f"{max_damaged_share:.0%}: {survey}"
        )
    if len(rates) > 1 and not are_mixed_rates_allowed:
        counts = ", ".join(f"{rate:g} Hz in {count} episodes" for rate, count in sorted(rates.items()))
        raise EpisodeDirectoryError(
            f"mixed frame rates ({counts}); set data.are_mixed_rates_allowed if the labels are right"
        )
    return survey


def split_episodes(
    files: Sequence[Path], *, held_out_share: float, seed: int
) -> tuple[list[Path], list[Path]]:
    """Splits whole episodes into training and held-out ones, the same share of every task.

    Frames of one episode never stand on both sides: neighbouring frames are near copies.

    Args:
        files: usable episodes.
        held_out_share: 0..1; at least one episode per task is held out if it is above 0.
        seed: chooses the episodes.

    Returns:
        Training files and held-out files, each in the given order.
    """
    random = np.random.default_rng(seed)
    held_out: set[Path] = set()
    for task in sorted({path.parents[2].name for path in files}):
        of_task = [path for path in files if path.parents[2].name == task]
        num_held_out = max(1, round(held_out_share * len(of_task))) if held_out_share > 0 else 0
        held_out.update(of_task[i] for i in random.permutation(len(of_task))[:num_held_out])
    return [path for path in files if path not in held_out], [path for path in files if path in held_out]

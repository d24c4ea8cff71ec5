"""Which recorded episodes can be used, why the others cannot, and which are held out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eva_rl.data.checking import EpisodeFinding, find_out
from eva_rl.data.listing import EpisodeDirectoryError
from eva_rl.records.episode import EpisodeRef

FindOut = Callable[[Sequence[EpisodeRef], int], Iterable[EpisodeFinding]]


@dataclass(frozen=True, kw_only=True)
class EpisodeSurvey:
    """What was found among episodes that were listed.

    Example:
        EpisodeSurvey(usable=(EpisodeRef(path="demos/click_bell/embedded/data/episode0.hdf5", ...), ...),
                      damaged={"demos/click_bell/embedded/data/episode7.hdf5": "not readable (truncated)"},
                      num_episodes_per_task={"click_bell": 49}, num_frames=833)

    Attributes:
        usable: episodes that passed every check, in the order of `list_episodes`.
        damaged: reason per refused episode.
        num_episodes_per_task: usable episodes.
        num_frames: frames in all usable episodes.
    """

    usable: tuple[EpisodeRef, ...]
    damaged: Mapping[str, str]
    num_episodes_per_task: Mapping[str, int]
    num_frames: int

    def __str__(self) -> str:
        reasons = "".join(f"\n  {path}: {reason}" for path, reason in list(self.damaged.items())[:5])
        counts = f"{len(self.usable)} usable, {len(self.damaged)} damaged"
        return f"{counts} episodes, {self.num_frames} frames{reasons}"


def one_after_the_other(refs: Sequence[EpisodeRef], num_dimensions: int) -> Iterable[EpisodeFinding]:
    """Reads episodes in this process; see `find_out`."""
    return (find_out(ref, num_dimensions=num_dimensions) for ref in refs)


def survey_episodes(
    refs: Sequence[EpisodeRef],
    *,
    num_dimensions: int,
    max_damaged_share: float = 0.05,
    are_mixed_rates_allowed: bool = False,
    find: FindOut = one_after_the_other,
) -> EpisodeSurvey:
    """Reads every episode once, decoding its images, and separates usable from damaged ones.

    Args:
        refs: as `list_episodes` gives them.
        num_dimensions: joint dimensions of the robot that is trained.
        max_damaged_share: a larger share of damaged episodes refuses all of them.
        are_mixed_rates_allowed: windows are resampled to the model's rate, so mixed rates work; but they
            mostly mean that a rate was labelled wrongly, hence the refusal by default.
        find: reads the episodes; `find_in_parallel` of `ray_pipeline` does it on all machines.

    Raises:
        EpisodeDirectoryError: too many damaged episodes, or mixed frame rates that are not allowed.
    """
    findings = list(find(refs, num_dimensions))
    fine = [finding for finding in findings if finding.problem is None]
    tasks = Counter(finding.ref.task for finding in fine)
    survey = EpisodeSurvey(
        usable=tuple(finding.ref for finding in fine),
        damaged={str(finding.ref): finding.problem for finding in findings if finding.problem is not None},
        num_episodes_per_task=dict(sorted(tasks.items())),
        num_frames=sum(finding.num_frames for finding in fine),
    )
    if not fine or len(survey.damaged) > max_damaged_share * len(refs):
        raise EpisodeDirectoryError(
            f"{len(survey.damaged)} of {len(refs)} episodes are damaged, data.max_damaged_share allows "
            f"{max_damaged_share:.0%}: {survey}"
        )
    rates = Counter(round(finding.frame_rate_hz, 6) for finding in fine)
    if len(rates) > 1 and not are_mixed_rates_allowed:
        counts = ", ".join(f"{rate:g} Hz in {count} episodes" for rate, count in sorted(rates.items()))
        raise EpisodeDirectoryError(
            f"mixed frame rates ({counts}); set data.are_mixed_rates_allowed if the labels are right"
        )
    return survey


def split_episodes(
    refs: Sequence[EpisodeRef], *, held_out_share: float, seed: int
) -> tuple[list[EpisodeRef], list[EpisodeRef]]:
    """Splits whole episodes into training and held-out ones, the same share of every task.

    Tasks with a single episode count as one task together: datasets that describe every episode in words of
    its own would otherwise be held out whole.

    Frames of one episode never stand on both sides: neighbouring frames are near copies.

    Args:
        refs: usable episodes.
        held_out_share: 0..1; at least one episode per task is held out if it is above 0.
        seed: chooses the episodes.

    Returns:
        Training episodes and held-out episodes, each in the given order.
    """
    random = np.random.default_rng(seed)
    held_out: set[EpisodeRef] = set()
    counts = Counter(ref.task for ref in refs)
    groups = {ref: ref.task if counts[ref.task] > 1 else "" for ref in refs}
    for group in sorted(set(groups.values())):
        of_task = [ref for ref in refs if groups[ref] == group]
        num_held_out = max(1, round(held_out_share * len(of_task))) if held_out_share > 0 else 0
        held_out.update(of_task[i] for i in random.permutation(len(of_task))[:num_held_out])
    return [ref for ref in refs if ref not in held_out], [ref for ref in refs if ref in held_out]

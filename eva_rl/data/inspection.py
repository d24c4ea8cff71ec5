"""What `eva-rl data inspect` says about a directory of episodes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eva_rl.data.checking import EpisodeFinding, find_out
from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.data.formats import detect_format
from eva_rl.records.episode import EpisodeRef


def inspect_episodes(
    refs: Sequence[EpisodeRef],
    *,
    decodes_all: bool = True,
    on_episode: Callable[[int], None] = lambda number: None,
) -> dict[str, Any]:
    """Reads every episode once and sums up.

    Args:
        refs: as `list_episodes` gives them.
        decodes_all: whether every picture is decoded, see `find_out`.
        on_episode: called with the number of episodes that have been read.

    Returns:
        Plain figures, ready for JSON: num_episodes, num_frames, duration_s; tasks, formats, robots,
        frame_rates_hz and frame_sizes, each with a number of episodes; violations: episodes and frames in
        which the demonstrations break their own robot's limits, per kind; damaged: reason per episode.
    """
    findings = []
    for number, ref in enumerate(refs, start=1):
        findings.append(find_out(ref, num_dimensions=None, decodes_all=decodes_all))
        on_episode(number)
    fine = [finding for finding in findings if finding.problem is None]
    return {
        "num_episodes": len(findings),
        "num_frames": sum(finding.num_frames for finding in fine),
        "duration_s": round(sum(finding.num_frames / finding.frame_rate_hz for finding in fine), 3),
        "tasks": _counts(finding.ref.task for finding in fine),
        "formats": _counts(_format_of(finding.ref) for finding in fine),
        "robots": _counts(finding.embodiment for finding in fine),
        "frame_rates_hz": _counts(f"{finding.frame_rate_hz:.6g}" for finding in fine),
        "frame_sizes": _counts(f"{finding.height}x{finding.width}" for finding in fine),
        "violations": _violations(fine),
        "damaged": {str(finding.ref): finding.problem for finding in findings if finding.problem},
    }


def as_text(inspection: Mapping[str, Any]) -> str:
    """The same for people."""
    num_damaged = len(inspection["damaged"])
    lines = [
        f"{inspection['num_episodes']} episodes: {inspection['num_episodes'] - num_damaged} usable, "
        f"{num_damaged} damaged; {inspection['num_frames']} usable frames, {inspection['duration_s']:.1f} s"
    ]
    for name, unit in (
        ("tasks", ""),
        ("formats", ""),
        ("robots", ""),
        ("frame_rates_hz", " Hz"),
        ("frame_sizes", " pixels"),
    ):
        counts = ", ".join(f"{value}{unit} ({count})" for value, count in inspection[name].items())
        lines.append(f"{name.removesuffix('_hz').replace('_', ' '):14}{counts or 'none'}")
    broken = [
        f"{kind} in {found['num_episodes']} episodes ({found['num_frames']} frames)"
        for kind, found in inspection["violations"].items()
        if found["num_episodes"]
    ]
    if inspection["violations"]:
        lines.append(f"{'limits broken':14}{', '.join(broken) or 'none'}")
    return "\n".join([*lines, *damage_lines(inspection["damaged"])])


def damage_lines(damaged: Mapping[str, str]) -> list[str]:
    """One line per reason: a whole dataset may be damaged in one way."""
    places: dict[str, list[str]] = {}
    for place, reason in damaged.items():
        places.setdefault(reason, []).append(place)
    lines = []
    for reason, found in places.items():
        more = f" (and {len(found) - 1} more for the same reason, see --json)" if len(found) > 1 else ""
        lines.append(f"damaged: {found[0]}{more}: {reason}")
    return lines


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _format_of(ref: EpisodeRef) -> str:
    try:
        return detect_format(ref)
    except DamagedEpisodeError as error:  # it was readable a moment ago
        return f"unreadable since ({error.reason})"


def _violations(findings: Sequence[EpisodeFinding]) -> dict[str, dict[str, int]]:
    kinds = dict.fromkeys(kind for finding in findings for kind in finding.violations)
    return {
        kind: {
            "num_episodes": sum(finding.violations.get(kind, 0) > 0 for finding in findings),
            "num_frames": sum(finding.violations.get(kind, 0) for finding in findings),
        }
        for kind in kinds
    }

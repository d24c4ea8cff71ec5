"""Sentinels: alarms for rewards that rise for the wrong reason. They change no reward and end no run.

Each sentinel turns what was observed on the rollouts of a training step into one value, larger = worse, and
compares it with a threshold. Most compare with what was normal in the first steps, by medians: a robot's
videos are their own yardstick. Thresholds were set on 20 imagined and 20 rendered clips of the embedded robot
(range there, against the fault): frame change .011-.042, frozen 0; arm visibility .94-.98, one arm painted
over .23; cycle error, over ten tasks, at most 3.1 times its median, robot stretched by a fifth 5.4-7.0 times.
Two readers trained from different seeds differ by at most 1.6 times their median on rendered clips, on
stretched robots by 3.8 times; on 24 steps of 16 clips imagined by the shipped base a share of at most .31
passed twice the median, of .50 and more after eight steps of smoothness without an anchor. The path fell by
at most .04 in twelve honest steps, by .07 after 550 CPU-seconds, by .23 in six reckless steps. A reward's
leverage is .18 at the median penalty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

ALARMING_SHARE = 0.25  # a single odd rollout is no alarm, a quarter of them is


@dataclass(frozen=True, kw_only=True)
class Normal:
    """What one observation was like in the first steps.

    Example:
        Normal(median=0.026, mean=0.027, std=0.006)
    """

    median: float
    mean: float
    std: float


Observed = Mapping[str, Float[Tensor, " rollouts"]]
SentinelValue = Callable[[Observed, Mapping[str, Normal]], float]


@dataclass(frozen=True, kw_only=True)
class Sentinel:
    """One row of SENTINELS.

    Attributes:
        watches: observations that it needs; it is silent where one of them was not made.
        value: (observations of a step's judged rollouts, what was normal) -> value, larger is worse.
        threshold: values above it raise the alarm.
        meaning: what an alarm says, for people.
    """

    watches: tuple[str, ...]
    value: SentinelValue
    threshold: float
    meaning: str


def share_below(name: str, bound: float) -> SentinelValue:
    """Counts the share of rollouts whose observation lies below a bound."""

    def value(observed: Observed, normal: Mapping[str, Normal]) -> float:
        return float((observed[name] < bound).float().mean())

    return value


def share_below_normal(name: str, factor: float) -> SentinelValue:
    """Counts the share of rollouts below this multiple of the normal median."""

    def value(observed: Observed, normal: Mapping[str, Normal]) -> float:
        return float((observed[name] < factor * normal[name].median).float().mean())

    return value


def share_above_normal(name: str, factor: float) -> SentinelValue:
    """Counts the share of rollouts above this multiple of the normal median."""

    def value(observed: Observed, normal: Mapping[str, Normal]) -> float:
        return float((observed[name] > factor * normal[name].median).float().mean())

    return value


def fall_from_normal(name: str) -> SentinelValue:
    """Measures by which share of its normal value the mean has fallen."""

    def value(observed: Observed, normal: Mapping[str, Normal]) -> float:
        return 1 - float(observed[name].mean()) / normal[name].mean

    return value


def parting(rising: str, falling: str) -> SentinelValue:
    """Measures how far one observation has risen while another has fallen: the smaller of the two moves.

    Both are moves of the mean since the first steps, in standard deviations of the rollouts of then.
    """

    def value(observed: Observed, normal: Mapping[str, Normal]) -> float:
        rise, fall = (
            sign * (float(observed[name].mean()) - normal[name].mean) / max(normal[name].std, 1e-9)
            for name, sign in ((rising, 1), (falling, -1))
        )
        return min(rise, fall)

    return value


SENTINELS: Mapping[str, Sentinel] = {
    "frozen_video": Sentinel(
        watches=("frame_change",),
        value=share_below_normal("frame_change", 0.3),
        threshold=ALARMING_SHARE,
        meaning="videos hardly change from frame to frame: standing still is the cheapest smooth motion",
    ),
    "shrunken_motion": Sentinel(
        watches=("relative_path",),
        value=fall_from_normal("relative_path"),
        threshold=0.12,
        meaning="arms travel less and less of what a demonstration travels: smooth, and short of the goal",
    ),
    "vanished_arm": Sentinel(
        watches=("arm_visibility",),
        value=share_below("arm_visibility", 0.6),
        threshold=ALARMING_SHARE,
        meaning="an arm is not to be seen where its motion is read: the reader rewards what is not there",
    ),
    "link_length_drift": Sentinel(
        watches=("cycle_error",),
        value=share_above_normal("cycle_error", 4.0),
        threshold=ALARMING_SHARE,
        meaning="the robot no longer has the shape that its motion gives it: links stretch, shrink or smear",
    ),
    "readers_disagree": Sentinel(
        watches=("judge_distance",),
        value=share_above_normal("judge_distance", 2.0),
        threshold=0.4,  # imagined clips of ten tasks differ more among themselves than rendered ones
        meaning="two independent readers see different motions: the pictures have left what both know",
    ),
    "judge_falls": Sentinel(
        watches=("reward", "judge_reward"),
        value=parting("reward", "judge_reward"),
        threshold=0.5,
        meaning="the reward rises while an independent reader's falls: the policy fools the reader that pays",
    ),
    "saturated_reward": Sentinel(
        watches=("reward_leverage",),
        value=share_below("reward_leverage", 0.02),
        threshold=ALARMING_SHARE,
        meaning="the reward is flat where the rollouts are: better and worse motion earn the same; set "
        "reward.penalty_scale near their penalty, or to calibrated",
    ),
    "diversity_collapse": Sentinel(
        watches=("group_spread",),
        value=share_below_normal("group_spread", 0.3),
        threshold=ALARMING_SHARE,
        meaning="rollouts of one condition hardly differ: there is nothing left to compare, or to learn from",
    ),
}
"""Every alarm; a row here is a metric and a line in the terminal without more being written."""

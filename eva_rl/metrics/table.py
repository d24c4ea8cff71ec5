"""Every metric's name, unit and meaning, in one table."""

import difflib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What one number means.

    Example:
        Metric(name="learner/kl", unit="nat", meaning="distance of the policy to the reference policy")

    Attributes:
        name: `area/quantity`, the key in metrics.jsonl; a family's name ends in the placeholder `<term>`.
        unit: unit of the values, "1" for plain numbers.
        meaning: what is measured, over what.
    """

    name: str
    unit: str
    meaning: str


class UndeclaredMetricError(KeyError):
    """A metric was written under a name that the table does not hold."""

    def __str__(self) -> str:
        return str(self.args[0])


def declared_metric(name: str) -> Metric:
    """Looks a name up.

    Raises:
        UndeclaredMetricError: neither a declared metric nor a member of a declared family; names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    for prefix, family in METRIC_FAMILIES.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return family
    known = [*METRICS, *(family.name for family in METRIC_FAMILIES.values())]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise UndeclaredMetricError(
        f"metric {name!r} is not declared; the nearest name is {nearest!r}: use it, or add a row to METRICS "
        "in eva_rl/metrics/table.py"
    )


_ROWS = (
    Metric(name="reward/mean", unit="1", meaning="mean reward of the step's judged rollouts"),
    Metric(
        name="reward/std_within_group",
        unit="1",
        meaning="standard deviation of the rewards within a group, mean over groups: what is learned from; "
        "absent where a group is one rollout",
    ),
    Metric(name="reward/penalty", unit="1", meaning="mean penalty: weighted sum of all reward terms"),
    Metric(
        name="reward/abstained",
        unit="rollouts",
        meaning="rollouts that the scorer could not judge; they leave their groups",
    ),
    Metric(
        name="advantage/zero_variance_share",
        unit="1",
        meaning="share of groups whose rewards are all equal, so that they teach nothing; absent where a "
        "group is one rollout",
    ),
    Metric(name="learner/loss", unit="1", meaning="policy loss plus weighted distance to the reference"),
    Metric(name="learner/policy_loss", unit="1", meaning="policy loss alone"),
    Metric(name="learner/kl", unit="nat", meaning="distance of the policy to the reference policy (kl_form)"),
    Metric(
        name="learner/max_ratio_deviation",
        unit="1",
        meaning="largest |importance ratio - 1|; 0 up to rounding at the first update on fresh rollouts; "
        "absent for losses without a ratio",
    ),
    Metric(
        name="learner/clip_fraction",
        unit="1",
        meaning="share of importance ratios outside the clip range; absent for losses without a ratio",
    ),
    Metric(name="learner/grad_norm", unit="1", meaning="norm of the adapter's gradient before clipping"),
    Metric(
        name="learner/skipped",
        unit="1",
        meaning="1 if the gradient was not finite and the training step changed nothing, else 0",
    ),
    Metric(name="learner/learning_rate", unit="1", meaning="learning rate of the last optimiser step"),
    Metric(
        name="motion/path_length_rad",
        unit="rad",
        meaning="mean path of the decoded arm joints per rollout: falls when the policy learns to move less",
    ),
    Metric(
        name="rollouts/staleness",
        unit="training steps",
        meaning="age of the policies that made the rollouts: training step - adapter version, mean",
    ),
    Metric(
        name="rollouts/max_staleness",
        unit="training steps",
        meaning="the largest age; never above schedule.rollouts_ahead, or max_staleness where unordered",
    ),
    Metric(name="rollouts/per_s", unit="1/s", meaning="rollouts learned from per second of wall time"),
    Metric(
        name="sync/adapter_bytes",
        unit="B",
        meaning="bytes of adapters that generators copied to make the batch: once per generator and version",
    ),
    Metric(
        name="faults/replaced_members",
        unit="1",
        meaning="generators and scorers that were lost and replaced since the run began or was continued",
    ),
    Metric(name="faults/hung_members", unit="1", meaning="those of them that passed their deadline"),
    Metric(name="faults/repeated_orders", unit="1", meaning="calls that were begun again after such a loss"),
    Metric(
        name="faults/remade_inputs",
        unit="1",
        meaning="chunks of rollouts that were made again because a machine took them with it",
    ),
    Metric(name="time/generate_s", unit="s", meaning="time that generators spent on the batch, summed"),
    Metric(name="time/score_s", unit="s", meaning="time that scorers spent on the batch, summed"),
    Metric(name="time/learn_s", unit="s", meaning="wall time of the learner's update"),
    Metric(
        name="time/cpu_s",
        unit="s",
        meaning="CPU-seconds that generators, scorers and learner spent on the step together",
    ),
    Metric(name="time/learn_cpu_s", unit="s", meaning="CPU-seconds of the learner's update, all ranks"),
    Metric(name="time/sync_s", unit="s", meaning="wall time to put the new adapter where generators find it"),
    Metric(name="time/wait_s", unit="s", meaning="wall time that the driver waited for rewards"),
    Metric(
        name="time/step_s",
        unit="s",
        meaning="wall time of the training step: time/wait_s + time/learn_s + time/sync_s",
    ),
    Metric(
        name="time/record_s",
        unit="s",
        meaning="wall time between the step before and this one: its metrics and any checkpoint",
    ),
    Metric(
        name="adapter/training_step",
        unit="training steps",
        meaning="training steps that made the newest adapter, which generators are told to sample with",
    ),
)

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}
"""Metrics that a run writes once per training step; the key of a row is `training_step`."""

MACHINE_METRICS = ("time/", "rollouts/per_s", "faults/", "queue/", "members/", "sync/")
"""Beginnings of the names that speak of clocks and machines: they differ between two equal runs."""


def is_reproducible(name: str) -> bool:
    """Whether two runs of the same settings, code and data write equal values of a metric."""
    return not name.startswith(MACHINE_METRICS)


METRIC_FAMILIES: dict[str, Metric] = {
    "queue/": Metric(
        name="queue/<role>", unit="1", meaning="orders that wait for a free member at the end of the step"
    ),
    "members/": Metric(
        name="members/<role>", unit="1", meaning="members of the role that are ready for work"
    ),
    "sentinel/": Metric(
        name="sentinel/<name>",
        unit="1",
        meaning="1 while this alarm of reward hacking is on, else 0 (row of SENTINELS); absent where it is "
        "not watched, and in the first steps, which say what is normal",
    ),
    "sentinel_value/": Metric(
        name="sentinel_value/<name>",
        unit="1",
        meaning="what the sentinel measures, larger is worse: a share of the rollouts, or a move in standard "
        "deviations for judge_falls",
    ),
    "reward/term/": Metric(
        name="reward/term/<term>",
        unit="1",
        meaning="mean weighted cost of one term of the reward (row of REWARD_TERMS)",
    ),
}
"""Metrics with one member per row of another table, by the prefix of their names."""

"""One row of metrics per training step."""

from collections.abc import Mapping

import torch

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.recovery import FaultCounts
from eva_rl.driver.batch import Batch
from eva_rl.driver.scores import BatchScores
from eva_rl.records.adapter import AdapterVersion, LearnerUpdate
from eva_rl.rl.advantages import Advantages


def measure_step(
    batch: Batch,
    scores: BatchScores,
    advantages: Advantages,
    update: LearnerUpdate,
    *,
    started: float,
    waited: float,
    learned: float,
    synced: float,
) -> dict[str, float]:
    """Gathers the metrics of one training step under their declared names.

    Args:
        batch: the batch that was learned from.
        scores: its rewards.
        advantages: what became of the rewards.
        update: what the learner returned.
        started: clock reading when the step began, in seconds.
        waited: when the rewards were there.
        learned: when the learner had answered.
        synced: when the adapter was on its way.
    """
    judged = scores.judged
    breakdowns = [group.breakdown for group in scores.groups]

    def mean(values: torch.Tensor) -> float:
        return float(values[judged].mean())

    terms = {
        name: torch.stack([breakdown.terms[name] for breakdown in breakdowns]) for name in breakdowns[0].terms
    }
    ages = [batch.index - group.adapter.training_step for group in scores.groups]
    cpu_s = sum(group.generation_cpu_s + group.scoring_cpu_s for group in scores.groups)
    cpu_s += update.metrics["time/learn_cpu_s"]
    return {
        "reward/mean": mean(scores.rewards),
        **_spread(advantages, num_members=judged.shape[1]),
        "reward/penalty": mean(torch.stack([breakdown.penalties for breakdown in breakdowns])),
        **{f"reward/term/{name}": mean(values) for name, values in terms.items()},
        "reward/abstained": float((~judged).sum()),
        "motion/path_length_rad": mean(torch.stack([group.path_lengths for group in scores.groups])),
        **update.metrics,
        "rollouts/staleness": sum(ages) / len(ages),
        "rollouts/max_staleness": float(max(ages)),
        "rollouts/per_s": judged.numel() / (synced - started),
        "sync/adapter_bytes": float(batch.num_adapter_bytes),
        "time/generate_s": sum(group.generation_s for group in scores.groups),
        "time/score_s": sum(group.scoring_s for group in scores.groups),
        "time/cpu_s": cpu_s,
        "time/wait_s": waited - started,
        "time/learn_s": learned - waited,
        "time/sync_s": synced - learned,
        "time/step_s": synced - started,
    }


def _spread(advantages: Advantages, *, num_members: int) -> dict[str, float]:
    """How far rollouts of one condition differ: of groups of one there is nothing to say."""
    if num_members == 1:
        return {}
    return {
        "reward/std_within_group": float(advantages.reward_std.mean()),
        "advantage/zero_variance_share": advantages.num_degenerate_groups / len(advantages.is_degenerate),
    }


def measure_faults(faults: FaultCounts) -> dict[str, float]:
    """What was survived since the run, or its continuation, began."""
    return {
        "faults/replaced_members": float(sum(faults.num_replaced.values())),
        "faults/hung_members": float(faults.num_hung),
        "faults/repeated_orders": float(faults.num_repeated),
        "faults/remade_inputs": float(faults.num_remade),
    }


def measure_roles(dispatcher: Dispatcher, policy: AdapterVersion) -> dict[str, float]:
    """Who has how much to do at the end of a step, and which policy there is now."""
    depths = {f"queue/{role}": float(depth) for role, depth in dispatcher.queue_depths().items()}
    ready = {
        f"members/{role}": float(sum(member.is_ready for member in pool.members))
        for role, pool in dispatcher.pools.items()
    }
    return depths | ready | {"adapter/training_step": float(policy.training_step)}


def describe(row: Mapping[str, float]) -> str:
    """The metrics of one step that a person wants to see while waiting."""
    prefix = "reward/term/"
    terms = " ".join(
        f"{name.removeprefix(prefix)} {row[name]:.2f}" for name in row if name.startswith(prefix)
    )
    return f"reward {row['reward/mean']:.3f} | {terms} | {row['rollouts/per_s']:.0f} rollouts/s"

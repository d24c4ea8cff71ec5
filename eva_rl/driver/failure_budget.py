"""How much may fail before a run is no longer worth its electricity."""

from collections import Counter
from collections.abc import Mapping

from eva_rl.config.faults import FaultSettings
from eva_rl.config.reward import RewardSettings
from eva_rl.driver.scores import BatchScores

NUM_REASONS = 5
UNSAID = "no reason given"


class FailureBudgetError(RuntimeError):
    """Too many rollouts could not be judged, or too many training steps not be learned from."""


def check_failure_budget(scores: BatchScores, settings: RewardSettings) -> None:
    """Ends a run whose rollouts mostly cannot be judged; up to the budget they just leave their groups.

    Args:
        scores: of one training step.
        settings: largest share of its rollouts that may go unjudged.

    Raises:
        FailureBudgetError: counting the reasons.
    """
    num_rollouts = scores.judged.numel()
    num_abstained = num_rollouts - int(scores.judged.sum())
    if num_abstained <= settings.max_abstained_share * num_rollouts:
        return
    reasons = Counter(
        group.reasons[member] if group.reasons else UNSAID
        for group in scores.groups
        for member, judged in enumerate(group.breakdown.judged.tolist())
        if not judged
    )
    counts = "".join(f"\n  {count} x {reason}" for reason, count in reasons.most_common(NUM_REASONS))
    raise FailureBudgetError(
        f"the scorer could not judge {num_abstained} of {num_rollouts} rollouts; reward.max_abstained_share "
        f"allows {settings.max_abstained_share:g} of them. Reasons:{counts}\n"
        "Mend the cause, or start again from an earlier checkpoint: unjudged rollouts teach nothing."
    )


def check_skipped_steps(num_before: int, row: Mapping[str, float], settings: FaultSettings) -> int:
    """Counts the training steps that changed nothing because their gradient was not finite.

    Args:
        num_before: of the run so far.
        row: metrics of the step.
        settings: how many a run may have.

    Raises:
        FailureBudgetError: one too many.
    """
    num_skipped = num_before + int(row["learner/skipped"])
    if num_skipped > settings.max_skipped_steps:
        raise FailureBudgetError(
            f"the gradient of {num_skipped} training steps was not finite; faults.max_skipped_steps allows "
            f"{settings.max_skipped_steps}. Lower learner.learning_rate, or look for the reward or loss that "
            "grows without bound (metrics.jsonl, learner/loss)"
        )
    return num_skipped

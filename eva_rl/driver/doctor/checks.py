"""The doctor's table: what is checked, what it proves, and what to do when it fails."""

from collections.abc import Iterable

from eva_rl.driver.doctor.check import Check, Finding, Result
from eva_rl.driver.doctor.evidence import (
    PushEvidence,
    RatioEvidence,
    ReadingEvidence,
    RewardEvidence,
    StepEvidence,
    UpdateEvidence,
)
from eva_rl.driver.doctor.model_checks import (
    corrupted_push_is_noticed,
    joints_are_read,
    push_arrives,
    ranks_agree,
    ratio_is_one,
    update_is_plain_adamw,
    withheld_push_is_noticed,
)
from eva_rl.driver.doctor.reward_checks import frozen_arm_gains_nothing, jitter_costs, limit_violation_costs

_WEIGHTS = "Look at reward.preset and reward.term_weights: "
_PUSH = "Generators would sample with another policy than the one that learns. Look for a changed "

CHECKS = (
    Check(
        name="jitter lowers the reward",
        proves="the reward prefers smooth motion",
        evidence=RewardEvidence,
        judge=jitter_costs,
        advice=_WEIGHTS + "jerk or acceleration needs a weight above 0.",
    ),
    Check(
        name="a limit violation lowers the reward",
        proves="the reward knows the robot's limits",
        evidence=RewardEvidence,
        judge=limit_violation_costs,
        advice=_WEIGHTS
        + "velocity_limit or acceleration_limit needs a weight above 0; look at the limits of "
        "robot.embodiment or robot.limits_from too (`eva-rl limits`).",
    ),
    Check(
        name="a frozen arm gains nothing",
        proves="the floor of motion outweighs what standing still saves",
        evidence=RewardEvidence,
        judge=frozen_arm_gains_nothing,
        advice=_WEIGHTS + "motion_floor or path_ratio is too weak against jerk and acceleration; raise it.",
    ),
    Check(
        name="joints are read from real video",
        proves="the inverse dynamics model reads this robot, at this frame rate and picture size",
        evidence=ReadingEvidence,
        judge=joints_are_read,
        advice="The model of idm.directory does not fit the recordings: look at robot, camera, video.height, "
        "video.width and video.frame_rate_hz, or train one (recipes/robotwin_idm.py).",
    ),
    Check(
        name="the ratio starts at 1",
        proves="the policy that samples is the policy that learns",
        evidence=RatioEvidence,
        judge=ratio_is_one,
        advice="Sampler and replay disagree: look for world models or precisions that differ between "
        "machines, and try --generators.merges_adapter false.",
    ),
    Check(
        name="learner ranks hold one adapter",
        proves="gradients of different data are averaged over the ranks",
        evidence=StepEvidence,
        judge=ranks_agree,
        advice="Gradients are not synchronised: look at the ranks' logs for torch.distributed, and at "
        "MASTER_ADDR, GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME on every machine.",
    ),
    Check(
        name="the update is plain AdamW's",
        proves="DeepSpeed averages, clips and steps as torch does on the whole batch",
        evidence=UpdateEvidence,
        judge=update_is_plain_adamw,
        advice="Compare learner.zero_stage 0 on one rank (`eva-rl doctor --learner.zero_stage 0 "
        "--learner.num_ranks 1`): if that passes, the ranks' gradients are lost; if not, look at the "
        "optimiser.",
    ),
    Check(
        name="a push arrives",
        proves="generators sample with the adapter that was sent, by the hash of their live weights",
        evidence=PushEvidence,
        judge=push_arrives,
        advice=_PUSH + "adapter.rank, adapter.target_modules or world model on a generator's machine.",
    ),
    Check(
        name="a corrupted push is refused",
        proves="an adapter that was altered on its way is never sampled with",
        evidence=PushEvidence,
        judge=corrupted_push_is_noticed,
        advice=_PUSH + "write_adapter: it must compare hashes after writing.",
    ),
    Check(
        name="a withheld push is noticed",
        proves="rollouts of an older adapter say so, and are not taken for new ones",
        evidence=PushEvidence,
        judge=withheld_push_is_noticed,
        advice=_PUSH + "Generator.version: it must hash the live weights, not repeat the message.",
    ),
)
"""Every check; those of one record of evidence are judged as soon as it is there."""


def judged(evidence: Iterable[object]) -> list[Result]:
    """Judges every check whose evidence is there, in the table's order."""
    records = {type(record): record for record in evidence}
    return [
        Result(check=check, finding=check.judge(records[check.evidence]))
        for check in CHECKS
        if check.evidence in records
    ]


def not_reached(results: Iterable[Result]) -> list[Result]:
    """The checks that have no result, because what comes before them failed."""
    known = {result.check.name for result in results}
    missing = Finding(figure=None, note="not reached")
    return [Result(check=check, finding=missing) for check in CHECKS if check.name not in known]

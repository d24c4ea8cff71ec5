"""Rules between sections; each returns one sentence when broken."""

from eva_rl.config.algorithm_rules import ALGORITHM_RULES
from eva_rl.config.align import AlignSettings


def _clip_length(settings: AlignSettings) -> str | None:
    frames = settings.video.num_frames
    if frames % 4 == 1:
        return None
    below = (frames - 1) // 4 * 4 + 1
    return f"video.num_frames must be 4k+1 for the codec, got {frames}; nearest are {below} and {below + 4}"


def _groups_split_over_ranks(settings: AlignSettings) -> str | None:
    groups, ranks = settings.algorithm.groups_per_step, settings.learner.num_ranks
    if groups % ranks == 0:
        return None
    return (
        f"algorithm.groups_per_step must be a multiple of learner.num_ranks = {ranks}, got {groups}; "
        f"nearest are {groups // ranks * ranks or ranks} and {(groups // ranks + 1) * ranks}"
    )


def _unordered_steps_are_bounded(settings: AlignSettings) -> str | None:
    """Where the first ready chunks are taken, every step takes whole ones, and none waits for ever."""
    plan, size = settings.schedule, settings.generators.groups_per_call
    if plan.ordering == "scheduled":
        return None
    if settings.algorithm.groups_per_step % size:
        return (
            f"generators.groups_per_call must divide algorithm.groups_per_step = "
            f"{settings.algorithm.groups_per_step} with schedule.ordering = unordered, got {size}"
        )
    if plan.max_staleness < plan.rollouts_ahead:
        return (
            f"schedule.max_staleness must be at least schedule.rollouts_ahead = {plan.rollouts_ahead}, got "
            f"{plan.max_staleness}"
        )
    return None


def _groups_fill_micro_batches(settings: AlignSettings) -> str | None:
    share = settings.algorithm.groups_per_step // settings.learner.num_ranks
    size = settings.learner.groups_per_micro_batch
    if share and share % size == 0:
        return None
    return (
        f"learner.groups_per_micro_batch must divide each rank's {share} groups (algorithm.groups_per_step / "
        f"learner.num_ranks), got {size}"
    )


def _optimizer_can_be_offloaded(settings: AlignSettings) -> str | None:
    if not settings.learner.offloads_optimizer or settings.learner.zero_stage > 0:
        return None
    return "learner.offloads_optimizer needs learner.zero_stage 1, 2 or 3, which own the optimiser; got 0"


def _merged_weights_are_exact(settings: AlignSettings) -> str | None:
    if not settings.generators.merges_adapter or settings.world_model.precision == "float32":
        return None
    return (
        "generators.merges_adapter needs world_model.precision = float32: in bfloat16 the merged weights are "
        "rounded, and rollouts would come from another policy than the one that learns; set it to false"
    )


def _held_out_scenes_are_unseen(settings: AlignSettings) -> str | None:
    first, recorded = settings.evaluation.first_scene_seed, settings.data
    last_recorded = recorded.first_scene_seed + 2 * recorded.num_episodes_per_task
    if not recorded.first_scene_seed <= first < last_recorded:
        return None
    return (
        f"evaluation.first_scene_seed = {first} lies among the recorded scenes "
        f"{recorded.first_scene_seed}..{last_recorded}; use a seed outside, such as 1000000"
    )


def _counts_are_ordered(settings: AlignSettings) -> str | None:
    for name, role in (("generators", settings.generators), ("scorers", settings.scorers)):
        if not role.num_at_start <= role.count <= role.num_at_most:
            return (
                f"{name}.min_count <= {name}.count <= {name}.max_count must hold, got {role.num_at_start}, "
                f"{role.count}, {role.num_at_most}"
            )
        if role.count < role.num_at_most and not settings.cluster.autoscaling:
            return (
                f"{name}.max_count = {role.max_count} above {name}.count = {role.count} is reached only with "
                "cluster.autoscaling true; set it, or a larger count"
            )
    return None


def _colocated_roles_stay(settings: AlignSettings) -> str | None:
    roles = (settings.generators, settings.scorers)
    if settings.cluster.placement == "disaggregated":
        return None
    if any(role.num_at_start != role.num_at_most for role in roles):
        return (
            "cluster.placement = colocated fixes who shares which GPU: leave out min_count and max_count of "
            "generators and scorers, or use disaggregated"
        )
    if any(role.labels or role.accelerator_type for role in roles):
        return (
            "cluster.placement = colocated takes the machine that the learner names: leave out labels and "
            "accelerator_type of generators and scorers, or use disaggregated"
        )
    seats = settings.learner.num_ranks
    shares = [settings.learner.num_gpus, *(-(-role.count // seats) * role.num_gpus for role in roles)]
    if sum(shares) > 1:
        terms = " + ".join(f"{share:g}" for share in shares)
        return (
            "cluster.placement = colocated shares one GPU per learner rank, but learner, generators and "
            f"scorers ask for {terms} = {sum(shares):g} of it; reduce num_gpus or count, or use disaggregated"
        )
    return None


def _sleeping_roles_share_a_gpu(settings: AlignSettings) -> str | None:
    learner = settings.learner
    if not settings.cluster.idle_roles_sleep:
        return None
    if settings.cluster.placement == "disaggregated" or learner.zero_stage == 3:
        return (
            "cluster.idle_roles_sleep needs cluster.placement = colocated, and learner.zero_stage 0 to 2, "
            f"which leave the frozen weights whole; got {settings.cluster.placement} and {learner.zero_stage}"
        )
    if learner.num_ranks > 1 and learner.num_gpus == 0:
        return (
            f"cluster.idle_roles_sleep tells the turns of {learner.num_ranks} ranks apart by their GPU: set "
            "learner.num_gpus above 0, or learner.num_ranks 1"
        )
    return None


ALIGN_RULES = (
    _clip_length,
    *ALGORITHM_RULES,
    _groups_split_over_ranks,
    _groups_fill_micro_batches,
    _unordered_steps_are_bounded,
    _optimizer_can_be_offloaded,
    _merged_weights_are_exact,
    _held_out_scenes_are_unseen,
    _counts_are_ordered,
    _colocated_roles_stay,
    _sleeping_roles_share_a_gpu,
)
"""Every rule of an alignment run."""

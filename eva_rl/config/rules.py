"""Rules between sections; each returns one sentence when broken."""

from eva_rl.config.align import AlignSettings


def _clip_length(settings: AlignSettings) -> str | None:
    frames = settings.video.num_frames
    if frames % 4 == 1:
        return None
    below = (frames - 1) // 4 * 4 + 1
    return f"video.num_frames must be 4k+1 for the codec, got {frames}; nearest are {below} and {below + 4}"


def _window_fits(settings: AlignSettings) -> str | None:
    sampling = settings.sampling
    last = sampling.num_steps - 1
    end = last if sampling.window_end_step is None else sampling.window_end_step
    if sampling.window_first_step + sampling.window_size <= end <= last:
        return None
    return (
        f"sampling.window_size = {sampling.window_size} does not fit the denoising steps from "
        f"sampling.window_first_step = {sampling.window_first_step} to sampling.window_end_step = {end}; "
        f"the window must end by step {last} of {sampling.num_steps}, since the last one is never stochastic"
    )


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


def _antithetic_groups_are_even(settings: AlignSettings) -> str | None:
    if not settings.sampling.antithetic or settings.algorithm.group_size % 2 == 0:
        return None
    return (
        f"algorithm.group_size must be even with sampling.antithetic, got {settings.algorithm.group_size}; "
        "use an even size or --sampling.antithetic false"
    )


def _noise_suits_the_loss(settings: AlignSettings) -> str | None:
    sampling, algorithm = settings.sampling, settings.algorithm
    if algorithm.learns_from_steps or not (sampling.shares_prefix or sampling.antithetic):
        return None
    return (
        f"algorithm.loss = {algorithm.loss} samples without noise in the denoising steps: a group "
        "that shares its initial noise would be one rollout many times over; set "
        "--sampling.shares_prefix false and --sampling.antithetic false"
    )


def _loss_has_its_kl_form(settings: AlignSettings) -> str | None:
    algorithm = settings.algorithm
    if algorithm.learns_from_steps or algorithm.kl_form == "velocity":
        return None
    return (
        f"algorithm.kl_form must be velocity with algorithm.loss = {algorithm.loss}, which has no transition "
        f"kernel; got {algorithm.kl_form}"
    )


def _groups_can_be_compared(settings: AlignSettings) -> str | None:
    algorithm = settings.algorithm
    if algorithm.group_size > 1 or algorithm.loss == "direct":
        return None
    return (
        f"algorithm.group_size must be at least 2 with algorithm.loss = {algorithm.loss}, which compares the "
        "rollouts of a group; got 1"
    )


def _kept_members_exist(settings: AlignSettings) -> str | None:
    algorithm = settings.algorithm
    kept, size = algorithm.keep_per_group, algorithm.group_size
    if kept is None or (kept <= size and not (algorithm.keep_rule == "extremes" and kept % 2)):
        return None
    return (
        f"algorithm.keep_per_group must be at most algorithm.group_size = {size}, and even with "
        f"algorithm.keep_rule = extremes; got {kept} with {algorithm.keep_rule}"
    )


def _credit_has_a_ratio(settings: AlignSettings) -> str | None:
    algorithm = settings.algorithm
    if algorithm.credit == "rollout" or algorithm.loss == "clipped_ratio":
        return None
    return (
        f"algorithm.credit = {algorithm.credit} needs algorithm.loss = clipped_ratio, which has one ratio "
        f"per cell; got {algorithm.loss}"
    )


def _credit_counts_free_frames(settings: AlignSettings) -> str | None:
    if settings.algorithm.credit == "rollout" or not settings.sampling.counts_given_frames:
        return None
    return (
        "sampling.counts_given_frames must be false with algorithm.credit = frames_and_arms: a given "
        "frame is no choice of the policy and belongs to no cell"
    )


def _history_guidance_has_a_history(settings: AlignSettings) -> str | None:
    asked, conditioning = settings.sampling.history_guidance, settings.world_model.conditioning
    if asked == 0 or conditioning in ("auto", "history_forcing"):
        return None
    return (
        f"sampling.history_guidance = {asked:g} needs world_model.conditioning = history_forcing, which has "
        f"a history to noise; got {conditioning}"
    )


def _optimizer_can_be_offloaded(settings: AlignSettings) -> str | None:
    if not settings.learner.offloads_optimizer or settings.learner.zero_stage > 0:
        return None
    return "learner.offloads_optimizer needs learner.zero_stage 1, 2 or 3, which own the optimiser; got 0"


def _behaviour_can_be_borrowed(settings: AlignSettings) -> str | None:
    if settings.algorithm.behaviour == "newest" or settings.learner.zero_stage < 3:
        return None
    return (
        f"algorithm.behaviour = {settings.algorithm.behaviour} needs whole weights on every rank; use "
        f"learner.zero_stage 0 to 2, got {settings.learner.zero_stage}"
    )


def _merged_weights_are_exact(settings: AlignSettings) -> str | None:
    if not settings.generators.merges_adapter or settings.world_model.precision == "float32":
        return None
    return (
        "generators.merges_adapter needs world_model.precision = float32: in bfloat16 the merged weights are "
        "rounded, and rollouts would come from another policy than the one that learns; set it to false"
    )


def _sigmas_are_ordered(settings: AlignSettings) -> str | None:
    algorithm = settings.algorithm
    if algorithm.lowest_sigma < algorithm.highest_sigma:
        return None
    return (
        f"algorithm.lowest_sigma must be below algorithm.highest_sigma = {algorithm.highest_sigma}, got "
        f"{algorithm.lowest_sigma}"
    )


def _gradient_reaches_few_steps(settings: AlignSettings) -> str | None:
    last, wanted = settings.sampling.num_steps, settings.algorithm.backprop_steps
    if settings.algorithm.loss != "direct" or wanted <= last:
        return None
    return f"algorithm.backprop_steps must be at most sampling.num_steps = {last}, got {wanted}"


def _only_gradients_look_back(settings: AlignSettings) -> str | None:
    """What only the reward's own gradient makes use of would be ignored in silence."""
    algorithm = settings.algorithm
    ignored = {
        "backprop_steps": algorithm.backprop_steps > 1,
        "soft_gripper_weight": algorithm.soft_gripper_weight > 0,
    }
    if algorithm.loss == "direct" or not any(ignored.values()):
        return None
    named = " and ".join(
        f"algorithm.{name} = {getattr(algorithm, name):g}" for name, is_set in ignored.items() if is_set
    )
    return f"{named} act with algorithm.loss = direct alone, got {algorithm.loss}; leave them at 1 and 0"


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
    _window_fits,
    _groups_split_over_ranks,
    _groups_fill_micro_batches,
    _unordered_steps_are_bounded,
    _antithetic_groups_are_even,
    _noise_suits_the_loss,
    _loss_has_its_kl_form,
    _groups_can_be_compared,
    _kept_members_exist,
    _credit_has_a_ratio,
    _credit_counts_free_frames,
    _history_guidance_has_a_history,
    _optimizer_can_be_offloaded,
    _behaviour_can_be_borrowed,
    _merged_weights_are_exact,
    _sigmas_are_ordered,
    _gradient_reaches_few_steps,
    _only_gradients_look_back,
    _held_out_scenes_are_unseen,
    _counts_are_ordered,
    _colocated_roles_stay,
    _sleeping_roles_share_a_gpu,
)
"""Every rule of an alignment run."""

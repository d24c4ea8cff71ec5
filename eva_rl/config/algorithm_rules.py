"""Rules about algorithm and sampling; each returns one sentence when broken."""

from eva_rl.config.align import AlignSettings


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


def _behaviour_can_be_borrowed(settings: AlignSettings) -> str | None:
    if settings.algorithm.behaviour == "newest" or settings.learner.zero_stage < 3:
        return None
    return (
        f"algorithm.behaviour = {settings.algorithm.behaviour} needs whole weights on every rank; use "
        f"learner.zero_stage 0 to 2, got {settings.learner.zero_stage}"
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


ALGORITHM_RULES = (
    _window_fits,
    _antithetic_groups_are_even,
    _noise_suits_the_loss,
    _loss_has_its_kl_form,
    _groups_can_be_compared,
    _kept_members_exist,
    _credit_has_a_ratio,
    _credit_counts_free_frames,
    _history_guidance_has_a_history,
    _behaviour_can_be_borrowed,
    _sigmas_are_ordered,
    _gradient_reaches_few_steps,
    _only_gradients_look_back,
)
"""What an algorithm needs of its own settings and of the sampling."""

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


def _held_out_scenes_are_unseen(settings: AlignSettings) -> str | None:
    first, recorded = settings.evaluation.first_scene_seed, settings.data
    last_recorded = recorded.first_scene_seed + 2 * recorded.num_episodes_per_task
    if not recorded.first_scene_seed <= first < last_recorded:
        return None
    return (
        f"evaluation.first_scene_seed = {first} lies among the recorded scenes "
        f"{recorded.first_scene_seed}..{last_recorded}; use a seed outside, such as 1000000"
    )


ALIGN_RULES = (
    _clip_length,
    _window_fits,
    _groups_split_over_ranks,
    _groups_fill_micro_batches,
    _antithetic_groups_are_even,
    _held_out_scenes_are_unseen,
)
"""Every rule of an alignment run."""

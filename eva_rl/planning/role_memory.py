"""The memory of one actor of every role: what lies there all the time, and the most that its work adds."""

from dataclasses import dataclass

from eva_rl.config.align import AlignSettings
from eva_rl.planning.codec_memory import ClipSize, decode_bytes, encode_bytes
from eva_rl.planning.idm_memory import IdmShape
from eva_rl.planning.model_shape import ModelShape
from eva_rl.planning.optimizer_memory import optimizer_bytes
from eva_rl.planning.transformer_memory import (
    NetworkCall,
    inference_bytes,
    kept_graph_bytes,
    training_bytes,
)

FLOAT = 4
LEARNER_COPIES = 4  # a recorded step and velocities; freed before the backward pass reaches the blocks
CONDITIONS_PER_CALL = 32  # of the encoding stage, as in `eva_rl.actors.encoder`


@dataclass(frozen=True, kw_only=True)
class RoleMemory:
    """Bytes of one actor, on the device that it computes on.

    Example:
        RoleMemory(role="scorer", resident={"codec": 507_570_124}, working={"decoding": 10_769_000_000}, ...)

    Attributes:
        role: generator, scorer, learner rank or encoding stage.
        resident: what stays, by name.
        working: the peak of every piece of work, by name; they follow one another, so the largest counts.
        on_host: what lies in CPU memory instead.
        not_counted: what the figures leave out, in words.
    """

    role: str
    resident: dict[str, int]
    working: dict[str, int]
    on_host: dict[str, int]
    not_counted: tuple[str, ...] = ()

    @property
    def peak_bytes(self) -> int:
        """The most that the actor holds on its device."""
        return sum(self.resident.values()) + max(self.working.values(), default=0)


def generator_memory(settings: AlignSettings, model: ModelShape) -> RoleMemory:
    """One generator: network, adapter, codec, and one call for a chunk of groups."""
    algorithm, generators = settings.algorithm, settings.generators
    rows = generators.groups_per_call * algorithm.group_size
    merges = generators.merges_adapter
    merges = _element_bytes(settings) == FLOAT if merges is None else merges
    codec, on_host = _codec_place(settings, model)
    resident = {
        "network": _network_bytes(settings, model),
        "adapter": _adapter_bytes(settings, model),
        **codec,
    }
    if merges:
        targets = settings.adapter.target_modules
        adapted = model.transformer.adapted_parameters(targets) * _num_adapted(settings, model)
        resident["second copy of the adapted layers"] = FLOAT * adapted
    # merged layers are called without the adapter beside them
    call = _call(settings, model, rows=rows, targets=() if merges else settings.adapter.target_modules)
    # the state, its noise and a step's temporaries; of every stochastic step noise, record and its copy
    latents = _latent_bytes(settings, model, rows=rows, copies=9 + 4 * _num_stochastic_steps(settings))
    return RoleMemory(
        role="generator",
        resident=resident,
        working={"denoising": inference_bytes(model.transformer, call) + latents},
        on_host=on_host,
    )


def scorer_memory(settings: AlignSettings, model: ModelShape, idm: IdmShape) -> RoleMemory:
    """One scorer: codec and IDM, a group's clips decoded together and read together."""
    clips = _clips(settings, settings.algorithm.group_size)
    options = settings.world_model
    codec, on_host = _codec_place(settings, model)
    decoding = decode_bytes(model.codec, clips, slices=options.codec_slicing, tiles=options.codec_tiling)
    reading = idm.activation_bytes(clips.batch, clips.num_frames, clips.height, clips.width)
    return RoleMemory(
        role="scorer",
        resident={"IDM": idm.weight_bytes, **codec},
        working={
            "decoding": decoding + (FLOAT * model.codec.num_parameters if on_host else 0),
            "reading the joints": clips.video_bytes + (reading or 0),
        },
        on_host=on_host,
        not_counted=() if reading is not None else (f"activations of an IDM of kind {idm.kind}",),
    )


def learner_memory(settings: AlignSettings, model: ModelShape, idm: IdmShape) -> RoleMemory:
    """One learner rank: network and adapter, optimiser, the graph of a micro-batch and its backward pass."""
    learner, network = settings.learner, _network_bytes(settings, model)
    parts = optimizer_bytes(
        settings, _adapter_bytes(settings, model) // _element_bytes(settings), _element_bytes(settings)
    )
    codec, on_host = _codec_place(settings, model)
    resident = {"network": network, "adapter": _adapter_bytes(settings, model), **codec, **parts.on_device}
    gathered = 0
    if learner.zero_stage == 3:
        resident["network"] = network // learner.num_ranks
        gathered = min(network, int(1e9) * _element_bytes(settings))  # stage3_max_live_parameters
    is_direct = settings.algorithm.loss == "direct"
    if is_direct:
        resident["IDM"] = idm.weight_bytes
    return RoleMemory(
        role="learner rank",
        resident=resident,
        working={"start, before ZeRO cuts the network": network - resident["network"]}
        | _learning_bytes(settings, model, gathered=gathered),
        on_host=on_host | parts.on_host,
        not_counted=("the reward's graph through codec and IDM (algorithm.loss = direct)",)
        if is_direct
        else (),
    )


def encoding_memory(settings: AlignSettings, model: ModelShape) -> RoleMemory:
    """The encoding stage: text and image encoder and codec, for 32 conditions at a time."""
    a = _element_bytes(settings)
    resident, working, missing = {"codec": FLOAT * model.codec.num_parameters}, {}, ()
    if model.text_encoder is None:
        missing = ("a text encoder, which the directory does not hold",)
    else:
        resident["text encoder"] = a * model.text_encoder.num_parameters
        working["text"] = model.text_encoder.activation_bytes(CONDITIONS_PER_CALL, model.text_tokens, a)
    if model.image_encoder is not None:
        resident["image encoder"] = FLOAT * model.image_encoder.num_parameters
        working["images"] = model.image_encoder.activation_bytes(CONDITIONS_PER_CALL)
    clips = _clips(settings, CONDITIONS_PER_CALL)
    options = settings.world_model
    takes_whole_clips = model.conditioning == "channel_concat" or settings.algorithm.anchor_weight > 0
    if not takes_whole_clips:
        clips = ClipSize(batch=clips.batch, num_frames=1, height=clips.height, width=clips.width)
    encoding = encode_bytes(model.codec, clips, slices=options.codec_slicing, tiles=options.codec_tiling)
    working["clips" if takes_whole_clips else "first frames"] = encoding + 2 * clips.video_bytes
    return RoleMemory(
        role="encoding stage", resident=resident, working=working, on_host={}, not_counted=missing
    )


def _learning_bytes(settings: AlignSettings, model: ModelShape, *, gathered: int) -> dict[str, int]:
    algorithm, learner = settings.algorithm, settings.learner
    members = 1 if _shares_every_fork(settings) else algorithm.group_size
    groups, shape = learner.groups_per_micro_batch, model.transformer
    call = _call(settings, model, rows=groups * members, targets=settings.adapter.target_modules)
    checkpoints = learner.checkpoints_activations
    graphs = algorithm.backprop_steps if algorithm.loss == "direct" else 1
    others = (graphs - 1) * kept_graph_bytes(shape, call, checkpoints=checkpoints)
    if algorithm.anchor_weight > 0:
        anchor = _call(settings, model, rows=groups, targets=settings.adapter.target_modules)
        others += kept_graph_bytes(shape, anchor, checkpoints=checkpoints)
    # the reference sees the same rows without gradient, while the graph waits
    reference = inference_bytes(shape, call) if algorithm.kl_beta > 0 else 0
    latents = _latent_bytes(settings, model, rows=groups * members, copies=LEARNER_COPIES)
    kept = others + latents + kept_graph_bytes(shape, call, checkpoints=checkpoints)
    return {
        "backward pass": gathered + others + training_bytes(shape, call, checkpoints=checkpoints),
        "reference beside the graph": gathered + kept + reference,
    }


def _shares_every_fork(settings: AlignSettings) -> bool:
    """Whether the learner sees one row per group: a single stochastic step behind a shared prefix."""
    algorithm = settings.algorithm
    shares = settings.sampling.shares_prefix and algorithm.learns_from_steps
    return shares and _num_stochastic_steps(settings) == 1


def _num_stochastic_steps(settings: AlignSettings) -> int:
    """Stochastic steps of a rollout, as the rows of WINDOWS choose them."""
    sampling = settings.sampling
    if not settings.algorithm.learns_from_steps:
        return 0
    if sampling.window == "all_but_last":
        return sampling.num_steps - 1
    if sampling.window == "random_fraction":
        return min(max(int(sampling.window_fraction * sampling.num_steps), 1), sampling.num_steps - 1)
    return sampling.window_size


def _call(settings: AlignSettings, model: ModelShape, *, rows: int, targets: tuple[str, ...]) -> NetworkCall:
    sampling = settings.sampling
    passes = 1 + (sampling.guidance > 1) + (sampling.history_guidance > 0)
    clips, codec = _clips(settings, 1), model.codec
    return NetworkCall(
        rows=rows * passes,
        tokens=model.transformer.num_tokens(
            clips.num_latent_frames, clips.height // codec.spatial_stride, clips.width // codec.spatial_stride
        ),
        text_tokens=model.text_tokens,
        per_token_timesteps=model.per_token_timesteps,
        element_bytes=_element_bytes(settings),
        targets=targets,
        image_tokens=model.image_tokens,
    )


def _latent_bytes(settings: AlignSettings, model: ModelShape, *, rows: int, copies: int) -> int:
    """Float32 copies of the latents, and the network's input, in float32 and in its own precision."""
    clips, codec = _clips(settings, 1), model.codec
    height, width = clips.height // codec.spatial_stride, clips.width // codec.spatial_stride
    sites = rows * clips.num_latent_frames * height * width
    a = _element_bytes(settings)
    inputs = model.transformer.input_channels * (FLOAT + (a if a < FLOAT else 0))
    return sites * (FLOAT * copies * codec.latent_channels + inputs)


def _clips(settings: AlignSettings, batch: int) -> ClipSize:
    video = settings.video
    return ClipSize(batch=batch, num_frames=video.num_frames, height=video.height, width=video.width)


def _element_bytes(settings: AlignSettings) -> int:
    return {"float32": 4, "bfloat16": 2}[settings.world_model.precision]


def _network_bytes(settings: AlignSettings, model: ModelShape) -> int:
    return model.num_experts * model.transformer.weight_bytes(_element_bytes(settings))


def _num_adapted(settings: AlignSettings, model: ModelShape) -> int:
    return model.num_experts if settings.adapter.experts == "both" else 1


def _adapter_bytes(settings: AlignSettings, model: ModelShape) -> int:
    adapter = settings.adapter
    count = model.transformer.adapter_parameters(adapter.rank, adapter.target_modules)
    return count * _num_adapted(settings, model) * _element_bytes(settings)


def _codec_place(settings: AlignSettings, model: ModelShape) -> tuple[dict[str, int], dict[str, int]]:
    """The codec's weights on the device, or on the host; every role that opens the model holds them."""
    weights = {"codec": FLOAT * model.codec.num_parameters}
    return ({}, weights) if settings.world_model.offloads_codec else (weights, {})

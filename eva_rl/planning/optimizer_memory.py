"""What DeepSpeed keeps of the adapter on one rank, by ZeRO stage."""

from dataclasses import dataclass

from eva_rl.config.align import AlignSettings

FLOAT = 4
MAX_BUCKET_ELEMENTS = 500_000_000
"""DeepSpeed's default reduce_bucket_size; the learner's engine asks for no more than the adapter has."""


@dataclass(frozen=True, kw_only=True)
class OptimizerBytes:
    """By name, on the device and on the host."""

    on_device: dict[str, int]
    on_host: dict[str, int]


def optimizer_bytes(settings: AlignSettings, num_weights: int, element_bytes: int) -> OptimizerBytes:
    """Gradients, float32 copies and AdamW's two moments of the weights that learn.

    Stage 0 keeps all of them on every rank. Stages 1 to 3 cut moments and float32 copies into one piece per
    rank, stages 2 and 3 the gradients too, and all three reserve a bucket for the reduction: in float32 at
    stage 1, in the network's precision at 2 and 3.

    Args:
        settings: ZeRO stage, ranks, offloading.
        num_weights: of the adapter.
        element_bytes: of its precision.
    """
    stage, ranks = settings.learner.zero_stage, settings.learner.num_ranks
    share = num_weights if stage == 0 else -(-num_weights // ranks)
    copies = FLOAT if element_bytes < FLOAT or stage > 0 else 0
    states = {"optimiser": share * (2 * FLOAT + copies)}
    gradients = element_bytes * (num_weights if stage < 2 else share)
    if stage == 0 and element_bytes < FLOAT:
        gradients += FLOAT * num_weights  # accumulated in float32
    on_device = {"gradients": gradients}
    if stage > 0:
        on_device["reduction bucket"] = min(MAX_BUCKET_ELEMENTS, num_weights) * (
            FLOAT if stage == 1 else element_bytes
        )
    if settings.learner.offloads_optimizer:
        return OptimizerBytes(on_device=on_device, on_host=states)
    return OptimizerBytes(on_device=on_device | states, on_host={})

"""The adapter: LoRA weights on a frozen transformer. On is the policy, off is the reference."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from diffusers import WanTransformer3DModel
from peft import LoraConfig
from torch import nn

from eva_rl.records.adapter import AdapterVersion, adapter_hash
from eva_rl.world_model.two_experts import TwoExperts, experts_of, has_adapter

EXPERTS: Mapping[str, tuple[str, ...]] = {
    "both": ("transformer", "transformer_2"),
    "high_noise": ("transformer",),
    "low_noise": ("transformer_2",),
}
"""Setting `adapter.experts` -> the transformers that get an adapter, by their name in the directory."""

ORIGINAL_NAMES: Mapping[str, str] = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "k_img": "add_k_proj",
    "v_img": "add_v_proj",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}
"""Layer names of Wan's own code, as published target lists use them -> the same layer in diffusers."""


def attach_adapter(
    transformer: WanTransformer3DModel | TwoExperts,
    *,
    rank: int,
    alpha: float,
    target_modules: Sequence[str],
    seed: int,
    experts: str = "both",
) -> None:
    """Freezes the transformer and adds a LoRA that changes nothing yet.

    The same arguments give the same weights in every process: A is uniform in +-1/sqrt(inputs), B is 0.

    Args:
        transformer: diffusers' network.
        rank: of every LoRA.
        alpha: the LoRA's output is scaled by alpha / rank.
        target_modules: endings of module names, e.g. `to_q` or `ffn.net.2`; each must match something.
        seed: draws A.
        experts: key of EXPERTS; which of two transformers get one.

    Raises:
        ValueError: if there is an adapter already, or naming the targets that match no layer.
    """
    if has_adapter(transformer):
        raise ValueError(
            "the transformer already has an adapter; open the world model afresh for another one"
        )
    found = experts_of(transformer)
    if len(found) == 1 and experts != "both":
        raise ValueError(
            f"adapter.experts = {experts} chooses between two transformers, but this model has one: set it "
            "to both"
        )
    transformer.requires_grad_(False)
    for name in EXPERTS[experts]:
        if name in found:
            _add_adapter(found[name], rank=rank, alpha=alpha, target_modules=target_modules)
    _draw_adapter(transformer, torch.Generator().manual_seed(seed))


def _add_adapter(
    transformer: WanTransformer3DModel, *, rank: int, alpha: float, target_modules: Sequence[str]
) -> None:
    names = [name for name, module in transformer.named_modules() if isinstance(module, nn.Linear)]
    unmatched = [target for target in target_modules if not _is_matched(names, target)]
    if unmatched or not target_modules:
        known = sorted({name.split(".", 2)[-1] for name in names if name.startswith("blocks.")})
        raise ValueError(
            f"adapter.target_modules {unmatched} match no linear layer of the transformer; "
            f"its blocks have {known}{_translations(names, unmatched)}"
        )
    config = LoraConfig(r=rank, target_modules=list(target_modules))
    config.lora_alpha = alpha  # pyright: ignore[reportAttributeAccessIssue]  PEFT takes a float as well
    transformer.add_adapter(config)


def adapter_parameters(transformer: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The LoRA tensors in sorted name order, which is the order of every flat buffer and hash.

    Raises:
        ValueError: if no adapter is attached.
    """
    found = sorted((name, weight) for name, weight in transformer.named_parameters() if ".lora_" in name)
    if not found:
        raise ValueError("the transformer has no adapter: call attach_adapter first")
    return found


def live_version(transformer: nn.Module, training_step: int) -> AdapterVersion:
    """Names the adapter that the transformer would use now, from the weights themselves.

    The hash covers names, shapes and values. Values are hashed as float32, which holds every bfloat16
    exactly, so a float32 generator and a bfloat16 learner agree exactly when their weights do.

    Args:
        transformer: with an adapter.
        training_step: number of training steps that made the weights.
    """
    content_hash = adapter_hash(
        (name, weight.detach().float().cpu().contiguous().numpy())
        for name, weight in adapter_parameters(transformer)
    )
    return AdapterVersion(training_step=training_step, content_hash=content_hash)


@contextmanager
def reference_policy(transformer: WanTransformer3DModel | TwoExperts) -> Iterator[None]:
    """Switches the adapter off inside the `with` block: the network is the base, bit for bit."""
    learns = [(weight, weight.requires_grad) for _, weight in adapter_parameters(transformer)]
    transformer.disable_adapters()
    try:
        yield
    finally:
        transformer.enable_adapters()
        for weight, requires_grad in learns:  # switching off clears the flag, switching on sets it everywhere
            weight.requires_grad_(requires_grad)


def _is_matched(names: Sequence[str], target: str) -> bool:
    """Whether PEFT's rule for a list of targets finds a layer."""
    return any(name == target or name.endswith(f".{target}") for name in names)


def _translations(names: Sequence[str], unmatched: Sequence[str]) -> str:
    """What diffusers calls the layers that were asked for by the names of Wan's own code."""
    translated = {target: ORIGINAL_NAMES[target] for target in unmatched if target in ORIGINAL_NAMES}
    if not translated:
        return ""
    there = [f"{target} -> {name}" for target, name in translated.items() if _is_matched(names, name)]
    missing = [target for target, name in translated.items() if not _is_matched(names, name)]
    text = f"; in diffusers' names: {', '.join(there)}" if there else ""
    return text + (f"; {missing} are of the image branch, which this model lacks" if missing else "")


def _draw_adapter(transformer: nn.Module, generator: torch.Generator) -> None:
    """Draws A and clears B, in sorted name order."""
    with torch.no_grad():
        for name, weight in adapter_parameters(transformer):
            if ".lora_A." in name:
                bound = weight.shape[1] ** -0.5
                weight.copy_(bound * (2.0 * torch.rand(weight.shape, generator=generator) - 1.0))
            else:
                weight.zero_()

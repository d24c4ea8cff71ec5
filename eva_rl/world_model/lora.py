"""The adapter: LoRA weights on a frozen transformer. On is the policy, off is the reference."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers import WanTransformer3DModel
from peft import LoraConfig
from torch import nn

from eva_rl.records.adapter import AdapterVersion

HASH_DIGITS = 16


def attach_adapter(
    transformer: WanTransformer3DModel, *, rank: int, alpha: float, target_modules: Sequence[str], seed: int
) -> None:
    """Freezes the transformer and adds a LoRA that changes nothing yet.

    The same arguments give the same weights in every process: A is uniform in +-1/sqrt(inputs), B is 0.

    Args:
        transformer: diffusers' network.
        rank: of every LoRA.
        alpha: the LoRA's output is scaled by alpha / rank.
        target_modules: endings of module names, e.g. `to_q` or `ffn.net.2`; each must match something.
        seed: draws A.

    Raises:
        ValueError: if there is an adapter already, or naming the targets that match no layer.
    """
    if getattr(transformer, "peft_config", None):
        raise ValueError(
            "the transformer already has an adapter; open the world model afresh for another one"
        )
    names = [name for name, module in transformer.named_modules() if isinstance(module, nn.Linear)]
    unmatched = [target for target in target_modules if not any(_matches(name, target) for name in names)]
    if unmatched or not target_modules:
        known = sorted({name.split(".", 2)[-1] for name in names if name.startswith("blocks.")})
        raise ValueError(
            f"adapter.target_modules {unmatched} match no linear layer of the transformer; "
            f"its blocks have {known}"
        )
    transformer.requires_grad_(False)
    config = LoraConfig(r=rank, target_modules=list(target_modules))
    config.lora_alpha = alpha  # pyright: ignore[reportAttributeAccessIssue]  PEFT takes a float as well
    transformer.add_adapter(config)
    _draw_adapter(transformer, torch.Generator().manual_seed(seed))


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
    digest = hashlib.sha256()
    for name, weight in adapter_parameters(transformer):
        digest.update(f"{name} {tuple(weight.shape)} ".encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().data)
    return AdapterVersion(training_step=training_step, content_hash=digest.hexdigest()[:HASH_DIGITS])


@contextmanager
def reference_policy(transformer: WanTransformer3DModel) -> Iterator[None]:
    """Switches the adapter off inside the `with` block: the network is the base, bit for bit."""
    learns = [(weight, weight.requires_grad) for _, weight in adapter_parameters(transformer)]
    transformer.disable_adapters()
    try:
        yield
    finally:
        transformer.enable_adapters()
        for weight, requires_grad in learns:  # switching off clears the flag, switching on sets it everywhere
            weight.requires_grad_(requires_grad)


def _matches(name: str, target: str) -> bool:
    """PEFT's rule for a list of targets."""
    return name == target or name.endswith(f".{target}")


def _draw_adapter(transformer: nn.Module, generator: torch.Generator) -> None:
    """Draws A and clears B, in sorted name order."""
    with torch.no_grad():
        for name, weight in adapter_parameters(transformer):
            if ".lora_A." in name:
                bound = weight.shape[1] ** -0.5
                weight.copy_(bound * (2.0 * torch.rand(weight.shape, generator=generator) - 1.0))
            else:
                weight.zero_()

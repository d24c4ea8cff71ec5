"""Opens a pipeline directory with diffusers' own loader, quietly."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from diffusers import WanImageToVideoPipeline

from eva_rl.world_model import codec, transformer  # noqa: F401  diffusers resolves their classes by module name


def open_pipeline(
    directory: Path, *, dtype: torch.dtype, with_encoders: bool, with_transformer: bool = True
) -> WanImageToVideoPipeline:
    """Opens a local directory with diffusers' own loader.

    Args:
        directory: with `model_index.json`.
        dtype: of the transformers and the text encoder. The codec stays in float32: its rounding errors would
            show as jitter of the joints read from the frames. So does the image encoder.
        with_encoders: whether to load what embeds text and images.
        with_transformer: whether to load the networks that imagine.
    """
    left_out: list[str] = []
    if not with_encoders:
        left_out += ["text_encoder", "tokenizer", "image_encoder", "image_processor"]
    if not with_transformer:
        left_out += ["transformer", "transformer_2"]
    with quiet_loading():
        return WanImageToVideoPipeline.from_pretrained(
            directory,
            dtype={"default": dtype, "vae": torch.float32, "image_encoder": torch.float32},
            local_files_only=True,
            use_safetensors=True,  # never a pickle, even where a directory offers both
            **dict.fromkeys(left_out),
        )


def schedule_shift(scheduler: Any) -> float:
    """The shift in a flow scheduler's own config: `flow_shift` (UniPC) or `shift` (flow-matching Euler).

    Raises:
        ValueError: if the scheduler has neither.
    """
    for name in ("flow_shift", "shift"):
        if name in scheduler.config:
            return float(scheduler.config[name])
    raise ValueError(
        f"scheduler {type(scheduler).__name__} has neither flow_shift nor shift in its config; "
        "use UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler"
    )


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Silences progress bars and the remark that the codec is no `AutoencoderKLWan`, not other warnings.

    Dozens of actors open the same directory.
    """
    pipeline_log = logging.getLogger("diffusers.pipelines.pipeline_utils")
    pipeline_log.addFilter(_is_no_codec_remark)
    libraries = [
        library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()
    ]
    for library in libraries:
        library.disable_progress_bar()
    try:
        yield
    finally:
        pipeline_log.removeFilter(_is_no_codec_remark)
        for library in libraries:
            library.enable_progress_bar()


def _is_no_codec_remark(record: logging.LogRecord) -> bool:
    """False for diffusers' remark on the type of this project's own codec."""
    return codec.LinearPatchCodec.__name__ not in record.getMessage()

"""Opens a pipeline directory and checks that it is one this project can drive."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers.utils.logging as diffusers_logging
import torch
import transformers.utils.logging as transformers_logging
from diffusers import WanImageToVideoPipeline

from eva_rl.world_model import codec, transformer  # noqa: F401  diffusers resolves their classes by module name


def open_pipeline(
    directory: Path, *, dtype: torch.dtype, with_text_encoder: bool, with_transformer: bool = True
) -> WanImageToVideoPipeline:
    """Opens a local directory with diffusers' own loader.

    Args:
        directory: with `model_index.json`.
        dtype: of the transformer and the text encoder. The codec stays in float32: its rounding errors would
            show as jitter of the joints read from the frames.
        with_text_encoder: whether to load text encoder and tokenizer.
        with_transformer: whether to load the network that imagines.

    Raises:
        FileNotFoundError: if there is no `model_index.json`.
    """
    if not (directory / "model_index.json").is_file():
        raise FileNotFoundError(
            f"{directory} holds no model_index.json, so it is no diffusers pipeline directory: name the "
            "directory that pretraining wrote, or a local copy of Wan-AI/Wan2.2-TI2V-5B-Diffusers"
        )
    left_out = {} if with_text_encoder else {"text_encoder": None, "tokenizer": None}
    if not with_transformer:
        left_out["transformer"] = None
    with quiet_loading():
        return WanImageToVideoPipeline.from_pretrained(
            directory,
            dtype={"default": dtype, "vae": torch.float32},
            local_files_only=True,
            **left_out,
        )


def check_conditioning(pipeline: WanImageToVideoPipeline, directory: Path) -> None:
    """Raises unless the pipeline conditions by first-frame forcing on one transformer.

    Raises:
        ValueError: naming the setting of the directory that does not fit.
    """
    settings: Mapping[str, Any] = pipeline.config
    if pipeline.transformer is None or settings["boundary_ratio"] is not None:
        raise ValueError(f"{directory}: boundary_ratio selects two transformers; only one can be aligned")
    channels, wanted = pipeline.transformer.config.in_channels, pipeline.vae.config.z_dim
    if not settings["expand_timesteps"] or channels != wanted:
        raise ValueError(
            f"{directory}: first-frame forcing takes expand_timesteps=true and a transformer whose "
            f"in_channels equal the codec's z_dim ({wanted}), as Wan2.2-TI2V-5B has; got "
            f"expand_timesteps={settings['expand_timesteps']} and in_channels={channels}"
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

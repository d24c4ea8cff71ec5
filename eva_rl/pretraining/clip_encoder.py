"""The encoders of a world model in a Ray Data actor: loaded once per worker, called with batches of clips."""

import io
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from eva_rl.config.models import WorldModelSettings
from eva_rl.data.conditions import conditions_from_windows
from eva_rl.data.cursor import EPISODE_COLUMN, WINDOW_COLUMN
from eva_rl.data.ray_pipeline import windows_from_rows
from eva_rl.records.condition import ConditionTensors
from eva_rl.world_model.condition_encoder import ConditionEncoder

KEPT_COLUMNS = (
    "window_id",
    "task",
    "start_s",
    "frame_rate_hz",
    "embodiment",
    "scene_seed",
    "provenance",
    EPISODE_COLUMN,
    WINDOW_COLUMN,
)


class ClipEncoder:
    """Rows of windows -> rows of latents and embeddings.

    Args:
        world_model: pipeline directory; its transformers stay on the disk.
        settings: conditioning, memory options and the number format of the text encoder.
        seed: chooses one of each clip's instructions.
        num_threads: compute threads.
    """

    def __init__(
        self, *, world_model: str, settings: WorldModelSettings, seed: int, num_threads: int
    ) -> None:
        torch.set_num_threads(num_threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder = ConditionEncoder.from_directory(
            world_model, dtype=getattr(torch, settings.precision), device=device, settings=settings
        )
        self._seed = seed

    def __call__(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Encodes one batch of `stream_windows`.

        Returns:
            `latents` [clips, C, F, h, w], `text` and whatever else the conditioning takes, float32; the
            actions, first frame, start joints and instruction; and what says where a clip comes from.
        """
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        conditions = conditions_from_windows(windows_from_rows(rows), seed=self._seed)
        latents = self._encoder.codec.encode_frames(torch.from_numpy(np.array(columns["frames"])))
        encoded = self._encoder.encode(conditions, clip_latents=latents).present()
        del encoded["given_latents"]  # the first of the clips' own
        tensors = {"latents": latents, **encoded}
        return {
            **{name: tensor.float().cpu().numpy() for name, tensor in tensors.items()},
            "instruction": np.array([condition.instruction for condition in conditions]),
            "actions": np.array(columns["actions"], dtype=np.float32),
            "start_joints": np.stack([condition.start_joints for condition in conditions]),
            "first_frame": np.array([_png(item.first_frame) for item in conditions], dtype=object),
            **{name: columns[name] for name in KEPT_COLUMNS},
        }


def tensor_shapes(rows: Mapping[str, NDArray[Any]]) -> str:
    """Shape of one clip's arrays that the network is given, by name, as JSON."""
    names = {"latents", *(field.name for field in fields(ConditionTensors))}
    return json.dumps({name: values.shape[1:] for name, values in rows.items() if name in names})


def _png(frame: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, format="PNG")
    return stream.getvalue()

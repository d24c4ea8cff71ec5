"""What a video is generated from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Condition:
    """First frame, instruction and start joints of one clip to be imagined.

    Example:
        Condition(condition_id="click_bell/episode0/seen", task="click_bell", scene_seed=3,
                  instruction="ring the red bell with the left arm", first_frame=uint8[48, 64, 3],
                  start_joints=float32[14], num_frames=17, frame_rate_hz=5.0, embodiment="bimanual")

    Attributes:
        first_frame: [height, width, 3], RGB, 0..255.
        start_joints: [dimensions], drive targets at the first frame (rad; grippers 0..1).
        scene_seed: rebuilds the scene in its simulator for execution; None where there is none.
        demonstrated_actions: [num_frames, dimensions], drive targets of the recorded clip that begins here
            (rad; grippers 0..1); None where there is none.
        history: [frames, height, width, 3], all given frames where there are several; begins with
            `first_frame`.
    """

    condition_id: str
    task: str
    scene_seed: int | None
    instruction: str
    first_frame: NDArray[np.uint8]
    start_joints: NDArray[np.float32]
    num_frames: int
    frame_rate_hz: float
    embodiment: str
    demonstrated_actions: NDArray[np.float32] | None = None
    history: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class ConditionTensors:
    """All that a network is given of a condition; for one clip without the leading axis, else for a batch.

    Which of them are there depends on the world model's conditioning (row of CONDITIONINGS).

    Example:
        ConditionTensors(given_latents=float32[48, 1, 6, 8], text=float32[16, 64])

    Attributes:
        given_latents: clean latents of the frames that the clip begins with; 0 frames where all are free.
        text: embedding of the instruction.
        empty_text: embedding of no instruction; only where rollouts are guided.
        condition_latents: latents of the first frame followed by grey frames, as long as the clip.
        image: features of the first frame, for networks with an image branch.
        history_noise: stands in for the given latents in the pass that guidance moves away from.
    """

    given_latents: Float[Tensor, "*batch channels given height width"]
    text: Float[Tensor, "*batch tokens text_dim"]
    empty_text: Float[Tensor, "*batch tokens text_dim"] | None = None
    condition_latents: Float[Tensor, "*batch channels frames height width"] | None = None
    image: Float[Tensor, "*batch patches image_dim"] | None = None
    history_noise: Float[Tensor, "*batch channels given height width"] | None = None

    def present(self) -> dict[str, Tensor]:
        """The tensors that are there, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def map(self, change: Callable[[Tensor], Tensor]) -> "ConditionTensors":
        """The same record with every tensor changed."""
        return ConditionTensors(**{name: change(tensor) for name, tensor in self.present().items()})

    def rows(self) -> list["ConditionTensors"]:
        """One record per clip of a batch; copies, since a view is pickled with the whole batch behind it."""
        return [self.map(lambda tensor, row=row: tensor[row].clone()) for row in range(len(self.text))]

    @staticmethod
    def stacked(items: Sequence["ConditionTensors"]) -> "ConditionTensors":
        """A batch of single conditions, with the tensors that all of them have."""
        return ConditionTensors.joined([item.map(lambda tensor: tensor[None]) for item in items])

    @staticmethod
    def joined(batches: Sequence["ConditionTensors"]) -> "ConditionTensors":
        """One batch of several, with the tensors that all of them have."""
        named = [batch.present() for batch in batches]
        common = set.intersection(*[set(tensors) for tensors in named])
        return ConditionTensors(
            **{name: torch.cat([tensors[name] for tensors in named]) for name in sorted(common)}
        )

    @staticmethod
    def selected(tensors: Mapping[str, Tensor]) -> "ConditionTensors":
        """The record of the entries that belong to it, in a mapping that may hold others too."""
        names = [field.name for field in fields(ConditionTensors) if field.name in tensors]
        return ConditionTensors(**{name: tensors[name] for name in names})


@dataclass(frozen=True, kw_only=True)
class EncodedCondition:
    """A condition as the world model sees it; encoded once, kept for the whole run.

    Example:
        EncodedCondition(condition=Condition(...), tensors=ConditionTensors(...))

    Attributes:
        tensors: what the network is given, of this clip alone.
        demonstration: codec latents of the recorded clip that the condition is the start of; only where
            learning is anchored on demonstrations.
    """

    condition: Condition
    tensors: ConditionTensors
    demonstration: Float[Tensor, "channels frames height width"] | None = None

    @property
    def first_latents(self) -> Float[Tensor, "channels given height width"]:
        """Clean latents of the given frames; their shape holds channels, height and width in any case."""
        return self.tensors.given_latents

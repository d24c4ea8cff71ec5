"""What a ResNet-50 "plus" was built for; written next to its weights."""

from dataclasses import dataclass
from typing import Literal

from eva_rl.idm.architecture import FRAME_PERIOD_TOLERANCE, WINDOW_FRAMES, check_grippers

EVA_WINDOW_OFFSET_S = 0.12  # two raw RoboTwin frames of 0.06 s
WINDOW_TOLERANCE = 0.1  # relative; one generated frame of 0.1125 s stands for EVA's 0.12 s
GripperReadout = Literal["hysteresis", "continuous"]
ChannelOrder = Literal["rgb", "bgr"]


@dataclass(frozen=True, kw_only=True)
class ResNetPlusArchitecture:
    """Sizes of the network and the videos that it reads.

    Example:
        ResNetPlusArchitecture(num_dimensions=14, gripper_dimensions=(6, 13), frame_period_s=0.1125)

    Attributes:
        num_dimensions: length of an action.
        gripper_dimensions: which of them are grippers (0 closed .. 1 open); the others are joints in rad.
        frame_period_s: seconds between two frames of the clips that are read.
        window_offset_s: seconds from a frame to either neighbour in its window, as in training.
        input_size: rows and columns that every frame is resized to.
        channel_order: of the pictures in training. Clips are always RGB and are swapped for "bgr".
        gripper_readout: "hysteresis" snaps grippers to open or closed, "continuous" leaves them.
        width: channels after the first convolution.
        window_frames: frames that decide one action.
    """

    num_dimensions: int
    gripper_dimensions: tuple[int, ...]
    frame_period_s: float
    window_offset_s: float = EVA_WINDOW_OFFSET_S
    input_size: int = 512
    channel_order: ChannelOrder = "rgb"
    gripper_readout: GripperReadout = "hysteresis"
    width: int = 64
    window_frames: int = WINDOW_FRAMES

    def __post_init__(self) -> None:
        if self.window_frames != WINDOW_FRAMES:
            raise ValueError(f"window_frames must be {WINDOW_FRAMES}, got {self.window_frames}")
        if self.channel_order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order must be rgb or bgr, got {self.channel_order!r}")
        if self.gripper_readout not in ("hysteresis", "continuous"):
            raise ValueError(
                f"gripper_readout must be hysteresis or continuous, got {self.gripper_readout!r}"
            )
        if self.input_size < 64:
            raise ValueError(
                f"input_size must be at least 64, got {self.input_size}: below, the last maps have a single "
                "site and the spatial softmax sees nothing"
            )
        check_grippers(self.gripper_dimensions, num_dimensions=self.num_dimensions)
        if not (self.frame_period_s > 0 and self.window_offset_s > 0):
            raise ValueError("frame_period_s and window_offset_s must be positive")
        offset_s = self.offset_frames * self.frame_period_s
        if abs(offset_s / self.window_offset_s - 1) > WINDOW_TOLERANCE:
            raise ValueError(
                f"frame_period_s {self.frame_period_s:.4g} does not fit window_offset_s "
                f"{self.window_offset_s:.4g}: the nearest window reaches {offset_s:.4g} s, and at most "
                f"{WINDOW_TOLERANCE:.0%} off is allowed; resample the video"
            )

    @property
    def offset_frames(self) -> int:
        """Frames from a frame to either neighbour in its window."""
        return max(1, round(self.window_offset_s / self.frame_period_s))

    @property
    def joint_dimensions(self) -> tuple[int, ...]:
        """The dimensions that are joints, in order."""
        return tuple(index for index in range(self.num_dimensions) if index not in self.gripper_dimensions)

    def check_frame_period(self, frame_period_s: float) -> None:
        """Raises unless a video's frame period is the one that the window was laid out for.

        Raises:
            ValueError: naming both periods.
        """
        if abs(frame_period_s / self.frame_period_s - 1.0) > FRAME_PERIOD_TOLERANCE:
            raise ValueError(
                f"frame period mismatch: the inverse dynamics model reads {self.frame_period_s:.4g} s "
                f"between frames, the video has {frame_period_s:.4g} s; resample the video "
                "or import the model with its period"
            )

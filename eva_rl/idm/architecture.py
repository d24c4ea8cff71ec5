"""What an inverse dynamics model was built for; written next to its weights."""

from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_FRAMES = 3  # the paper's window I[t-1 .. t+1]
WINDOWS = (3, 5, 7)
FRAME_PERIOD_TOLERANCE = 0.01  # relative


@dataclass(frozen=True, kw_only=True)
class IdmArchitecture:
    """Sizes of the network and the videos that it reads.

    Example:
        IdmArchitecture(height=48, width=64, num_dimensions=14, gripper_dimensions=(6, 13),
                        frame_period_s=0.2)

    Attributes:
        height: rows of a frame, a multiple of 8.
        width: columns of a frame, a multiple of 8.
        num_dimensions: length of an action.
        gripper_dimensions: which of them are grippers (0 closed .. 1 open); the others are joints in rad.
        frame_period_s: seconds between two frames. The window counts frames of this period: on a video of
            another period the same network sees motion at the wrong speed.
        window_frames: frames that decide one action; more of them average the reading's error away, at the
            price of seeing less of a video's jitter.
        channels: widths of the convolutions.
        num_keypoints: spatial-softmax maps.
        frame_features: width of one frame's features.
        window_features: width of one window's features.
    """

    height: int
    width: int
    num_dimensions: int
    gripper_dimensions: tuple[int, ...]
    frame_period_s: float
    window_frames: int = WINDOW_FRAMES
    channels: tuple[int, int, int] = (32, 64, 96)
    num_keypoints: int = 48
    frame_features: int = 256
    window_features: int = 192

    def __post_init__(self) -> None:
        if self.height % 8 or self.width % 8:
            raise ValueError(f"height and width must be multiples of 8, got {self.height}x{self.width}")
        check_window(self.window_frames)
        check_grippers(self.gripper_dimensions, num_dimensions=self.num_dimensions)

    @property
    def joint_dimensions(self) -> tuple[int, ...]:
        """The dimensions that are joints, in order."""
        return tuple(index for index in range(self.num_dimensions) if index not in self.gripper_dimensions)

    def check_frame_period(self, frame_period_s: float) -> None:
        """Raises unless a video's frame period is the one of training.

        Raises:
            ValueError: naming both periods.
        """
        check_period(frame_period_s, trained_s=self.frame_period_s)

    def check_frame_size(self, height: int, width: int) -> None:
        """Raises unless a video's frame size is the one of training.

        Raises:
            ValueError: naming both sizes.
        """
        if (height, width) != (self.height, self.width):
            raise ValueError(
                f"frame size mismatch: the inverse dynamics model reads {self.height}x{self.width} frames, "
                f"the video has {height}x{width}"
            )


def check_window(window_frames: int) -> None:
    """Raises ValueError unless a window has one of the known lengths."""
    if window_frames not in WINDOWS:
        raise ValueError(f"window_frames must be one of {WINDOWS}, got {window_frames}")


def check_grippers(gripper_dimensions: Sequence[int], *, num_dimensions: int) -> None:
    """Raises ValueError unless all grippers are dimensions of an action."""
    outside = [index for index in gripper_dimensions if not 0 <= index < num_dimensions]
    if outside:
        raise ValueError(f"gripper_dimensions {outside} lie outside the {num_dimensions} dimensions")


def check_period(frame_period_s: float, *, trained_s: float) -> None:
    """Raises ValueError unless a video's frame period is the one of training."""
    if abs(frame_period_s / trained_s - 1.0) > FRAME_PERIOD_TOLERANCE:
        raise ValueError(
            f"frame period mismatch: the inverse dynamics model was trained with {trained_s:.4g} s between "
            f"frames, the video has {frame_period_s:.4g} s; resample the video or train another model"
        )

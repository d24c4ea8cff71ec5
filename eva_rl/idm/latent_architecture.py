"""What an inverse dynamics model of codec latents was built for; written next to its weights."""

from dataclasses import dataclass

from eva_rl.idm.architecture import WINDOW_FRAMES, check_grippers, check_period, check_window


@dataclass(frozen=True, kw_only=True)
class LatentIdmArchitecture:
    """Sizes of the network and the latents that it reads.

    Example:
        LatentIdmArchitecture(codec="9f86d081884c7d65", latent_channels=48, latent_height=6, latent_width=8,
                              frames_per_latent=4, num_dimensions=14, gripper_dimensions=(6, 13),
                              frame_period_s=0.2)

    Attributes:
        codec: hash of the codec whose latents it reads; another codec's mean something else.
        latent_channels: of the latents.
        latent_height: rows of the latents.
        latent_width: columns of the latents.
        frames_per_latent: frames of a latent frame. The first stands for one frame alone.
        num_dimensions: length of an action.
        gripper_dimensions: which of them are grippers (0 closed .. 1 open); the others are joints in rad.
        frame_period_s: seconds between two frames of the encoded clips.
        window_frames: frames that decide one action, each seen through the latent frame that holds it.
        channels: widths of the convolutions, multiples of 8.
        num_keypoints: spatial-softmax maps.
        frame_features: width of one frame's features.
        window_features: width of one window's features.
    """

    codec: str
    latent_channels: int
    latent_height: int
    latent_width: int
    frames_per_latent: int
    num_dimensions: int
    gripper_dimensions: tuple[int, ...]
    frame_period_s: float
    window_frames: int = WINDOW_FRAMES
    channels: tuple[int, int, int] = (128, 128, 128)
    num_keypoints: int = 48
    frame_features: int = 256
    window_features: int = 192

    def __post_init__(self) -> None:
        check_window(self.window_frames)
        check_grippers(self.gripper_dimensions, num_dimensions=self.num_dimensions)
        if any(width % 8 for width in self.channels):
            raise ValueError(f"channels must be multiples of 8, got {self.channels}")

    def check_frame_period(self, frame_period_s: float) -> None:
        """Raises unless a clip's frame period is the one of training.

        Raises:
            ValueError: naming both periods.
        """
        check_period(frame_period_s, trained_s=self.frame_period_s)

    def check_num_frames(self, num_frames: int) -> None:
        """Raises unless so many frames fill whole latent frames.

        Raises:
            ValueError: naming the nearest numbers that do.
        """
        group = self.frames_per_latent
        if num_frames % group != 1 % group:
            below = (num_frames - 1) // group * group + 1
            raise ValueError(
                f"a clip of {num_frames} frames does not fill whole latent frames of {group} behind the "
                f"first; cut it to {below} frames"
            )

    def check_codec(self, codec: str) -> None:
        """Raises unless latents come from the codec of training.

        Args:
            codec: hash of the codec's files.

        Raises:
            ValueError: naming both.
        """
        if codec != self.codec:
            raise ValueError(
                f"codec mismatch: the inverse dynamics model reads latents of codec {self.codec}, the world "
                f"model has codec {codec}; train a latent model on this world model's codec, or one that "
                "reads frames"
            )

    def check_latent_size(self, channels: int, height: int, width: int) -> None:
        """Raises unless latents have the size of training.

        Raises:
            ValueError: naming both sizes.
        """
        found, wanted = (
            (channels, height, width),
            (self.latent_channels, self.latent_height, self.latent_width),
        )
        if found != wanted:
            raise ValueError(
                "latent size mismatch: the inverse dynamics model reads latents of "
                f"{'x'.join(map(str, wanted))} (channels, rows, columns), got {'x'.join(map(str, found))}"
            )

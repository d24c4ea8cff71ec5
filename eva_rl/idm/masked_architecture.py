"""What a masked inverse dynamics model was built for; written next to its weights."""

from dataclasses import dataclass

from eva_rl.idm.architecture import IdmArchitecture


@dataclass(frozen=True, kw_only=True)
class MaskedIdmArchitecture(IdmArchitecture):
    """Sizes of the reader, and of the mask before it.

    Example:
        MaskedIdmArchitecture(height=48, width=64, num_dimensions=14, gripper_dimensions=(6, 13),
                              frame_period_s=0.2, mask_channels=16)

    Attributes:
        mask_channels: width of the mask's network at half resolution, a multiple of 8.
        mask_penalty: loss of a mask that hides nothing.
    """

    mask_channels: int = 16
    mask_penalty: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_channels < 8 or self.mask_channels % 8:
            raise ValueError(f"mask_channels must be a multiple of 8, got {self.mask_channels}")
        if self.mask_penalty < 0:
            raise ValueError(f"mask_penalty must be >= 0, got {self.mask_penalty}")

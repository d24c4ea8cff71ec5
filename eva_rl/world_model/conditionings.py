"""The conditioning variants in one table, and which of them a directory asks for."""

from collections.abc import Callable, Mapping

from eva_rl.world_model.channel_concat import ChannelConcat
from eva_rl.world_model.conditioning import Conditioning
from eva_rl.world_model.first_frame_forcing import FirstFrameForcing
from eva_rl.world_model.history_forcing import HistoryForcing
from eva_rl.world_model.layout import Layout

CONDITIONINGS: Mapping[str, Callable[[Layout], Conditioning]] = {
    "first_frame_forcing": FirstFrameForcing.of,
    "channel_concat": ChannelConcat.of,
    "history_forcing": HistoryForcing.of,
}
"""Layout of a directory -> conditioning, by name; each refuses the layouts that do not fit it."""


def conditioning_of(layout: Layout) -> Conditioning:
    """The conditioning that settings, `conditioning.json` or else the networks' configs ask for.

    Raises:
        ValueError: if the directory does not fit what is asked for, or nothing that is known.
    """
    name = layout.conditioning
    if name is None:
        name = "first_frame_forcing" if layout.expands_timesteps else "channel_concat"
        if not layout.expands_timesteps and layout.input_channels == layout.latent_channels:
            raise ValueError(
                f"{layout.directory}: expand_timesteps=False and in_channels={layout.input_channels}, the "
                "codec's own number, is a text-to-video model that takes no first frame; use a TI2V or I2V "
                f"model, or name one of {', '.join(CONDITIONINGS)} in conditioning.json"
            )
    if name not in CONDITIONINGS:
        raise ValueError(
            f"{layout.directory}: conditioning must be one of {', '.join(CONDITIONINGS)}, got {name!r}"
        )
    return CONDITIONINGS[name](layout)


def given_video_frames(layout: Layout) -> int:
    """Number of recorded video frames that a clip begins with: one, or as many as the history takes."""
    return max(0, conditioning_of(layout).num_given_frames - 1) * layout.temporal_stride + 1

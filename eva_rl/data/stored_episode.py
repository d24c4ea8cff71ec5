"""An episode that has been opened: everything is known, and pictures are decoded when they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from eva_rl.data.damage import DamagedEpisodeError
from eva_rl.records.episode import ByteRange, Episode, EpisodeHeader

DecodeFrames = Callable[[Sequence[int]], Iterator[NDArray[np.uint8]]]


def _no_more_bytes() -> tuple[ByteRange, ...]:
    return ()


@dataclass(frozen=True, kw_only=True)
class StoredEpisode:
    """An opened episode. Training at 5 Hz needs a third of RoboTwin's frames: the others stay compressed.

    Example:
        StoredEpisode(header=EpisodeHeader(...), decode=lambda indices: ..., check_pictures=lambda: None)

    Attributes:
        header: everything but the pictures.
        decode: ascending frame numbers -> [height, width, 3] RGB each, in that order; all of one size.
            Raises DamagedEpisodeError where a picture is missing or damaged.
        check_pictures: looks for missing and cut pictures without decoding them; raises DamagedEpisodeError.
        locate_pictures: bytes of the pictures, where they lie in a file that `header` does not name.
    """

    header: EpisodeHeader
    decode: DecodeFrames
    check_pictures: Callable[[], None]
    locate_pictures: Callable[[], tuple[ByteRange, ...]] = _no_more_bytes

    @classmethod
    def of(cls, episode: Episode) -> "StoredEpisode":
        """Wraps an episode whose pictures are in memory."""
        return cls(
            header=episode,
            decode=lambda indices: (episode.frames[index] for index in indices),
            check_pictures=lambda: None,
        )

    def load(self) -> Episode:
        """Decodes every picture.

        Raises:
            DamagedEpisodeError: a picture is missing or damaged, or there are none.
        """
        frames = list(self.decode(range(self.header.num_frames)))
        if not frames:
            raise DamagedEpisodeError(self.header.source, "has no frames")
        known = {field.name: getattr(self.header, field.name) for field in fields(EpisodeHeader)}
        known["byte_ranges"] = self.header.byte_ranges + self.locate_pictures()
        return Episode(frames=np.stack(frames), **known)

"""The action that a mirrored picture shows: arms exchanged, some joints turned the other way."""

from dataclasses import dataclass
from typing import Self

from eva_rl.embodiments.embodiment import Embodiment


@dataclass(frozen=True)
class Mirror:
    """How an action changes when its picture is mirrored; doing it twice changes nothing.

    Example:
        Mirror(sources=(7, 8, 9, 10, 11, 12, 13, 0, 1, 2, 3, 4, 5, 6), signs=(-1.0, 1.0, ...))

    Attributes:
        sources: for each place of the mirrored action, the place that it is taken from.
        signs: for each place of the mirrored action, 1 or -1.
    """

    sources: tuple[int, ...]
    signs: tuple[float, ...]

    @classmethod
    def of(cls, embodiment: Embodiment) -> Self:
        """The mirror of a robot whose row gives one.

        Raises:
            ValueError: it gives none.
        """
        if embodiment.mirror_signs is None:
            raise ValueError(
                f"embodiment {embodiment.name!r} gives no mirror_signs: nobody has said which of its joints "
                "turn the other way in a mirrored picture; mirror nothing, or add them to its row"
            )
        half = embodiment.dimension // 2
        sources = (*range(half, 2 * half), *range(half))
        return cls(sources=sources, signs=(*embodiment.mirror_signs, 1.0) * 2)

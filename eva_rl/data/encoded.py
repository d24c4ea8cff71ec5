"""Encoded clips: shards of latents and embeddings, and the manifest that says what they were made of.

    <location>/manifest.json                      written last: without it the clips are not complete
    <location>/training/00000000-0000.parquet     named by the episode and the window that it begins with
    <location>/validation/00000000-0000.parquet

A row holds `latents` [C, F, h, w] of the whole clip, `text` and what else the conditioning takes of the
encoders, `actions` [T, D], `first_frame` (PNG), `start_joints`, `instruction`, `window_id`, `task`, `split`,
`seed`, `frame_rate_hz`, `embodiment`, `scene_seed` and `provenance` (JSON: source and byte ranges).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eva_rl.data.damage import damage_named
from eva_rl.data.storage import join, kind_of, read_bytes, resolved, write_bytes
from eva_rl.data.windows import WindowShape
from eva_rl.records.episode import EpisodeRef

MANIFEST = "manifest.json"
FORMAT = 1


class EncodedClipsError(ValueError):
    """Encoded clips that were made for something else; names what was wanted and what is there."""


@dataclass(frozen=True, kw_only=True)
class EncodingPlan:
    """All that decides what the encoded clips are.

    Example:
        EncodingPlan(encoders="9f86d081884c7d65", conditioning="first_frame_forcing",
                     shape=WindowShape(...), seed=0, held_out_share=0.05, source="/data/embedded")

    Attributes:
        encoders: hash of codec, text encoder, tokenizer and image encoder.
        conditioning: row of CONDITIONINGS.
        shape: of the windows.
        seed: chooses held-out episodes, instructions and the order.
        held_out_share: 0..1, share of episodes in the validation split.
        source: directory or URI of the episodes; None where any will do.
    """

    encoders: str
    conditioning: str
    shape: WindowShape
    seed: int
    held_out_share: float
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class EncodedClips:
    """Clips that have been encoded.

    Example:
        EncodedClips(location="runs/sft/encoded", plan=EncodingPlan(...),
                     shards={"training": (("training/00000000-0000.parquet", 64), ...), "validation": (...)},
                     num_episodes={"training": 111, "validation": 6},
                     tensors={"latents": (48, 5, 6, 8), "text": (16, 64)})

    Attributes:
        shards: name and number of clips of every shard, in order, per split.
        num_episodes: per split.
        tensors: shape of one clip's arrays, by the name of their column.
    """

    location: str
    plan: EncodingPlan
    shards: Mapping[str, Sequence[tuple[str, int]]]
    num_episodes: Mapping[str, int]
    tensors: Mapping[str, Sequence[int]]

    def num_clips(self, split: str) -> int:
        """Number of clips of a split."""
        return sum(count for _, count in self.shards[split])

    def refs(self, split: str) -> list[EpisodeRef]:
        """The shards of a split as a `WindowCursor` counts them: one "episode" each."""
        return [
            EpisodeRef(path=join(self.location, name), index=None, episode_id=name, task=split)
            for name, _ in self.shards[split]
        ]

    def save(self) -> None:
        """Writes the manifest."""
        facts = {key: value for key, value in asdict(self).items() if key != "location"}
        text = json.dumps({"format": FORMAT, **facts}, indent=1)
        write_bytes(join(self.location, MANIFEST), text.encode())


def are_encoded(location: str) -> bool:
    """Whether complete encoded clips lie at a location."""
    return kind_of(join(location, MANIFEST)) == "file"


def open_encoded(location: str, *, plan: EncodingPlan) -> EncodedClips:
    """Opens encoded clips after making sure that they are the wanted ones.

    Args:
        location: local path or URI.
        plan: what they have to be made of.

    Raises:
        DamagedEpisodeError: there is no manifest, or it is damaged.
        EncodedClipsError: they are made of something else; names both.
    """
    file = join(location, MANIFEST)
    with damage_named(file, "is no manifest of encoded clips"):
        facts = json.loads(read_bytes(file))
        clips = EncodedClips(
            location=location,
            plan=plan_from_json(facts["plan"]),
            shards={split: [(str(n), int(c)) for n, c in rows] for split, rows in facts["shards"].items()},
            num_episodes=facts["num_episodes"],
            tensors={name: tuple(shape) for name, shape in facts["tensors"].items()},
        )
    refuse_differences(clips.plan, plan, location=location)
    return clips


def plan_from_json(facts: Mapping[str, Any]) -> EncodingPlan:
    """The plan that `dataclasses.asdict` was taken of."""
    return EncodingPlan(**{**facts, "shape": WindowShape(**facts["shape"])})


def refuse_differences(found: EncodingPlan, wanted: EncodingPlan, *, location: str) -> None:
    """Makes sure that two plans are one.

    Raises:
        EncodedClipsError: names every difference, what is there and what is wanted.
    """
    there, asked = _flat(found), _flat(wanted)
    differences = [
        f"{name} is {there[name]}, wanted is {asked[name]}"
        for name in asked
        if asked[name] is not None and there[name] != asked[name]
    ]
    if differences:
        raise EncodedClipsError(
            f"encoded clips in {location} are others than these settings need: {'; '.join(differences)}. "
            "Give data.encoded another directory, or change the settings back"
        )


def _flat(plan: EncodingPlan) -> dict[str, Any]:
    facts = asdict(plan)
    shape = facts.pop("shape")
    source = None if plan.source is None else resolved(plan.source)
    return {**facts, **shape, "source": source}

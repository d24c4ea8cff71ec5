"""The table of docs/memory.md: the published Wan models at their own sizes."""

from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.planning.idm_memory import IdmShape
from eva_rl.planning.plan import memory_of
from eva_rl.planning.published_models import PUBLISHED_MODELS, PublishedModel
from eva_rl.planning.terminal import gib

EVA_IDM = IdmShape(kind="resnet_plus", weight_bytes=121_433_632, first_channels=64, input_size=512)
"""ResNet-50 plus with 14 dimensions in float32; a test counts its weights."""

SETTINGS = {
    "world_model.precision": "bfloat16",
    "world_model.codec_slicing": "true",
    "adapter.rank": "32",
    "algorithm.groups_per_step": "1",
    "algorithm.group_size": "8",
    "generators.groups_per_call": "1",
    "learner.groups_per_micro_batch": "1",
    "learner.checkpoints_activations": "true",
    "sampling.window_size": "1",
}
"""Settings of every row; the learner's rows differ in what its micro-batch holds."""
LEARNERS = {
    "learner rank, 8 clips": {"sampling.shares_prefix": "false"},
    "learner rank, 1 clip (shared fork)": {"sampling.shares_prefix": "true"},
}


def published_settings(model: PublishedModel, **changes: str) -> AlignSettings:
    """The settings that a row of the table is computed with."""
    size = {
        "video.num_frames": str(model.num_frames),
        "video.height": str(model.height),
        "video.width": str(model.width),
    }
    words = [word for name, value in (SETTINGS | size | changes).items() for word in (f"--{name}", value)]
    return load_settings(AlignSettings, file=None, overrides=words)


def published_table() -> str:
    """The table as Markdown."""
    headings = ("model, clip", "generator", "scorer", *LEARNERS, "encoding stage")
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    for model in PUBLISHED_MODELS.values():
        learners, generator, scorer, encoding = [], "", "", ""
        for changes in LEARNERS.values():
            rows = memory_of(published_settings(model, **changes), model.shape, EVA_IDM)
            generator, scorer, learner, encoding = (gib(row.peak_bytes) for row in rows)
            learners.append(learner)
        clip = f"{model.title}, {model.num_frames} frames of {model.height}x{model.width}"
        lines.append("| " + " | ".join((clip, generator, scorer, *learners, encoding)) + " |")
    return "\n".join(lines) + "\n"

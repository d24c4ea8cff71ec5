"""Settings of the recipes that make the embedded models: collect, idm, sft."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from eva_rl.config.data import DataSettings
from eva_rl.config.run import ClusterSettings, RunSettings
from eva_rl.config.section import Section
from eva_rl.config.video import RobotSettings, VideoSettings


class CollectionSettings(Section):
    """Recording demonstrations in the simulator."""

    directory: Path = Field(
        default=Path("data/embedded"), description="Where episodes are written (RoboTwin HDF5)."
    )
    num_episodes_per_task: int = Field(
        default=200, ge=1, description="Successful episodes to record per task."
    )
    first_scene_seed: int = Field(default=0, ge=0, description="Scene seed of the first episode.")


class TrainingJobSettings(Section):
    """The Ray Train job, and the optimiser inside."""

    directory: Path = Field(default=Path("models/trained"), description="Where the trained model is written.")
    num_workers: int = Field(default=1, ge=1, description="Data-parallel workers.")
    num_threads: int = Field(default=1, ge=1, description="Compute threads per worker.")
    num_steps: int = Field(default=1000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=32, ge=1, description="Clips per optimiser step and worker.")
    learning_rate: float = Field(default=1.2e-3, gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(default=60, ge=0, description="Steps over which the learning rate rises.")
    weight_decay: float = Field(default=1e-2, ge=0, description="AdamW's weight decay.")
    validation_share: float = Field(default=0.05, gt=0, lt=1, description="Share of episodes held out.")
    validate_every_steps: int = Field(default=200, ge=1, description="Steps between validations.")
    checkpoint_every_steps: int = Field(default=200, ge=1, description="Steps between checkpoints.")
    max_failures: int = Field(
        default=3, ge=-1, description="Restarts from the newest checkpoint after lost workers; -1: no limit."
    )
    storage_path: str | None = Field(
        default=None,
        min_length=1,
        description="Where checkpoints are kept: a directory that all machines share, or a URI (s3://, "
        "gs://, file://). Default: run.directory.",
    )
    num_cpus_per_worker: float = Field(
        default=0.5, gt=0, description="Cores that a worker reserves; less than 1 leaves room for readers."
    )
    num_gpus_per_worker: float = Field(
        default=0.0, ge=0, description="GPUs of a worker, and of an encoder of clips; 0 computes on the CPU."
    )
    keeps_clips_in_memory: bool = Field(
        default=True, description="Read the clips once and keep them; false reads them anew in every epoch."
    )


class WorldModelTrainingSettings(Section):
    """What the world model looks like and how it learns."""

    codec_channels: int = Field(default=48, ge=4, description="Latent channels of the linear patch codec.")
    dim: int = Field(default=256, ge=32, description="Width of the transformer.")
    num_layers: int = Field(default=5, ge=1, description="Transformer blocks.")
    num_heads: int = Field(default=4, ge=1, description="Attention heads.")
    ffn_dim: int = Field(default=512, ge=32, description="Width of the feed-forward layers.")
    shift: float = Field(default=3.0, gt=0, description="Shift of the noise schedule towards high noise.")
    compiles: bool = Field(
        default=True, description="Compile the repeated blocks: 1.5x faster steps on a CPU."
    )
    start_from: Path | None = Field(
        default=None,
        description="Pipeline directory to go on from, e.g. a local copy of Wan2.2-TI2V-5B-Diffusers; its "
        "own sizes and codec count then. Default: a new small model.",
    )
    conditioning: Literal["auto", "first_frame_forcing", "channel_concat", "history_forcing"] = Field(
        default="auto",
        description="How given frames enter the network; history_forcing trains on noisy histories as EVA "
        "does. auto: as start_from's files say; of a new model first_frame_forcing.",
    )
    history_latent_frames: int | None = Field(
        default=None,
        ge=1,
        description="Given latent frames with history_forcing. Default: start_from's, or 1.",
    )
    validation_idm: Path | None = Field(
        default=None,
        description="Inverse dynamics model that reads imagined held-out clips: every validation then tells "
        "the paper's accuracy (0.05 rad, gripper 0.5) and the joint error too. Default: none.",
    )
    validation_sampling_steps: int = Field(default=4, ge=1, description="Denoising steps of those clips.")
    lora_rank: int | None = Field(
        default=None,
        ge=1,
        description="Train only a LoRA of this rank, merged into the written model. Default: all weights.",
    )
    lora_target_modules: tuple[str, ...] = Field(
        default=("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"),
        min_length=1,
        description="Module names that the LoRA is added to.",
    )


class IdmTrainingSettings(Section):
    """What the inverse dynamics model looks like and how it learns. Sizes left out are the kind's own."""

    kind: Literal["conv", "masked", "latent", "resnet_plus"] = Field(
        default="conv",
        description="Row of IDM_KINDS: conv (small frames), masked (a learned mask before it), latent (codec "
        "latents, no frame), resnet_plus (EVA's network, random weights at the start).",
    )
    world_model: Path | None = Field(
        default=None,
        description="Pipeline directory whose codec supplies reconstructions for augmentation, or with "
        "latent the latents themselves.",
    )
    reconstruction_share: float = Field(
        default=0.7, ge=0, le=1, description="Share of clips that pass through the codec, with latent noise."
    )
    latent_noise: float = Field(default=0.35, ge=0, description="Largest noise added to those latents.")
    mirrored_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of clips that are mirrored, arms exchanged (EVA: 0.5); the robot's row must give "
        "mirror_signs.",
    )
    acceleration_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the loss on the error's second differences: what the reward differentiates.",
    )
    channels: tuple[int, int, int] | None = Field(default=None, description="Widths of the convolutions.")
    num_keypoints: int | None = Field(default=None, ge=1, description="Spatial-softmax maps.")
    frame_features: int | None = Field(default=None, ge=1, description="Width of one frame's features.")
    window_features: int | None = Field(default=None, ge=1, description="Width of one window's features.")
    window_frames: Literal[3, 5, 7] | None = Field(default=None, description="Frames that decide one action.")
    mask_channels: int | None = Field(default=None, ge=8, description="masked: width of the mask's network.")
    mask_penalty: float | None = Field(
        default=None, ge=0, description="masked: loss of a mask that hides nothing."
    )
    width: int | None = Field(
        default=None, ge=1, description="resnet_plus: channels after the first convolution."
    )
    input_size: int | None = Field(
        default=None, ge=64, description="resnet_plus: rows and columns that frames are resized to."
    )
    window_offset_s: float | None = Field(
        default=None,
        gt=0,
        description="resnet_plus: seconds from a frame to either neighbour. Default: one frame.",
    )


class CollectSettings(Section):
    """Everything that `recipes/robotwin_collect.py` can be told."""

    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    video: VideoSettings = Field(default_factory=VideoSettings)
    robot: RobotSettings = Field(default_factory=RobotSettings)
    collection: CollectionSettings = Field(default_factory=CollectionSettings)


class SftSettings(Section):
    """Everything that `recipes/robotwin_sft.py` can be told."""

    run: RunSettings = Field(default_factory=lambda: RunSettings(name="sft"))
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    video: VideoSettings = Field(default_factory=VideoSettings)
    robot: RobotSettings = Field(default_factory=RobotSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingJobSettings = Field(default_factory=TrainingJobSettings)
    world_model: WorldModelTrainingSettings = Field(default_factory=WorldModelTrainingSettings)


class IdmSettings(Section):
    """Everything that `recipes/robotwin_idm.py` can be told."""

    run: RunSettings = Field(default_factory=lambda: RunSettings(name="idm"))
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    video: VideoSettings = Field(default_factory=VideoSettings)
    robot: RobotSettings = Field(default_factory=RobotSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingJobSettings = Field(default_factory=TrainingJobSettings)
    idm: IdmTrainingSettings = Field(default_factory=IdmTrainingSettings)

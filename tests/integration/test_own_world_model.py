"""The main job on every published layout of world models, chosen by the directory alone."""

import json
from concurrent.futures import Future

import pytest
from rich.console import Console

from eva_rl.config.align import AlignSettings
from eva_rl.config.loading import load_settings
from eva_rl.config.rules import ALIGN_RULES
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.driver.preflight import PREFLIGHT_RULES
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.run import run_alignment
from eva_rl.driver.run_directory import open_run_directory
from eva_rl.driver.stages import STAGES
from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.network import InverseDynamicsModel
from eva_rl.records.episode import Episode
from eva_rl.simulators.bimanual import BimanualScene
from tests.tiny_wan import INSTRUCTIONS, SIZE, WAN_LAYOUTS

pytestmark = pytest.mark.integration

PUBLISHED = ("wan22_ti2v_5b", "wan21_i2v_14b", "wan22_i2v_a14b", "eva_i2v_14b", "eva_two_history_frames")
SMALL = {
    "schedule.self_test": False,  # an untrained reader reads no joints
    "robot.simulator": "none",
    "video.height": SIZE["height"],
    "video.width": SIZE["width"],
    "video.num_frames": SIZE["num_frames"],
    "data.frame_rate_hz": 5.0,
    "adapter.rank": 2,
    "adapter.alpha": 4,
    "sampling.guidance": 2,
    "algorithm.groups_per_step": 2,
    "algorithm.group_size": 4,
    "schedule.num_training_steps": 2,
    "schedule.checkpoint_every_steps": 2,
    "learner.groups_per_micro_batch": 1,
    "generators.count": 1,
    "evaluation.num_evaluators": 1,
    "evaluation.held_out_share": 0.34,
    "evaluation.num_conditions": 2,
    "evaluation.num_ladder_conditions": 1,
    "evaluation.num_videos": 0,
    "metrics.tensorboard": "false",
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Three episodes of a foreign task, as large as the tiny Wan models' clips."""
    root = tmp_path_factory.mktemp("episodes")
    writer = EPISODE_FORMATS["robotwin-legacy"].writer
    assert writer is not None
    with writer(root) as write:
        for seed in range(3):
            scene = BimanualScene("click_bell", seed, height=SIZE["height"], width=SIZE["width"])
            actions = scene.expert_actions()
            write(
                Episode(
                    episode_id=f"ring/episode{seed}",
                    task="ring",
                    actions=actions,
                    measured_positions=None,
                    seen_instructions=(INSTRUCTIONS[0],),
                    unseen_instructions=(INSTRUCTIONS[1],),
                    frame_rate_hz=5.0,
                    camera="head_camera",
                    embodiment="bimanual",
                    scene_seed=None,
                    source=f"ring, seed {seed}",
                    frames=scene.execute(actions, render=True).frames,
                )
            )
    return root


@pytest.fixture(scope="module")
def idm(tmp_path_factory):
    """A random inverse dynamics model for clips of that size."""
    architecture = IdmArchitecture(
        height=SIZE["height"],
        width=SIZE["width"],
        num_dimensions=14,
        gripper_dimensions=(6, 13),
        frame_period_s=0.2,
        channels=(8, 8, 8),
        num_keypoints=4,
        frame_features=16,
        window_features=16,
    )
    directory = tmp_path_factory.mktemp("idm")
    InverseDynamicsModel(architecture).save(directory)
    return directory


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_main_job_aligns_every_layout(name, recorded, idm, wan_directories, local_ray, tmp_path):
    directories = {
        "data.directory": recorded,
        "idm.directory": idm,
        "world_model.directory": wan_directories(name),
        "run.directory": tmp_path / "run",
    }
    guided = {"sampling.history_guidance": 1} if WAN_LAYOUTS[name].conditioning == "history_forcing" else {}
    values = SMALL | directories | guided
    settings = load_settings(
        AlignSettings,
        file=None,
        overrides=[word for key, value in values.items() for word in (f"--{key}", str(value))],
        rules=lambda: (*ALIGN_RULES, *PREFLIGHT_RULES),
    )
    given: Future = Future()
    given.set_result(settings.data.directory)
    with RunProgress(STAGES, console=Console(record=True)) as progress:
        run_alignment(settings, open_run_directory(settings), given, progress)

    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    # the policy that learns is the one that sampled, up to the rounding of other batches and merged weights
    assert rows[0]["learner/max_ratio_deviation"] < 1e-6
    assert rows[1]["learner/max_ratio_deviation"] < 1e-4
    assert all(row["learner/grad_norm"] > 0 for row in rows)
    assert (tmp_path / "run" / "evaluation" / "after.parquet").is_file()
    files = {file.name for file in (tmp_path / "run").rglob("pytorch_lora_weights*.safetensors")}
    assert len(files) == (2 if WAN_LAYOUTS[name].boundary_ratio else 1)

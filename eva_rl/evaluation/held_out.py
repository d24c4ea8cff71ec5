"""Which held-out scenes are evaluated, and how they become conditions."""

import difflib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from eva_rl.config.evaluation import EvaluationSettings
from eva_rl.config.video import RobotSettings, VideoSettings
from eva_rl.records.condition import Condition
from eva_rl.records.evaluation import HeldOutScene
from eva_rl.simulators.bimanual import BimanualScene


def held_out_scenes(tasks: Sequence[str], settings: EvaluationSettings) -> list[HeldOutScene]:
    """Lists the held-out scenes: tasks in turn, scene seeds upward from the first held-out one.

    Every beginning of the list is balanced over the tasks too, so fewer scenes are simply its first ones: the
    ladder uses `[: num_ladder_conditions]`, the videos `[: num_videos]`. Nothing is picked by its outcome.

    Args:
        tasks: tasks of the run.
        settings: number of conditions and first seed.
    """
    return [
        HeldOutScene(
            task=tasks[position % len(tasks)],
            scene_seed=settings.first_scene_seed + position // len(tasks),
        )
        for position in range(settings.num_conditions)
    ]


class PreparedScene:
    """A held-out scene rebuilt in its simulator, with all that the rungs start from.

    Attributes:
        scene: the simulator's scene, ready to execute.
        condition: what the world model gets to see: first frame, instruction, start joints.
    """

    def __init__(
        self, held_out: HeldOutScene, *, video: VideoSettings, robot: RobotSettings, instruction_split: str
    ) -> None:
        self.scene = _simulator(robot.simulator)(
            held_out.task,
            held_out.scene_seed,
            frame_rate_hz=video.frame_rate_hz,
            num_frames=video.num_frames,
            height=video.height,
            width=video.width,
        )
        self.condition = Condition(
            condition_id=f"{held_out.task}/scene{held_out.scene_seed}/{instruction_split}",
            task=held_out.task,
            scene_seed=held_out.scene_seed,
            instruction=self.scene.instruction("seen" if instruction_split == "seen" else "unseen"),
            first_frame=self.scene.observe(),
            start_joints=self.scene.start_joints,
            num_frames=video.num_frames,
            frame_rate_hz=video.frame_rate_hz,
            embodiment=robot.embodiment,
        )

    @cached_property
    def expert_actions(self) -> Float[np.ndarray, "frames D"]:
        """Drive targets of the scripted expert, rad (grippers 0..1)."""
        return self.scene.expert().actions

    @cached_property
    def real_frames(self) -> UInt8[np.ndarray, "frames height width 3"]:
        """RGB pictures of the expert's execution."""
        frames = self.scene.execute(self.expert_actions, render=True).frames
        assert frames is not None  # asked for above; the record allows None for executions without pictures
        return frames


def _simulator(name: str) -> type[BimanualScene]:
    """Looks up a simulator.

    Raises:
        ValueError: unknown name.
    """
    if name not in SIMULATORS:
        nearest = difflib.get_close_matches(name, SIMULATORS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"robot.simulator must be one of {sorted(SIMULATORS)}, got {name!r}; the nearest is {nearest!r}"
        )
    return SIMULATORS[name]


SIMULATORS: dict[str, type[BimanualScene]] = {"bimanual": BimanualScene}
"""Simulators that can execute decoded motion."""

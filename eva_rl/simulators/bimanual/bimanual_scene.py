"""The embedded RoboTwin-like scene: two arms at a table, one task, one seed."""

import difflib
import zlib
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, UInt8

from eva_rl.records.execution import Execution
from eva_rl.simulators.bimanual.execution import RunningExecution, physics_steps_per_frame
from eva_rl.simulators.bimanual.expert import ExpertPlan, plan_expert
from eva_rl.simulators.bimanual.inverse_kinematics import HOME_JOINTS, InverseKinematics
from eva_rl.simulators.bimanual.kinematic_replay import KinematicReplay, RenderedMotion
from eva_rl.simulators.bimanual.mujoco_engine import MjData
from eva_rl.simulators.bimanual.renderer import Renderer, RendererKind, open_renderer
from eva_rl.simulators.bimanual.robot import Robot
from eva_rl.simulators.bimanual.scene_model import CAMERA, EMBODIMENT, build_model
from eva_rl.simulators.bimanual.tasks.table import TASKS
from eva_rl.simulators.scene import Observation

# Without it some joints never vary, and no model could learn to read them from a picture.
START_JITTER_RAD = 1.2 * np.array([0.05, 0.04, 0.04, 0.05, 0.03, 0.05])


class BimanualScene:
    """One task with everything that its seed decides: places, colours, start pose, instruction.

    It is RoboTwin-like, not RoboTwin: task names, action layout, physics rate and the meaning of an action
    are RoboTwin's; the robot, the objects and the goals are this project's own, made of primitive solids.
    Equal arguments give equal scenes, pictures and outcomes on one version of mujoco.

    Args:
        task: a key of TASKS.
        seed: decides the arrangement; tasks draw independently from equal seeds.
        frame_rate_hz: frames per second of actions and pictures.
        num_frames: frames of a clip.
        frame_limit: frames of an execution that goes on clip after clip; default: one clip.
        height: picture height, pixels.
        width: picture width, pixels.
        renderer: "ray", "gl" or "auto", see `open_renderer`.

    Raises:
        ValueError: unknown task or renderer, or a frame rate that the physics cannot keep.
    """

    def __init__(
        self,
        task: str,
        seed: int,
        *,
        frame_rate_hz: float = 5.0,
        num_frames: int = 21,
        height: int = 48,
        width: int = 64,
        renderer: RendererKind = "ray",
        frame_limit: int | None = None,
    ) -> None:
        if task not in TASKS:
            nearest = difflib.get_close_matches(task, TASKS, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"unknown task {task!r}; the tasks are {sorted(TASKS)}, the nearest name is {nearest!r}"
            )
        physics_steps_per_frame(frame_rate_hz)
        self.task = task
        self.seed = seed
        self.frame_rate_hz = frame_rate_hz
        self.num_frames = num_frames
        generator = np.random.default_rng([zlib.crc32(task.encode()), seed])
        self._arrangement = TASKS[task].sample(generator)
        self.start_joints = _draw_start(generator)
        self._robot = Robot(build_model(self._arrangement.objects()))
        self._data = MjData(self._robot.model)
        self._picture_size = (height, width)
        self._renderer_kind: RendererKind = renderer
        self._renderer: Renderer | None = None
        self.frame_limit = num_frames if frame_limit is None else frame_limit
        self._running: RunningExecution | None = None
        self._commands: list[np.ndarray] = []

    def instruction(self, split: Literal["seen", "unseen"] = "seen") -> str:
        """Return a sentence that describes the task, always the same for a seed and split.

        Args:
            split: "seen" for training templates, "unseen" for those kept for evaluation.

        Raises:
            ValueError: another split.
        """
        templates = {
            "seen": self._arrangement.seen_instructions,
            "unseen": self._arrangement.unseen_instructions,
        }
        if split not in templates:
            raise ValueError(f"split must be 'seen' or 'unseen', got {split!r}")
        generator = np.random.default_rng([zlib.crc32(f"{self.task} {split}".encode()), self.seed])
        template = templates[split][generator.integers(len(templates[split]))]
        return template.format(**self._arrangement.words())

    def observe(self) -> UInt8[np.ndarray, "height width 3"]:
        """Return the head camera's RGB picture of the scene at its start."""
        self._robot.reset(self._data, self.start_joints)
        return self._picture()

    def expert(self) -> ExpertPlan:
        """Return the joint targets of a scripted solution.

        Raises:
            UnreachablePoseError: a waypoint lies outside the workspace.
            PlanTooLongError: the plan does not fit the clip.
        """
        return plan_expert(
            self._arrangement.waypoints(),
            InverseKinematics(self._robot),
            start=self.start_joints.astype(np.float64),
            frame_rate_hz=self.frame_rate_hz,
            num_frames=self.num_frames,
        )

    def execute(self, actions: Float[np.ndarray, "frames D"], *, render: bool = False) -> Execution:
        """Reset the scene, drive the arms along the actions, and judge the outcome.

        Args:
            actions: absolute targets, [num_frames, D], rad (grippers 0..1). Row 0 is replaced by the known
                start; positions beyond the limits are clipped for the physics, but counted as violations.
            render: whether to take a picture at each frame.

        Raises:
            ValueError: actions of another shape, or not finite.
        """
        actions = np.array(actions, dtype=np.float64)
        expected = (self.num_frames, EMBODIMENT.dimension)
        if actions.shape != expected:
            raise ValueError(f"actions must have the shape [num_frames, D] = {expected}, got {actions.shape}")
        _refuse_infinite(actions)
        running = self._start(render=render)
        actions[0] = self.start_joints
        for action, target in pairwise(actions):
            running.drive(action, target)
        return running.finish(actions)

    def begin(self) -> Observation:
        """Resets the scene for an execution in parts; see `proceed`."""
        self._running = self._start(render=False)
        self._commands = [self.start_joints.astype(np.float64)]
        return Observation(frame=self._picture(), joints=self.start_joints)

    def proceed(self, actions: Float[np.ndarray, "frames D"]) -> Observation:
        """Drives on along some frames from the current state of the physics.

        Args:
            actions: absolute targets, [any, D], rad (grippers 0..1). Row 0 is replaced by the targets that
                were commanded last: recorded demonstrations hold drive targets too. Rows beyond `frame_limit`
                are left out.

        Raises:
            RuntimeError: before `begin`.
            ValueError: actions that are not finite.
        """
        running = self._begun()
        _refuse_infinite(np.asarray(actions))
        for target in actions[1 : 1 + self.frame_limit - len(self._commands)].astype(np.float64):
            running.drive(self._commands[-1], target)
            self._commands.append(target)
        return Observation(frame=self._picture(), joints=self._commands[-1].astype(np.float32))

    @property
    def is_over(self) -> bool:
        """Whether all frames of the execution have been driven."""
        return len(self._commands) >= self.frame_limit

    def finish(self) -> Execution:
        """Holds the last target for one frame and judges everything since `begin`.

        Raises:
            RuntimeError: before `begin`.
        """
        running, self._running = self._begun(), None
        return running.finish(np.array(self._commands))

    def expert_actions(self) -> Float32[np.ndarray, "frames D"]:
        """Return the scripted expert's drive targets; see `expert`."""
        return self.expert().actions

    def real_frames(self) -> UInt8[np.ndarray, "frames height width 3"]:
        """Return RGB pictures of the expert's execution."""
        frames = self.execute(self.expert_actions(), render=True).frames
        assert frames is not None  # asked for; the record allows None for executions without pictures
        return frames

    def _start(self, *, render: bool) -> RunningExecution:
        self._robot.reset(self._data, self.start_joints)
        return RunningExecution(
            self._arrangement,
            self._robot,
            self._data,
            frame_rate_hz=self.frame_rate_hz,
            render=self._picture if render else None,
        )

    def _begun(self) -> RunningExecution:
        if self._running is None:
            raise RuntimeError(f"{self.task}, seed {self.seed}: call begin() before proceed() and finish()")
        return self._running

    def clearances(self, positions: Float[np.ndarray, "frames D"]) -> Float[np.ndarray, "frames arms"]:
        """Return how close each arm comes to itself and to the other along positions set without physics, m.

        Args:
            positions: rad (grippers 0..1); any number of rows.
        """
        return self._replay().clearances(positions)

    def render_motion(self, positions: Float[np.ndarray, "frames D"]) -> RenderedMotion:
        """Return pictures of the arms along positions set without physics, objects at their start.

        Always by rays, as recorded episodes are, whatever the scene's own renderer.

        Args:
            positions: rad (grippers 0..1); any number of rows.
        """
        height, width = self._picture_size
        return self._replay().pictures(positions, height=height, width=width)

    def _replay(self) -> KinematicReplay:
        self._robot.reset(self._data, self.start_joints)
        return KinematicReplay(self._robot, self._data)

    def _picture(self) -> UInt8[np.ndarray, "height width 3"]:
        if self._renderer is None:
            height, width = self._picture_size
            self._renderer = open_renderer(self._renderer_kind, self._robot.model, height=height, width=width)
        return self._renderer.render(self._data, CAMERA)


def _refuse_infinite(actions: Float[np.ndarray, "frames D"]) -> None:
    if not np.isfinite(actions).all():
        frame, dimension = np.argwhere(~np.isfinite(actions))[0]
        raise ValueError(
            f"actions must be finite, got {actions[frame, dimension]} at frame {frame}, dimension "
            f"{dimension}; mend the model or the file they came from"
        )


def _draw_start(generator: np.random.Generator) -> Float32[np.ndarray, " D"]:
    """Draw the start: both arms near home, grippers open."""
    start = np.ones(EMBODIMENT.dimension, dtype=np.float32)
    for arm in EMBODIMENT.arm_names:
        jitter = generator.uniform(-1, 1, len(HOME_JOINTS)) * START_JITTER_RAD
        start[EMBODIMENT.joints_of(arm)] = HOME_JOINTS + jitter
    return start

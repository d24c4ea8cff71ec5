"""The simulators that can execute decoded motion, and the choice to have none."""

import difflib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from eva_rl.config.section import ConfigError
from eva_rl.config.video import RobotSettings
from eva_rl.simulators.recorded import RecordedScene
from eva_rl.simulators.scene import Scene, SceneRequest, SeedSearch

NOT_EXECUTED = "not executed: no simulator"
"""What is shown in the place of success when robot.simulator is none."""


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """One source of scenes.

    Attributes:
        name: key of SIMULATORS.
        purpose: what it is, for people.
        executes: whether motions are executed, so that there is success to report.
        open: sets a scene up; raises ValueError for an unknown task.
        problem: why it cannot be used here, in one sentence; None if it can.
        tasks: names that exist; None where the data decides.
        find_seeds: searches upward from a seed for scenes that the expert solves; None where every seed
            counts.
        has_plan: whether the expert has a plan for a scene; seeds without are passed over. None where seeds
            are searched for or every one counts.
        scenes_at_once: scenes that one process may hold open; None where it does not matter.
    """

    name: str
    purpose: str
    executes: bool
    open: Callable[[SceneRequest], Scene]
    problem: Callable[[RobotSettings], str | None]
    tasks: Callable[[RobotSettings], tuple[str, ...] | None]
    find_seeds: Callable[[SceneRequest, int], SeedSearch] | None = None
    has_plan: Callable[[SceneRequest], bool] | None = None
    scenes_at_once: int | None = None


def simulator_of(robot: RobotSettings) -> Simulator:
    """Looks a run's simulator up.

    Raises:
        ValueError: unknown name.
    """
    if robot.simulator not in SIMULATORS:
        nearest = difflib.get_close_matches(robot.simulator, SIMULATORS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"robot.simulator must be one of {', '.join(SIMULATORS)}, got {robot.simulator!r}; the nearest "
            f"is {nearest!r}"
        )
    return SIMULATORS[robot.simulator]


def tasks_of(robot: RobotSettings) -> tuple[str, ...]:
    """Returns `robot.tasks`, or all that the simulator has where none are named.

    Raises:
        ConfigError: none are named, and the simulator does not know its tasks.
    """
    tasks = robot.tasks or simulator_of(robot).tasks(robot)
    if not tasks:
        raise ConfigError(
            [
                f"robot.tasks must name the tasks with robot.simulator = {robot.simulator}, which has no "
                "list of its own; got none"
            ]
        )
    return tasks


def _open_bimanual(request: SceneRequest) -> Scene:
    from eva_rl.simulators.bimanual import BimanualScene

    if request.seed is None:
        raise ValueError(
            f"a recorded episode of {request.task} cannot be rebuilt in the embedded simulator; set "
            "robot.simulator to none"
        )
    return BimanualScene(
        request.task,
        request.seed,
        frame_rate_hz=request.video.frame_rate_hz,
        num_frames=request.video.num_frames,
        height=request.video.height,
        width=request.video.width,
        frame_limit=request.episode_frames,
    )


def _has_bimanual_plan(request: SceneRequest) -> bool:
    from eva_rl.simulators.bimanual.expert import PlanTooLongError, UnreachablePoseError

    try:
        _open_bimanual(request).expert_actions()
    except (UnreachablePoseError, PlanTooLongError):
        return False
    return True


def _mujoco_problem(robot: RobotSettings) -> str | None:
    if importlib.util.find_spec("mujoco") is not None:
        return None
    return "the embedded simulator needs mujoco, which is not installed; pip install 'eva-rl[embedded]'"


def _bimanual_tasks(robot: RobotSettings) -> tuple[str, ...] | None:
    if _mujoco_problem(robot) is not None:
        return None
    from eva_rl.simulators.bimanual import TASKS

    return tuple(TASKS)


def _open_robotwin(request: SceneRequest) -> Scene:
    from eva_rl.simulators.robotwin.robotwin_scene import RobotwinScene

    return RobotwinScene(request)


def _robotwin_problem(robot: RobotSettings) -> str | None:
    from eva_rl.simulators.robotwin.install import problem_of

    return problem_of(robot)


def _robotwin_tasks(robot: RobotSettings) -> tuple[str, ...] | None:
    from eva_rl.simulators.robotwin.install import installed_tasks

    return installed_tasks(robot)


def _robotwin_seeds(request: SceneRequest, count: int) -> SeedSearch:
    from eva_rl.simulators.robotwin.expert import find_seeds

    return find_seeds(request, count)


_ROWS = (
    Simulator(
        name="bimanual",
        purpose="the embedded MuJoCo robot: RoboTwin-like tasks, on any machine",
        executes=True,
        open=_open_bimanual,
        problem=_mujoco_problem,
        tasks=_bimanual_tasks,
        has_plan=_has_bimanual_plan,
    ),
    Simulator(
        name="robotwin",
        purpose="a RoboTwin 2.0 install, see robot.robotwin_root",
        executes=True,
        open=_open_robotwin,
        problem=_robotwin_problem,
        tasks=_robotwin_tasks,
        find_seeds=_robotwin_seeds,
        scenes_at_once=1,  # each holds a renderer and a planner on the GPU
    ),
    Simulator(
        name="none",
        purpose="recorded data only: held-out episodes are judged, nothing is executed",
        executes=False,
        open=RecordedScene,
        problem=lambda robot: None,
        tasks=lambda robot: None,
    ),
)

SIMULATORS: dict[str, Simulator] = {row.name: row for row in _ROWS}
"""Every choice of robot.simulator."""

"""Rules of the settings that need the tables and the file system; all are checked before Ray starts."""

import difflib
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path

from eva_rl import pretrained
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluate import EvaluateSettings
from eva_rl.config.video import EMBEDDED
from eva_rl.data.storage import filesystem_of, kind_of
from eva_rl.driver.run_directory import directory_is_free
from eva_rl.embodiments.loading import load_embodiment
from eva_rl.embodiments.model_file import RobotFileError
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.metrics.table import UndeclaredMetricError, declared_metric
from eva_rl.rewards.reward import REWARD_PRESETS
from eva_rl.rewards.terms import REWARD_TERMS
from eva_rl.rl.awm_weights import AWM_WEIGHTS
from eva_rl.rl.kernels import KERNELS
from eva_rl.rl.kl import KL_FORMS
from eva_rl.rl.step_weights import STEP_WEIGHTS
from eva_rl.rl.windows import WINDOWS
from eva_rl.simulators.table import SIMULATORS

SCENE_TERMS = ("collision_margin", "cycle_consistency", "task_progress")


def _in_table(setting: str, name: str, table: Collection[str]) -> str | None:
    if name in table:
        return None
    nearest = difflib.get_close_matches(name, table, n=1, cutoff=0.0)[0]
    return f"{setting} must be one of {', '.join(table)}, got {name!r}; the nearest is {nearest!r}"


def _kernel(settings: AlignSettings) -> str | None:
    names = [name for name in KERNELS if name != "ode"]  # it has no log-prob to learn from
    return _in_table("sampling.kernel", settings.sampling.kernel, names)


def _window(settings: AlignSettings) -> str | None:
    return _in_table("sampling.window", settings.sampling.window, WINDOWS)


def _kl_form(settings: AlignSettings) -> str | None:
    return _in_table("algorithm.kl_form", settings.algorithm.kl_form, KL_FORMS)


def _step_weight(settings: AlignSettings) -> str | None:
    return _in_table("algorithm.step_weight", settings.algorithm.step_weight, STEP_WEIGHTS)


def _awm_weight(settings: AlignSettings) -> str | None:
    return _in_table("algorithm.awm_weight", settings.algorithm.awm_weight, AWM_WEIGHTS)


def _embodiment(settings: AlignSettings) -> str | None:
    return _in_table("robot.embodiment", settings.robot.embodiment, EMBODIMENTS)


def _reward_preset(settings: AlignSettings) -> str | None:
    return _in_table("reward.preset", settings.reward.preset, REWARD_PRESETS)


def _reward_terms(settings: AlignSettings) -> str | None:
    problems = [_in_table("reward.term_weights", name, REWARD_TERMS) for name in settings.reward.term_weights]
    return next((problem for problem in problems if problem), None)


def _limits_file(settings: AlignSettings) -> str | None:
    robot = settings.robot
    if robot.embodiment not in EMBODIMENTS:
        return None
    try:
        load_embodiment(robot.embodiment, robot.limits_from)
    except RobotFileError as error:
        return f"robot.limits_from: {error}"
    return None


def _judge(settings: AlignSettings) -> str | None:
    directory = settings.reward.judge
    if directory is None:
        return None
    return _holds(directory, "config.json", "reward.judge", "an inverse dynamics model directory")


def _scene_terms(settings: AlignSettings) -> str | None:
    """Terms that execute or render the motion."""
    weighted = [name for name in SCENE_TERMS if settings.reward.term_weights.get(name, 0) > 0]
    if not weighted:
        return None
    if settings.robot.simulator != settings.robot.embodiment:
        return (
            f"reward.term_weights of {', '.join(weighted)} need the robot's simulator, but robot.simulator "
            f"is {settings.robot.simulator} and robot.embodiment {settings.robot.embodiment}; set them to 0"
        )
    if settings.algorithm.loss == "direct":
        return (
            f"reward.term_weights of {', '.join(weighted)} come from a simulator and have no gradient; set "
            "them to 0 with algorithm.loss = direct"
        )
    return None


def _simulator(settings: AlignSettings) -> str | None:
    return _in_table("robot.simulator", settings.robot.simulator, SIMULATORS)


def _simulator_is_usable(settings: AlignSettings) -> str | None:
    row = SIMULATORS.get(settings.robot.simulator)
    return None if row is None else row.problem(settings.robot)


def _tasks(settings: AlignSettings) -> str | None:
    """A simulator has its own tasks; without one the data decides, which is checked when it is read."""
    row = SIMULATORS.get(settings.robot.simulator)
    if row is None or row.problem(settings.robot) is not None:
        return None
    known = row.tasks(settings.robot)
    if known is None:
        return None
    problems = [_in_table("robot.tasks", name, known) for name in settings.robot.tasks]
    return next((problem for problem in problems if problem), None)


def _data_are_given(settings: AlignSettings) -> str | None:
    """Only the embedded robot records its own demonstrations."""
    if settings.data.directory is not None or settings.robot.simulator == EMBEDDED:
        return None
    return (
        f"data.directory must be given with robot.simulator = {settings.robot.simulator}: only the embedded "
        "robot (bimanual) records demonstrations by itself"
    )


def _clips_can_go_on(settings: AlignSettings) -> str | None:
    """Receding horizon needs something to execute, and frames that are not past the clip."""
    wanted, available = settings.evaluation.execute_frames, settings.video.num_frames - 1
    if wanted is None:
        return None
    if settings.robot.simulator == "none":
        return "evaluation.execute_frames needs a simulator, but robot.simulator is none; leave it out"
    if wanted > available:
        return f"evaluation.execute_frames must be at most video.num_frames - 1 = {available}, got {wanted}"
    return None


def _checkpoints(settings: AlignSettings) -> str | None:
    """Where checkpoints go, and what ranks them."""
    schedule = settings.schedule
    try:
        declared_metric(schedule.best_metric)
        if schedule.checkpoint_directory is not None:
            filesystem_of(schedule.checkpoint_directory)
    except UndeclaredMetricError:
        return (
            f"schedule.best_metric must be a metric of eva_rl/metrics/table.py, got {schedule.best_metric!r}"
        )
    except (OSError, ValueError) as error:
        return f"schedule.checkpoint_directory {schedule.checkpoint_directory} cannot be reached: {error}"
    return None


def _world_model(settings: AlignSettings) -> str | None:
    directory = settings.world_model.directory or pretrained.WORLD_MODEL
    return _holds(directory, "model_index.json", "world_model.directory", "a diffusers pipeline directory")


def _history_is_recorded(settings: AlignSettings) -> str | None:
    """A scene has no frames from before the policy acts: it would end the run at its evaluation."""
    directory = settings.world_model.directory or pretrained.WORLD_MODEL
    says_so = settings.world_model.history_latent_frames is not None
    if settings.robot.simulator == "none" or not (directory / "model_index.json").is_file():
        return None
    if not says_so and not (directory / "conditioning.json").is_file():
        return None
    # imported here: diffusers takes seconds, and must not come before the run's environment is set
    from eva_rl.world_model.conditionings import given_video_frames
    from eva_rl.world_model.layout import read_layout

    try:
        num_frames = given_video_frames(read_layout(directory, settings.world_model))
    except (OSError, ValueError) as error:
        return f"world_model.directory {directory}: {error}"
    if num_frames == 1:
        return None
    return (
        f"the world model is given {num_frames} video frames, and a scene of robot.simulator = "
        f"{settings.robot.simulator} begins with one; set robot.simulator to none (figures come without "
        "execution), or world_model.history_latent_frames to 1"
    )


def _idm(settings: AlignSettings) -> str | None:
    directory = settings.idm.directory or pretrained.IDM
    return _holds(directory, "config.json", "idm.directory", "an inverse dynamics model directory")


def _demonstrations(settings: AlignSettings) -> str | None:
    directory = settings.data.directory
    try:
        if directory is None or kind_of(directory) != "missing":
            return None
    except (OSError, ValueError) as error:
        return f"data.directory {directory} cannot be reached: {error}"
    return f"data.directory {directory} does not exist; record episodes with recipes/robotwin_collect.py"


def _trackers_are_installed(settings: AlignSettings) -> str | None:
    asked = {"wandb": settings.metrics.wandb != "off", "mlflow": settings.metrics.mlflow is not None}
    missing = [name for name, is_asked in asked.items() if is_asked and find_spec(name) is None]
    if not missing:
        return None
    names = " and ".join(f"metrics.{name}" for name in missing)
    return f"{names} needs a package that is not installed; pip install 'eva-rl[tracking]', or leave it out"


def _holds(directory: Path, file: str, setting: str, kind: str) -> str | None:
    if (directory / file).is_file():
        return None
    return f"{setting} must be {kind}, but {directory} has no {file}"


PREFLIGHT_RULES = (
    _kernel,
    _window,
    _kl_form,
    _step_weight,
    _awm_weight,
    _embodiment,
    _reward_preset,
    _reward_terms,
    _limits_file,
    _judge,
    _scene_terms,
    _simulator,
    _simulator_is_usable,
    _tasks,
    _data_are_given,
    _clips_can_go_on,
    _world_model,
    _history_is_recorded,
    _idm,
    _demonstrations,
    _checkpoints,
    _trackers_are_installed,
    directory_is_free,
)
"""Every rule; each returns one sentence when broken."""


def _of_a_run(rule: Callable[[AlignSettings], str | None]) -> Callable[[EvaluateSettings], str | None]:
    return lambda settings: rule(settings.as_run())


def _evaluation_has_data(settings: AlignSettings) -> str | None:
    return _data_are_given(settings) if settings.robot.simulator == "none" else None


def _one_policy(settings: EvaluateSettings) -> str | None:
    run, adapter = settings.policy.run_directory, settings.adapter.directory
    if run is None or adapter is None:
        return None
    return (
        f"policy.run_directory = {run} and adapter.directory = {adapter} both name a policy to evaluate; "
        "leave one out"
    )


EVALUATE_RULES = (
    _one_policy,
    *(
        _of_a_run(rule)
        for rule in (
            _embodiment,
            _reward_preset,
            _reward_terms,
            _limits_file,
            _simulator,
            _simulator_is_usable,
            _tasks,
            _evaluation_has_data,
            _clips_can_go_on,
            _world_model,
            _history_is_recorded,
            _idm,
            directory_is_free,
        )
    ),
)
"""The rules that an evaluation by itself shares with a run."""

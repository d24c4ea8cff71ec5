"""One pass over the held-out scenes, read by the training's inverse dynamics model and by a judge."""

from collections.abc import Sequence

from eva_rl.config.align import AlignSettings
from eva_rl.evaluation.closed_loop import execute_open_loop
from eva_rl.evaluation.held_out import PreparedScene, planned_scenes
from eva_rl.evaluation.judging import outcomes_of
from eva_rl.evaluation.models import EvaluationModels
from eva_rl.evaluation.rungs import POLICY_RUNG
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.evaluation import Outcome
from eva_rl.rewards.reward import KinematicReward

Readings = tuple[tuple[Outcome, ...], tuple[Outcome, ...]]


def evaluate_policy(
    settings: AlignSettings,
    readers: Sequence[EvaluationModels],
    *,
    reward: KinematicReward,
    adapter: AdapterWeights | None = None,
) -> Readings:
    """Imagines every held-out scene once, and executes what each reader makes of the clip.

    Scenes and clips cost more than reading them: two readers together cost little more than one.

    Args:
        settings: of the seed; says which scenes.
        readers: the training's model, which also imagines; then the judge, if there is one.
        reward: the yardstick.
        adapter: the policy; None is the base policy.

    Returns:
        Outcomes by the training's model and by the judge; the latter empty without one.
    """
    scenes = planned_scenes(
        settings.robot.tasks, settings.evaluation, video=settings.video, robot=settings.robot
    )
    size = settings.evaluation.conditions_per_call
    found: list[list[Outcome]] = [[], []]
    for first in range(0, len(scenes), size):
        prepared = [
            PreparedScene(
                scene,
                video=settings.video,
                robot=settings.robot,
                instruction_split=settings.evaluation.instruction_split,
            )
            for scene in scenes[first : first + size]
        ]
        latents = readers[0].imagine([scene.condition for scene in prepared], adapter)
        for outcomes, reader in zip(found, readers, strict=False):
            motions = execute_open_loop(prepared, reader.read_imagined(latents))
            outcomes += outcomes_of(prepared, motions, rung=POLICY_RUNG, reward=reward)
    return tuple(found[0]), tuple(found[1])

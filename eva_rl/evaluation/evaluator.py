"""Held-out scenes in, executed outcomes out."""

import difflib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from eva_rl.config.align import AlignSettings
from eva_rl.evaluation.best_of import Chosen, Draw, best_of_subsets
from eva_rl.evaluation.closed_loop import ExecutedMotion, execute_clips, execute_open_loop
from eva_rl.evaluation.held_out import PreparedScene
from eva_rl.evaluation.judging import outcomes_of
from eva_rl.evaluation.models import EvaluationModels
from eva_rl.evaluation.pixels import to_pixels
from eva_rl.evaluation.rungs import POLICY_RUNG, RUNGS
from eva_rl.records.adapter import AdapterWeights
from eva_rl.records.condition import Condition
from eva_rl.records.evaluation import Clip, HeldOutScene, Outcome
from eva_rl.rewards.reward import KinematicReward
from eva_rl.rewards.terms import TRAINING_TERMS
from eva_rl.simulators.scene import SceneRequest, SeedSearch
from eva_rl.simulators.table import simulator_of


class Evaluator:
    """Executes what a policy imagines. A plain class: it opens models and scenes only when they are needed.

    Consumes held-out scenes and an adapter; waits for nothing; produces outcomes and clips. It keeps no state
    between calls that changes a result: equal arguments give equal outcomes, in any process.

    Args:
        settings: of the run.
        world_model_directory: pipeline directory that is aligned.
        idm_directory: inverse dynamics model that also gave the training rewards.
        reward: the training reward, with its penalty scale; its TRAINING_TERMS do not count.
    """

    def __init__(
        self,
        settings: AlignSettings,
        world_model_directory: str | Path,
        *,
        idm_directory: str | Path,
        reward: KinematicReward,
    ) -> None:
        self._settings = settings
        self._models = EvaluationModels(settings, world_model_directory, idm_directory=idm_directory)
        self._reward = reward.without(*TRAINING_TERMS)

    def evaluate_scenes(
        self, scenes: Sequence[HeldOutScene], rung: str, *, adapter: AdapterWeights | None = None
    ) -> list[Outcome]:
        """Evaluates one rung of the ladder.

        Args:
            scenes: held-out scenes; at most `evaluation.conditions_per_call` are decoded at once.
            rung: key of RUNGS.
            adapter: policy on the "world_model" rung; None is the base policy.

        Returns:
            One outcome per scene, in order.

        Raises:
            ValueError: unknown rung, task or simulator.
        """
        if rung not in RUNGS:
            nearest = difflib.get_close_matches(rung, RUNGS, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"unknown rung {rung!r}; the rungs are {list(RUNGS)}, the nearest is {nearest!r}"
            )
        # Where seeds are searched for, demonstrations differ in length and cannot be decoded together.
        is_ragged = rung != POLICY_RUNG and simulator_of(self._settings.robot).find_seeds is not None
        return [
            outcome
            for prepared in self._prepared(scenes, at_once=1 if is_ragged else None)
            for outcome in outcomes_of(
                prepared, self._executed(prepared, rung, adapter), rung=rung, reward=self._reward
            )
        ]

    def evaluate_best_of(self, scenes: Sequence[HeldOutScene]) -> list[Chosen]:
        """Imagines `evaluation.best_of` clips of the base policy per scene, and executes the best by reward.

        Only the first clip is chosen; it is executed whole, open loop.

        Returns:
            Per scene and disjoint set of 1, 2, 4 ... clips, the outcome of the best of them.
        """
        chosen = []
        for prepared in self._prepared(scenes):
            _ = self._models.world_model, self._models.idm  # opened before anything is timed
            draws = [self._draw(prepared, number) for number in range(self._settings.evaluation.best_of)]
            chosen += best_of_subsets(prepared, draws, reward=self._reward)
        return chosen

    def find_seeds(self, task: str, *, first_seed: int, count: int) -> SeedSearch:
        """Searches upward for scenes that count; where every seed counts, these are the first ones."""
        simulator = simulator_of(self._settings.robot)
        if simulator.find_seeds is None:
            return SeedSearch(seeds=tuple(range(first_seed, first_seed + count)))
        request = SceneRequest(
            task=task, seed=first_seed, video=self._settings.video, robot=self._settings.robot
        )
        return simulator.find_seeds(request, count)

    def clips_for_report(
        self, scenes: Sequence[HeldOutScene], *, adapter: AdapterWeights | None = None
    ) -> list[Clip]:
        """Shows what the expert did and what the policy imagined on the given scenes.

        Args:
            scenes: the first ones of the held-out list, so that nothing is picked by its outcome.
            adapter: of the policy; None is the base policy.
        """
        clips = []
        for prepared in self._prepared(scenes):
            latents = self._models.imagine([scene.condition for scene in prepared], adapter)
            frames, positions = self._models.decode(latents), self._models.read_imagined(latents).numpy()
            for scene, pixels, decoded in zip(prepared, to_pixels(frames).numpy(), positions, strict=True):
                execution = scene.scene.execute(decoded)
                clip = Clip(
                    condition_id=scene.condition.condition_id,
                    task=scene.condition.task,
                    instruction=scene.condition.instruction,
                    real_frames=scene.real_frames[: len(pixels)],
                    generated_frames=pixels,
                    real_positions=scene.expert_actions[: len(pixels)],
                    generated_positions=decoded.astype(np.float32),
                    success=execution.success,
                    monitored_success=execution.monitored_success,
                )
                clips.append(clip)
        return clips

    def _draw(self, prepared: Sequence[PreparedScene], number: int) -> Draw:
        """One clip of the base policy per scene, and what it took to make and read it."""
        started = time.process_time()
        latents = self._models.imagine([scene.condition for scene in prepared], None, draw=number)
        generated = time.process_time()
        positions = self._models.read_imagined(latents)
        read = time.process_time()
        return Draw(
            positions=positions,
            generation_cpu_s=(generated - started) / len(prepared),
            reading_cpu_s=(read - generated) / len(prepared),
        )

    def _executed(
        self, prepared: Sequence[PreparedScene], rung: str, adapter: AdapterWeights | None
    ) -> list[ExecutedMotion]:
        if rung != POLICY_RUNG:
            return execute_open_loop(prepared, RUNGS[rung].positions(prepared, self._models, adapter))

        def plan(conditions: Sequence[Condition]) -> Float[Tensor, "B T D"]:
            return self._models.read_imagined(self._models.imagine(conditions, adapter))

        return execute_clips(prepared, plan, execute_frames=self._settings.evaluation.execute_frames)

    def _prepared(
        self, scenes: Sequence[HeldOutScene], *, at_once: int | None = None
    ) -> Iterator[list[PreparedScene]]:
        """Rebuilds the scenes, one call's worth at a time: a simulator scene holds a few MB."""
        settings = self._settings.evaluation
        most = simulator_of(self._settings.robot).scenes_at_once or settings.conditions_per_call
        size = at_once or min(most, settings.conditions_per_call)
        for first in range(0, len(scenes), size):
            yield [
                PreparedScene(
                    held_out,
                    video=self._settings.video,
                    robot=self._settings.robot,
                    instruction_split=settings.instruction_split,
                    episode_frames=settings.episode_frames,
                    num_history_frames=self._models.given_video_frames,
                )
                for held_out in scenes[first : first + size]
            ]

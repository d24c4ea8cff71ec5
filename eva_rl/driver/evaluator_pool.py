"""The evaluator actors: scenes are dealt to whichever is free, results come back in the scenes' order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import ray

from eva_rl.actors.dispatcher import Dispatcher
from eva_rl.actors.member import Place
from eva_rl.actors.order import Order
from eva_rl.actors.placement import place_evaluators
from eva_rl.actors.pool import RolePool, start_actor
from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluation import EvaluationSettings
from eva_rl.driver.progress import StageProgress
from eva_rl.evaluation.best_of import Chosen
from eva_rl.evaluation.evaluator import Evaluator
from eva_rl.evaluation.held_out import scenes_of_seeds
from eva_rl.records.evaluation import Clip, HeldOutScene, Outcome
from eva_rl.rewards.reward import KinematicReward
from eva_rl.simulators.scene import SeedSearch

EVALUATOR = "evaluator"
SCENES = "scenes"
"""Label of the search for scenes, which counts tasks instead of conditions."""


@dataclass(frozen=True, kw_only=True)
class FoundScenes:
    """Scenes that count, and what the search for them met, per task."""

    scenes: list[HeldOutScene]
    searches: Mapping[str, SeedSearch]


class EvaluatorPool:
    """Evaluators on machines of their own, which are given back when the pool's block is left.

    Args:
        settings: of the run.
        world_model: pipeline directory.
        idm: inverse dynamics model directory.
        reward: the yardstick.
        tell: receives a line while machines are missing, and for every fault.

    Raises:
        PlacementError: when the machines do not appear in time.
    """

    def __init__(
        self,
        settings: AlignSettings,
        *,
        world_model: str,
        idm: str,
        reward: KinematicReward,
        tell: Callable[[str], None],
    ) -> None:
        self._size = settings.evaluation.conditions_per_call
        self._deadline_s = settings.faults.evaluation_deadline_s
        self._placement = place_evaluators(settings, tell=tell)
        self._dispatcher = Dispatcher(settings.faults, tell=tell)

        def start(place: Place) -> Any:
            return start_actor(
                Evaluator,
                place,
                resources=settings.evaluation,
                arguments=(settings, world_model),
                keywords={"idm_directory": idm, "reward": reward},
            )

        self._dispatcher.employ(RolePool(EVALUATOR, start, self._placement.places))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._placement.release()

    def evaluate(
        self,
        scenes: Sequence[HeldOutScene],
        rung: str,
        progress: StageProgress,
        *,
        adapter: ray.ObjectRef | None = None,
    ) -> list[Outcome]:
        """Evaluates one rung on every scene.

        Args:
            scenes: held-out ones.
            rung: key of RUNGS.
            progress: counts scenes.
            adapter: reference to the policy's weights; None is the base policy.
        """
        parts = self._parts(scenes)
        calls = [("evaluate_scenes", (part, rung), {"adapter": adapter}) for part in parts]
        return [outcome for part in self._deal(calls, progress, label=rung) for outcome in part]

    def evaluate_best_of(self, scenes: Sequence[HeldOutScene], progress: StageProgress) -> list[Chosen]:
        """Ranks and executes several clips of the base policy on every scene."""
        calls = [("evaluate_best_of", (part,), {}) for part in self._parts(scenes)]
        return [chosen for part in self._deal(calls, progress, label="best of N") for chosen in part]

    def clips_for_report(
        self, scenes: Sequence[HeldOutScene], *, adapter: ray.ObjectRef | None
    ) -> list[Clip]:
        """Clips of a few scenes with what the report shows of them, from one evaluator."""
        (clips,) = self._deal([("clips_for_report", (scenes,), {"adapter": adapter})], None, label="clips")
        return clips

    def search_scenes(
        self,
        tasks: Sequence[str],
        settings: EvaluationSettings,
        progress: StageProgress | None = None,
    ) -> FoundScenes:
        """Searches each task upward from the first held-out seed for scenes that its expert solves."""
        count = -(-settings.num_conditions // len(tasks))
        wanted = {"first_seed": settings.first_scene_seed, "count": count}
        calls = [("find_seeds", (task,), wanted) for task in tasks]
        searches = dict(zip(tasks, self._deal(calls, progress, label=SCENES), strict=True))
        seeds = {task: search.seeds for task, search in searches.items()}
        return FoundScenes(
            scenes=scenes_of_seeds(seeds, num_conditions=settings.num_conditions), searches=searches
        )

    def _parts(self, scenes: Sequence[HeldOutScene]) -> list[list[HeldOutScene]]:
        return [list(scenes[first : first + self._size]) for first in range(0, len(scenes), self._size)]

    def _deal(
        self,
        calls: Sequence[tuple[str, tuple[Any, ...], Mapping[str, Any]]],
        progress: StageProgress | None,
        *,
        label: str,
    ) -> list[Any]:
        """Makes every call on whichever evaluator is free; results in the order of the calls."""
        finished: dict[int, Any] = {}

        def keep(position: int, result: Any) -> None:
            finished[position] = result
            if progress is not None:
                amount = len(calls[position][1][0]) if label != SCENES else 1
                progress.advance(amount, note=_note(label, finished))

        for position, (method, arguments, keywords) in enumerate(calls):
            order = Order(
                role=EVALUATOR,
                method=method,
                arguments=arguments,
                keywords=keywords,
                label=f"{label}, part {position}",
                deadline_s=self._deadline_s,
            )
            self._dispatcher.submit(order, lambda result, _, position=position: keep(position, result))
        self._dispatcher.wait_until(lambda: len(finished) == len(calls), what=f"the evaluation of {label}")
        return [finished[position] for position in range(len(calls))]


def _note(label: str, finished: Mapping[int, Any]) -> str:
    """How it stands: successes where something was executed."""
    outcomes = [item for part in finished.values() if isinstance(part, list) for item in part]
    judged = [item.success for item in outcomes if isinstance(item, Outcome) and item.success is not None]
    return f"{label}: {sum(judged)}/{len(judged)} succeed" if judged else f"{label}: {len(outcomes)} judged"

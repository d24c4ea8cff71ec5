"""Which held-out scenes are evaluated, and how they become conditions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice, zip_longest

import numpy as np
from jaxtyping import Float, UInt8

from eva_rl.config.align import AlignSettings
from eva_rl.config.evaluation import EvaluationSettings
from eva_rl.config.video import RobotSettings, VideoSettings
from eva_rl.data.conditions import with_history
from eva_rl.data.episodes import split_episodes
from eva_rl.data.formats import open_episode
from eva_rl.data.listing import EpisodeDirectoryError
from eva_rl.data.windows import WindowShape, windows_of
from eva_rl.records.condition import Condition
from eva_rl.records.episode import EpisodeRef
from eva_rl.records.evaluation import HeldOutScene
from eva_rl.simulators.scene import InstructionSplit, Observation, Recording, Scene, SceneRequest
from eva_rl.simulators.table import simulator_of

MOST_SEEDS_TRIED = 3  # per wanted scene


class NoSceneError(ValueError):
    """The simulator has too few scenes of a task that its expert can play."""


def held_out_scenes(
    tasks: Sequence[str],
    settings: EvaluationSettings,
    *,
    counts: Callable[[str, int], bool] = lambda task, seed: True,
) -> list[HeldOutScene]:
    """Lists the held-out scenes: tasks in turn, scene seeds upward from the first held-out one.

    Every beginning of the list is balanced over the tasks too, so fewer scenes are simply its first ones: the
    ladder uses `[: num_ladder_conditions]`, the videos `[: num_videos]`. Nothing is picked by its outcome.

    Args:
        tasks: tasks of the run.
        settings: number of conditions and first seed.
        counts: whether a task's seed makes a scene; others are passed over.

    Raises:
        NoSceneError: hardly a seed of a task does.
    """
    wanted, first = -(-settings.num_conditions // len(tasks)), settings.first_scene_seed
    seeds: dict[str, list[int]] = {}
    for task in tasks[: settings.num_conditions]:
        tried = range(first, first + MOST_SEEDS_TRIED * wanted)
        seeds[task] = list(islice((seed for seed in tried if counts(task, seed)), wanted))
        if len(seeds[task]) < wanted:
            raise NoSceneError(
                f"{task}: the expert has a plan for {len(seeds[task])} of the {len(tried)} scenes from seed "
                f"{first} on, {wanted} are wanted; give clips more time (video.num_frames)"
            )
    return scenes_of_seeds(seeds, num_conditions=settings.num_conditions)


def planned_scenes(
    tasks: Sequence[str], settings: EvaluationSettings, *, video: VideoSettings, robot: RobotSettings
) -> list[HeldOutScene]:
    """Lists the held-out scenes of a simulator whose seeds are not searched for.

    A scene for which the expert has no plan, about one in four hundred, is passed over as it is when
    demonstrations are recorded: nobody could say what should have been imagined.

    Raises:
        NoSceneError: hardly a scene has one.
    """
    has_plan = simulator_of(robot).has_plan
    if has_plan is None:
        return held_out_scenes(tasks, settings)

    def counts(task: str, seed: int) -> bool:
        return has_plan(SceneRequest(task=task, seed=seed, video=video, robot=robot))

    return held_out_scenes(tasks, settings, counts=counts)


def scenes_of_seeds(seeds: Mapping[str, Sequence[int]], *, num_conditions: int) -> list[HeldOutScene]:
    """Lists scenes whose seeds had to be searched for: tasks in turn, at most `num_conditions`."""
    columns = [
        [HeldOutScene(task=task, scene_seed=seed) for seed in of_task] for task, of_task in seeds.items()
    ]
    return _in_turn(columns)[:num_conditions]


def in_splits(scenes: Sequence[HeldOutScene], instruction_split: str) -> list[HeldOutScene]:
    """Names the wording of every scene; with "both" each scene comes twice in a row, seen first."""
    splits = ("seen", "unseen") if instruction_split == "both" else (instruction_split,)
    return [replace(scene, instruction_split=split) for scene in scenes for split in splits]


def split_recorded(
    episodes: Sequence[EpisodeRef], settings: AlignSettings
) -> tuple[list[EpisodeRef], list[EpisodeRef]]:
    """Splits recorded episodes into those that are learned from and those that are held out.

    Where a simulator executes, every episode is learned from: held-out scenes come from it.

    Args:
        episodes: usable ones.
        settings: simulator, share and seed of the split.

    Raises:
        EpisodeDirectoryError: nothing would be left to learn from.
    """
    if simulator_of(settings.robot).executes:
        return list(episodes), []
    learned, held_out = split_episodes(
        episodes, held_out_share=settings.evaluation.held_out_share, seed=settings.run.seed
    )
    if not learned:
        raise EpisodeDirectoryError(
            f"{len(episodes)} episodes are too few to hold some out for evaluation (at least one per task) "
            "and to learn from the others; record two or more per task"
        )
    return learned, held_out


def recorded_scenes(episodes: Sequence[EpisodeRef], settings: EvaluationSettings) -> list[HeldOutScene]:
    """Lists held-out episodes as scenes: tasks in turn, at most `num_conditions`."""
    columns = [
        [
            HeldOutScene(task=task, scene_seed=None, episode=episode)
            for episode in episodes
            if episode.task == task
        ]
        for task in sorted({episode.task for episode in episodes})
    ]
    return _in_turn(columns)[: settings.num_conditions]


class PreparedScene:
    """A held-out scene rebuilt in its simulator, with all that the rungs start from.

    Attributes:
        scene: the simulator's scene, ready to execute.
        condition: what the world model gets to see: first frame, instruction, start joints.
    """

    def __init__(
        self,
        held_out: HeldOutScene,
        *,
        video: VideoSettings,
        robot: RobotSettings,
        instruction_split: str,
        episode_frames: int | None = None,
        num_history_frames: int = 1,
    ) -> None:
        split: InstructionSplit = (
            "seen" if (held_out.instruction_split or instruction_split) == "seen" else "unseen"
        )
        request = SceneRequest(
            task=held_out.task,
            seed=held_out.scene_seed,
            video=video,
            robot=robot,
            episode_frames=episode_frames,
            recording=None if held_out.episode is None else _recording_of(held_out.episode, video),
            instruction_split=split,
        )
        self.scene: Scene = simulator_of(robot).open(request)
        place = f"{held_out.task}/scene{held_out.scene_seed}"
        name = place if held_out.episode is None else held_out.episode.episode_id
        self.condition = self._condition(
            f"{name}/{split}",
            held_out,
            Observation(frame=self.scene.observe(), joints=self.scene.start_joints),
            instruction=self.scene.instruction(split),
            video=video,
            robot=robot,
        )
        if num_history_frames > 1:
            self.condition = self._remembering(num_history_frames, held_out)

    @cached_property
    def expert_actions(self) -> Float[np.ndarray, "frames D"]:
        """Drive targets of the expert or the demonstration, rad (grippers 0..1)."""
        return self.scene.expert_actions()

    @cached_property
    def real_frames(self) -> UInt8[np.ndarray, "frames height width 3"]:
        """RGB pictures of the expert's execution or of the demonstration."""
        return self.scene.real_frames()

    def _remembering(self, num_frames: int, held_out: HeldOutScene) -> Condition:
        """The condition with its history: only a recording has frames from before the policy acts.

        Raises:
            ValueError: the scene is a simulator's, which begins with a single picture.
        """
        if held_out.episode is None:
            raise ValueError(
                f"the world model is given {num_frames} video frames, a simulator's scene begins with one: "
                "evaluate on recordings (robot.simulator none), or set world_model.history_latent_frames to 1"
            )
        return with_history(self.condition, self.scene.real_frames(), num_frames)

    @staticmethod
    def _condition(
        condition_id: str,
        held_out: HeldOutScene,
        start: Observation,
        *,
        instruction: str,
        video: VideoSettings,
        robot: RobotSettings,
    ) -> Condition:
        return Condition(
            condition_id=condition_id,
            task=held_out.task,
            scene_seed=held_out.scene_seed,
            instruction=instruction,
            first_frame=start.frame,
            start_joints=start.joints,
            num_frames=video.num_frames,
            frame_rate_hz=video.frame_rate_hz,
            embodiment=robot.embodiment,
        )


def _recording_of(episode: EpisodeRef, video: VideoSettings) -> Recording:
    """Reads the first clip of an episode, as training conditions are cut.

    Raises:
        EpisodeDirectoryError: the episode is shorter than a clip.
    """
    shape = WindowShape(
        num_frames=video.num_frames,
        frame_rate_hz=video.frame_rate_hz,
        height=video.height,
        width=video.width,
        stride_s=1e6,  # one window: the one that starts the episode
    )
    windows = windows_of(open_episode(episode), shape=shape)
    if not windows:
        raise EpisodeDirectoryError(
            f"{episode} is shorter than a clip of {shape.duration_s:g} s (video.num_frames at "
            "video.frame_rate_hz), so it cannot be evaluated; shorten the clip or remove the episode"
        )
    return Recording(
        frames=windows[0].frames,
        actions=windows[0].actions,
        instructions={"seen": windows[0].seen_instructions, "unseen": windows[0].unseen_instructions},
    )


def _in_turn(columns: Sequence[Sequence[HeldOutScene]]) -> list[HeldOutScene]:
    return [scene for row in zip_longest(*columns) for scene in row if scene is not None]

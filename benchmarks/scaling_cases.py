"""What the scaling benchmark runs: stage lengths with their source, real runs and simulations."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any

from benchmarks.sleeping_roles import measured_step_ends
from eva_rl.planning.timeline import Timeline, simulate
from eva_rl.planning.workload import StageTimes, Workload

CHUNKS_PER_GENERATOR = 4
GENERATORS_PER_SCORER = 4
SIMULATED_GENERATORS = (8, 16, 32, 64, 128, 256, 512)
FIXED_BATCH = 256
SIMULATED_STEPS = 40


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Seconds per training step of a published system, by stage.

    Attributes:
        source: where they stand, and what is assumed.
        generate_s, score_s, learn_s: per step.
        sync_s: assumed, for a generator to take over an adapter.
        spread: assumed, of a chunk's length.
    """

    source: str
    generate_s: float
    score_s: float
    learn_s: float
    sync_s: float
    spread: float

    def as_data(self) -> dict[str, Any]:
        """For the file of results."""
        return asdict(self)


SCENARIO = Scenario(
    source="verl-project/verl-omni docs/algo/performance.md, FlowGRPO LoRA on Qwen-Image OCR, H800: 420 s "
    "per step with the reward on the critical path, 360 s with it hidden; so the reward is taken as 60 s. "
    "The other 360 s are split evenly between generation and learning, an assumption: the split is not "
    "published. Adapter hand-over (1 s) and spread (10 %) are assumptions too.",
    generate_s=180.0,
    score_s=60.0,
    learn_s=180.0,
    sync_s=1.0,
    spread=0.1,
)


def times_of(*, second: float = 1.0, spread: float = 0.0) -> StageTimes:
    """Stage lengths per chunk and batch, in seconds; one published second lasts `second`."""
    return StageTimes(
        generate_s=second * SCENARIO.generate_s / CHUNKS_PER_GENERATOR,
        score_s=second * SCENARIO.score_s / CHUNKS_PER_GENERATOR,
        learn_s=second * SCENARIO.learn_s,
        sync_s=second * SCENARIO.sync_s,
        spread=spread,
    )


def growing(num_generators: int, *, num_steps: int, rollouts_ahead: int) -> Workload:
    """A batch that grows with the generators; scorers and learner ranks grow with them too."""
    return Workload(
        num_steps=num_steps,
        groups_per_step=CHUNKS_PER_GENERATOR * num_generators,
        groups_per_call=1,
        num_generators=num_generators,
        num_scorers=max(1, -(-num_generators // GENERATORS_PER_SCORER) * 2),
        rollouts_ahead=rollouts_ahead,
    )


def fixed(num_generators: int, *, num_steps: int, rollouts_ahead: int) -> Workload:
    """A batch of 256 chunks, however many generators share it; the learner's time stays."""
    load = growing(num_generators, num_steps=num_steps, rollouts_ahead=rollouts_ahead)
    return replace(load, groups_per_step=FIXED_BATCH)


def real_rows(counts: Sequence[int], *, num_steps: int, second: float) -> list[dict[str, Any]]:
    """Real runs with growing batches, beside what the simulation said of them."""
    rows, times = [], times_of(second=second)
    for ahead in (0, 1):
        for count in counts:
            load = growing(count, num_steps=num_steps, rollouts_ahead=ahead)
            measured, predicted = measured_step_ends(load, times)[-1], simulate(load, times).makespan_s
            rows.append(
                {
                    "num_generators": count,
                    "rollouts_ahead": ahead,
                    "measured_s": measured,
                    "predicted_s": predicted,
                    "error": predicted / measured - 1,
                }
            )
    for row in rows:
        alone = next(
            other
            for other in rows
            if other["num_generators"] == min(counts) and other["rollouts_ahead"] == row["rollouts_ahead"]
        )
        row["efficiency"] = alone["measured_s"] / row["measured_s"]
    return rows


def overlap_rows(*, num_steps: int, second: float) -> list[dict[str, Any]]:
    """Real runs whose generation (with scoring) and learning take equally long, by batches ahead."""
    times = replace(times_of(second=second), score_s=0.0, sync_s=0.0)
    rows = []
    for ahead in (0, 1, 2):
        load = growing(2, num_steps=num_steps, rollouts_ahead=ahead)
        measured = measured_step_ends(load, times)[-1]
        rows.append(
            {
                "rollouts_ahead": ahead,
                "measured_s": measured,
                "predicted_s": simulate(load, times).makespan_s,
            }
        )
    for row in rows:
        row["speed_against_synchronous"] = rows[0]["measured_s"] / row["measured_s"]
    return rows


def simulated_rows(*, seed: int) -> list[dict[str, Any]]:
    """Efficiency for hundreds of generators, with spread: rollouts per second and generator, against one."""
    times, rows = times_of(spread=SCENARIO.spread), []
    for name, shape in (("batch grows", growing), ("batch of 256 chunks", fixed)):
        for ahead in (0, 1):
            alone = _rate(shape(1, num_steps=SIMULATED_STEPS, rollouts_ahead=ahead), times, seed)[0]
            for count in SIMULATED_GENERATORS:
                load = shape(count, num_steps=SIMULATED_STEPS, rollouts_ahead=ahead)
                rate, last = _rate(load, times, seed)
                rows.append(
                    {
                        "batch": name,
                        "num_generators": count,
                        "rollouts_ahead": ahead,
                        "efficiency": rate / (count * alone),
                        "step_s": last.step_s,
                        "utilisation": last.utilisation,
                        "bottleneck": last.bottleneck,
                    }
                )
    return rows


def _rate(load: Workload, times: StageTimes, seed: int) -> tuple[float, Timeline]:
    """Chunks per second, mean of three draws, and the last draw's timeline."""
    found = [simulate(load, times, seed=seed + draw) for draw in range(3)]
    chunks = load.num_chunks * load.num_steps
    return mean(chunks / timeline.makespan_s for timeline in found), found[-1]

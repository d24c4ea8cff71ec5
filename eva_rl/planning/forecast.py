"""From settings and stage times to a run's length, bottleneck, price and better counts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eva_rl.config.align import AlignSettings
from eva_rl.planning.profile import Profile, workload_of
from eva_rl.planning.timeline import Timeline, simulate
from eva_rl.planning.workload import StageTimes, Workload

SUGGESTION_STEPS = 24
"""Training steps that a candidate is simulated for."""
SLACK = 1.05
"""A candidate may be so much slower than the fastest one if it is cheaper."""
MAX_CANDIDATES = 12


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What machines cost.

    Example:
        Prices(per_gpu_hour=2.5, per_cpu_hour=0.04)
    """

    per_gpu_hour: float = 0.0
    per_cpu_hour: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run is predicted to take.

    Attributes:
        times: of every stage.
        timeline: of the settings as they are.
        by_rollouts_ahead: makespan in seconds by batches ahead, 0 to 2.
        price: of the whole run.
        suggested: generators and scorers that finish within 5 % of the fastest, at the lowest price.
        suggested_makespan_s, suggested_price: of the whole run with them.
    """

    times: StageTimes
    timeline: Timeline
    by_rollouts_ahead: Mapping[int, float]
    price: float
    suggested: tuple[int, int]
    suggested_makespan_s: float
    suggested_price: float


def forecast(settings: AlignSettings, profile: Profile, prices: Prices) -> Forecast:
    """Predicts a run; start-up, calibration, evaluation and checkpoints are not counted."""
    times, load = profile.stage_times(settings), workload_of(settings)
    timeline = simulate(load, times)
    better = _suggestion(settings, load, times, prices)
    better_s = simulate(better, times).makespan_s
    return Forecast(
        times=times,
        timeline=timeline,
        by_rollouts_ahead={
            ahead: simulate(replace(load, rollouts_ahead=ahead), times).makespan_s for ahead in range(3)
        },
        price=_hourly(settings, load, prices) * timeline.makespan_s / 3600,
        suggested=(better.num_generators, better.num_scorers),
        suggested_makespan_s=better_s,
        suggested_price=_hourly(settings, better, prices) * better_s / 3600,
    )


def _suggestion(settings: AlignSettings, load: Workload, times: StageTimes, prices: Prices) -> Workload:
    """Tries counts up to one actor per chunk in flight; without prices, resources stand for them."""
    short = replace(load, num_steps=min(load.num_steps, SUGGESTION_STEPS))
    most = short.num_chunks * (short.rollouts_ahead + 1)
    counts = sorted({max(1, round(most * share / MAX_CANDIDATES)) for share in range(1, MAX_CANDIDATES + 1)})
    counts = sorted({1, 2, *counts} & set(range(1, most + 1)))
    found = []
    for num_generators in counts:
        for num_scorers in (count for count in counts if count <= num_generators):
            candidate = replace(short, num_generators=num_generators, num_scorers=num_scorers)
            seconds = simulate(candidate, times).makespan_s
            found.append((seconds, seconds * _hourly(settings, candidate, prices), candidate))
    fastest = min(seconds for seconds, _, _ in found)
    near = [entry for entry in found if entry[0] <= SLACK * fastest]
    chosen = min(near, key=lambda entry: (entry[1], entry[0]))[2]
    return replace(chosen, num_steps=load.num_steps)


def _hourly(settings: AlignSettings, load: Workload, prices: Prices) -> float:
    """Price of an hour of all roles; without prices a GPU counts as ten CPUs."""
    gpu, cpu = prices.per_gpu_hour, prices.per_cpu_hour
    if not (gpu or cpu):
        gpu, cpu = 10.0, 1.0
    roles = (
        (settings.generators, load.num_generators),
        (settings.scorers, load.num_scorers),
        (settings.learner, settings.learner.num_ranks),
    )
    return sum(count * (gpu * role.num_gpus + cpu * role.num_cpus) for role, count in roles)

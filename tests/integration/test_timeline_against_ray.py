"""The model of a run's schedule against real Ray actors that sleep."""

import pytest

from benchmarks.sleeping_roles import measured_step_ends
from eva_rl.planning.timeline import simulate
from eva_rl.planning.workload import StageTimes, Workload

pytestmark = pytest.mark.integration

CASES = {
    "generation rules": ({"generate_s": 0.3, "score_s": 0.05, "learn_s": 0.1}, {"num_generators": 2}),
    "one scorer rules": ({"generate_s": 0.1, "score_s": 0.15, "learn_s": 0.1}, {"num_generators": 3}),
    "a batch ahead": (
        {"generate_s": 0.2, "score_s": 0.05, "learn_s": 0.4, "sync_s": 0.05},
        {"num_generators": 2, "rollouts_ahead": 1},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_predicted_makespan_is_within_a_tenth_of_a_real_run(case, local_ray):
    lengths, counts = CASES[case]
    times = StageTimes(**lengths)
    load = Workload(num_steps=5, groups_per_step=4, groups_per_call=1, num_scorers=1, **counts)
    measured = measured_step_ends(load, times)[-1]
    predicted = simulate(load, times).makespan_s
    assert abs(predicted / measured - 1) <= 0.10, f"predicted {predicted:.2f} s, measured {measured:.2f} s"

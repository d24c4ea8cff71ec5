"""The figure of an alignment comparison."""

import numpy as np
import pytest

from benchmarks.curves import mean_curve, write_curves


def row(*, rewards, cpu_s, arm="an arm", seed=0, difference=0.02):
    interval = {"difference": {"low": difference - 0.01, "value": difference, "high": difference + 0.01}}
    return {
        "arm": arm,
        "seed": seed,
        "num_rollouts": 4 * len(rewards),
        "reward_by_step": list(rewards),
        "cpu_s_by_step": list(cpu_s),
        "differences": {"monitored_success": interval, "success": interval},
        "judged_differences": {},
    }


def test_seeds_of_unequal_pace_are_averaged_at_equal_cost():
    quick, slow = np.linspace(1, 300, 300), np.linspace(3, 300, 100)
    spent, rewards = mean_curve(
        [row(rewards=quick / 100, cpu_s=quick), row(rewards=slow / 100 + 2, cpu_s=slow, seed=1)]
    )
    assert spent[0] == pytest.approx(30)
    assert spent[-1] == pytest.approx(270)
    np.testing.assert_allclose(rewards, spent / 100 + 1, atol=0.02)


def test_a_run_of_few_long_steps_has_a_curve():
    spent, rewards = mean_curve([row(rewards=[5.0], cpu_s=[250.0])])
    assert np.isfinite(spent).all()
    np.testing.assert_allclose(rewards, 5.0)


def test_arms_that_lost_much_do_not_hide_the_others(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    said = []
    monkeypatch.setattr(Axes, "text", lambda axes, x, y, words, **_: said.append(words))
    rows = [
        row(rewards=[8.0, 9.0], cpu_s=[1.0, 2.0]),
        row(rewards=[8.0, 9.0], cpu_s=[1.0, 2.0], arm="ruined", difference=-0.5),
        row(rewards=[8.0, 9.0], cpu_s=[1.0, 2.0], arm="ruined", seed=1, difference=-0.1),
    ]
    write_curves(tmp_path / "curves.png", rows)
    assert said == ["← -50, -10"] * 2
    assert (tmp_path / "curves.png").stat().st_size > 0

"""Before against after: pairing, verdicts and honest words."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from eva_rl.evaluation.comparison import (
    ComparisonRow,
    compare,
    compare_tasks,
    comparison_as_data,
)
from eva_rl.evaluation.held_out import HeldOutScene
from eva_rl.evaluation.quantities import QUANTITIES, summarise
from eva_rl.evaluation.terminal import print_comparison
from eva_rl.evaluation.wording import MINUS, cautions, finding, format_estimate, format_number
from eva_rl.records.evaluation import Estimate
from eva_rl.reports.findings import findings_of
from tests.unit.synthetic_run import outcomes

SCENES = [
    HeldOutScene(task=task, scene_seed=seed) for seed in range(60) for task in ("click_bell", "grab_roller")
]


@pytest.fixture(scope="module")
def before():
    return outcomes(SCENES, success_rate=0.4, seed=1)


@pytest.fixture(scope="module")
def after():
    return outcomes(SCENES, success_rate=0.6, seed=1, calm=0.5)


def row_of(quantity: str, difference: Estimate) -> ComparisonRow:
    """A comparison with the given difference; the rest does not matter."""
    middle = Estimate(value=0.5, low=0.4, high=0.6, n=difference.n)
    return ComparisonRow(
        quantity=QUANTITIES[quantity], task=None, before=middle, after=middle, difference=difference
    )


def test_outcomes_are_paired_by_condition_whatever_their_order(before, after):
    assert compare(before, after) == compare(before, after[::-1])


def test_different_conditions_are_not_compared(before, after):
    with pytest.raises(ValueError, match="1 conditions on one side only"):
        compare(before, after[:-1])
    with pytest.raises(ValueError, match="once each"):
        compare(before, [*after, after[0]])


def test_a_policy_does_not_differ_from_itself(before):
    for row in compare(before, before):
        assert (row.difference.value, row.verdict) == (0, "not shown")


def test_less_of_a_cost_is_better_and_less_of_success_is_worse(before, after):
    verdicts = {row.quantity.name: row.verdict for row in compare(before, after)}
    backwards = {row.quantity.name: row.verdict for row in compare(after, before)}
    assert verdicts["success"] == verdicts["rms_jerk"] == verdicts["violations/limits"] == "better"
    assert backwards["success"] == backwards["rms_jerk"] == backwards["violations/limits"] == "worse"
    assert verdicts["relative_path_length"] == "changed"


def test_an_interval_that_touches_zero_shows_nothing():
    touching = row_of("success", Estimate(value=0.05, low=0.0, high=0.1, n=100))
    assert touching.verdict == "not shown"
    assert "no difference is shown" in finding(touching)
    assert "includes 0" in finding(touching)


def test_a_finding_says_direction_size_interval_and_number():
    fell = row_of("success", Estimate(value=-0.065, low=-0.12, high=-0.01, n=200))
    assert finding(fell) == (
        f"Task success fell by 6.5 points (95 % interval {MINUS}12.0 to {MINUS}1.0, "
        "paired over 200 held-out conditions)."
    )


def test_conditions_whose_reward_was_not_judged_are_left_out(before, after):
    unjudged = [replace(after[0], reward=float("nan")), *after[1:]]
    rows = {row.quantity.name: row for row in compare(before, unjudged)}
    assert rows["reward"].difference.n == len(before) - 1
    assert rows["success"].difference.n == len(before)


def test_every_task_gets_its_own_rows(before, after):
    rows = compare_tasks(before, after)
    assert [(row.task, row.quantity.name) for row in rows] == [
        ("click_bell", "monitored_success"),
        ("click_bell", "success"),
        ("grab_roller", "monitored_success"),
        ("grab_roller", "success"),
    ]
    assert all(row.difference.n == 60 for row in rows)


def test_moving_less_is_pointed_out(before):
    lazy = [replace(outcome, path_length_rad=0.6 * outcome.path_length_rad) for outcome in before]
    rows = {row.quantity.name: row for row in compare(before, lazy)}
    assert any("% less than the expert" in caution for caution in cautions(rows))
    assert cautions({row.quantity.name: row for row in compare(before, before)}) == []


def test_an_exploited_reward_is_pointed_out(before):
    exploited = [replace(outcome, reward=outcome.reward + 1, success=False) for outcome in before]
    rows = {row.quantity.name: row for row in compare(before, exploited)}
    assert any("exploited" in caution for caution in cautions(rows))


def test_few_conditions_are_pointed_out(before, after):
    rows = {row.quantity.name: row for row in compare(before[:10], after[:10])}
    assert any("Only 10 held-out conditions" in caution for caution in cautions(rows))


def test_a_summary_counts_the_outcomes(before):
    summary = summarise("world_model", before).summary
    assert summary["success"].value == sum(outcome.success for outcome in before) / len(before)
    assert summary.keys() == QUANTITIES.keys() - {"violations/planning"}  # the embedded robot has no planner


def test_where_nothing_was_executed_there_is_no_success_and_the_terminal_says_why(before, after):
    unknown = {"success": None, "monitored_success": None, "tracking_error_rad": math.nan}
    sides = [[replace(outcome, **unknown) for outcome in side] for side in (before, after)]
    rows, task_rows = compare(*sides), compare_tasks(*sides)
    assert {"success", "monitored_success", "tracking_error_rad"}.isdisjoint(
        row.quantity.name for row in rows
    )
    assert {"reward", "rms_jerk", "arm_rmse_rad"} <= {row.quantity.name for row in rows}
    assert task_rows == []
    console = Console(file=io.StringIO(), width=100)
    print_comparison(rows, task_rows, console=console)
    assert "not executed: no simulator" in console.file.getvalue()
    assert findings_of(*sides).headline is None


def test_rows_become_plain_data(before, after):
    data = comparison_as_data(compare(before, after))
    assert data[0]["quantity"] == "monitored_success"
    assert data[0]["difference"]["n"] == len(before)


def test_figures_are_written_with_three_digits():
    assert [format_number(value) for value in (0, 0.01234, 1.5, 12.345, 1234.5, 1e-7)] == [
        "0", "0.0123", "1.50", "12.3", "1234", "1e-07"
    ]  # fmt: skip
    share = Estimate(value=0.525, low=0.4561, high=0.593, n=200)
    assert format_estimate(QUANTITIES["success"], share) == "52.5 [45.6, 59.3]"


def test_the_terminal_table_fits_into_100_columns(before, after):
    console = Console(file=io.StringIO(), width=100)
    print_comparison(compare(before, after), compare_tasks(before, after), console=console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert "▲ better" in text

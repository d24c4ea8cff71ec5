"""A plan as tables in the terminal."""

from rich.console import Console
from rich.table import Table

from eva_rl.planning.forecast import Forecast
from eva_rl.planning.plan import Plan
from eva_rl.planning.role_memory import RoleMemory

GIB = 2**30


def print_plan(plan: Plan, *, console: Console) -> None:
    """Prints all that is known."""
    seats = Table(title="Placement")
    for heading in ("role", "actors", "each", "strategy"):
        seats.add_column(heading)
    for row in plan.seats:
        each = ", ".join(f"{amount:g} {name}" for name, amount in row.bundle.items())
        seats.add_row(row.role, str(row.count), each, row.strategy)
    console.print(seats)
    console.print(memory_table(plan.memory))
    for row in plan.memory:
        for omitted in row.not_counted:
            console.print(f"Not counted for the {row.role}: {omitted}.", markup=False)
    if plan.forecast is None or plan.profile is None:
        console.print(
            "No stage times: give --profile FILE_OR_RUN_DIRECTORY, or --measure, for time and price."
        )
        return
    console.print(f"Stage times from {plan.profile.source}", markup=False, soft_wrap=True)
    _print_forecast(plan.forecast, plan, console=console)


def memory_table(memory: tuple[RoleMemory, ...]) -> Table:
    """One row per role: what stays, what the work adds at most, and their sum."""
    table = Table(title="Memory of one actor, computed: tensors of the computing device, GiB")
    for heading in ("role", "resident", "largest work", "peak"):
        table.add_column(heading, justify="left" if heading in ("role", "resident") else "right")
    for row in memory:
        parts = ", ".join(f"{name} {gib(amount)}" for name, amount in row.resident.items() if amount)
        name, amount = max(row.working.items(), key=lambda item: item[1], default=("-", 0))
        table.add_row(row.role, parts, f"{name} {gib(amount)}", gib(row.peak_bytes))
    return table


def gib(amount: int) -> str:
    """Bytes as GiB, with as many digits as matter."""
    value = amount / GIB
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _price(price: float) -> str:
    return f"price {price:.2f}" if price else "no price per hour given"


def _print_forecast(forecast: Forecast, plan: Plan, *, console: Console) -> None:
    times, timeline = forecast.times, forecast.timeline
    stages = Table(title="One training step, predicted")
    for heading in ("stage", "length", "role busy"):
        stages.add_column(heading)
    rows = (
        ("generate a chunk", times.generate_s, "generators"),
        ("score a chunk", times.score_s, "scorers"),
        ("learn from a batch", times.learn_s, "learner"),
    )
    for stage, seconds, role in rows:
        stages.add_row(stage, duration(seconds), f"{timeline.utilisation[role]:.0%}")
    console.print(stages)
    synchronous = forecast.by_rollouts_ahead[0]
    overlaps = ", ".join(
        f"{ahead} ahead {duration(seconds)} ({synchronous / seconds if seconds else 1:.2f}x)"
        for ahead, seconds in forecast.by_rollouts_ahead.items()
    )
    generators, scorers = forecast.suggested
    console.print(f"Step {duration(timeline.step_s)}; bottleneck: {timeline.bottleneck}.")
    console.print(
        f"{len(timeline.step_ends_s)} training steps: {duration(timeline.makespan_s)}, "
        f"{_price(forecast.price)} (start-up, calibration, evaluation and checkpoints not counted)"
    )
    console.print(f"schedule.rollouts_ahead: {overlaps}")
    console.print(
        f"Suggested: generators.count {generators}, scorers.count {scorers}: "
        f"{duration(forecast.suggested_makespan_s)}, {_price(forecast.suggested_price)}"
    )

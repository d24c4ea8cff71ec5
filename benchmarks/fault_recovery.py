"""What the loss of each role costs: seconds, rollouts and training steps; and whether the bytes stay.

python benchmarks/fault_recovery.py          # the embedded robot at its smallest, a quarter of an hour
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.comparison import ComparisonRunSettings

if TYPE_CHECKING:
    from benchmarks.sabotage import Deed
    from benchmarks.session import Comparison
    from eva_rl.config.align import AlignSettings
    from eva_rl.records.adapter import AdapterVersion

ROOT = Path(__file__).resolve().parents[1]
# `benchmarks` is a package of the repository, not of the installed library: for this process and Ray's
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

PROGRAM = "python benchmarks/fault_recovery.py"
PURPOSE = (
    "Runs the same short alignment again and again, kills or hangs another role each time, and measures what "
    "that costs beside the run in which nothing happens. All of it is done three times."
)
STAGES = ("runs",)
AT_STEP = 3
"""Training steps before the fault: by then every step takes its usual time."""
NUM_REPETITIONS = 3


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing to do to a run.

    Attributes:
        deed: what is done; None for the run that is compared with.
        overrides: settings that go with it, by section.
    """

    deed: "Deed | None"
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a fault cost.

    Attributes:
        fault: row of the table.
        has_same_bytes: whether the final adapter is that of the run in which nothing happened.
        recovery_s: wall time of the training step of the fault and of steps taken again, beyond a usual step
            of the run in which nothing happened; below 0 when that step was one of the shorter ones.
        num_repeated_groups: rollout groups that were ordered, or scored, again.
        num_repeated_steps: training steps taken again.
        told: what the user read.
    """

    fault: str
    has_same_bytes: bool
    recovery_s: float
    num_repeated_groups: int
    num_repeated_steps: int
    told: tuple[str, ...]


def faults_table() -> Mapping[str, Fault]:
    """Every fault by name; the first is none."""
    from benchmarks.sabotage import hanging_a, kill_a_rank, killing_a
    from eva_rl.actors.roles import GENERATOR, SCORER

    return {
        "none": Fault(deed=None),
        "generator killed in the middle of an order": Fault(deed=killing_a(GENERATOR)),
        "scorer killed in the middle of an order": Fault(deed=killing_a(SCORER)),
        "scorer hangs, deadline 10 s": Fault(
            deed=hanging_a(SCORER), overrides={"faults": {"scoring_deadline_s": 10.0}}
        ),
        "learner rank killed, a checkpoint per step": Fault(deed=kill_a_rank),
        "learner rank killed, a checkpoint every 2 steps": Fault(
            deed=kill_a_rank, overrides={"schedule": {"checkpoint_every_steps": 2}}
        ),
    }


def main(arguments: Sequence[str]) -> None:
    """Reads the settings, runs every fault, writes results."""
    settings = settings_from_command_line(
        ComparisonRunSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=ROOT / "benchmarks" / "configs" / "fault_recovery.yaml",
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    from benchmarks.session import open_comparison

    with open_comparison(settings, STAGES) as comparison:
        faults, costs = faults_table(), list[Cost]()
        with comparison.progress.stage(STAGES[0], total=NUM_REPETITIONS * len(faults)) as stage:
            for repetition in range(NUM_REPETITIONS):
                clean: tuple[AdapterVersion, float] | None = None
                for name, fault in faults.items():
                    found = run_with(comparison, f"{name}, {repetition}", fault)
                    if clean is None:
                        clean = found.version, median(found.step_s[1:])
                    costs.append(found.cost(name, clean_version=clean[0], usual_step_s=clean[1]))
                    stage.advance(note=f"{name}: {costs[-1].recovery_s:.1f} s")
        file = comparison.write(
            {
                "settings": comparison.settings_as_data(),
                "costs": [asdict(cost) for cost in costs],
            }
        )
        file.with_suffix(".md").write_text(as_table(costs))
        comparison.progress.console.print(as_table(costs), markup=False, soft_wrap=True)
        comparison.progress.console.print(f"Results: {file.resolve()}", soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one run showed.

    Attributes:
        version: of the final adapter.
        step_s: wall time between the ends of training steps, repeated ones included.
        affected_s: wall time from the end of the last step before the fault to the end of the step that had
            been next.
        num_repeated_groups, num_repeated_steps: done again.
        told: what the user read.
    """

    version: "AdapterVersion"
    step_s: tuple[float, ...]
    affected_s: float
    num_repeated_groups: int
    num_repeated_steps: int
    told: tuple[str, ...]

    def cost(self, name: str, *, clean_version: "AdapterVersion", usual_step_s: float) -> Cost:
        """Compares with the run in which nothing happened."""
        return Cost(
            fault=name,
            has_same_bytes=self.version == clean_version,
            recovery_s=self.affected_s - usual_step_s,
            num_repeated_groups=self.num_repeated_groups,
            num_repeated_steps=self.num_repeated_steps,
            told=self.told,
        )


def run_with(comparison: "Comparison", name: str, fault: Fault) -> Found:
    """Runs the align stage on fresh actors and commits the deed in it."""
    from benchmarks.sabotage import Saboteur
    from eva_rl.actors.roles import start_roles
    from eva_rl.driver.alignment_stage import run_align_stage
    from eva_rl.driver.condition_schedule import ConditionSchedule
    from eva_rl.driver.progress import RunProgress
    from eva_rl.driver.run_directory import RunDirectory

    settings, told, ends = _settings_of(comparison, fault), list[str](), list[float]()
    directory = RunDirectory(comparison.directory.path / name.replace(" ", "_").replace(",", ""))
    schedule = ConditionSchedule(
        comparison.conditions, groups_per_step=settings.algorithm.groups_per_step, seed=settings.run.seed
    )
    roles = start_roles(
        settings, world_model=comparison.models.world_model, idm=comparison.models.idm, tell=told.append
    )
    try:
        saboteur = None
        if fault.deed is not None:
            saboteur = Saboteur(roles, at_step=AT_STEP, deed=fault.deed)
        with RunProgress([name]) as progress, progress.stage(name) as stage:

            def note(text: str) -> None:
                if text.startswith("reward "):
                    ends.append(time.perf_counter())
                    if saboteur is not None:
                        saboteur.count(text)

            stage.listen(note)
            run_align_stage(settings, directory, roles, schedule, stage)
        if saboteur is not None and saboteur.done_at is None:
            raise RuntimeError(f"{name}: the run was over before the deed")
        counts = roles.dispatcher.faults
        num_steps = settings.schedule.num_training_steps
        num_repeated_steps = len(ends) - num_steps
        return Found(
            version=roles.learner.deployed().version,
            step_s=tuple(end - start for start, end in pairwise(ends)),
            affected_s=ends[AT_STEP + num_repeated_steps] - ends[AT_STEP - 1],
            num_repeated_groups=(counts.num_repeated + counts.num_remade)
            * settings.generators.groups_per_call,
            num_repeated_steps=num_repeated_steps,
            told=tuple(told),
        )
    finally:
        roles.stop()


def _settings_of(comparison: "Comparison", fault: Fault) -> "AlignSettings":
    from eva_rl.config.align import AlignSettings
    from eva_rl.config.presets import merged

    values = merged(comparison.settings.model_dump(), fault.overrides)
    return AlignSettings.model_validate({name: values[name] for name in AlignSettings.model_fields})


def as_table(costs: Sequence[Cost]) -> str:
    """The costs as Markdown."""
    head = [
        "| fault | same bytes as without it | seconds to recover, median (range) | groups done again "
        "| steps taken again |",
        "|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(cost.fault for cost in costs))[1:]
    return "\n".join(head + [_row([cost for cost in costs if cost.fault == name]) for name in names]) + "\n"


def _row(costs: Sequence[Cost]) -> str:
    """One fault, however often it was committed."""
    seconds = [cost.recovery_s for cost in costs]
    num_same = sum(cost.has_same_bytes for cost in costs)
    return (
        f"| {costs[0].fault} | {num_same} of {len(costs)} | "
        f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) | "
        f"{_range([cost.num_repeated_groups for cost in costs])} | "
        f"{_range([cost.num_repeated_steps for cost in costs])} |"
    )


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


if __name__ == "__main__":
    main(sys.argv[1:])

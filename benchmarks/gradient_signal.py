"""How large must a batch be? The gradient's signal and noise, per algorithm, at the untouched policy.

python -m benchmarks.gradient_signal --comparison.result benchmarks/results/gradient_signal.json
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.embedded_alignment import ROOT, arms_table
from eva_rl.config.command_line import settings_from_command_line
from eva_rl.config.comparison import ComparisonRunSettings

PROGRAM = "python -m benchmarks.gradient_signal"
PURPOSE = "Measures, for every arm of embedded_alignment with rollouts, how noisy its gradient is."
STAGES = ("gradients",)
NUM_GROUPS = 96


def main(arguments: Sequence[str]) -> None:
    """Reads the settings and measures all arms."""
    settings = settings_from_command_line(
        ComparisonRunSettings,
        arguments,
        program=PROGRAM,
        purpose=PURPOSE,
        default_config=ROOT / "benchmarks" / "configs" / "embedded_alignment.yaml",
    )
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    run(settings)


def run(settings: ComparisonRunSettings) -> None:
    """Writes one row per arm, after each."""
    import ray

    from benchmarks.noise_scale import measure
    from benchmarks.session import chosen_arms, open_comparison
    from eva_rl.driver.solo import SoloRun

    arms = {name: arm for name, arm in arms_table().items() if arm.trainer is SoloRun}
    on_one_cpu: Any = ray.remote(num_cpus=1, max_calls=1)
    with open_comparison(settings, STAGES) as comparison:
        settings, models = comparison.settings, comparison.models
        conditions, waiting = ray.put(list(comparison.conditions)), {}
        names = chosen_arms(arms, settings.comparison.arms)
        for name in names:
            call = on_one_cpu(measure).remote(
                arms[name].settings(settings, seed=settings.run.seed),
                conditions,
                models.world_model,
                models.idm,
                num_groups=NUM_GROUPS,
            )
            waiting[call] = name
        rows: dict[str, dict[str, Any]] = {}
        with comparison.progress.stage(STAGES[0], total=len(waiting)) as stage:
            while waiting:
                (done,), _ = ray.wait(list(waiting), num_returns=1)
                name = waiting.pop(done)
                rows[name] = ray.get(done)
                stage.advance(note=f"{name}: {rows[name]['noise_scale_groups']['value']} groups")
                comparison.write({"arms": {name: rows[name] for name in names if name in rows}})
        comparison.progress.console.print(f"Results: {comparison.file.resolve()}", soft_wrap=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""`eva-rl plan CONFIG`: what a run will need and take, without a cluster."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eva_rl.config.align import AlignSettings
    from eva_rl.planning.profile import Profile

PURPOSE = "Plan a run without a cluster: placement, memory per role, time, bottleneck, price, better counts."
TAKES_SETTINGS = True
PROGRAM = "eva-rl plan"
PUBLISHED = "published"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments; settings such as --generators.count 8 may follow."""
    parser.usage = f"{PROGRAM} [options] CONFIG [--section.name value ...]"
    parser.add_argument(
        "config",
        type=Path,
        help="the recipe's YAML file; the word `published`: the table of docs/memory.md instead",
    )
    parser.add_argument(
        "--profile", type=Path, help="seconds per group: JSON, or a run's directory or metrics.jsonl"
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure the stages here, with the settings' real models"
    )
    parser.add_argument("--save-profile", type=Path, help="where to write the profile that was used")
    parser.add_argument("--price-gpu-hour", type=float, default=0.0, help="price of a GPU for an hour")
    parser.add_argument("--price-cpu-hour", type=float, default=0.0, help="price of a CPU for an hour")
    parser.add_argument("--json", type=Path, help="where to write the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan; 2 for settings that the recipe would refuse, in its words."""
    from eva_rl.config.section import ConfigError
    from eva_rl.planning.profile import ProfileError

    if str(arguments.config) == PUBLISHED:
        from eva_rl.planning.memory_page import published_table

        sys.stdout.write(published_table())
        return 0
    try:
        return _plan(arguments)
    except ConfigError as error:
        count = len(error.problems)
        sys.stderr.write(f"{PROGRAM}: {count} problem{'s' * (count > 1)} in the settings\n")
        sys.stderr.writelines(f"  - {problem}\n" for problem in error.problems)
    except (ProfileError, OSError, ValueError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
    return 2


def _plan(arguments: argparse.Namespace) -> int:
    from eva_rl.planning.forecast import Prices, forecast
    from eva_rl.planning.plan import Plan, memory_of, seats_of
    from eva_rl.planning.profile import read_profile

    settings = _settings(arguments.config, arguments.settings)
    profile: Profile | None = None
    if arguments.measure:
        profile = _measured(settings)
    elif arguments.profile is not None:
        profile = read_profile(arguments.profile)
    prices = Prices(per_gpu_hour=arguments.price_gpu_hour, per_cpu_hour=arguments.price_cpu_hour)
    plan = Plan(
        seats=seats_of(settings),
        memory=memory_of(settings),
        profile=profile,
        forecast=None if profile is None else forecast(settings, profile, prices),
    )
    if profile is not None and arguments.save_profile is not None:
        profile.save(arguments.save_profile)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(plan.as_data(), indent=1) + "\n")
    _show(plan)
    return 0


def _settings(config: Path, words: Sequence[str]) -> "AlignSettings":
    """The checked settings.

    The tables of names bring torch, which takes longer than the plan. They are asked where a name is none
    that the project's own configurations use, and where something is wrong anyway.
    """
    from eva_rl.config.align import AlignSettings
    from eva_rl.config.loading import load_settings
    from eva_rl.config.rules import ALIGN_RULES
    from eva_rl.config.section import ConfigError
    from eva_rl.planning.known_names import only_known_names

    try:
        settings = load_settings(AlignSettings, file=config, overrides=words, rules=lambda: ALIGN_RULES)
        if only_known_names(settings):
            return settings
    except ConfigError:
        pass  # told again below, with all that the recipe would say
    from eva_rl.driver.preflight import PREFLIGHT_RULES

    return load_settings(
        AlignSettings, file=config, overrides=words, rules=lambda: (*ALIGN_RULES, *PREFLIGHT_RULES)
    )


def _measured(settings: "AlignSettings") -> "Profile":
    from eva_rl.driver.ray_session import prepare_environment

    prepare_environment(settings.cluster)
    from dataclasses import asdict

    from eva_rl.driver.stage_timing import measure_stages
    from eva_rl.planning.profile import Profile

    source = f"this machine: a training step of {settings.algorithm.groups_per_step} groups, real models"
    return Profile(**asdict(measure_stages(settings)), sync_s=0.0, source=source)


def _show(plan: object) -> None:
    from rich.console import Console

    from eva_rl.planning.plan import Plan
    from eva_rl.planning.terminal import print_plan

    console = Console()
    assert isinstance(plan, Plan)
    print_plan(plan, console=console if console.is_terminal else Console(width=130))

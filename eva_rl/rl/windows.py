"""Which denoising steps are stochastic, and so trained; all others are deterministic.

No scheme ever returns the last step: its noise would stay in the video. Steps outside the window are
deterministic in every scheme, also in `random_fraction`, where DanceGRPO injects noise at all steps and
trains on some: noise that is not trained only adds variance to the reward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class StepWindow:
    """Names a window scheme and its settings.

    Example:
        StepWindow(scheme="early_window", size=3, first_step=0, end_step=5)

    Attributes:
        scheme: a key of WINDOWS.
        size: number of neighbouring steps in the window.
        first_step: first step that may be chosen.
        end_step: one past the last step that may be chosen; None: all but the schedule's last.
        fraction: share of the steps, for `random_fraction`.
        slide_every_steps: training steps between two moves, for `sliding_window`.
    """

    scheme: str
    size: int = 1
    first_step: int = 0
    end_step: int | None = None
    fraction: float = 1.0
    slide_every_steps: int = 25

    def __post_init__(self) -> None:
        """Refuses a scheme that is not in the table."""
        if self.scheme not in WINDOWS:
            raise ValueError(f"window.scheme must be one of {', '.join(WINDOWS)}, got {self.scheme!r}.")

    def num_positions(self, num_steps: int) -> int:
        """Returns how many places a window of `size` can start at.

        Raises:
            ValueError: if the window does not fit between its bounds, or would hold the last step.
        """
        last_step = num_steps - 1
        end_step = last_step if self.end_step is None else self.end_step
        num_positions = end_step - self.first_step - self.size + 1
        if num_positions < 1 or self.size < 1 or self.first_step < 0 or end_step > last_step:
            raise ValueError(
                f"A window of size {self.size} in steps [{self.first_step}, {end_step}) does not fit "
                f"{num_steps} denoising steps: it must lie within [0, {last_step}), since the last step is "
                f"never stochastic."
            )
        return num_positions


class WindowScheme(Protocol):
    """Chooses the stochastic steps; every row of WINDOWS has this signature."""

    def __call__(
        self, num_steps: int, window: StepWindow, *, training_step: int, seed: int
    ) -> tuple[int, ...]:
        """Returns the chosen steps in rising order.

        Args:
            num_steps: number of denoising steps of the schedule.
            window: the scheme's settings.
            training_step: moves or re-draws the window.
            seed: the run's seed; the draw depends on it and on `training_step` alone.
        """
        ...


def all_but_last(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """Every step but the last, as in Flow-GRPO and EVA (which state it as 0.99 of the steps)."""
    return tuple(range(num_steps - 1))


def random_fraction(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """A random `fraction` of the steps, rounded down, drawn anew each training step; DanceGRPO takes 0.6.

    Raises:
        ValueError: if the fraction is not in (0, 1].
    """
    if not 0 < window.fraction <= 1:
        raise ValueError(f"window.fraction must be in (0, 1], got {window.fraction}.")
    num_chosen = min(max(int(window.fraction * num_steps), 1), num_steps - 1)
    generator = np.random.default_rng((seed, training_step))
    return tuple(sorted(generator.choice(num_steps - 1, size=num_chosen, replace=False).tolist()))


def sliding_window(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """A window that moves one step down the noise every `slide_every_steps`, then starts over.

    Source: MixGRPO "progressive", arXiv 2507.21802, with 4 of 25 steps and a move every 25 training steps.
    """
    position = training_step // window.slide_every_steps % window.num_positions(num_steps)
    return _steps_from(window.first_step + position, window.size)


def early_window(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """A window that starts anywhere between its bounds with equal chance, drawn anew each training step.

    Bounds in the first half are usual: there an error of the network moves the log ratio least.

    Source: `sde_window_size` and `sde_window_range` of yifan123/flow_grpo.
    """
    generator = np.random.default_rng((seed, training_step))
    position = int(generator.integers(window.num_positions(num_steps)))
    return _steps_from(window.first_step + position, window.size)


def single_step(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """One step between the bounds, drawn anew each training step and shared by all groups.

    With a shared prefix the group forks there. Source: Flow-GRPO-Fast, yifan123/flow_grpo README.

    Raises:
        ValueError: if the window's size is not 1.
    """
    if window.size != 1:
        raise ValueError(
            f"window.size must be 1 for single_step, got {window.size}; early_window takes more."
        )
    return early_window(num_steps, window, training_step=training_step, seed=seed)


def _steps_from(start: int, size: int) -> tuple[int, ...]:
    return tuple(range(start, start + size))


WINDOWS: Mapping[str, WindowScheme] = {
    "all_but_last": all_but_last,
    "random_fraction": random_fraction,
    "sliding_window": sliding_window,
    "early_window": early_window,
    "single_step": single_step,
}


def stochastic_steps(num_steps: int, window: StepWindow, *, training_step: int, seed: int) -> tuple[int, ...]:
    """Returns the stochastic steps of one training step, in rising order, without the last.

    Args:
        num_steps: number of denoising steps of the schedule, at least 2.
        window: the scheme and its settings.
        training_step: index of the training batch.
        seed: the run's seed, not negative.

    Raises:
        ValueError: if the schedule has no step to spare, or if the window does not fit it.
    """
    if num_steps < 2:
        raise ValueError(
            f"num_steps must be at least 2, got {num_steps}: the last step is never stochastic, "
            f"so nothing would be trained."
        )
    return WINDOWS[window.scheme](num_steps, window, training_step=training_step, seed=seed)

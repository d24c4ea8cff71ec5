"""Figures and findings in words, the same in the terminal and in the report."""

import math

from eva_rl.evaluation.comparison import ComparisonRow
from eva_rl.evaluation.quantities import Quantity
from eva_rl.records.evaluation import Estimate
from eva_rl.simulators.table import NOT_EXECUTED as NOT_EXECUTED  # reports say it too

FEW_CONDITIONS = 30
LEAST_KEPT_PATH = 0.9
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"


def format_value(quantity: Quantity, value: float) -> str:
    """Writes a value with its unit's precision: shares in percent, others with three significant digits."""
    if math.isnan(value):
        return NOTHING
    text = f"{100 * value:.1f}" if quantity.is_share else format_number(value)
    return text.replace("-", MINUS)


def format_number(value: float) -> str:
    """Writes three significant digits, without an exponent where that is readable."""
    if math.isnan(value):
        return NOTHING
    if value == 0 or not 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def format_estimate(quantity: Quantity, estimate: Estimate) -> str:
    """Writes a value and its interval: `46.0 [39.2, 52.9]`; the value alone where all conditions agree."""
    if estimate.low == estimate.high:
        return format_value(quantity, estimate.value)
    low, high = format_value(quantity, estimate.low), format_value(quantity, estimate.high)
    return f"{format_value(quantity, estimate.value)} [{low}, {high}]"


def format_difference(quantity: Quantity, estimate: Estimate) -> str:
    """Writes a difference and its interval with their signs: `+6.5 [+1.0, +12.0]`."""
    if estimate.low == estimate.high:
        return _signed(quantity, estimate.value)
    low, high = _signed(quantity, estimate.low), _signed(quantity, estimate.high)
    return f"{_signed(quantity, estimate.value)} [{low}, {high}]"


def unit_of_difference(quantity: Quantity) -> str:
    """Shares differ by percentage points."""
    return "points" if quantity.is_share else quantity.unit


def finding(row: ComparisonRow) -> str:
    """Says in one sentence what a comparison shows, and no more than that."""
    quantity, estimate = row.quantity, row.difference
    name = quantity.label[0].upper() + quantity.label[1:]
    low, high = _signed(quantity, estimate.low), _signed(quantity, estimate.high)
    interval = f"95 % interval {low} to {high}, paired over {estimate.n} held-out conditions"
    unit = unit_of_difference(quantity)
    size = f"{format_value(quantity, abs(estimate.value))} {unit}".rstrip()
    if row.verdict == "not shown":
        measured = f"{_signed(quantity, estimate.value)} {unit}".rstrip()
        return f"{name}: no difference is shown. Measured {measured}; {interval}, which includes 0."
    direction = "rose" if estimate.value > 0 else "fell"
    return f"{name} {direction} by {size} ({interval})."


def cautions(rows: dict[str, ComparisonRow]) -> list[str]:
    """Names what a reader must know before believing an improvement.

    Args:
        rows: comparison over all tasks, by name of the quantity.
    """
    found = []
    headline, path = rows.get("monitored_success"), rows.get("relative_path_length")
    if headline is not None and headline.difference.n < FEW_CONDITIONS:
        found.append(
            f"Only {headline.difference.n} held-out conditions were executed, too few for trustworthy "
            "intervals; raise evaluation.num_conditions before drawing conclusions."
        )
    if path is not None and path.difference.high < 0 and path.after.value < LEAST_KEPT_PATH:
        found.append(
            f"The aligned policy moves {100 * (1 - path.after.value):.0f} % less than the expert. "
            "A smoothness reward can be raised by moving less: judge by success, not by reward."
        )
    verdicts = {name: row.verdict for name, row in rows.items()}
    if verdicts.get("reward") == "better" and verdicts.get("success") == "worse":
        found.append("Reward rose while task success fell: the reward was exploited, not satisfied.")
    return found


def _signed(quantity: Quantity, value: float) -> str:
    text = format_value(quantity, value)
    is_zero = not any(digit in text for digit in "123456789")
    return text if is_zero or text.startswith(MINUS) or text == NOTHING else f"+{text}"

"""How many generators and scorers a run wants: a pure function of its load.

The learner sets the pace: nothing is gained from rollouts that come faster than it learns. A batch takes
`work_s` seconds of one member, so `work_s / learn_s` members keep up with it. Two bands keep the answer from
swinging: growth needs orders that wait, shrinking needs spare members beyond a margin and a longer silence.
"""

from dataclasses import dataclass
from math import ceil, isfinite

SPARE_SHARE = 0.25
"""Share of members beyond the need that is kept, so that a little more load does not call them back."""

_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class RoleLoad:
    """What is known about one role since its number last changed.

    Example:
        RoleLoad(num_members=2, num_queued=6, work_s=40.0, num_orders=8, fewest=1, most=8, since_change_s=9.0)

    Attributes:
        num_members: that work or are on their way.
        num_queued: orders that waited for a member, at most, since the last decision.
        work_s: seconds that all members together worked on one batch; None before the first one.
        num_orders: orders that can be under way at the same time: more members would idle.
        fewest, most: bounds.
        since_change_s: seconds since the wanted number last changed.
    """

    num_members: int
    num_queued: int
    work_s: float | None
    num_orders: int
    fewest: int
    most: int
    since_change_s: float


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a number stays before it may change.

    Attributes:
        grow_after_s: before members are added.
        shrink_after_s: before one is let go; longer, since a machine that comes back costs its start again.
    """

    grow_after_s: float
    shrink_after_s: float


def wanted_members(load: RoleLoad, *, learn_s: float | None, patience: Patience) -> int:
    """Returns the number of members that a role should have.

    Args:
        load: of the role.
        learn_s: seconds that the learner takes for one batch; None before the first one.
        patience: before changes.

    Returns:
        Between `fewest` and `most`; grows to the need at once, shrinks by one at a time.
    """
    now = _bounded(load.num_members, load)
    need = _need(load, learn_s)
    if need is None:
        return now
    if need > now and load.num_queued > 0 and load.since_change_s >= patience.grow_after_s:
        return _bounded(ceil(need - _ROUNDING), load)
    enough = ceil(need * (1 + SPARE_SHARE) - _ROUNDING)
    if enough < now and load.num_queued == 0 and load.since_change_s >= patience.shrink_after_s:
        return _bounded(now - 1, load)
    return now


def _need(load: RoleLoad, learn_s: float | None) -> float | None:
    """Members that finish a batch while the learner learns from one; None where that is not known."""
    if load.work_s is None or learn_s is None or not (isfinite(load.work_s) and isfinite(learn_s)):
        return None
    keep_pace = load.work_s / learn_s if learn_s > 0 else float(load.num_orders)
    return min(keep_pace, float(load.num_orders))


def _bounded(number: int, load: RoleLoad) -> int:
    return min(max(number, load.fewest), load.most)

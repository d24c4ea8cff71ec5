"""A run that begins small and grows: further members, and the machines that they are asked for on."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from eva_rl.actors.placement import demand_of
from eva_rl.actors.roles import GENERATOR, SCORER, Roles
from eva_rl.config.align import AlignSettings
from eva_rl.driver.machine_requests import MachineRequest, machine_request
from eva_rl.driver.role_growth import RoleGrowth
from eva_rl.driver.scaling_policy import Patience, RoleLoad, wanted_members

LOOK_EVERY_S = 0.5

WORK = {GENERATOR: "time/generate_s", SCORER: "time/score_s"}
"""Metric that says how long all members of a role together worked on a batch."""


class Growth:
    """Looks after the number of generators and scorers; a metric sink, since its decisions follow each step.

    Without `cluster.autoscaling` the wanted numbers are `generators.count` and `scorers.count`, and members
    join as machines appear. With it `wanted_members` chooses between min_count and max_count, and the
    cluster's autoscaler is asked for the machines.

    Args:
        settings: of the run.
        roles: running.
        request: what the autoscaler is asked for; None without autoscaling.
        tell: receives a line for every change.
    """

    def __init__(
        self,
        settings: AlignSettings,
        roles: Roles,
        *,
        request: MachineRequest | None,
        tell: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._dispatcher = roles.dispatcher
        self._request = request
        self._tell = tell
        sections = {GENERATOR: settings.generators, SCORER: settings.scorers}
        self._roles = {
            role: RoleGrowth(role, section, roles.dispatcher, tell=tell) for role, section in sections.items()
        }
        now = time.monotonic()
        self._changed = dict.fromkeys(self._roles, now)
        self._most_queued = dict.fromkeys(self._roles, 0)
        self._looked = now - LOOK_EVERY_S
        self._ask()

    def look(self) -> None:
        """Called by the dispatcher between two events."""
        for role, depth in self._dispatcher.queue_depths().items():
            self._most_queued[role] = max(depth, self._most_queued.get(role, 0))
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        for growth in self._roles.values():
            growth.look()

    def write(self, training_step: int, row: Mapping[str, float]) -> None:
        """Decides anew how many members are wanted, from what one training step took."""
        if self._request is None:
            return
        cluster = self._settings.cluster
        patience = Patience(grow_after_s=cluster.grow_after_s, shrink_after_s=cluster.shrink_after_s)
        for role, growth in self._roles.items():
            load = self._load_of(role, work_s=row[WORK[role]])
            wanted = wanted_members(load, learn_s=row["time/learn_s"], patience=patience)
            self._most_queued[role] = 0
            if wanted != growth.wanted:
                self._tell(
                    f"training step {training_step}: {wanted} {role}s wanted instead of {growth.wanted}"
                )
                growth.wanted, self._changed[role] = wanted, time.monotonic()
        self._ask()

    def close(self) -> None:
        """Nothing to close: the roles' machines are given back when the run stops them."""

    def stop(self) -> None:
        """Gives back the machines of late members; the roles must not work any more."""
        for growth in self._roles.values():
            growth.stop()

    def _load_of(self, role: str, *, work_s: float) -> RoleLoad:
        settings, growth = self._settings, self._roles[role]
        chunks = -(-settings.algorithm.groups_per_step // settings.generators.groups_per_call)
        return RoleLoad(
            num_members=growth.wanted,
            num_queued=self._most_queued[role],
            work_s=work_s,
            num_orders=chunks * (1 + settings.schedule.rollouts_ahead),
            fewest=growth.settings.num_at_start,
            most=growth.settings.num_at_most,
            since_change_s=time.monotonic() - self._changed[role],
        )

    def _ask(self) -> None:
        """Asks the autoscaler for room for everyone who is wanted."""
        if self._request is None:
            return
        learner = self._settings.learner
        self._request.ask(
            [
                demand_of("learner", learner, learner.num_ranks),
                *(demand_of(role, growth.settings, growth.wanted) for role, growth in self._roles.items()),
            ]
        )


@contextmanager
def growing(settings: AlignSettings, roles: Roles, *, tell: Callable[[str], None]) -> Iterator[Growth]:
    """Lets the roles grow within the block; whatever was asked for is taken back at its end.

    Args:
        settings: of the run.
        roles: running.
        tell: receives a line for every change.
    """
    with ExitStack() as stack:
        request = stack.enter_context(machine_request()) if settings.cluster.autoscaling else None
        growth = Growth(settings, roles, request=request, tell=tell)
        stack.callback(growth.stop)
        roles.dispatcher.on_tick.append(growth.look)
        stack.callback(roles.dispatcher.on_tick.remove, growth.look)
        yield growth

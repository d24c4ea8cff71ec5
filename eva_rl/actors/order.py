"""One call that any member of a role may answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray import ObjectRef


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be done, complete: a second member does exactly the same with it.

    Example:
        Order(role="scorer", method="score", arguments=(group_reference,),
              label="rewards of batch 3, chunk 1", deadline_s=600.0)

    Attributes:
        role: key of the dispatcher's pools.
        method: of the role's class. Its first result is the receipt: small, and fetched by the driver.
        arguments: by position; references are resolved where the call runs.
        keywords: arguments by name.
        num_results: results after the receipt; they stay where they were made.
        label: for messages.
        deadline_s: a member that takes longer counts as hung.
    """

    role: str
    method: str
    arguments: Sequence[Any]
    label: str
    deadline_s: float
    num_results: int = 0
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False, kw_only=True)
class Ticket:
    """An order under way.

    Attributes:
        order: to be done.
        on_done: called with the receipt and the references of the other results.
        on_lost_input: called when an argument was lost with its machine, to make it again; without it the
            loss ends the run.
        num_attempts: how often the order was begun.
        is_cancelled: nobody wants the result any more.
    """

    order: Order
    on_done: Callable[[Any, Sequence[ObjectRef]], None]
    on_lost_input: Callable[[], None] | None = None
    num_attempts: int = 0
    is_cancelled: bool = field(default=False)

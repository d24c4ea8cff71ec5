"""Conditions on a node's labels, in Ray's notation: `H100`, `!spot`, `in(a, b)`, `!in(a, b)`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_CONDITION = re.compile(rf"(?P<is_not>!?)(?:in\((?P<several>{_WORD}(?:, ?{_WORD})*)\)|(?P<one>{_WORD}))")


@dataclass(frozen=True, kw_only=True)
class LabelCondition:
    """What the value of one label must be.

    Example:
        LabelCondition(values=frozenset({"us-west1", "us-west2"}), is_not=False)
    """

    values: frozenset[str]
    is_not: bool

    @classmethod
    def parse(cls, text: str) -> "LabelCondition":
        """Reads Ray's notation.

        Raises:
            ValueError: with the notation that is allowed.
        """
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise ValueError(
                f"must be a value (H100), a value that is refused (!spot), or one of several (in(a, b), "
                f"!in(a, b)), got {text!r}"
            )
        values = (found["several"] or found["one"]).split(",")
        return cls(values=frozenset(value.strip() for value in values), is_not=bool(found["is_not"]))

    def holds_for(self, value: str | None) -> bool:
        """Whether a node with this value fits; None is a node without the label."""
        return (value in self.values) != self.is_not


def labels_fit(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels meets every condition of the selector."""
    return all(LabelCondition.parse(text).holds_for(labels.get(name)) for name, text in selector.items())

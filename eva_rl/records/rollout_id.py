"""The name of one rollout of a run."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RolloutId:
    """Names one rollout: by training step, condition, and place in the group.

    Example:
        RolloutId(training_step=12, condition_id="click_bell/episode0/seen", member=3)
    """

    training_step: int
    condition_id: str
    member: int

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.training_step}/{self.condition_id}/{self.member}"

    @classmethod
    def parse(cls, text: str) -> "RolloutId":
        """Reads `TRAINING_STEP/CONDITION_ID/MEMBER`.

        Raises:
            ValueError: the text has another form.
        """
        match = re.fullmatch(r"(\d+)/(.+)/(\d+)", text)
        if match is None:
            raise ValueError(
                "a rollout is named TRAINING_STEP/CONDITION_ID/MEMBER, such as "
                f"12/click_bell/episode0/seen/3; got {text!r}"
            )
        return cls(training_step=int(match[1]), condition_id=match[2], member=int(match[3]))

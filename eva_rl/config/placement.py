"""What one member of a role needs of a machine, and how a role's members are spread over machines."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, field_validator

from eva_rl.config.node_labels import LabelCondition
from eva_rl.config.section import Section

Strategy = Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]

BYTES_PER_MB = 2**20


class PlacedSection(Section):
    """Resources that every role names alike."""

    num_cpus: float = Field(default=0.25, gt=0, description="CPUs reserved per member.")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs reserved per member; fractions share one.")
    memory_mb: int = Field(default=0, ge=0, description="Memory reserved per member, in MB; 0 reserves none.")
    custom_resources: dict[str, float] = Field(
        default_factory=dict, description="Custom Ray resources reserved per member, such as {rack_a: 1}."
    )
    accelerator_type: str | None = Field(
        default=None, description="Kind of accelerator that the machine must have, as Ray names it (H100)."
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that the machine must have: {market: spot}, {market: '!spot'}, "
        "{zone: 'in(a, b)'}.",
    )
    strategy: Strategy = Field(
        default="PACK",
        description="Members on few machines (PACK) or on many (SPREAD) where possible; on one machine "
        "(STRICT_PACK) or on as many as there are members (STRICT_SPREAD) in any case. Holds for the "
        "members that a run starts with; later ones take any machine.",
    )

    @field_validator("num_gpus")
    @classmethod
    def _is_share_or_whole(cls, num_gpus: float) -> float:
        if num_gpus > 1 and num_gpus != int(num_gpus):
            raise ValueError("must be a fraction of one GPU or a whole number of GPUs")
        return num_gpus

    @field_validator("custom_resources")
    @classmethod
    def _are_amounts(cls, resources: dict[str, float]) -> dict[str, float]:
        for name, amount in resources.items():
            if name in ("CPU", "GPU", "memory") or not amount > 0:
                raise ValueError(
                    "must hold amounts above 0 of custom resources; CPU, GPU and memory are num_cpus, "
                    "num_gpus and memory_mb"
                )
        return resources

    @field_validator("labels")
    @classmethod
    def _are_conditions(cls, labels: dict[str, str]) -> dict[str, str]:
        for text in labels.values():
            LabelCondition.parse(text)
        return labels

    @property
    def bundle(self) -> Mapping[str, float]:
        """One member's resources as Ray names them."""
        amounts = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": float(self.memory_mb * BYTES_PER_MB)}
        amounts |= self.custom_resources
        if self.accelerator_type is not None:
            amounts[f"accelerator_type:{self.accelerator_type}"] = 0.001  # as Ray's own option asks for it
        return {name: amount for name, amount in amounts.items() if amount}

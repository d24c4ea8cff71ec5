"""Rules between the settings of an inverse dynamics training; each returns one sentence when broken."""

from collections.abc import Callable, Sequence

from eva_rl.config.pretraining import IdmSettings
from eva_rl.config.section import ConfigError
from eva_rl.embodiments.mirroring import Mirror
from eva_rl.embodiments.table import EMBODIMENTS
from eva_rl.pretraining.idm_models import architecture_of, given_sizes, reads_latents


def refuse_impossible(settings: IdmSettings) -> None:
    """Refuses settings that break a rule.

    Raises:
        ConfigError: with a sentence for each.
    """
    problems = [sentence for rule in IDM_RULES if (sentence := rule(settings)) is not None]
    if problems:
        raise ConfigError(problems)


def _codec_is_named(settings: IdmSettings) -> str | None:
    idm = settings.idm
    if idm.world_model is not None:
        if (idm.world_model / "model_index.json").is_file():
            return None
        return (
            f"idm.world_model {idm.world_model} holds no model_index.json, so it is no diffusers pipeline "
            "directory: name the one that robotwin_sft.py wrote, or initial/ in its job's directory"
        )
    if reads_latents(settings):
        return (
            f"idm.kind = {idm.kind} reads codec latents, but idm.world_model names no pipeline directory "
            "whose codec encodes them; give one"
        )
    if idm.reconstruction_share == 0:
        return None
    return (
        f"idm.reconstruction_share is {idm.reconstruction_share:g}, but idm.world_model names "
        "no pipeline directory whose codec could reconstruct clips; give one, or set the share to 0"
    )


def _clips_can_be_mirrored(settings: IdmSettings) -> str | None:
    idm = settings.idm
    if idm.mirrored_share == 0:
        return None
    if reads_latents(settings):
        return (
            f"idm.mirrored_share is {idm.mirrored_share:g}, but idm.kind = {idm.kind} reads clips that are "
            "encoded already, and latents cannot be mirrored; set it to 0"
        )
    try:
        Mirror.of(EMBODIMENTS[settings.robot.embodiment])
    except ValueError as refusal:
        return f"idm.mirrored_share is {idm.mirrored_share:g}, but {refusal}"
    return None


def _sizes_fit_the_kind(settings: IdmSettings) -> str | None:
    try:
        if reads_latents(settings):  # what latents there will be is known after the encoding only
            given_sizes(settings)
        else:
            architecture_of(settings)
    except ConfigError as refusal:
        return "; ".join(refusal.problems)
    return None


IDM_RULES: Sequence[Callable[[IdmSettings], str | None]] = (
    _codec_is_named,
    _clips_can_be_mirrored,
    _sizes_fit_the_kind,
)

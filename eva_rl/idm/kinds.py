"""The inverse dynamics models there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from eva_rl.idm import store
from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.latent import LATENT_KIND, LatentIdm
from eva_rl.idm.latent_architecture import LatentIdmArchitecture
from eva_rl.idm.masked import MASKED_KIND, MaskedIdm
from eva_rl.idm.masked_architecture import MaskedIdmArchitecture
from eva_rl.idm.network import CONV_KIND, InverseDynamicsModel
from eva_rl.idm.resnet_plus import RESNET_PLUS_KIND, ResNetPlusModel
from eva_rl.idm.resnet_plus_architecture import ResNetPlusArchitecture

AnyIdm = InverseDynamicsModel | MaskedIdm | LatentIdm | ResNetPlusModel
AnyArchitecture = IdmArchitecture | MaskedIdmArchitecture | LatentIdmArchitecture | ResNetPlusArchitecture


@dataclass(frozen=True)
class IdmKind:
    """One choice of inverse dynamics model.

    Attributes:
        model: class of the network; its `reads` says whether it is given frames or codec latents.
        architecture: dataclass of its sizes, the contents of config.json.
        purpose: what it is for.
    """

    model: type[AnyIdm]
    architecture: type[AnyArchitecture]
    purpose: str


def open_idm(directory: str | Path) -> AnyIdm:
    """Opens a trained model of any kind, in eval mode.

    Args:
        directory: holds `model.safetensors` and `config.json`, whose `kind` names a row of `IDM_KINDS`.

    Raises:
        FileNotFoundError: if weights or config.json are missing.
        ValueError: if the kind is unknown or config.json is not of this version.
    """
    kind = store.read_kind(directory)
    if kind not in IDM_KINDS:
        raise ValueError(
            f"{Path(directory) / store.CONFIG_FILE}: kind must be one of {', '.join(IDM_KINDS)}, got {kind!r}"
        )
    return IDM_KINDS[kind].model.from_directory(directory)


def check_codec(idm: AnyIdm, find_codec: Callable[[], str]) -> None:
    """Makes sure that a model which reads latents is given those of its own codec.

    Args:
        idm: of any kind.
        find_codec: hash of the codec that the latents come from; called only where it matters.

    Raises:
        ValueError: they come from another codec.
    """
    if isinstance(idm, LatentIdm):
        idm.architecture.check_codec(find_codec())


def read_generated(
    idm: AnyIdm, latents: Tensor, *, decode: Callable[[Tensor], Tensor], softly: bool = False
) -> Tensor:
    """Executable positions of clips that were generated, so that both latents and frames can be had.

    Args:
        idm: of any kind.
        latents: [batch, channels, latent frames, height, width], normalised.
        decode: latents -> frames in [-1, 1]; called only for a model that reads frames.
        softly: grippers as how probably they are open, so that they too have a gradient.

    Returns:
        [batch, frames, dimensions], rad (grippers 0 or 1; 0..1 if read softly).
    """
    read = idm.soft_positions if softly else idm.decode_positions
    return read(latents if idm.reads == "latents" else decode(latents))


def read_recorded(idm: AnyIdm, frames: Tensor, *, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Executable positions of clips of which there are only frames.

    Args:
        idm: of any kind.
        frames: [batch, frames, 3, height, width], in [-1, 1].
        encode: frames -> normalised latents; called only for a model that reads latents.

    Raises:
        ValueError: a model that reads latents cannot be given so many frames.
    """
    if isinstance(idm, LatentIdm):
        idm.architecture.check_num_frames(frames.shape[1])
    return idm.decode_positions(frames if idm.reads == "frames" else encode(frames))


IDM_KINDS: Mapping[str, IdmKind] = {
    CONV_KIND: IdmKind(
        model=InverseDynamicsModel,
        architecture=IdmArchitecture,
        purpose="Small frames: convolutions, spatial softmax, features joined over the window.",
    ),
    MASKED_KIND: IdmKind(
        model=MaskedIdm,
        architecture=MaskedIdmArchitecture,
        purpose="Vidar's idea: a learned mask hides what is no robot before the frame is read.",
    ),
    LATENT_KIND: IdmKind(
        model=LatentIdm,
        architecture=LatentIdmArchitecture,
        purpose="Reads codec latents: no pixel is decoded, in training, scoring or backpropagation.",
    ),
    RESNET_PLUS_KIND: IdmKind(
        model=ResNetPlusModel,
        architecture=ResNetPlusArchitecture,
        purpose="EVA's released model: ResNet-50 over three stacked frames of 512x512.",
    ),
}
"""Key: `kind` in config.json."""

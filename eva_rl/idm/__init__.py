"""Inverse dynamics: from the frames of a video to the joint positions that they show."""

from eva_rl.idm.architecture import IdmArchitecture
from eva_rl.idm.network import InverseDynamicsModel

__all__ = ["IdmArchitecture", "InverseDynamicsModel"]

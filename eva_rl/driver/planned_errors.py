"""What can go wrong with a run's inputs; the message says what to do, a traceback would not help."""

from eva_rl.actors.evidence import EvidenceUnavailableError
from eva_rl.actors.learner_group import LearnerLostError
from eva_rl.actors.machines import PlacementError
from eva_rl.actors.recovery import RoleLostError
from eva_rl.actors.stall_watch import StallError
from eva_rl.checkpoints.manifest import CheckpointError
from eva_rl.config.section import ConfigError
from eva_rl.data.episodes import EpisodeDirectoryError
from eva_rl.driver.doctor.check import SelfTestError
from eva_rl.driver.failure_budget import FailureBudgetError
from eva_rl.driver.ledger import LedgerError
from eva_rl.embodiments.model_file import RobotFileError
from eva_rl.metrics.jsonl import MetricsFileError
from eva_rl.rewards.evidence import MissingEvidenceError

PLANNED_ERRORS = (
    CheckpointError,
    ConfigError,
    EpisodeDirectoryError,
    EvidenceUnavailableError,
    FailureBudgetError,
    LearnerLostError,
    LedgerError,
    MetricsFileError,
    MissingEvidenceError,
    PlacementError,
    RobotFileError,
    RoleLostError,
    StallError,
    SelfTestError,
)
"""Errors that end a run with a sentence."""

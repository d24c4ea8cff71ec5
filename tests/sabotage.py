"""A tiny run in which something is done."""

from benchmarks.sabotage import Saboteur
from eva_rl.metrics.jsonl import read_rows
from tests.tiny_run import running_roles, train


def sabotaged(settings, models, conditions, directory, *, deed, at_step=1, **keywords):
    """Returns the final version, the metric rows and what the user was told."""
    told = []
    with running_roles(settings, models, tell=told.append) as roles:
        saboteur = Saboteur(roles, at_step=at_step, deed=deed)
        train(settings, roles, conditions, directory, on_note=saboteur.count, **keywords)
        assert saboteur.done_at is not None
        return roles.learner.deployed().version, read_rows(directory / "metrics.jsonl"), told

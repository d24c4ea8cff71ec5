"""Does something to a run while it works, at a chosen training step."""

import os
import signal
import time

import ray

from eva_rl.metrics.jsonl import read_rows
from tests.tiny_run import running_roles, train


def in_actor(actor, function):
    """Runs a function inside the actor's process, before its next call."""
    return actor.__ray_call__.remote(function)


def process_of(actor):
    return ray.get(in_actor(actor, lambda role: os.getpid()))


class Saboteur:
    """Looks on while a run works and does something to it once, at a chosen training step."""

    def __init__(self, roles, *, at_step, deed):
        self.roles, self.at_step, self.deed = roles, at_step, deed
        self.training_step = 0
        self.is_done = False
        roles.dispatcher.on_tick.append(self)

    def count(self, note):
        self.training_step += note.startswith("reward ")

    def __call__(self):
        if self.training_step >= self.at_step and not self.is_done:
            self.is_done = bool(self.deed(self.roles))


def busy(roles, role):
    return [member for member in roles.dispatcher.busy_members() if member.role == role]


def killing_a(role):
    """Kills a member in the middle of an order: it naps first, so that the order cannot be finished."""
    processes = {}

    def deed(roles):
        for member in roles.dispatcher.pools[role].members:
            if member.is_ready and member not in processes and member not in busy(roles, role):
                processes[member] = process_of(member.actor)
                in_actor(member.actor, lambda role: time.sleep(5))
        for member in busy(roles, role):
            if member in processes:
                os.kill(processes[member], signal.SIGKILL)
                return True
        return False

    return deed


def sabotaged(settings, models, conditions, directory, *, deed, at_step=1, **keywords):
    """A run in which something is done; returns final version, metric rows and what the user was told."""
    told = []
    with running_roles(settings, models, tell=told.append) as roles:
        saboteur = Saboteur(roles, at_step=at_step, deed=deed)
        train(settings, roles, conditions, directory, on_note=saboteur.count, **keywords)
        assert saboteur.is_done
        return roles.learner.deployed().version, read_rows(directory / "metrics.jsonl"), told

"""Colocated roles are awake one at a time. No GPU here: order and bytes are proved, not memory."""

import subprocess
import sys

import torch

from eva_rl.actors.gpu_turns import GpuTurn

ROLE = """
import sys
from pathlib import Path
from eva_rl.actors.gpu_turns import GpuTurn

journal, lock, name = map(Path, sys.argv[1:])
turn = GpuTurn(lock)
for _ in range(30):
    with turn, journal.open("a", buffering=1) as lines:
        lines.write(f"{name} wakes\\n")
        sum(range(20_000))
        lines.write(f"{name} sleeps\\n")
"""


def test_roles_in_two_processes_are_never_awake_together(tmp_path):
    journal = tmp_path / "journal"
    roles = [
        subprocess.Popen([sys.executable, "-c", ROLE, str(journal), str(tmp_path / "lock"), name])
        for name in ("generator", "learner")
    ]
    assert [role.wait(timeout=120) for role in roles] == [0, 0]
    lines = journal.read_text().splitlines()
    assert len(lines) == 120
    for wakes, sleeps in zip(lines[::2], lines[1::2], strict=True):
        name = wakes.removesuffix(" wakes")
        assert (wakes, sleeps) == (f"{name} wakes", f"{name} sleeps")


def test_waking_and_sleeping_changes_no_byte_and_no_gradient(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    module[0].requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    optimizer = torch.optim.AdamW(module[2].parameters())
    turn = GpuTurn(tmp_path / "lock")
    with turn:
        turn.mind(module, only_frozen=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    with turn:
        module(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert not torch.equal(module[2].weight, before["2.weight"])
    assert torch.equal(module[0].weight, before["0.weight"])

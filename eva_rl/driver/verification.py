"""Whether a run's checkpoints and ledger are what was written: the first thing that is not is named."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

from eva_rl.actors.learner_state import OPTIMIZER_FILE
from eva_rl.actors.optimizer_state import WEIGHTS
from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import MANIFEST, CheckpointError, read_file_hashes, read_manifest
from eva_rl.checkpoints.store import CheckpointStore
from eva_rl.driver.ledger import CHAIN, LedgerError, check_chain, ledger_lines
from eva_rl.driver.run_state import LEDGER_FILE, POLICIES_FILE
from eva_rl.records.adapter import adapter_hash


def verify_checkpoint(folder: Folder) -> dict[str, Any]:
    """Checks one checkpoint: manifest, files, ledger, and the hashes of the adapters in it.

    Returns:
        Its state.

    Raises:
        CheckpointError: naming the first thing that is missing, foreign or altered.
    """
    state = read_manifest(folder)
    known = {*read_file_hashes(folder), MANIFEST}
    foreign = [name for name in folder.names() if name not in known]
    if foreign:
        raise CheckpointError(f"{folder}/{foreign[0]} is not in the manifest: it was put there later")
    if LEDGER_FILE in known:
        _check_ledger(folder, state)
    if {OPTIMIZER_FILE, POLICIES_FILE} <= known:
        _check_policies(folder, state)
    return state


def verify_run(directory: Path, store: CheckpointStore) -> list[int]:
    """Checks every checkpoint of a run, and the run's ledger against the newest.

    Args:
        directory: of the run.
        store: of its checkpoints.

    Returns:
        The training steps of the checkpoints.

    Raises:
        CheckpointError: naming the first thing that is missing, foreign or altered.
    """
    steps = store.training_steps()
    if not steps:
        raise CheckpointError(f"{store.folder} holds no checkpoint")
    states = [verify_checkpoint(store.at(step)) for step in steps]
    ledger = directory / LEDGER_FILE
    if not ledger.is_file():
        return steps
    chains = [line[CHAIN] for line in _read_ledger(str(ledger), ledger.read_bytes())]
    for step, state in zip(steps, states, strict=True):
        booked = state["ledger"]
        if booked["num_steps"] and chains[booked["num_steps"] - 1 : booked["num_steps"]] != [booked["chain"]]:
            raise CheckpointError(
                f"{ledger} tells another story than the checkpoint of training step {step}: its line "
                f"{booked['num_steps']} is missing or another"
            )
    return steps


def _read_ledger(name: str, content: bytes) -> list[dict[str, Any]]:
    try:
        return check_chain(ledger_lines(content))
    except (LedgerError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{name}: {error}") from None


def _check_ledger(folder: Folder, state: dict[str, Any]) -> None:
    """The chain is whole, ends where the manifest says, and made the adapters that the manifest names."""
    lines = _read_ledger(f"{folder}/{LEDGER_FILE}", folder.read(LEDGER_FILE))
    chain = lines[-1][CHAIN] if lines else ""
    if state["ledger"] != {"num_steps": len(lines), "chain": chain}:
        raise CheckpointError(f"{folder}/{LEDGER_FILE} is not the ledger that the manifest names")
    made = {str(line["made"]["training_step"]): line["made"]["content_hash"] for line in lines}
    for step, content_hash in state["policies"].items():
        if made.get(step, content_hash) != content_hash:
            raise CheckpointError(
                f"{folder}: the manifest names adapter {content_hash} of training step {step}, but the "
                f"ledger says that the learner made {made[step]}"
            )


def _check_policies(folder: Folder, state: dict[str, Any]) -> None:
    """Every adapter in flight has the bytes that its hash names."""
    prefix = f"{WEIGHTS}/"
    shapes = {
        name.removeprefix(prefix): tensor.shape
        for name, tensor in load(folder.read(OPTIMIZER_FILE)).items()
        if name.startswith(prefix)
    }
    names = sorted(shapes)
    ends = np.cumsum([int(np.prod(shapes[name])) for name in names])
    for step, values in load(folder.read(POLICIES_FILE)).items():
        pieces = np.split(values, ends[:-1])
        tensors = [(name, piece.reshape(shapes[name])) for name, piece in zip(names, pieces, strict=True)]
        if adapter_hash(tensors) != state["policies"].get(step):
            raise CheckpointError(
                f"{folder}/{POLICIES_FILE}: the adapter of training step {step} has the hash "
                f"{adapter_hash(tensors)}, the manifest names {state['policies'].get(step)}"
            )

"""Laws of the ledger: every line seals the one before."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eva_rl.driver.ledger import Ledger, LedgerError, ledger_lines
from tests.unit.booked import adapter_of, scored


def ledger_of(num_steps, file=None):
    ledger = Ledger(file)
    for step in range(num_steps):
        ledger.append(step, [scored(adapter_of(step), f"condition{step}")], made=adapter_of(step + 1).version)
    return ledger


def test_a_ledger_comes_back_and_goes_on(tmp_path):
    whole = ledger_of(3, tmp_path / "ledger.jsonl")
    resumed = Ledger(tmp_path / "again.jsonl")
    resumed.restore(ledger_of(2).as_bytes())
    resumed.append(2, [scored(adapter_of(2), "condition2")], made=adapter_of(3).version)
    assert resumed.chain == whole.chain
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "ledger.jsonl").read_bytes()
    assert [group["rewards"] for line in whole for group in line["groups"]] == [[0.5, None]] * 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: lines[:1] + lines[2:], "line 2 is training step 2, not 1"),
        (
            lambda lines: [*lines[:1], lines[1].replace("condition1", "condition9"), *lines[2:]],
            "line 2 .* differs",
        ),
        (lambda lines: [lines[1], lines[0], lines[2]], "line 1 is training step 1, not 0"),
    ],
)
def test_the_first_line_that_does_not_follow_is_named(damage, message):
    lines = ledger_of(3).as_bytes().decode().splitlines()
    with pytest.raises(LedgerError, match=message):
        Ledger().restore("".join(f"{line}\n" for line in damage(lines)).encode())


def test_a_batch_of_an_adapter_that_the_learner_did_not_make_is_named():
    ledger = ledger_of(1)
    stranger = replace(adapter_of(1).version, content_hash="0" * 16)
    ledger.append(1, [replace(scored(adapter_of(1)), adapter=stranger)], made=adapter_of(2).version)
    with pytest.raises(LedgerError, match="batch 1 was sampled by adapter 0000000000000000"):
        Ledger().restore(ledger.as_bytes())


def test_every_line_is_on_disk_at_once(tmp_path):
    ledger_of(2, tmp_path / "ledger.jsonl")
    lines = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["training_step"] for line in lines] == [0, 1]


def test_a_line_that_a_killed_process_cut_is_passed_over():
    content = ledger_of(2).as_bytes()
    assert [line["training_step"] for line in ledger_lines(content[:-10])] == [0]
    assert len(ledger_lines(content)) == 2


def test_a_full_disk_ends_the_run_with_a_sentence():
    with pytest.raises(LedgerError, match=r"/dev/full cannot be written \(No space left on device\)"):
        ledger_on_full_disk().append(0, [scored(adapter_of(0))], made=adapter_of(1).version)


def ledger_on_full_disk():
    """A ledger whose file is there and takes nothing more."""
    ledger = Ledger()
    ledger._file = Path("/dev/full")
    return ledger

"""What the documents promise is there."""

import re
from pathlib import Path

import pytest

from eva_rl.cli.main import COMMANDS
from eva_rl.data.formats import EPISODE_FORMATS
from eva_rl.idm.kinds import IDM_KINDS
from eva_rl.simulators.table import SIMULATORS

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "formats_and_models.md"
DAMAGE = ROOT / "docs" / "damaged_input.md"
DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/formats_and_models.md",
    "docs/memory.md",
    "docs/damaged_input.md",
    "docs/alignment.md",
    "docs/alignment_history.md",
    "docs/cluster.md",
    "cluster/README.md",
    "SECURITY.md",
)


@pytest.mark.parametrize(("table", "least"), [(TABLE, 15), (DAMAGE, 4)])
def test_every_proof_that_a_table_names_exists(table, least):
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", table.read_text()))
    assert len(named) > least
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_every_test_that_keeps_a_promise_of_security_exists():
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "SECURITY.md").read_text()))
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_the_table_speaks_of_every_format_kind_and_simulator():
    text = TABLE.read_text()
    assert all(f"`{kind}`" in text for kind in IDM_KINDS)
    assert {"robotwin-legacy", "robotwin-v1", "lerobot-v2", "lerobot-v3"} == set(EPISODE_FORMATS)
    assert set(SIMULATORS) == {"bimanual", "robotwin", "none"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_files_and_commands_that_exist(document):
    text = (ROOT / document).read_text()
    commands = set(re.findall(r"`eva-rl ([a-z-]+)", text))
    assert commands <= set(COMMANDS)
    files = set(
        re.findall(r"(?:eva_rl|recipes|benchmarks|cluster|docs)/[\w/]+\.(?:py|yaml|md|json|png)", text)
    )
    assert not [name for name in files if not (ROOT / name).is_file()]

"""Hostile files, names, texts and credentials: each is refused or made harmless, by name."""

import ast
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import save_file

from eva_rl import pretrained
from eva_rl.checkpoints.folder import Folder
from eva_rl.checkpoints.manifest import CheckpointError, read_manifest, write_manifest
from eva_rl.config.align import AlignSettings
from eva_rl.driver.progress import RunProgress
from eva_rl.driver.provenance import describe_run, record_start
from eva_rl.driver.run_directory import directory_is_free, open_run_directory
from eva_rl.evaluation.store import read_clip
from eva_rl.idm.importing import ImportedIdmError, import_singleview
from eva_rl.idm.kinds import open_idm
from eva_rl.reports.report import write_report
from eva_rl.trust.names import is_inside
from eva_rl.trust.secrets import without_secrets
from eva_rl.trust.text import plain_text
from eva_rl.trust.weight_files import HostileFileError
from eva_rl.world_model.adapter_files import ADAPTER_FILES, read_adapter_files
from eva_rl.world_model.weight_files import WeightFileError, read_weights
from eva_rl.world_model.world_model import WorldModel

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    file for folder in ("eva_rl", "recipes", "benchmarks") for file in (ROOT / folder).rglob("*.py")
)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.fixture
def planted(tmp_path):
    """Where a malicious pickle would leave its mark."""
    return tmp_path / "planted"


def test_the_malicious_pickle_of_these_tests_really_runs_code(planted):
    pickle.loads(pickle.dumps(Bomb(planted)))
    assert planted.exists()


@pytest.mark.parametrize("name", ["weights.pt", "weights.ckpt", "weights.safetensors", "weights.bin"])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_no_reader_of_weights_runs_a_pickle(tmp_path, planted, name, writer):
    file = tmp_path / name
    content = {"state_dict": {"model.a": Bomb(planted)}, "model_state_dict": Bomb(planted)}
    if writer == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(WeightFileError, match=name):
        read_weights(file)
    with pytest.raises((ImportedIdmError, HostileFileError), match=name):
        import_singleview(file, tmp_path / "idm", frame_period_s=0.1)
    assert not planted.exists()


def test_a_pipeline_directory_with_pickled_weights_alone_is_not_opened(tmp_path, planted):
    shutil.copytree(pretrained.WORLD_MODEL, tmp_path / "model")
    (tmp_path / "model" / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({"a": Bomb(planted)}, tmp_path / "model" / "transformer" / "diffusion_pytorch_model.bin")
    with pytest.raises((OSError, ValueError)):
        WorldModel.from_directory(tmp_path / "model")
    assert not planted.exists()


def test_arrays_of_a_run_are_not_unpickled(tmp_path, planted):
    file = tmp_path / "clip.npz"
    np.savez(file, frames=np.array([Bomb(planted)], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_clip(file)
    assert not planted.exists()


def safetensors_with(header, *, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


LIES = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
ABSURD = {
    "a header longer than the file": safetensors_with({}, length=2**60),
    "a header that is too long": safetensors_with(b" " * 26_000_000),
    "no header": b"abc",
    "an empty file": b"",
    "a header that is no JSON": safetensors_with(b"{" * 1000),
    "JSON that is nested too deep": safetensors_with(b"[" * 100_000),
    "a list for a header": safetensors_with([1]),
    "tensors beyond the end": safetensors_with(LIES),
    "tensors before the start": safetensors_with(
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, body=b"1234"
    ),
    "an entry that is a number": safetensors_with({"a": 7}),
}


@pytest.mark.parametrize("content", ABSURD.values(), ids=ABSURD)
def test_absurd_safetensors_are_refused_by_name(tmp_path, content):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightFileError, match=r"weights\.safetensors"):
        read_weights(file)
    (tmp_path / "config.json").write_text((pretrained.IDM / "config.json").read_text())
    file.rename(tmp_path / "model.safetensors")
    with pytest.raises(HostileFileError, match=r"model\.safetensors"):
        open_idm(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / ADAPTER_FILES["transformer"])
    with pytest.raises(HostileFileError, match="pytorch_lora_weights"):
        read_adapter_files(tmp_path)


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    file = tmp_path / "weights.pt"
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", b"\0" * 50_000_000)
    assert file.stat().st_size < 100_000
    with pytest.raises(WeightFileError, match=r"weights\.pt.*unpack to more than"):
        read_weights(file)
    with pytest.raises((ImportedIdmError, HostileFileError), match=r"weights\.pt.*unpack to more than"):
        import_singleview(file, tmp_path / "idm", frame_period_s=0.1)


def test_a_tensor_that_repeats_one_value_for_ever_is_refused(tmp_path):
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1).expand(10**12)}, file)
    assert file.stat().st_size < 100_000
    with pytest.raises((WeightFileError, HostileFileError), match=r"weights\.pt.*'a' has shape"):
        read_weights(file)


def test_a_file_of_weights_larger_than_any_is_refused_unread(tmp_path):
    file = tmp_path / "weights.pt"
    with file.open("wb") as stream:
        stream.truncate(5 * 10**9)  # sparse: takes no room
    with pytest.raises((ImportedIdmError, HostileFileError), match="more than the 4000000000"):
        import_singleview(file, tmp_path / "idm", frame_period_s=0.1)


OUTSIDE = ["../a", "a/../../b", "/etc/passwd", "C:\\a", "c:a", "..\\a", "", ".", "a\0b", None, 3]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_elsewhere_are_told(name):
    assert not is_inside(name)


def test_ordinary_names_lie_inside():
    assert all(is_inside(name) for name in ("a", "a/b.safetensors", "..a", "a..b/c", "a b"))


@pytest.mark.parametrize("name", ["../outside.safetensors", "/tmp/outside.safetensors"])
def test_an_index_cannot_name_a_shard_elsewhere(tmp_path, name):
    save_file({"a": torch.zeros(1)}, tmp_path / "outside.safetensors")
    directory = tmp_path / "model"
    directory.mkdir()
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(WeightFileError, match="does not lie in its directory"):
        read_weights(index)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd"])
def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path, name):
    folder = Folder.local(tmp_path / "step_000001")
    write_manifest(folder, {"training_step": 1}, {name: "0" * 64})
    with pytest.raises(CheckpointError, match="does not lie in the checkpoint"):
        read_manifest(folder)


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", ".hidden", "a/b"])
def test_a_runs_name_cannot_leave_the_directory_of_runs(name):
    settings = AlignSettings.model_validate({"run": {"name": name}})
    assert "run.name is part of a directory's name" in (directory_is_free(settings) or "")


ANSI = "lift \x1b[31mthe\x1b]0;owned\x07 pot\x9b2J\u202egnp.exe\r[red]x[/red][link=file:///etc]y"


def test_text_of_data_cannot_command_a_terminal():
    plain = plain_text(ANSI)
    assert not set(plain) & set("\x1b\x07\x9b\u202e\r")
    assert plain_text("größer → 抓住 the pot\n") == "größer → 抓住 the pot\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_note_is_shown_as_it_is_written(is_terminal):
    stream = io.StringIO()
    colours = "truecolor" if is_terminal else None
    console = Console(file=stream, force_terminal=is_terminal, width=300, color_system=colours)
    with RunProgress(["align"], console=console) as progress, progress.stage("align", total=1) as stage:
        stage.advance(note=ANSI)
        stage.warn(ANSI)
    shown = stream.getvalue()
    assert "[red]x[/red][link=file:///etc]y" in shown
    assert "\x1b]0;" not in shown  # no title, no hyperlink
    assert not set(shown) & set("\x07\x9b\u202e")
    assert "\x1b[31mthe" not in shown


SECRETS = {
    "RAY_AUTH_TOKEN": "tok-5a1f6c2e9b",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG",
    "MY_PASSWORD": "correct horse battery",
}
URI = "s3://AKIAKEYKEY:uri-s3cret-value@bucket/demos?sig=query-s3cret-value"


def test_credentials_are_hidden_wherever_a_run_writes(tmp_path, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    argv = [
        "align.py",
        "--data.directory",
        URI,
        "--hub.token",
        "argv-s3cret-value",
        "--x",
        SECRETS["MY_PASSWORD"],
    ]
    monkeypatch.setattr("sys.argv", argv)
    settings = AlignSettings.model_validate(
        {
            "run": {"directory": tmp_path / "run", "name": f"n-{SECRETS['RAY_AUTH_TOKEN']}"},
            "data": {"directory": URI},
            "cluster": {"address": "ray://user:cluster-s3cret@head:10001"},
        }
    )
    directory = open_run_directory(settings)
    facts = describe_run(seed=0, model_directories={"idm": pretrained.IDM})
    record_start(directory.provenance, {**facts, "environment": dict(os.environ)})
    write_report(directory.path)
    for file in (path for path in directory.path.rglob("*") if path.is_file()):
        text = file.read_text(errors="replace")
        for secret in (*SECRETS.values(), "s3cret", "AKIAKEYKEY"):
            assert secret not in text, file
    assert yaml.safe_load(directory.settings.read_text())["data"]["directory"].startswith(
        "s3://***@bucket/demos"
    )


def test_a_run_with_credentials_in_its_settings_can_be_resumed(tmp_path):
    values = {"run": {"directory": tmp_path / "run"}, "data": {"directory": URI}}
    open_run_directory(AlignSettings.model_validate(values))
    values["run"]["resume"] = True
    assert open_run_directory(AlignSettings.model_validate(values)).continues


def test_ordinary_values_are_written_as_they_are():
    plain = {"adapter": {"target_modules": ["to_q"]}, "command": "python a.py --sampling.num_steps 4", "n": 3}
    assert without_secrets(plain) == plain
    for text in ("RAY_AUTH_TOKEN_PATH=/run/token", "tokens per second: 12", "hf://datasets/user/data@main"):
        assert without_secrets(text) == text


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield (
                ast.unparse(node.func),
                {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords},
            )


def test_no_module_reads_a_format_that_can_run_code():
    broken = []
    for file in SOURCES:
        for name, keywords in calls(ast.parse(file.read_text())):
            unsafe = (
                (name == "torch.load" and keywords.get("weights_only") != "True")
                or name
                in ("pickle.load", "pickle.loads", "pickle.Unpickler", "yaml.load", "yaml.unsafe_load")
                or name
                in ("joblib.load", "dill.load", "cloudpickle.load", "cloudpickle.loads", "eval", "exec")
                or (name == "np.load" and keywords.get("allow_pickle") != "False")
                or (name.endswith("from_pretrained") and keywords.get("use_safetensors") == "False")
                or keywords.get("trust_remote_code") == "True"
                or keywords.get("shell") == "True"
            )
            if unsafe:
                broken.append(f"{file.relative_to(ROOT)}: {name}")
    assert not broken

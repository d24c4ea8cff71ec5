"""Laws of the LoRA adapter: what it leaves alone, how it travels and how it is named."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from eva_rl.records.condition import ConditionTensors
from eva_rl.world_model import WorldModel
from eva_rl.world_model.adapter_io import export_adapter, read_adapter, write_adapter
from eva_rl.world_model.codec_fit import fit_linear_patch_codec
from eva_rl.world_model.creation import create_tiny_wan_directory
from eva_rl.world_model.directory import quiet_loading
from eva_rl.world_model.lora import adapter_parameters, attach_adapter, live_version, reference_policy

TARGETS = ("to_q", "to_out.0", "ffn.net.2")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    frames = torch.randint(0, 256, (4, 5, 16, 16, 3), generator=torch.Generator().manual_seed(0))
    return create_tiny_wan_directory(
        tmp_path_factory.mktemp("tiny"), codec=fit_linear_patch_codec(frames.to(torch.uint8), channels=8),
        instructions=["lift"], seed=0, dim=32, num_layers=2, num_heads=2, ffn_dim=64, text_dim=16,
    )  # fmt: skip


def with_adapter(
    directory, *, seed: int = 0, rank: int = 4, dtype: torch.dtype = torch.float32
) -> WorldModel:
    world_model = WorldModel.from_directory(directory, dtype=dtype)
    attach_adapter(world_model.transformer, rank=rank, alpha=2.0 * rank, target_modules=TARGETS, seed=seed)
    return world_model


@torch.no_grad()
def disturb(world_model: WorldModel, *, seed: int = 0) -> None:
    """Moves every LoRA tensor, as training would."""
    generator = torch.Generator().manual_seed(seed)
    for _, weight in adapter_parameters(world_model.transformer):
        weight.add_(0.2 * torch.randn(weight.shape, generator=generator))


@torch.no_grad()
def output(world_model: WorldModel) -> torch.Tensor:
    latents = torch.randn(2, 8, 2, 2, 2, generator=torch.Generator().manual_seed(5))
    return world_model.flow_velocity(latents, 0.7, condition_of(latents, torch.ones(2, 16, 16)))


def condition_of(latents: torch.Tensor, text: torch.Tensor) -> ConditionTensors:
    return ConditionTensors(given_latents=latents[:, :, :1], text=text)


def test_a_new_adapter_changes_nothing(directory):
    assert torch.equal(output(with_adapter(directory)), output(WorldModel.from_directory(directory)))


def test_switched_off_the_policy_is_the_base_bit_for_bit(directory):
    world_model = with_adapter(directory)
    disturb(world_model)
    policy = output(world_model)
    with reference_policy(world_model.transformer):
        reference = output(world_model)
    assert torch.equal(reference, output(WorldModel.from_directory(directory)))
    assert not torch.allclose(policy, reference)
    assert torch.equal(output(world_model), policy)


def test_switching_off_and_on_keeps_what_learns(directory):
    world_model = with_adapter(directory)
    frozen = adapter_parameters(world_model.transformer)[0][1].requires_grad_(False)
    with reference_policy(world_model.transformer):
        pass
    learning = [weight for weight in world_model.transformer.parameters() if weight.requires_grad]
    assert not frozen.requires_grad
    assert len(learning) == len(adapter_parameters(world_model.transformer)) - 1


def test_only_the_adapter_learns(directory):
    world_model = with_adapter(directory)
    latents = torch.randn(1, 8, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    text = torch.ones(1, 16, 16)
    world_model.flow_velocity(latents, 0.7, condition_of(latents, text)).square().sum().backward()
    learned = {name for name, weight in world_model.transformer.named_parameters() if weight.grad is not None}
    assert learned == {name for name, _ in adapter_parameters(world_model.transformer)}


def test_the_same_seed_makes_the_same_adapter_in_every_process(directory):
    versions = [live_version(with_adapter(directory, seed=seed).transformer, 0) for seed in (3, 3, 4)]
    assert versions[0] == versions[1]
    assert versions[0] != versions[2]


def test_attaching_draws_the_same_weights_whatever_the_global_generator_does(directory):
    versions = []
    for global_seed in (1, 2):
        world_model = WorldModel.from_directory(directory)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(global_seed)
            attach_adapter(world_model.transformer, rank=4, alpha=4.0, target_modules=TARGETS, seed=0)
        versions.append(live_version(world_model.transformer, 0))
    assert versions[0] == versions[1]


def test_the_hash_follows_the_live_weights(directory):
    world_model = with_adapter(directory)
    before = live_version(world_model.transformer, 1)
    assert live_version(world_model.transformer, 1) == before
    with torch.no_grad():
        adapter_parameters(world_model.transformer)[-1][1].view(-1)[0] += 1e-6
    after = live_version(world_model.transformer, 1)
    assert after.content_hash != before.content_hash
    assert len(after.content_hash) == 16


def test_an_adapter_written_elsewhere_acts_the_same(directory):
    learner, generator = with_adapter(directory), with_adapter(directory, seed=9)
    disturb(learner)
    weights = read_adapter(learner.transformer, 7)
    assert weights.version == live_version(learner.transformer, 7)
    weights.values.flags.writeable = False  # as buffers from an object store are
    write_adapter(generator.transformer, weights)
    assert live_version(generator.transformer, 7) == weights.version
    assert torch.equal(output(generator), output(learner))


def test_reading_copies(directory):
    world_model = with_adapter(directory)
    weights = read_adapter(world_model.transformer, 0)
    kept = weights.values.copy()
    disturb(world_model)
    assert np.array_equal(weights.values, kept)


def test_learner_and_generator_agree_on_the_hash_in_bfloat16(directory):
    learner = with_adapter(directory, dtype=torch.bfloat16)
    disturb(learner)
    generator = with_adapter(directory, seed=9, dtype=torch.bfloat16)
    weights = read_adapter(learner.transformer, 2)
    write_adapter(generator.transformer, weights)
    assert live_version(generator.transformer, 2) == weights.version


def test_an_adapter_of_another_rank_is_refused(directory):
    weights = read_adapter(with_adapter(directory, rank=8).transformer, 0)
    with pytest.raises(ValueError, match="rank and target_modules must be the same"):
        write_adapter(with_adapter(directory).transformer, weights)


def test_a_damaged_buffer_is_noticed(directory):
    world_model = with_adapter(directory)
    weights = read_adapter(world_model.transformer, 0)
    damaged = weights.values.copy()
    damaged[3] += 1.0
    with pytest.raises(RuntimeError, match="the buffer was damaged"):
        write_adapter(world_model.transformer, dataclasses.replace(weights, values=damaged))


def test_targets_that_match_nothing_are_named(directory):
    world_model = WorldModel.from_directory(directory)
    with pytest.raises(ValueError, match=r"\['add_k_proj'\] match no linear layer"):
        attach_adapter(
            world_model.transformer, rank=4, alpha=4.0, target_modules=["to_q", "add_k_proj"], seed=0
        )


def test_a_second_adapter_is_refused(directory):
    world_model = with_adapter(directory)
    with pytest.raises(ValueError, match="already has an adapter"):
        attach_adapter(world_model.transformer, rank=4, alpha=4.0, target_modules=TARGETS, seed=0)


def test_a_transformer_without_adapter_has_no_version(directory):
    with pytest.raises(ValueError, match="call attach_adapter first"):
        live_version(WorldModel.from_directory(directory).transformer, 0)


def test_saving_the_base_with_an_adapter_attached_is_refused(directory, tmp_path):
    with pytest.raises(ValueError, match="export_adapter"):
        with_adapter(directory).save(tmp_path)


def test_an_exported_adapter_acts_the_same_in_the_stock_pipeline(directory, tmp_path):
    world_model = with_adapter(directory)  # alpha is twice the rank: diffusers loses that without metadata
    disturb(world_model)
    assert export_adapter(world_model.transformer, tmp_path).is_file()
    opened = WorldModel.from_directory(directory)
    with quiet_loading():
        opened.pipeline.load_lora_weights(tmp_path)
    assert torch.equal(output(opened), output(world_model))


def test_equal_adapters_are_equal_files_in_every_process(directory, tmp_path):
    program = (
        "import sys\n"
        "from eva_rl.world_model.adapter_io import export_adapter\n"
        "from tests.unit.test_adapters import with_adapter\n"
        "export_adapter(with_adapter(sys.argv[1]).transformer, sys.argv[2])\n"
    )
    files = []
    for seed in "12":  # of Python's own hashes, which order sets
        words = [sys.executable, "-c", program, str(directory), str(tmp_path / seed)]
        subprocess.run(words, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        files += [file.read_bytes() for file in (tmp_path / seed).iterdir()]
    assert len(files) == 2
    assert files[0] == files[1]

"""The clean-latent reading of Wan's transformer against the stock class with the same weights."""

import pytest
import torch
from diffusers import WanTransformer3DModel

from eva_rl.world_model import CleanLatentWanTransformer

SIZES = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 8,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 1,
    "rope_max_seq_len": 16,
}
NUM_TOKENS = 3 * 2 * 3


@pytest.fixture
def networks() -> tuple[WanTransformer3DModel, CleanLatentWanTransformer]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stock = WanTransformer3DModel(**SIZES)
    clean = CleanLatentWanTransformer(**SIZES)
    clean.load_state_dict(stock.state_dict())
    return stock, clean


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 3, 4, 6, generator=generator), torch.randn(2, 5, 8, generator=generator)


@pytest.mark.parametrize("per_token", [False, True])
@torch.no_grad()
def test_the_flow_velocity_leads_from_the_predicted_clean_latent(networks, inputs, per_token):
    stock, clean = networks
    latents, text = inputs
    sigma = torch.tensor([0.5, 0.9])
    timestep = 1000 * (sigma[:, None].repeat(1, NUM_TOKENS) if per_token else sigma)
    (prediction,) = stock(latents, timestep, text, return_dict=False)
    flow_velocity = clean(latents, timestep, text).sample
    assert torch.allclose(latents - sigma.view(2, 1, 1, 1, 1) * flow_velocity, prediction, atol=1e-5)


@torch.no_grad()
def test_every_token_is_divided_by_its_own_noise_level(networks, inputs):
    stock, clean = networks
    latents, text = inputs
    per_frame = torch.tensor([0.2, 0.5, 1.0])
    timestep = 1000 * per_frame.repeat_interleave(2 * 3).expand(2, -1)
    (prediction,) = stock(latents, timestep, text, return_dict=False)
    (flow_velocity,) = clean(latents, timestep, text, return_dict=False)
    sigma = per_frame.view(1, 1, 3, 1, 1)
    assert torch.allclose(latents - sigma * flow_velocity, prediction, atol=1e-5)


@torch.no_grad()
def test_clean_tokens_have_a_finite_flow_velocity(networks, inputs):
    latents, text = inputs
    timestep = torch.zeros(2, NUM_TOKENS)
    assert networks[1](latents, timestep, text).sample.isfinite().all()

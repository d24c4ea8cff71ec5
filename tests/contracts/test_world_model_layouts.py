"""What every layout of published world models keeps: diffusers' own clips, unit ratios, exact adapters."""

import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline
from PIL import Image

from eva_rl.actors.conditioned_velocity import conditioned_velocity
from eva_rl.actors.generator import Generator
from eva_rl.actors.policy import open_policy
from eva_rl.actors.policy_gradient_rule import PolicyGradientRule
from eva_rl.config.sampling import SamplingSettings
from eva_rl.evaluation.models import NOT_TRAINING, EvaluationModels
from eva_rl.records.condition import ConditionTensors
from eva_rl.rl.group_noise import GroupNoise
from eva_rl.rl.sampler import sample_groups
from eva_rl.rl.seeds import rollout_seed
from eva_rl.world_model.adapter_files import ADAPTER_FILES, load_adapter
from eva_rl.world_model.adapter_io import export_adapter, read_adapter, write_adapter
from eva_rl.world_model.conditionings import CONDITIONINGS
from eva_rl.world_model.directory import quiet_loading
from eva_rl.world_model.finetuning import supervised_loss
from eva_rl.world_model.guidance import guided_flow_velocity
from eva_rl.world_model.lora import adapter_parameters, attach_adapter, reference_policy
from eva_rl.world_model.merged_directory import merge_adapter_into_directory
from eva_rl.world_model.two_experts import TwoExperts, experts_of
from eva_rl.world_model.world_model import WorldModel
from tests.tiny import tiny_settings
from tests.tiny_wan import INSTRUCTIONS, SIZE, WAN_LAYOUTS, random_conditions

NUM_STEPS = 4
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.2")
IMAGE_TARGETS = ("add_k_proj", "add_v_proj")
every_layout = pytest.mark.parametrize("name", WAN_LAYOUTS)
with_a_pipeline = pytest.mark.parametrize(
    "name", [name for name, layout in WAN_LAYOUTS.items() if layout.has_pipeline]
)
with_a_history = pytest.mark.parametrize(
    "name", [name for name, layout in WAN_LAYOUTS.items() if layout.history_latent_frames]
)


def settings_for(**overrides):
    """Settings of an alignment run on these layouts."""
    sizes = {f"video__{name}": value for name, value in SIZE.items()}
    return tiny_settings(**(sizes | {"adapter__target_modules": list(TARGETS)} | overrides))


def with_adapter(directory, *, moves: bool = True, image_branch: bool = True) -> WorldModel:
    """A world model whose adapter has alpha three times its rank and, as a rule, does something."""
    world_model = WorldModel.from_directory(directory)
    has_branch = image_branch and world_model.layout.has_image_branch
    targets = TARGETS + IMAGE_TARGETS if has_branch else TARGETS
    attach_adapter(world_model.transformer, rank=2, alpha=6.0, target_modules=targets, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, weight in adapter_parameters(world_model.transformer) if moves else ():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return world_model


def noisy_latents(world_model: WorldModel) -> torch.Tensor:
    return torch.randn((2, *world_model.latent_shape(**SIZE)), generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def velocities(world_model: WorldModel, conditions) -> torch.Tensor:
    """Flow velocities at a high and a low noise level, so that both of two experts speak."""
    condition = ConditionTensors.stacked([item.tensors for item in conditions])
    latents = noisy_latents(world_model)
    return torch.stack([world_model.flow_velocity(latents, sigma, condition) for sigma in (0.95, 0.4)])


def sampled(world_model: WorldModel, conditions, *, sigmas, sampling: SamplingSettings, seeds=(0, 1)):
    """The training sampler without stochastic steps, from noise [conditions, ...]; returns both."""
    drawn = GroupNoise.draw(
        world_model.latent_shape(**SIZE),
        1,
        seeds=seeds[: len(conditions)],
        stochastic_steps=(),
        shares_prefix=True,
        antithetic=False,
    ).initial
    tensors = ConditionTensors.stacked([item.tensors for item in conditions])
    initial = world_model.impose_given(drawn[:, 0], tensors)[:, None]

    def flow_velocity(latents, sigma):
        return conditioned_velocity(
            world_model,
            conditions,
            latents,
            sigma,
            rows_per_condition=[1] * len(conditions),
            sampling=sampling,
        )

    groups = sample_groups(
        flow_velocity,
        GroupNoise(initial=initial, steps={}),
        sigmas=sigmas,
        kernel="ode",
        noise_level=0.0,
        free_frames=world_model.free_frames(initial[0]),
    )
    return drawn[:, 0], torch.cat([group.final_latents for group in groups])


def stock_pipeline(directory) -> WanImageToVideoPipeline:
    with quiet_loading():
        pipeline = WanImageToVideoPipeline.from_pretrained(directory, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return pipeline


@with_a_pipeline
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_stock_pipeline_makes_the_same_clip(name, guidance, wan_directories, wan_conditions):
    pipeline = stock_pipeline(wan_directories(name))
    world_model = WorldModel.from_directory(wan_directories(name), with_text_encoder=True)
    condition = wan_conditions(name)[0]
    called = []
    for expert, network in experts_of(world_model.transformer).items():
        network.register_forward_hook(lambda *_, expert=expert: called.append(expert))
    pipeline.scheduler.set_timesteps(NUM_STEPS)
    sampling = SamplingSettings(num_steps=NUM_STEPS, guidance=guidance)
    noise, latents = sampled(
        world_model, [condition], sigmas=pipeline.scheduler.sigmas.tolist(), sampling=sampling
    )
    with torch.no_grad():
        wanted = pipeline(
            image=Image.fromarray(condition.condition.first_frame),
            prompt=INSTRUCTIONS[0],
            max_sequence_length=world_model.max_text_tokens,
            num_inference_steps=NUM_STEPS,
            guidance_scale=guidance,
            latents=noise,
            output_type="latent",
            **SIZE,
        ).frames
    torch.testing.assert_close(latents, wanted, atol=1e-5, rtol=0)
    assert set(called) == set(experts_of(world_model.transformer))  # two experts: the boundary was crossed


@with_a_history
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_history_forcing_samples_as_its_formula_says(name, guidance, wan_directories, wan_conditions):
    world_model = WorldModel.from_directory(wan_directories(name))
    condition, history = wan_conditions(name)[0], WAN_LAYOUTS[name].history_latent_frames
    sigmas = world_model.sigmas(NUM_STEPS)
    sampling = SamplingSettings(num_steps=NUM_STEPS, guidance=guidance)
    noise, latents = sampled(world_model, [condition], sigmas=sigmas, sampling=sampling)

    clean, texts = condition.tensors.given_latents, (condition.tensors.text, condition.tensors.empty_text)
    _, num_frames, height, width = noise.shape[1:]
    x = noise.clone()
    for sigma, sigma_next in pairwise(sigmas):
        x[0, :, :history] = clean
        frame_timesteps = [1000 * sigmas[-2]] * history + [1000 * sigma] * (num_frames - history)
        tokens = torch.tensor(frame_timesteps).repeat_interleave((height // 2) * (width // 2))[None]
        channels = torch.zeros(1, 36, num_frames, height, width)
        channels[:, :16] = x
        with torch.no_grad():
            with_text, without = (
                world_model.transformer(
                    channels, tokens, text[None], condition.tensors.image[None], return_dict=False
                )[0]
                for text in texts
            )
        x = x + (sigma_next - sigma) * (without + guidance * (with_text - without))
    x[0, :, :history] = clean
    torch.testing.assert_close(latents, x, atol=1e-5, rtol=0)


@with_a_history
def test_three_passes_are_added_with_their_weights(name, wan_directories, wan_conditions):
    world_model = WorldModel.from_directory(wan_directories(name))
    condition = ConditionTensors.stacked([item.tensors for item in wan_conditions(name)])
    latents, sigma = noisy_latents(world_model), 0.7
    last_sigma = world_model.sigmas(NUM_STEPS)[-2]

    @torch.no_grad()
    def one_pass(given_sigma, **changes):
        changed = replace(condition, **changes)
        return world_model.flow_velocity(latents, sigma, changed, given_sigma=given_sigma)

    def guided(**weights):
        sampling = SamplingSettings(num_steps=NUM_STEPS, **weights)
        with torch.no_grad():
            return guided_flow_velocity(world_model, latents, sigma, condition, sampling=sampling)

    v_condition = one_pass(last_sigma)
    v_empty = one_pass(last_sigma, text=condition.empty_text)
    v_noised = one_pass(1.0, given_latents=condition.history_noise)
    w_text, w_history = 2.5, 1.5
    wanted = (1 + w_text + w_history) * v_condition - w_text * v_empty - w_history * v_noised
    found = guided(guidance=1 + w_text, history_guidance=w_history)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert (v_noised - v_condition).abs().max() > 1e-3
    torch.testing.assert_close(guided(), v_condition)
    alone = (1 + w_history) * v_condition - w_history * v_noised
    torch.testing.assert_close(guided(history_guidance=w_history), alone, atol=1e-5, rtol=1e-5)


@every_layout
def test_a_directory_says_how_it_is_conditioned(name, wan_directories):
    world_model, layout = WorldModel.from_directory(wan_directories(name)), WAN_LAYOUTS[name]
    built = CONDITIONINGS[layout.conditioning](world_model.layout)
    assert world_model.conditioning == built
    assert world_model.conditioning.num_given_frames == layout.num_given_frames
    free = world_model.free_frames(noisy_latents(world_model)).flatten().tolist()
    assert free == [False] * layout.num_given_frames + [True] * (3 - layout.num_given_frames)
    assert isinstance(world_model.transformer, TwoExperts) == (layout.boundary_ratio is not None)


REPLAYED = {
    "early steps": {"sampling__num_steps": NUM_STEPS},
    "late steps": {"sampling__num_steps": NUM_STEPS, "sampling__window_first_step": 2},
    "guided": {"sampling__num_steps": NUM_STEPS, "sampling__guidance": 2.0},
    "bfloat16": {"sampling__num_steps": NUM_STEPS, "world_model__precision": "bfloat16"},
}


@every_layout
@pytest.mark.parametrize("variant", REPLAYED)
def test_the_first_replay_has_a_ratio_of_exactly_one(name, variant, wan_directories, wan_conditions):
    overrides = dict(REPLAYED[variant])
    if variant == "guided" and WAN_LAYOUTS[name].history_latent_frames:
        overrides["sampling__history_guidance"] = 1.5
    settings, directory = settings_for(**overrides), str(wan_directories(name))
    conditions = wan_conditions(name)
    groups = Generator(settings, directory).generate(conditions, 0)
    rule = PolicyGradientRule(settings, world_model := open_policy(settings, directory))
    advantages = torch.tensor([[1.0, -1.0, 0.5, -0.5]] * 2)
    losses = rule.losses(groups, advantages, pass_index=0, network=world_model.transformer)
    for loss, group, condition in zip(losses, groups, conditions, strict=True):
        assert float(loss.max_abs_log_ratio) == 0.0
        given = condition.tensors.given_latents
        assert torch.equal(group.final_latents[:, :, : given.shape[1]], given.expand(4, -1, -1, -1, -1))
    torch.stack([loss.loss for loss in losses]).sum().backward()
    learned = [weight.grad for _, weight in adapter_parameters(world_model.transformer)]
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in learned)


@every_layout
def test_a_generator_never_loads_the_encoders(name, wan_directories):
    generator = Generator(settings_for(), str(wan_directories(name)))
    pipeline = generator._world_model.pipeline
    assert pipeline.text_encoder is None
    assert pipeline.image_encoder is None
    assert pipeline.tokenizer is None


@every_layout
def test_evaluation_imagines_as_the_sampler_does(name, wan_directories, wan_conditions):
    overrides = {"sampling__num_steps": NUM_STEPS, "sampling__guidance": 2.0}
    if WAN_LAYOUTS[name].history_latent_frames:
        overrides["sampling__history_guidance"] = 1.5
    settings, conditions = settings_for(**overrides), wan_conditions(name)
    models = EvaluationModels(settings, wan_directories(name), idm_directory="unused")
    frames = models.decode(models.imagine([item.condition for item in conditions], None))
    world_model = models.world_model
    seeds = [
        rollout_seed(0, NOT_TRAINING, condition_id=item.condition.condition_id, index=0)
        for item in conditions
    ]
    sigmas = world_model.sigmas(NUM_STEPS)
    _, latents = sampled(world_model, conditions, sigmas=sigmas, sampling=settings.sampling, seeds=seeds)
    with torch.no_grad():
        torch.testing.assert_close(frames, world_model.decode(latents), atol=1e-4, rtol=0)
    assert frames.shape == (2, SIZE["num_frames"], 3, SIZE["height"], SIZE["width"])


@every_layout
def test_switched_off_the_policy_is_the_base_bit_for_bit(name, wan_directories, wan_conditions):
    conditions = wan_conditions(name)
    base = velocities(WorldModel.from_directory(wan_directories(name)), conditions)
    world_model = with_adapter(wan_directories(name))
    policy = velocities(world_model, conditions)
    with reference_policy(world_model.transformer):
        assert torch.equal(velocities(world_model, conditions), base)
    assert torch.equal(velocities(world_model, conditions), policy)
    assert (policy - base).flatten(1).abs().max(dim=1).values.gt(1e-4).all()


@every_layout
def test_an_adapter_travels_without_loss(name, wan_directories, wan_conditions, tmp_path):
    made = with_adapter(wan_directories(name))
    wanted = velocities(made, wan_conditions(name))
    export_adapter(made.transformer, tmp_path)

    sent = with_adapter(wan_directories(name), moves=False)
    write_adapter(sent.transformer, read_adapter(made.transformer, 3))
    started = with_adapter(wan_directories(name), moves=False)
    load_adapter(started.transformer, tmp_path)
    loaded = WorldModel.from_directory(wan_directories(name))
    with quiet_loading():
        for expert in experts_of(loaded.transformer):
            loaded.pipeline.load_lora_weights(
                tmp_path,
                weight_name=ADAPTER_FILES[expert],
                load_into_transformer_2=expert == "transformer_2",
            )
    for arrived in (sent, started, loaded):
        assert torch.equal(velocities(arrived, wan_conditions(name)), wanted)


def test_diffusers_warns_of_the_zeros_it_adds_where_the_image_branch_has_no_adapter(
    wan_directories, wan_conditions, tmp_path
):
    made = with_adapter(wan_directories("wan21_i2v_14b"), image_branch=False)
    export_adapter(made.transformer, tmp_path)
    loaded = WorldModel.from_directory(wan_directories("wan21_i2v_14b"))
    with quiet_loading(), pytest.warns(RuntimeWarning, match="add_k_proj"):
        loaded.pipeline.load_lora_weights(tmp_path)
    conditions = wan_conditions("wan21_i2v_14b")
    assert torch.equal(velocities(loaded, conditions), velocities(made, conditions))


@every_layout
def test_a_merged_directory_is_the_same_policy(name, wan_directories, wan_conditions, tmp_path):
    made = with_adapter(wan_directories(name))
    export_adapter(made.transformer, tmp_path / "adapter")
    merge_adapter_into_directory(wan_directories(name), tmp_path / "adapter", tmp_path / "merged")
    merged = WorldModel.from_directory(tmp_path / "merged", with_text_encoder=True)
    wanted = velocities(made, wan_conditions(name))
    torch.testing.assert_close(velocities(merged, wan_conditions(name)), wanted, atol=1e-5, rtol=1e-5)
    assert merged.conditioning == made.conditioning


@every_layout
def test_supervised_training_has_a_gradient(name, wan_directories, wan_conditions):
    world_model = WorldModel.from_directory(wan_directories(name))
    conditions = wan_conditions(name)
    loss = supervised_loss(
        world_model,
        torch.stack([item.demonstration for item in conditions]),
        ConditionTensors.stacked([item.tensors for item in conditions]),
        generator=torch.Generator().manual_seed(0),
    )
    loss.backward()
    assert loss.isfinite()
    for expert in experts_of(world_model.transformer).values():
        gradients = [weight.grad for weight in expert.parameters() if weight.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
    first = world_model.pipeline.transformer.patch_embedding.weight.grad
    assert first is not None
    assert first.abs().max() > 0


@every_layout
def test_a_saved_world_model_reopens_with_the_same_output(name, wan_directories, wan_conditions, tmp_path):
    world_model = WorldModel.from_directory(wan_directories(name), with_text_encoder=True)
    with torch.no_grad():
        for expert in experts_of(world_model.transformer).values():
            expert.proj_out.weight.add_(0.1)
    wanted = velocities(world_model, wan_conditions(name))
    world_model.save(tmp_path / "saved")
    reopened = WorldModel.from_directory(tmp_path / "saved", with_text_encoder=True)
    assert torch.equal(velocities(reopened, wan_conditions(name)), wanted)
    again = reopened.encode_conditions(random_conditions(2)).present()
    before = world_model.encode_conditions(random_conditions(2)).present()
    assert all(torch.equal(again[key], before[key]) for key in before)


@every_layout
def test_an_encoded_condition_is_pickled_without_its_neighbours(name, wan_conditions):
    condition = wan_conditions(name)[0]
    tensors = [*condition.tensors.present().values(), condition.demonstration]
    own = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    own += condition.condition.first_frame.nbytes + 5 * condition.condition.first_frame.nbytes
    assert len(pickle.dumps(replace(condition))) < own + 10_000
    assert np.isfinite(condition.tensors.given_latents.numpy()).all()

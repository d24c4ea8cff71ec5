"""The computed memory against what real networks hold, counted tensor by tensor."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from peft import LoraConfig
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from eva_rl.actors.generator import Generator
from eva_rl.actors.policy_gradient_rule import PolicyGradientRule
from eva_rl.planning.codec_memory import ClipSize, decode_bytes, encode_bytes
from eva_rl.planning.model_shape import read_model_shape
from eva_rl.planning.published_models import CLIP_VIT_H, PUBLISHED_MODELS, UMT5_XXL
from eva_rl.planning.role_memory import generator_memory, learner_memory
from eva_rl.planning.transformer_memory import NetworkCall, inference_bytes, training_bytes
from eva_rl.records.condition import Condition, ConditionTensors, EncodedCondition
from tests.allocation_meter import AllocationMeter
from tests.tiny import tiny_settings
from tests.tiny_wan import IMAGE_DIM, TEXT_DIM, WAN_LAYOUTS

ROLE_TOLERANCE, PUBLISHED_TOLERANCE, CODEC_TOLERANCE = 0.15, 0.05, 0.03
TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2")
CLIP = {"num_frames": 33, "height": 256, "width": 256}
FLOAT_PARTS = ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3")


def count(network):
    return sum(weight.numel() for weight in network.parameters())


def peak_of(work):
    with AllocationMeter() as meter:
        work()
    return meter.peak_bytes


def settings_of(**overrides):
    return tiny_settings(
        **{f"video__{name}": size for name, size in CLIP.items()},
        generators__groups_per_call=2,
        generators__merges_adapter=False,
        learner__groups_per_micro_batch=2,
        sampling__shares_prefix=False,
        **overrides,
    )


def conditions_of(layout, model):
    """Two conditions with random tensors of the right shapes: encoding large clips would take longer."""
    side = model.codec.spatial_stride
    frames, height, width = (CLIP["num_frames"] - 1) // 4 + 1, CLIP["height"] // side, CLIP["width"] // side
    channels = model.codec.latent_channels
    condition_latents = None
    if layout.conditioning == "channel_concat":
        condition_latents = torch.randn(channels, frames, height, width)
    tensors = ConditionTensors(
        given_latents=torch.randn(channels, layout.num_given_frames, height, width),
        text=torch.randn(model.text_tokens, TEXT_DIM),
        condition_latents=condition_latents,
        image=torch.randn(model.image_tokens, IMAGE_DIM) if layout.has_image_branch else None,
    )
    return [
        EncodedCondition(
            condition=Condition(
                condition_id=f"task/episode{index}",
                task="task",
                scene_seed=None,
                instruction="go",
                first_frame=np.zeros((CLIP["height"], CLIP["width"], 3), np.uint8),
                start_joints=np.zeros(14, np.float32),
                num_frames=CLIP["num_frames"],
                frame_rate_hz=5.0,
                embodiment="bimanual",
            ),
            tensors=tensors,
        )
        for index in range(2)
    ]


@pytest.mark.parametrize("name", [name for name in WAN_LAYOUTS if name != "eva_two_history_frames"])
def test_a_generator_and_a_learner_hold_what_was_computed(name, wan_directories):
    """In float32; at this size latents weigh as much as activations, which in bfloat16 hides the rest."""
    directory, layout = wan_directories(name), WAN_LAYOUTS[name]
    settings = settings_of()
    model = read_model_shape(directory)
    planned = generator_memory(settings, model)
    generator = Generator(settings, str(directory))
    world_model = generator._world_model

    weights = {
        key: sum(weight.numel() * weight.element_size() for weight in part)
        for key, part in {
            "network": [w for n, w in world_model.transformer.named_parameters() if ".lora_" not in n],
            "adapter": [w for n, w in world_model.transformer.named_parameters() if ".lora_" in n],
            "codec": world_model.codec.vae.parameters(),
        }.items()
    }
    assert planned.resident == weights

    conditions, groups = conditions_of(layout, model), []
    measured = peak_of(lambda: groups.extend(generator.generate(conditions, 0)))
    predicted = planned.working["denoising"]
    assert predicted == pytest.approx(measured, rel=ROLE_TOLERANCE)

    for checkpoints in (False, True):
        if checkpoints:
            world_model.transformer.enable_gradient_checkpointing()
        world_model.transformer.train()
        rule = PolicyGradientRule(settings, world_model)

        def learn(rule=rule):
            losses = rule.losses(groups, torch.ones(2, 4), pass_index=0, network=world_model.transformer)
            torch.stack([group.loss for group in losses]).mean().backward()

        options = settings.learner.model_copy(update={"checkpoints_activations": checkpoints})
        work = learner_memory(settings.model_copy(update={"learner": options}), model, None).working
        measured, predicted = peak_of(learn), max(work.values())
        assert predicted == pytest.approx(measured, rel=ROLE_TOLERANCE)


def attention_without_a_matrix(query, key, value, *_, **options):
    """The fused attention of GPUs and CPUs; tensors without contents would take the plain one."""
    scale = options.get("scale")
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, False, scale=scale
    )[0]


def published_transformer(name, *, num_layers, rank=None):
    """A transformer of published width without contents, in bfloat16 as diffusers loads it."""
    config = {**PUBLISHED_MODELS[name].transformer, "num_layers": num_layers}
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            network = WanTransformer3DModel(**config).requires_grad_(False)
            if rank is not None:
                network.add_adapter(LoraConfig(r=rank, target_modules=list(TARGETS)))
    finally:
        torch.set_default_dtype(torch.float32)
    for prefix, module in network.named_modules():
        for key, weight in list(module._parameters.items()):
            if weight is not None and any(part in f"{prefix}.{key}" for part in FLOAT_PARTS):
                module._parameters[key] = torch.nn.Parameter(weight.float(), requires_grad=False)
    return network


@pytest.mark.parametrize("name", PUBLISHED_MODELS)
def test_published_models_have_as_many_weights_as_are_counted(name):
    published = PUBLISHED_MODELS[name]
    shape = replace(published.shape.transformer, num_layers=1)
    network = published_transformer(name, num_layers=1, rank=32)
    adapter = sum(weight.numel() for key, weight in network.named_parameters() if ".lora_" in key)
    assert shape.adapter_parameters(32, TARGETS) == adapter
    assert shape.num_parameters == count(network) - adapter
    in_bfloat16 = sum(w.numel() * w.element_size() for w in network.parameters()) - 2 * adapter
    assert shape.weight_bytes(2) == in_bfloat16
    with torch.device("meta"):
        assert published.shape.codec.num_parameters == count(AutoencoderKLWan(**published.codec))


def test_published_encoders_have_as_many_weights_as_are_counted():
    model = PUBLISHED_MODELS["wan21-i2v-14b"].shape
    with torch.device("meta"):
        text = UMT5EncoderModel(UMT5Config(feed_forward_proj="gated-gelu", **UMT5_XXL))
        assert model.text_encoder.num_parameters == count(text)
        assert model.image_encoder.num_parameters == count(CLIPVisionModel(CLIPVisionConfig(**CLIP_VIT_H)))


@pytest.mark.parametrize("name", ["wan22-ti2v-5b", "wan21-i2v-14b", "wan22-i2v-a14b"])
def test_activations_at_published_widths_are_those_that_diffusers_makes(name, monkeypatch):
    monkeypatch.setattr(functional, "scaled_dot_product_attention", attention_without_a_matrix)
    published = PUBLISHED_MODELS[name]
    model = published.shape
    shape = replace(model.transformer, num_layers=3)
    side = model.codec.spatial_stride
    size = ((published.num_frames - 1) // 4 + 1, published.height // side, published.width // side)
    call = NetworkCall(
        rows=1,
        tokens=shape.num_tokens(*size),
        text_tokens=512,
        per_token_timesteps=model.per_token_timesteps,
        element_bytes=2,
        targets=TARGETS,
        image_tokens=model.image_tokens,
    )
    network = published_transformer(name, num_layers=3, rank=16)
    options = {"device": "meta", "dtype": torch.bfloat16}
    inputs = {
        "hidden_states": torch.empty(1, shape.input_channels, *size, **options),
        "timestep": torch.empty((1, call.tokens) if call.per_token_timesteps else (1,), device="meta"),
        "encoder_hidden_states": torch.empty(1, 512, 4096, **options),
        "encoder_hidden_states_image": None,
    }
    if shape.image_width is not None:
        inputs["encoder_hidden_states_image"] = torch.empty(1, 257, shape.image_width, **options)

    def infer():
        with torch.no_grad():
            network(**inputs, return_dict=False)

    def train():
        network(**inputs, return_dict=False)[0].float().square().mean().backward()

    assert inference_bytes(shape, call) == pytest.approx(peak_of(infer), rel=PUBLISHED_TOLERANCE)
    network.train()
    assert training_bytes(shape, call, checkpoints=False) == pytest.approx(
        peak_of(train), rel=PUBLISHED_TOLERANCE
    )
    network.enable_gradient_checkpointing()
    assert training_bytes(shape, call, checkpoints=True) == pytest.approx(
        peak_of(train), rel=PUBLISHED_TOLERANCE
    )


@pytest.mark.parametrize("name", ["wan21-i2v-14b", "wan22-ti2v-5b"])
def test_the_codec_at_published_sizes_holds_what_was_computed(name):
    published = PUBLISHED_MODELS[name]
    codec = published.shape.codec
    with torch.device("meta"):
        network = AutoencoderKLWan(
            **published.codec,
            latents_mean=[0.0] * codec.latent_channels,
            latents_std=[1.0] * codec.latent_channels,
        )
    side = codec.spatial_stride
    clips = ClipSize(batch=2, num_frames=9, height=published.height, width=published.width)
    latents = torch.empty(
        2, codec.latent_channels, 3, clips.height // side, clips.width // side, device="meta"
    )
    frames = torch.empty(2, 3, 9, clips.height, clips.width, device="meta")
    for slices in (False, True):
        if slices:
            network.enable_slicing()
        with torch.no_grad():
            decoding, encoding = (
                peak_of(lambda: network.decode(latents)),
                peak_of(lambda: network.encode(frames)),
            )
        assert decode_bytes(codec, clips, slices=slices) == pytest.approx(decoding, rel=CODEC_TOLERANCE)
        assert encode_bytes(codec, clips, slices=slices) == pytest.approx(encoding, rel=CODEC_TOLERANCE)


def test_a_target_that_no_block_has_is_named():
    with pytest.raises(ValueError, match="k_img"):
        PUBLISHED_MODELS["wan22-ti2v-5b"].shape.transformer.adapter_parameters(16, ("to_q", "k_img"))


def test_zero_stages_cut_what_they_say():
    model = PUBLISHED_MODELS["wan22-ti2v-5b"].shape
    by_stage = {}
    for stage in (0, 1, 2, 3):
        settings = tiny_settings(
            learner__num_ranks=2, learner__zero_stage=stage, world_model__precision="bfloat16"
        )
        by_stage[stage] = learner_memory(settings, model, None).resident
    assert by_stage[1]["optimiser"] == by_stage[0]["optimiser"] / 2
    assert by_stage[2]["gradients"] == by_stage[1]["gradients"] / 2
    assert by_stage[3]["network"] == by_stage[2]["network"] // 2

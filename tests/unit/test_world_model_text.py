"""The small text encoder tells apart what an instruction says."""

import pytest
import torch

from eva_rl.world_model.text import create_text_encoder, create_tokenizer

INSTRUCTIONS = (
    "ring the red bell with the left arm",
    "ring the red bell with the right arm",
    "move the red block onto the blue pad",
    "move the blue block onto the red pad",
)


@pytest.fixture(scope="module")
def tokenizer():
    return create_tokenizer(INSTRUCTIONS, max_text_tokens=12)


@torch.no_grad()
def embed(tokenizer, *, seed: int = 0) -> torch.Tensor:
    tokens = tokenizer(list(INSTRUCTIONS), padding="max_length", return_tensors="pt", max_length=12)
    encoder = create_text_encoder(len(tokenizer), seed=seed)
    return encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state


def relative_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return ((first - second).norm() / (first.norm() * second.norm()).sqrt()).item()


@pytest.mark.parametrize("seed", range(3))
def test_the_same_word_in_another_role_is_another_token(tokenizer, seed):
    text = embed(tokenizer, seed=seed)
    # cross-attention sees a set of tokens: without this the two block-and-pad sentences would be one
    assert relative_distance(text[2, 2], text[3, 6]) > 0.3  # the two "red"
    assert relative_distance(text[2, 6], text[3, 2]) > 0.3  # the two "blue"


def test_a_changed_word_changes_its_neighbours_too(tokenizer):
    text = embed(tokenizer)
    assert relative_distance(text[0, 6], text[1, 6]) > 0.9  # "left" and "right"
    assert relative_distance(text[0, 7], text[1, 7]) > 0.1  # "arm" after either


def test_the_seed_decides_every_weight(tokenizer):
    torch.manual_seed(1)
    first = embed(tokenizer, seed=5)
    torch.manual_seed(2)
    assert torch.equal(embed(tokenizer, seed=5), first)
    assert not torch.allclose(embed(tokenizer, seed=6), first)


def test_an_unknown_word_leaves_the_known_ones_readable(tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("Ring the PURPLE bell").input_ids)
    assert tokens == ["ring", "the", "<unk>", "bell", "</s>"]


def test_an_instruction_longer_than_the_limit_is_refused():
    with pytest.raises(ValueError, match="has 8 words and an end token, but max_text_tokens is 8"):
        create_tokenizer(INSTRUCTIONS, max_text_tokens=8)

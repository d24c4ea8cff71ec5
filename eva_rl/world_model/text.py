"""A small frozen text encoder of Wan's kind (UMT5), over the words of given instructions."""

import re
from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
WORD = re.compile(r"\w+|[^\w\s]+")  # the rule of tokenizers' Whitespace pre-tokenizer


def create_tokenizer(instructions: Iterable[str], *, max_text_tokens: int) -> PreTrainedTokenizerFast:
    """Makes a tokenizer with one token per word of the instructions; other words become `<unk>`.

    Args:
        instructions: every instruction whose words must be told apart, seen and unseen.
        max_text_tokens: length that the world model pads to, the end token included.

    Raises:
        ValueError: if an instruction is longer than that.
    """
    words: set[str] = set()
    for instruction in instructions:
        found = WORD.findall(instruction.lower())
        if len(found) + 1 > max_text_tokens:
            raise ValueError(
                f"instruction {instruction!r} has {len(found)} words and an end token, but max_text_tokens "
                f"is {max_text_tokens}; raise it or shorten the instruction"
            )
        words.update(found)
    vocabulary = {token: index for index, token in enumerate([PAD, END, UNKNOWN, *sorted(words)])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"$A {END}", special_tokens=[(END, vocabulary[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=max_text_tokens,
    )


def create_text_encoder(
    vocabulary_size: int, *, width: int = 64, num_layers: int = 2, num_heads: int = 4, seed: int = 0
) -> UMT5EncoderModel:
    """Makes a random, frozen UMT5 encoder whose embeddings tell words and their order apart.

    Cross-attention sees the text as a set of tokens, so order must reach the tokens themselves: the relative
    position biases are drawn large, which makes every head look at certain neighbours.

    Args:
        vocabulary_size: tokens of the tokenizer.
        width: size of the embeddings.
        num_layers: encoder layers.
        num_heads: attention heads per layer; divides `width`.
        seed: draws every weight.
    """
    config = UMT5Config(
        vocab_size=vocabulary_size,
        d_model=width,
        d_kv=width // num_heads,
        d_ff=2 * width,
        num_layers=num_layers,
        num_heads=num_heads,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=32,
        pad_token_id=0,
        eos_token_id=1,
        dropout_rate=0.0,
    )
    encoder = UMT5EncoderModel(config)
    _draw_weights(encoder, torch.Generator().manual_seed(seed))
    return encoder.eval().requires_grad_(False)


def _draw_weights(encoder: UMT5EncoderModel, generator: torch.Generator) -> None:
    """Draws every weight: unit embeddings, variance-keeping matrices, strong position biases."""
    position_bias_std = 2.0
    with torch.no_grad():
        for name, weight in sorted(encoder.named_parameters()):
            if weight.ndim == 1:  # layer norms
                weight.fill_(1.0)
                continue
            std = weight.shape[-1] ** -0.5
            if "relative_attention_bias" in name:
                std = position_bias_std
            elif "shared" in name or "embed_tokens" in name:
                std = 1.0
            weight.copy_(std * torch.randn(weight.shape, generator=generator))

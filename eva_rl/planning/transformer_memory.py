"""The most that a Wan transformer's activations take, in bytes, weights not counted.

Terms are written per token and channel of the residual stream ("units" of tokens x width), as diffusers'
`WanTransformerBlock` makes them: `a` bytes in the network's precision, 4 where it works in float32. Attention
is the fused kind that never holds a matrix of tokens x tokens. Where a norm of queries and keys is not fused,
its input is saved in float32; a fused one saves less.
"""

from collections.abc import Collection
from dataclasses import dataclass

from eva_rl.planning.transformer_shape import DOWN_LAYER, UP_LAYER, TransformerShape

FLOAT = 4


@dataclass(frozen=True, kw_only=True)
class NetworkCall:
    """One call of the transformer.

    Example:
        NetworkCall(rows=8, tokens=32760, text_tokens=512, per_token_timesteps=False, element_bytes=2)

    Attributes:
        rows: clips in the batch, guidance's passes counted.
        tokens: of one clip.
        text_tokens: of one instruction.
        per_token_timesteps: whether every token has its own timestep, and so its own modulation.
        element_bytes: of the network's precision.
        targets: layers that have an adapter.
        image_tokens: of the image branch; 0 without one.
    """

    rows: int
    tokens: int
    text_tokens: int
    per_token_timesteps: bool
    element_bytes: int
    targets: Collection[str] = ()
    image_tokens: int = 0


def inference_bytes(shape: TransformerShape, call: NetworkCall) -> int:
    """Peak of a call without gradient: what lasts from block to block, and the widest statement of a block.

    The statements, with what the block and its caller hold meanwhile: the rotation of the keys; the first
    and the second feed-forward layer (with an adapter: the base's result, the adapter's and their sum);
    the gated sum in float32; with timesteps per token also the modulation in float32.
    """
    unit, a = call.rows * call.tokens * shape.width, call.element_bytes
    wide = a * shape.ffn_width / shape.width
    cast = 0 if a == FLOAT else FLOAT  # a float32 network needs no copy in float32
    modulation = FLOAT * 6 if call.per_token_timesteps else 0
    statements = [
        7 * a + 6 + modulation,
        4 * a + (3 if UP_LAYER in call.targets else 2) * wide + modulation,
        4 * a + wide + (3 if DOWN_LAYER in call.targets else 1) * a + modulation,
        5 * a + cast + 8 + modulation,
    ]
    if call.per_token_timesteps:
        statements.append(a + 6 * cast + modulation)
    text = 2 * _text_values(shape, call) * a  # keys and values of the text
    return int(unit * max(statements)) + text + _lasting_bytes(shape, call)


def saved_bytes_per_block(shape: TransformerShape, call: NetworkCall) -> int:
    """What one block keeps for its backward pass, with frozen weights and an adapter that learns.

    Kept are: the inputs of three norms and of the norms of queries and keys in float32; queries, keys, values
    and result of the self-attention, queries and result of the cross-attention; the input of the activation;
    and the inputs of every layer with an adapter. With timesteps per token also the modulation.
    """
    unit, a, targets = call.rows * call.tokens * shape.width, call.element_bytes, set(call.targets)
    wide = a * shape.ffn_width / shape.width
    per_token = (3 * FLOAT) + (3 * FLOAT if a < FLOAT else a * 2 + FLOAT) + 6 * a
    per_token += a * bool(targets & {"to_q", "to_k", "to_v"})
    per_token += a * ("to_q" in targets) + a * (UP_LAYER in targets)
    per_token += wide * (2 if DOWN_LAYER in targets else 1)
    if call.per_token_timesteps:
        per_token += 8 * FLOAT  # six modulations and the two scales plus one
    if shape.image_width is not None:
        per_token += 2 * a  # the second attention's result and the sum of both
    text = _text_values(shape, call) * (FLOAT + 2 * a)  # key before its norm, key and value
    return int(unit * per_token) + text


def training_bytes(shape: TransformerShape, call: NetworkCall, *, checkpoints: bool) -> int:
    """Peak of a call with gradient and its backward pass, gradients of the weights not counted.

    With checkpoints every block keeps its input alone, and one block at a time is computed again.

    Args:
        shape: sizes.
        call: with the adapter's layers.
        checkpoints: gradient checkpointing.
    """
    unit, a = call.rows * call.tokens * shape.width, call.element_bytes
    block = saved_bytes_per_block(shape, call)
    lasting = _lasting_bytes(shape, call) + int(unit * (4 * a + 8))
    if checkpoints:
        return block + shape.num_layers * a * unit + lasting + 2 * unit
    return shape.num_layers * block + lasting


def kept_graph_bytes(shape: TransformerShape, call: NetworkCall, *, checkpoints: bool) -> int:
    """What a call with gradient holds until its backward pass begins."""
    a, unit = call.element_bytes, call.rows * call.tokens * shape.width
    per_block = a * unit if checkpoints else saved_bytes_per_block(shape, call)
    return shape.num_layers * per_block + _lasting_bytes(shape, call)


def _lasting_bytes(shape: TransformerShape, call: NetworkCall) -> int:
    """What lives from the first block to the last: rotations, text, and the modulation of every token."""
    unit, a = call.rows * call.tokens * shape.width, call.element_bytes
    rotation = 2 * FLOAT * call.tokens * shape.head_width
    modulation = 7 * a * unit if call.per_token_timesteps else 0
    return rotation + modulation + _text_values(shape, call) * a


def _text_values(shape: TransformerShape, call: NetworkCall) -> int:
    """Elements of the embedded text, with the image's tokens before it where there is an image branch."""
    return call.rows * (call.text_tokens + call.image_tokens) * shape.width

"""A secret of one local Ray: nobody else on the machine can send it work."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN_BYTES = 32
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
CHOICES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", TOKEN_PATH)
"""Variables by which a user says how Ray authenticates."""


@contextmanager
def own_token() -> Iterator[None]:
    """Gives the Ray that is started inside the block a token file that only this user can read.

    Ray 2.60 turns token authentication on for a new local Ray, with one token per user, kept for ever, that
    every other Ray of the user shares; this one ends with the block. Whatever the environment says already
    stays, `RAY_AUTH_MODE=disabled` too.
    """
    if any(name in os.environ for name in CHOICES):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="eva_rl_") as directory:  # made with mode 700
        file = Path(directory) / "token"
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(TOKEN_BYTES))
        os.environ[TOKEN_PATH] = str(file)
        try:
            yield
        finally:
            for name in CHOICES:  # Ray has set the mode itself
                os.environ.pop(name, None)

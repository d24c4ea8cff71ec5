"""One short name for a task that is described by a sentence."""

import hashlib
import re
import unicodedata

LONGEST = 60
"""Characters; a file's name may have 255, and people must read it in a table."""


def task_name(sentence: str) -> str:
    """Names a task after its sentence: "Insert the peg." -> "insert_the_peg".

    The name depends on the sentence alone, so it is the same in every dataset. Sentences that differ in
    capitals, spaces and a full stop at the end are one task. Where the name drops more than that (other
    signs, letters beyond a to z, the end of a long sentence), eight digits of a hash keep sentences apart.

    Args:
        sentence: one that says something.

    Returns:
        Small letters, digits and underscores; safe as the name of a directory.
    """
    plain = " ".join(sentence.casefold().split()).rstrip(" .")
    letters = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", letters)
    name = "_".join(words)
    is_whole = name == plain.replace(" ", "_") and 0 < len(name) <= LONGEST
    if is_whole and not re.search(r"_[0-9a-f]{8}$", name):
        return name
    while words and len("_".join(words)) > LONGEST - 9:
        words.pop()
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    return "_".join([*(words or ["task"]), digest])


def is_plain_name(name: object) -> bool:
    """Whether a name that a file states can stand for a directory: no separator, no way upwards."""
    is_text = isinstance(name, str) and re.fullmatch(r"[\w.-]+(?: [\w.-]+)*", name) is not None
    return is_text and name not in (".", "..")

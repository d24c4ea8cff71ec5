"""Text that came from data, made harmless for a terminal."""

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
KEPT = "\n\t"
SPOOFING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode's categories of control, formatting (text direction) and private characters, and of separators."""


def plain_text(text: str) -> str:
    """The text with every character replaced that commands a terminal instead of being seen.

    Escape sequences lose their first character and become visible; marks that turn the direction of text
    around go too. Markup of rich is not touched: print with `markup=False`, or escape it as well.

    Args:
        text: an instruction, a task, a file name, a message that quotes one.
    """
    return "".join(
        REPLACEMENT if unicodedata.category(character) in SPOOFING and character not in KEPT else character
        for character in text
    )

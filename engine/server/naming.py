"""Names that the server makes up."""

from __future__ import annotations

import os
import random

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels and nothing that looks like another: no words, no mistakes
SUFFIX_LENGTH = 5
MAX_BASE_LENGTH = 63 - SUFFIX_LENGTH

_random = random.Random(os.urandom(16))


def generated(base: str) -> str:
    """`base`, cut to leave room, and five random characters."""
    return base[:MAX_BASE_LENGTH] + "".join(_random.choices(ALPHABET, k=SUFFIX_LENGTH))


def new_uid() -> str:
    """A random UUID (version 4)."""
    bits = (_random.getrandbits(128) & ~(0xF000 << 64) & ~(0xC << 60)) | (4 << 76) | (8 << 60)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

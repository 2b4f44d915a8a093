"""What failures of one kind have in common: the exception and its traceback, without what differs each time."""

from __future__ import annotations

import re
from hashlib import blake2b

# Characters; of the end of an error, which says what happened.
_READ = 8_000

# In this order: an address of mail or memory and a UUID hold numbers, which would be taken out of them.
# Each is tried where its run of characters begins alone: an error may be one word of thousands of them.
_VARIABLE = (
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    # Keys and digests: long, of hexadecimal digits, and some of them numbers.
    (re.compile(r"\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b"), "<id>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<n>"),
)
# The marks under a line of code, which some versions of Python draw.
_MARKS = re.compile(r"^[^\S\n]*[~^]+[^\S\n]*$\n?", re.MULTILINE)


def fingerprint(error: str) -> str:
    """16 hexadecimal digits; "" for no error. Alike for errors that differ in ids, numbers and addresses alone."""
    if not error:
        return ""
    return blake2b(normalised(error).encode(errors="backslashreplace"), digest_size=8).hexdigest()


def normalised(error: str) -> str:
    """The end of a traceback, or any text, with `<n>`, `<id>` and `<address>` for what differs each time."""
    text = _MARKS.sub("", error[-_READ:])
    for pattern, instead in _VARIABLE:
        text = pattern.sub(instead, text)
    return text

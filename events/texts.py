from __future__ import annotations


def storable(text: str) -> str:
    """No database stores half a character, nor PostgreSQL a NUL: the text says what was there."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()

from __future__ import annotations

from django.core.management.base import OutputWrapper

WIDTH = 30


class Progress:
    """A bar per step on a terminal; one line per step where the output goes elsewhere."""

    def __init__(self, out: OutputWrapper, *, silent: bool = False) -> None:
        self.out, self.silent = out, silent

    def show(self, step: str, done: int, total: int) -> None:
        is_last = done >= total
        if self.silent or not (is_last or self.out.isatty()):
            return
        filled = WIDTH * done // total if total else WIDTH
        bar = "█" * filled + "░" * (WIDTH - filled)
        lead = "\r" if self.out.isatty() else ""
        self.out.write(f"{lead}{step:<12}{bar} {done}/{total}", ending="\n" if is_last else "")
        self.out.flush()

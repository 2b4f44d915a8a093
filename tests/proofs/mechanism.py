from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`old`, which stands in `file` once, becomes `new`."""

    file: str
    old: str
    new: str

    def fits(self, root: Path = ROOT) -> bool:
        return (root / self.file).read_text().count(self.old) == 1

    def apply(self, root: Path) -> None:
        path = root / self.file
        path.write_text(path.read_text().replace(self.old, self.new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    guarantee: int
    # What holds while it is on; the proof takes it out.
    name: str
    edits: tuple[Edit, ...]
    # Arguments for pytest: the tests that have to fail.
    test: tuple[str, ...]

    @property
    def test_file(self) -> str:
        return self.test[0].partition("::")[0]


def off(guarantee: int, name: str, file: str, old: str, new: str, *test: str) -> Mechanism:
    """A mechanism that stands in one place."""
    return Mechanism(guarantee=guarantee, name=name, edits=(Edit(file=file, old=old, new=new),), test=test)

"""What stands at one path of each row of a cache, and the rows by value."""

from typing import Any, final

from typing_extensions import disjoint_base

from engine._path import Path

@disjoint_base
class Texts:
    """Where a column reads again what it did not copy: the values that only one row has."""

    def text(self, row: int) -> bytes | None:
        """The raw JSON at the column's path in the current version of `row`; None: nothing there, or no such row."""

@final
class Column:
    """What stands at `path`, by row number. The raw JSON of a value is held once for all rows that have it; with
    `texts`, what only one row has is not held at all. With `labels`, values are maps of labels, and selectors find them
    by pair and by key; else by the text of a scalar or of each element of an array."""

    def __init__(self, path: str | None = None, texts: Texts | None = None, *, labels: bool = False) -> None: ...
    @property
    def path(self) -> Path | None: ...
    @property
    def labels(self) -> bool: ...
    @property
    def count(self) -> int:
        """Rows in the column, those with nothing at the path included."""

    @property
    def shared(self) -> int:
        """Distinct values that are held."""

    @property
    def singles(self) -> int:
        """Distinct values that are read again from the only row that has them."""

    def put(self, row: int, raw: bytes | None) -> int:
        """The row has this value (strict JSON) from now on, or nothing for None. MemoryError and what `texts` raises
        change nothing."""

    def remove(self, row: int) -> int:
        """The row leaves the column; nothing happens when it is not there."""

    def stage_text(self, row: int, raw: bytes | None) -> int:
        """The part of `put` that can fail. Until `commit` or `cancel` the column may be used for nothing else."""

    def stage_removal(self, row: int) -> int: ...
    def stage_shift(self, row: int, to: int) -> int:
        """What the row has will be in `to` instead, which is lower and not in the column."""

    def commit(self) -> int: ...
    def cancel(self) -> int: ...
    def value(self, row: int) -> Any:
        """None for nothing. What rows share is decoded once; lists and dicts are fresh."""

    def nbytes(self) -> int:
        """Every byte that is held. O(distinct terms)."""

"""Selectors answered from columns: which rows, without reading an object."""

from typing import final

from engine._columns import Column
from engine._selectors import LabelSelector

@final
class RowBuffer:
    """Row numbers, in memory that is used again and again."""

    @property
    def size(self) -> int: ...
    def as_list(self) -> list[int]: ...

@final
class Selection:
    """The rows of a column that meet one condition. Any write to the column ends it."""

    @property
    def exact(self) -> bool:
        """`rows` is the number of rows that meet the condition."""

    @property
    def rows(self) -> int:
        """How many rows will be looked at: about, unless exact."""

def select_labels(column: Column, selector: LabelSelector) -> Selection:
    """Of a column of labels. The requirement with the fewest label sets is taken first, the others are checked once per
    label set; rows are touched only to be counted or collected."""

def select_field(column: Column, value: str, equal: bool) -> Selection:
    """Rows that a field selector `path=value` (or `path!=value`) finds: missing is "", and so are null, objects and
    arrays."""

def select_value(column: Column, value: str) -> Selection:
    """Rows of one index value: a scalar's text, or that of any element of an array. Always exact."""

def gather(selections: list[Selection], into: RowBuffer) -> int:
    """Rows that meet all selections, in no order: from the smallest, the others checked row by row."""

def distinct_values(column: Column) -> list[str]:
    """What `select_value` can find, sorted. O(distinct values)."""

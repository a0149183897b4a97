"""Exit codes, and the failure that carries one."""

from __future__ import annotations

DONE = 0
FAILED = 1
WRONG_USAGE = 2
LIMIT_BREACHED = 3
DATA_WRONG = 4
INTERRUPTED = 130


class Failure(Exception):
    """A command that could not do its work: one line for standard error, and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code

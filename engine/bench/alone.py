"""A function in a fresh process: its memory is its own, and gone with it.

    python -m engine.bench.alone MODULE FUNCTION ARGUMENTS
"""  # fmt: skip

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import orjson


class FailedAlone(Exception):
    """The process ended without a result; says how, and its last line."""


def alone(function: Any, **arguments: Any) -> Any:
    """What the module's function returns for these arguments; both go through JSON."""
    command = [sys.executable, "-m", "engine.bench.alone", function.__module__, function.__name__]
    done = subprocess.run([*command, orjson.dumps(arguments).decode()], capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise FailedAlone(f"{function.__name__} in a process of its own: {how} {last}".rstrip())
    return orjson.loads(done.stdout)


def _main(module: str, function: str, arguments: str) -> None:
    result = getattr(importlib.import_module(module), function)(**orjson.loads(arguments))
    sys.stdout.buffer.write(orjson.dumps(result))


if __name__ == "__main__":
    _main(*sys.argv[1:])

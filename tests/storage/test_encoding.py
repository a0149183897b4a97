"""What stored objects take of the process, beside their bytes."""

from __future__ import annotations

import subprocess
import sys

MEASURE = """
from pathlib import Path
from engine.storage.encoding import encode

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def event(number):
    metadata = {"name": f"event-{number}", "namespace": "default", "uid": f"uid-{number}"}
    return encode({"apiVersion": "v1", "kind": "Event", "metadata": metadata, "message": "m" * 700}, number)

first = [event(number) for number in range(1, 10_001)]  # by now no more parsed forms are added than fall out
before = resident_bytes()
more = [event(number) for number in range(10_001, 20_001)]
print((resident_bytes() - before) / sum(len(each.raw) for each in more))
"""


def test_a_small_object_takes_about_its_bytes_and_not_the_encoder_s_buffer() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < 2.5

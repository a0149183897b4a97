"""Writes ext/engine/text_code.h: the code in which the core keeps what is left of texts when all else is known.

    python tools/text_code.py OBJECTS > ext/engine/text_code.h

OBJECTS holds JSON objects, one a line, as a cluster lists them. Run by hand; records never outlive a process, so there
is no reader of an older code. Symbols are the printable ASCII characters and the words below: the vocabulary of
Kubernetes, charts, registries and clouds, chosen by hand. The sample decides how many bits a symbol takes, not which
there are. What counts in it is what the core would have to write: the text in which a string differs, at both ends,
from the one at the same place in the object of the same structure before it.
The committed code was made of 20,000 pods by the bench's generator, one per owner.
"""

from __future__ import annotations

import heapq
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

MAX_BITS = 11  # of a symbol's code: the decoder looks up as many at once
FLOOR = 20_000  # a symbol counts as often as once in so many characters of the sample, whatever is in it
VOCABULARY = """
app.kubernetes.io/ instance component part-of managed-by created-by version name helm.sh/chart k8s-app release chart
heritage environment tier team pod-template-hash controller-revision-hash statefulset.kubernetes.io/pod-name
batch.kubernetes.io/ job-name topology.kubernetes.io/ zone region kubernetes.io/ hostname node-role.kubernetes.io/
node.kubernetes.io/ kubectl.kubernetes.io/ default-container restartedAt last-applied-configuration checksum/ config
secret prometheus.io/ scrape path port istio.io/ sidecar cluster-autoscaler.kubernetes.io/safe-to-evict
kube-api-access- kube- kube-system kube-root-ca.crt -system -config -secret -sa -cache -data -metrics token tls cert
registry.k8s.io/ docker.io/ library/ ghcr.io/ quay.io/ gcr.io/ .gcr.io/ .dkr.ecr. .amazonaws.com/ -docker.pkg.dev/
.azurecr.io/ mcr.microsoft.com/ registry. @sha256: sha256: containerd:// v1. -alpine latest
us-east-1 us-east-2 us-west-1 us-west-2 eu-west-1 eu-central-1 ap-south-1 ap-southeast-1 europe- us-central1
.compute.internal .ec2.internal ip-10- 10. 192.168. 127.0.0.1 .svc.cluster.local .svc cluster.local :80 :443 :8080
:8443 :9090 :9092 :5432 :3306 :6379 :27017 :4317 http:// https:// postgres:// redis:// amqp:// grpc:// tcp http
grpc /var/ /run/ /etc/ /usr/ /bin/ /lib/ /data /tmp /dev/ /healthz /readyz /livez /metrics serviceaccount
prod production staging dev test default internal public frontend backend server service worker manager controller
operator gateway proxy api web client agent exporter scheduler webhook database cache queue monitor collector handler
processor consumer producer adapter connector postgres mysql mongo redis kafka rabbitmq nginx envoy java python
node golang true false null info warn error debug json text
DATABASE_ POSTGRES_ MYSQL_ REDIS_ KAFKA_ AWS_ OTEL_ LOG_ HTTP_ GRPC_ API_ APP_ SERVICE_ _SERVICE CACHE_ QUEUE_ METRICS_
_HOST _PORT _URL _URI _NAME _USER _PASSWORD _TOKEN _KEY _SECRET _LEVEL _FORMAT _ENDPOINT _TIMEOUT _ENABLED _BUCKET _SIZE
_ADDR _BROKERS _REGION _MODE _PATH _ID
\\" \\\\ \\n \\":\\" \\",\\" k:{\\"name\\":\\" \\"}
"""

OTHERS = re.compile(
    r"\d+|\d+-\d\d-\d\dT\d\d:\d\d:\d\dZ|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(\.\d+){3}|.*?([0-9a-f]{2}){8,}"
)  # what has a kind of its own


def strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every string and key below, as it is written, with where it stands."""
    if isinstance(value, dict):
        for number, (key, member) in enumerate(value.items()):
            yield f"{path}/{number}=", json.dumps(key)[1:-1]
            yield from strings(member, f"{path}/{number}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from strings(member, f"{path}/{number}")
    elif isinstance(value, str):
        yield path, json.dumps(value)[1:-1]


def difference(text: str, expected: str) -> str:
    """What is left between the ends that are shared; single characters are no gain."""
    front, limit = 0, min(len(text), len(expected))
    while front < limit and text[front] == expected[front]:
        front += 1
    front = front if front > 1 else 0
    back, limit = 0, limit - front
    while back < limit and text[-1 - back] == expected[-1 - back]:
        back += 1
    return text[front : len(text) - (back if back > 1 else 0)]


def middles(lines: Iterable[str]) -> Iterator[str]:
    before: dict[tuple[str, ...], list[str]] = {}  # by structure of a top-level member
    for line in lines:
        seen: list[str] = []  # what an object repeats is written once
        for member, value in json.loads(line).items():
            found = list(strings(value, member))
            structure = tuple(path for path, _ in found)
            for (_, text), expected in zip(found, before.get(structure, []), strict=False):
                if text != expected and not OTHERS.fullmatch(text) and not any(text in other for other in seen):
                    seen.append(text)
                    yield difference(text, expected)
            before[structure] = [text for _, text in found]


def count(texts: Iterable[str], symbols: list[str]) -> Counter[str]:
    """How often each symbol is written when the longest that fits is taken."""
    pattern = re.compile("|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True)))
    return Counter(symbol for text in texts for symbol in pattern.findall(text))


def lengths(frequencies: dict[str, int]) -> dict[str, int]:
    """Bits of each symbol in the shortest prefix code of at most MAX_BITS (package-merge)."""
    single = sorted((frequency, (symbol,)) for symbol, frequency in frequencies.items())
    packages: list[tuple[int, tuple[str, ...]]] = []
    for _ in range(MAX_BITS):
        merged = list(heapq.merge(single, packages))
        packages = [
            (merged[i][0] + merged[i + 1][0], merged[i][1] + merged[i + 1][1]) for i in range(0, len(merged) - 1, 2)
        ]
    return Counter(symbol for _, members in packages[: len(single) - 1] for symbol in members)


def header(bits: dict[str, int], words: list[str]) -> str:
    characters = ", ".join(str(bits.get(chr(code), 0)) for code in range(256))
    return "\n".join(
        [
            "/* Written by tools/text_code.py, which says how: bits of each character's code (0: it has none), then of",
            "   the words'. */",
            "#ifndef ENGINE_TEXT_CODE_H",
            "#define ENGINE_TEXT_CODE_H",
            "",
            "enum {",
            f"    ENGINE_TEXT_BITS = {MAX_BITS},",
            f"    ENGINE_TEXT_WORDS = {len(words)},",
            "};",
            "",
            "static const unsigned char engine_text_lengths[256] = {",
            *folded(characters),
            "};",
            "",
            "static const struct {",
            "    unsigned char bits;",
            "    unsigned char size;",
            "    const char *text;",
            "} engine_text_words[ENGINE_TEXT_WORDS] = {",
            *(f"    {{{bits[word]}, {len(word)}, {json.dumps(word)}}}," for word in words),
            "};",
            "",
            "#endif",
        ]
    )


def folded(row: str) -> list[str]:
    items = row.split(", ")
    return ["    " + ", ".join(items[i : i + 32]) + "," for i in range(0, len(items), 32)]


def main() -> None:
    words = sorted({word for word in VOCABULARY.split() if len(word) > 2}, key=lambda word: (-len(word), word))
    symbols = [chr(code) for code in range(32, 127)] + words
    with Path(sys.argv[1]).open() as lines:
        texts = list(middles(lines))
    seen = count(texts, symbols)
    least = sum(map(len, texts)) // FLOOR + 1
    print(header(lengths({symbol: seen[symbol] + least for symbol in symbols}), words))


if __name__ == "__main__":
    main()

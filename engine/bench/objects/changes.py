"""What happens to pods: creation to running, status changes, and being replaced by a successor."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson

from engine.bench.objects.values import SAFE, SECOND_PATTERN, seconds_of, timestamp, uid

_STATUS = b',"status":{'
_VERSION = b'"resourceVersion":"'
_REPORTED = b'"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"'
_CONTAINER = re.compile(rb"containerd://([0-9a-f]{64})")
_TOKEN = re.compile(rb"kube-api-access-([a-z0-9]{5})")
RESTARTS_ONE_IN = 8
READY_CONDITIONS = ("Ready", "ContainersReady")
# The kubelet owns a condition's reason and message only while they are there.
_FIELDS_OF_READY = tuple(
    (plain, plain.replace(b'"f:status"', b'"f:message":{},"f:reason":{},"f:status"'))
    for plain in (
        b'k:{\\"type\\":\\"%b\\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{}' % name.encode()
        for name in READY_CONDITIONS
    )
)


def life(pod: bytes) -> list[bytes]:
    """How a running pod came to be: stored without a node, bound to one, running."""
    metadata, _, status = pod.rpartition(_STATUS)
    version = resource_version(pod)
    qos = orjson.loads(b"{" + status[:-1])["qosClass"]
    kubelet = metadata.index(b',{"manager":"kubelet"')
    until = metadata.index(b']},"spec":', kubelet)
    bound = metadata[:kubelet] + metadata[until:]
    node = bound.index(b',"nodeName":"')
    unbound = bound[:node] + bound[bound.index(b'",', node + 13) + 1 :]
    created = re.search(rb'"creationTimestamp":"([^"]*)"', metadata)
    assert created is not None
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    conditions = [scheduled | {"lastTransitionTime": created[1].decode()}]
    pending = {"phase": "Pending", "qosClass": qos}
    waiting = {"phase": "Pending", "conditions": conditions, "qosClass": qos}
    return [
        with_version(unbound + b',"status":%b}' % orjson.dumps(pending), version - 3),
        with_version(bound + b',"status":%b}' % orjson.dumps(waiting), version - 2),
        pod,
    ]


def status_changed(pod: bytes, step: int, version: int | None = None) -> bytes:
    """The next version of a running pod, as its kubelet reports it. Of three steps, two lose or regain readiness, but
    at the second one pod in eight restarts a container; the third only moves times, as when readiness was lost and
    regained between two reports. `version` is its resourceVersion; when not given, a little more than before. The same
    pod and step give the same bytes. Costs about 20 us."""
    head, _, tail = pod.rpartition(_STATUS)
    status: dict[str, Any] = orjson.loads(b"{" + tail[:-1])
    chance = hashlib.sha256(pod[-600:] + b"%d" % step).digest()
    at = head.index(_REPORTED) + len(_REPORTED)
    now = seconds_of(head[at : at + 20]) + 5 + chance[0] * 3
    was_ready = status["conditions"][2]["status"] == "True"
    ready = was_ready if step % 3 == 2 else not was_ready
    if step % 3 == 1 and chance[4] < 256 // RESTARTS_ONE_IN:
        _restart(status["containerStatuses"], chance, now)
        ready = True
    reported = timestamp(now)
    head = head[:at] + reported + head[at + 20 :]
    _set_ready(status, ready, reported.decode())
    if ready is not was_ready:
        head = _fields_of_ready(head, ready)
    changed = head + b',"status":' + orjson.dumps(status) + b"}"
    return with_version(changed, version if version is not None else resource_version(pod) + 1 + chance[1])


def successor(pod: bytes, number: int, version: int | None = None) -> bytes:
    """The pod that its ReplicaSet makes when this one is deleted: another name, uid and containers, ready, on the
    same node. Differs for each number."""
    chance = hashlib.sha512(pod[:400] + b"%d" % number).digest()
    name = orjson.loads(pod[pod.index(b'"name":') + 7 : pod.index(b',"generateName"')]).encode()
    suffix = bytes(SAFE.encode()[byte % len(SAFE)] for byte in chance[:5])
    found = pod.index(b'"uid":"') + 7
    changed = pod.replace(pod[found : found + 36], uid(chance[8:24].hex().encode()), 1)
    changed = changed.replace(b'"name":"%b"' % name, b'"name":"%b%b"' % (name[:-5], suffix), 1)
    for place, container in enumerate(dict.fromkeys(_CONTAINER.findall(pod))):
        changed = changed.replace(container, hashlib.sha256(chance + b"%d" % place).hexdigest().encode())
    token = _TOKEN.search(pod)
    if token is not None:
        fresh = bytes(SAFE.encode()[byte % len(SAFE)] for byte in chance[24:29])
        changed = changed.replace(token[0], b"kube-api-access-" + fresh)
    later = 60 + int.from_bytes(chance[30:32])
    changed = SECOND_PATTERN.sub(lambda time: timestamp(seconds_of(time[0]) + later), changed)
    head, _, tail = changed.rpartition(_STATUS)
    status = orjson.loads(b"{" + tail[:-1])
    for one in status["containerStatuses"]:
        one |= {"lastState": {}, "restartCount": 0}
    at = head.index(_REPORTED) + len(_REPORTED)
    _set_ready(status, True, head[at : at + 20].decode())
    changed = _fields_of_ready(head, True) + b',"status":' + orjson.dumps(status) + b"}"
    return with_version(changed, version if version is not None else resource_version(pod) + 300 + chance[32])


def resource_version(pod: bytes) -> int:
    at = pod.index(_VERSION) + len(_VERSION)
    return int(pod[at : pod.index(b'"', at)])


def with_version(pod: bytes, version: int) -> bytes:
    at = pod.index(_VERSION) + len(_VERSION)
    return b"%b%d%b" % (pod[:at], version, pod[pod.index(b'"', at) :])


def _restart(containers: list[dict[str, Any]], chance: bytes, now: int) -> None:
    one = containers[chance[2] % len(containers)]
    failed = chance[3] % 3
    one["lastState"] = {
        "terminated": {
            "exitCode": (1, 137, 0)[failed],
            "reason": ("Error", "OOMKilled", "Completed")[failed],
            "startedAt": one["state"]["running"]["startedAt"],
            "finishedAt": timestamp(now - 3).decode(),
            "containerID": one["containerID"],
        }
    }
    one["state"] = {"running": {"startedAt": timestamp(now - 1).decode()}}
    one["restartCount"] += 1
    one["containerID"] = "containerd://" + hashlib.sha256(chance).hexdigest()


def _fields_of_ready(head: bytes, ready: bool) -> bytes:
    for plain, explained in _FIELDS_OF_READY:
        head = head.replace(explained, plain) if ready else head.replace(plain, explained)
    return head


def _set_ready(status: dict[str, Any], ready: bool, reported: str) -> None:
    for container in status["containerStatuses"]:
        container["ready"] = ready
    names = " ".join(container["name"] for container in status["containerStatuses"])
    for place, condition in enumerate(status["conditions"]):
        if condition["type"] not in READY_CONDITIONS:
            continue
        changed = {
            "type": condition["type"],
            "status": "True" if ready else "False",
            "lastProbeTime": None,
            "lastTransitionTime": reported,
        }
        if not ready:
            changed |= {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
        status["conditions"][place] = changed

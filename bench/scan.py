"""What one strict pass over the JSON of pods costs, beside orjson.loads in the same process, turn by turn.

python bench/scan.py [--pods 1000] [--rounds 30]
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import time
from typing import Any

import orjson

from engine._scan import count_tokens

TIME = "2026-03-0%dT1%d:2%d:3%dZ"
CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
VARIABLES = ("LOG_LEVEL", "POD_NAME", "POD_IP", "DATABASE_URL", "CACHE_ADDRESS", "FEATURE_FLAGS", "REGION")


def made_pod(draw: random.Random) -> dict[str, Any]:
    """A running pod as an API server stores it: two containers, probes, environment, managed fields of two writers."""

    def digits(count: int) -> str:
        return "".join(draw.choices("0123456789abcdef", k=count))

    def moment() -> str:
        return TIME % tuple(draw.randrange(1, 6) for _ in range(4))

    def probe(path: str) -> dict[str, Any]:
        http = {"path": path, "port": 8080, "scheme": "HTTP"}
        return {
            "httpGet": http,
            "initialDelaySeconds": draw.randrange(1, 30),
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        }

    def container(name: str) -> dict[str, Any]:
        variables: list[dict[str, Any]] = [{"name": each, "value": f"{each.lower()}-{digits(8)}"} for each in VARIABLES]
        variables[1] = {
            "name": "POD_NAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        }
        return {
            "name": name,
            "image": f"registry.example.com/team/{name}:v1.{draw.randrange(40)}.{draw.randrange(9)}",
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "env": variables,
            "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "250m", "memory": "512Mi"}},
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/app"},
                {
                    "name": f"kube-api-access-{suffix}",
                    "readOnly": True,
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                },
            ],
            "livenessProbe": probe("/healthz"),
            "readinessProbe": probe("/ready"),
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }

    def status(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "state": {"running": {"startedAt": moment()}},
            "lastState": {},
            "ready": True,
            "restartCount": draw.randrange(3),
            "image": f"registry.example.com/team/{name}:v1.2.3",
            "imageID": f"registry.example.com/team/{name}@sha256:{digits(64)}",
            "containerID": f"containerd://{digits(64)}",
            "started": True,
        }

    def leaves(*names: str) -> dict[str, Any]:
        return {f"f:{name}": {} for name in names}

    suffix = digits(5)
    app, revision = f"web-{draw.randrange(90)}", digits(10)
    names = ["app", "sidecar"]
    fields_of_container = {
        ".": {},
        **leaves("image", "imagePullPolicy", "name", "terminationMessagePath", "terminationMessagePolicy"),
        "f:env": {".": {}, **{f'k:{{"name":"{each}"}}': {".": {}, **leaves("name", "value")} for each in VARIABLES}},
        "f:livenessProbe": {
            ".": {},
            **leaves("failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"),
            "f:httpGet": {".": {}, **leaves("path", "port", "scheme")},
        },
        "f:ports": {
            ".": {},
            'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, **leaves("containerPort", "name", "protocol")},
        },
        "f:resources": {".": {}, "f:limits": {".": {}, **leaves("cpu", "memory")}},
        "f:volumeMounts": {".": {}, 'k:{"mountPath":"/etc/app"}': {".": {}, **leaves("mountPath", "name")}},
    }
    created = {
        "f:metadata": {
            "f:generateName": {},
            "f:labels": {".": {}, **leaves("app", "pod-template-hash", "tier")},
            "f:ownerReferences": {".": {}, f'k:{{"uid":"{digits(36)}"}}': {}},
        },
        "f:spec": {
            "f:containers": {f'k:{{"name":"{name}"}}': fields_of_container for name in names[:1]},
            **leaves("dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext"),
        },
    }
    conditions_written = {
        f'k:{{"type":"{each}"}}': {".": {}, **leaves("lastProbeTime", "lastTransitionTime", "status", "type")}
        for each in CONDITIONS[1:4]
    }
    reported = {
        "f:status": {
            "f:conditions": conditions_written,
            **leaves("containerStatuses", "hostIP", "hostIPs", "phase", "podIP", "startTime"),
            "f:podIPs": {".": {}, 'k:{"ip":"10.1.2.3"}': {".": {}, "f:ip": {}}},
        }
    }

    def writer(manager: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
        head = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": moment()}
        return {**head, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}

    address = f"10.{draw.randrange(256)}.{draw.randrange(256)}.{draw.randrange(256)}"
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": f"{app}-{revision}-{suffix}",
            "generateName": f"{app}-{revision}-",
            "namespace": f"team-{draw.randrange(50)}",
            "uid": f"{digits(8)}-{digits(4)}-4{digits(3)}-8{digits(3)}-{digits(12)}",
            "resourceVersion": str(draw.randrange(10**9)),
            "generation": 1,
            "creationTimestamp": moment(),
            "labels": {"app": app, "pod-template-hash": revision, "tier": "frontend"},
            "annotations": {"kubernetes.io/config.seen": moment(), "example.com/note": "größere Änderung 変更"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": f"{app}-{revision}",
                    "uid": digits(36),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
            "managedFields": [
                writer("kube-controller-manager", created),
                writer("kubelet", reported, subresource="status"),
            ],
        },
        "spec": {
            "volumes": [
                {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}},
                {"name": f"kube-api-access-{suffix}", "projected": {"sources": [], "defaultMode": 420}},
            ],
            "containers": [container(name) for name in names],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "nodeName": f"node-{draw.randrange(5000)}",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{why}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 300,
                }
                for why in ("not-ready", "unreachable")
            ],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": each, "status": "True", "lastProbeTime": None, "lastTransitionTime": moment()}
                for each in CONDITIONS
            ],
            "hostIP": address,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": moment(),
            "containerStatuses": [status(name) for name in names],
            "qosClass": "Burstable",
        },
    }


def measure(count: int, rounds: int) -> None:
    draw = random.Random(1)
    pods = [orjson.dumps(made_pod(draw)) for _ in range(count)]
    size = sum(map(len, pods))
    tokens = sum(map(count_tokens, pods))
    scans, parses = [], []
    gc.disable()
    for _ in range(rounds):
        began = time.perf_counter()
        for pod in pods:
            count_tokens(pod)
        scans.append(time.perf_counter() - began)
        began = time.perf_counter()
        for pod in pods:
            orjson.loads(pod)
        parses.append(time.perf_counter() - began)
    print(f"{count} pods of {size / count:.0f} bytes and {tokens / count:.0f} tokens, best of {rounds} rounds (median)")
    for what, times in (("scan", scans), ("orjson.loads, dropped at once", parses)):
        best, middle = min(times), statistics.median(times)
        each = f"{best / count * 1e6:6.2f} us ({middle / count * 1e6:.2f})"
        print(f"{what:30} {each:20} {size / best / 1e9:5.2f} GB/s")
    ratio = statistics.median(parse / scan for scan, parse in zip(scans, parses, strict=True))
    print(f"{'ratio, round by round':30} {ratio:6.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1000, help="different pods (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each (default %(default)s)")
    options = parser.parse_args()
    measure(options.pods, options.rounds)


if __name__ == "__main__":
    main()

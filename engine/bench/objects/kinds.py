"""Objects of other kinds: nodes, Deployments, custom resources of several shapes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

from engine.bench.objects.pods import Nodes
from engine.bench.objects.values import (
    DOMAINS,
    ROLES,
    STAGES,
    TEAMS,
    digest,
    hex_digits,
    timestamp,
    uid,
)

Document = dict[str, Any]
NODE_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
IMAGES_REPORTED = 50  # the kubelet's default --node-status-max-images


def nodes(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Nodes as cloud providers register them, about 12 KB each with the images they hold; names as in `pods`."""
    random = Random(f"nodes {seed}")
    places = Nodes(count, seed)
    for number in range(count):
        name, address = places.name(number).decode(), places.host_ip(number).decode()
        zone, pool = "eu-central-1" + "abc"[number % 3], random.choice(("general", "memory", "batch"))
        labels = {
            "beta.kubernetes.io/arch": "amd64",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node-pool": pool,
            "node.kubernetes.io/instance-type": random.choice(("m7i.4xlarge", "m7i.8xlarge", "r7i.4xlarge")),
            "topology.kubernetes.io/region": "eu-central-1",
            "topology.kubernetes.io/zone": zone,
        }
        joined = random.randrange(12_000_000)
        capacity = {"cpu": "16", "ephemeral-storage": "104845292Ki", "memory": "64937Mi", "pods": "110"}
        yield orjson.dumps(
            {
                "kind": "Node",
                "apiVersion": "v1",
                "metadata": _metadata(name, "", joined, random) | {"labels": labels},
                "spec": {
                    "podCIDR": f"100.{64 + (number >> 8 & 63)}.{number & 255}.0/24",
                    "providerID": f"aws:///{zone}/i-{hex_digits(random, 18)[:17].decode()}",
                },
                "status": {
                    "capacity": capacity,
                    "allocatable": capacity | {"cpu": "15890m", "memory": "61235Mi"},
                    "conditions": [_node_condition(*condition, joined, random) for condition in NODE_CONDITIONS],
                    "addresses": [
                        {"type": "InternalIP", "address": address},
                        {"type": "Hostname", "address": name},
                    ],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                    "nodeInfo": {
                        "machineID": hex_digits(random, 32).decode(),
                        "systemUUID": uid(hex_digits(random, 32)).decode(),
                        "bootID": uid(hex_digits(random, 32)).decode(),
                        "kernelVersion": "6.12.40-64.114.amzn2023.x86_64",
                        "containerRuntimeVersion": "containerd://2.1.4",
                        "kubeletVersion": "v1.36.2",
                    },
                    "images": [_held_image(random) for _ in range(IMAGES_REPORTED)],
                },
            }
        )


def deployments(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Deployments of about 2 KB, rolled out."""
    random = Random(f"deployments {seed}")
    for number in range(count):
        app = f"{random.choice(DOMAINS)}-{random.choice(ROLES)}-{number}"
        namespace = f"{random.choice(TEAMS)}-{random.choice(STAGES)}"
        labels = {"app": app, "team": random.choice(TEAMS)}
        created = random.randrange(12_000_000)
        replicas = 1 + int(random.expovariate(0.1))
        container = {
            "name": app,
            "image": f"registry.example.com/{app}:{random.randrange(9)}.{random.randrange(20)}.0",
            "ports": [{"containerPort": 8080, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": random.choice(("100m", "500m", "1")), "memory": "256Mi"}},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }
        pod_spec = {
            "containers": [container],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "schedulerName": "default-scheduler",
        }
        yield orjson.dumps(
            {
                "kind": "Deployment",
                "apiVersion": "apps/v1",
                "metadata": _metadata(app, namespace, created, random)
                | {
                    "labels": labels,
                    "annotations": {"deployment.kubernetes.io/revision": str(random.randrange(1, 40))},
                },
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": {"app": app}},
                    "template": {"metadata": {"labels": labels}, "spec": pod_spec},
                    "strategy": {
                        "type": "RollingUpdate",
                        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                    },
                    "revisionHistoryLimit": 10,
                    "progressDeadlineSeconds": 600,
                },
                "status": {
                    "observedGeneration": 1 + random.randrange(40),
                    "replicas": replicas,
                    "updatedReplicas": replicas,
                    "readyReplicas": replicas,
                    "availableReplicas": replicas,
                    "conditions": [
                        _condition("Available", "MinimumReplicasAvailable", created + 30),
                        _condition("Progressing", "NewReplicaSetAvailable", created),
                    ],
                },
            }
        )


def custom_resources(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """Three shapes in turn: a certificate (small, with conditions), a metrics rule (long texts), a topology (arrays of
    numbers, floats and mixed nesting)."""
    random = Random(f"custom {seed}")
    shapes = (_certificate, _rule, _topology)
    for number in range(count):
        name = f"{random.choice(DOMAINS)}-{random.choice(ROLES)}-{number}"
        namespace = f"{random.choice(TEAMS)}-{random.choice(STAGES)}"
        created = random.randrange(12_000_000)
        kind, group, body = shapes[number % len(shapes)](name, created, random)
        metadata = _metadata(name, namespace, created, random) | {"generation": 1 + random.randrange(9)}
        yield orjson.dumps({"apiVersion": group, "kind": kind, "metadata": metadata} | body)


def _certificate(name: str, created: int, random: Random) -> tuple[str, str, Document]:
    spec = {
        "secretName": f"{name}-tls",
        "dnsNames": [
            f"{name}.example.com",
            *(f"{random.choice(ROLES)}.example.com" for _ in range(random.randrange(3))),
        ],
        "duration": "2160h0m0s",
        "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"},
    }
    ready = _condition("Ready", "Ready", created + 40) | {"observedGeneration": 1}
    status = {
        "conditions": [ready],
        "notAfter": timestamp(created + 7_776_000).decode(),
        "revision": random.randrange(9),
    }
    return "Certificate", "cert-manager.example.com/v1", {"spec": spec, "status": status}


def _rule(name: str, created: int, random: Random) -> tuple[str, str, Document]:
    rules = [
        {
            "alert": f"{random.choice(DOMAINS)}{kind}".title(),
            "expr": f'sum(rate(app_{kind}_total{{job="{name}",code=~"5.."}}[5m])) > {random.random():.3f}',
            "for": f"{random.randrange(1, 30)}m",
            "labels": {"severity": random.choice(("page", "ticket"))},
            "annotations": {"summary": f"{name}: too many {kind}\nsee https://runbooks.example.com/{created}"},
        }
        for kind in random.choices(("errors", "timeouts", "retries", "restarts", "drops"), k=random.randrange(1, 12))
    ]
    return "Rule", "monitoring.example.com/v1", {"spec": {"groups": [{"name": name, "rules": rules}]}}


def _topology(name: str, created: int, random: Random) -> tuple[str, str, Document]:
    zones = {
        f"zone-{zone}": {"weight": random.random(), "ports": random.sample(range(30_000, 32_768), 8), "drained": None}
        for zone in range(random.randrange(1, 8))
    }
    links: list[list[int | float]] = [
        [random.randrange(1 << 53), random.uniform(-1e6, 1e6), -random.randrange(1 << 31)]
        for _ in range(random.randrange(20))
    ]
    spec = {"zones": zones, "links": links, "owner": {"name": name, "since": created, "exact": random.random() < 0.5}}
    return "Topology", "network.example.com/v1alpha1", {"spec": spec}


def _metadata(name: str, namespace: str, created: int, random: Random) -> Document:
    return (
        {"name": name}
        | ({"namespace": namespace} if namespace else {})
        | {
            "uid": uid(hex_digits(random, 32)).decode(),
            "resourceVersion": str(1_000_000_000 + created * 97),
            "creationTimestamp": timestamp(created).decode(),
        }
    )


def _condition(name: str, reason: str, at: int) -> Document:
    time = timestamp(at).decode()
    return {"type": name, "status": "True", "lastUpdateTime": time, "lastTransitionTime": time, "reason": reason}


def _node_condition(name: str, status: str, reason: str, message: str, joined: int, random: Random) -> Document:
    return {
        "type": name,
        "status": status,
        "lastHeartbeatTime": timestamp(13_000_000 + random.randrange(300)).decode(),
        "lastTransitionTime": timestamp(joined).decode(),
        "reason": reason,
        "message": message,
    }


def _held_image(random: Random) -> Document:
    repository = f"registry.example.com/{random.choice(TEAMS)}/{random.choice(DOMAINS)}-{random.choice(ROLES)}"
    tag = f"{random.randrange(4)}.{random.randrange(20)}.0"
    names = [f"{repository}@sha256:{digest(repository, tag)}", f"{repository}:{tag}"]
    return {"names": names, "sizeBytes": random.randrange(5_000_000, 900_000_000)}

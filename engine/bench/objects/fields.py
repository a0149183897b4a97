"""managedFields entries as the API server writes them for pods: sets of field paths."""

from __future__ import annotations

from typing import Any

import orjson

Tree = dict[str, Any]
ALL: Tree = {".": {}}
CONDITIONS = ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")  # PodScheduled is the scheduler's


def item(field: str, value: str | int, *more: tuple[str, str | int]) -> str:
    """The path element of an array's item, by its key fields: `k:{"name":"web"}`."""
    return "k:" + orjson.dumps({field: value, **dict(more)}).decode()


def leaves(*names: str) -> Tree:
    return {f"f:{name}": {} for name in sorted(names)}


def container_fields(container: dict[str, Any]) -> Tree:
    """The paths of a container of a pod template."""
    tree: Tree = {".": {}}
    for name in sorted(container):
        value = container[name]
        if name == "env":
            tree["f:env"] = ALL | {
                item("name", entry["name"]): ALL | leaves(*entry)
                | ({"f:valueFrom": ALL | leaves(*entry["valueFrom"])} if "valueFrom" in entry else {})
                for entry in sorted(value, key=lambda entry: str(entry["name"]))
            }  # fmt: skip
        elif name == "ports":
            tree["f:ports"] = ALL | {
                item("containerPort", port["containerPort"], ("protocol", port["protocol"])): ALL | leaves(*port)
                for port in value
            }
        elif name == "volumeMounts":
            tree["f:volumeMounts"] = ALL | {
                item("mountPath", mount["mountPath"]): ALL | leaves(*mount)
                for mount in sorted(value, key=lambda mount: str(mount["mountPath"]))
                if not mount["name"].startswith("kube-api-access")
            }
        elif name.endswith("Probe"):
            probe = leaves(*value)
            tree[f"f:{name}"] = ALL | {
                field: ALL | leaves(*value[field[2:]]) if field in ("f:httpGet", "f:tcpSocket") else {}
                for field in probe
            }
        elif name == "resources":
            tree["f:resources"] = ALL | {f"f:{part}": ALL | leaves(*value[part]) for part in sorted(value)}
        elif name == "securityContext":
            tree["f:securityContext"] = ALL | leaves(*value)
        else:
            tree[f"f:{name}"] = {}
    return tree


def volume_fields(volume: dict[str, Any]) -> Tree:
    """The paths of a volume: its name and its one source."""
    source = {f"f:{kind}": ALL | leaves(*volume[kind]) if volume[kind] else {} for kind in volume if kind != "name"}
    return ALL | source | leaves("name")


def template_fields(metadata: dict[str, Any], spec: dict[str, Any], owner_uid: str) -> Tree:
    """What kube-controller-manager owns of a pod: all that its ReplicaSet's template says."""
    about: Tree = {}
    if "annotations" in metadata:
        about["f:annotations"] = ALL | leaves(*metadata["annotations"])
    about["f:generateName"] = {}
    about["f:labels"] = ALL | leaves(*metadata["labels"])
    about["f:ownerReferences"] = ALL | {item("uid", owner_uid): {}}
    tree: Tree = {}
    for name in sorted(spec):
        if name in ("containers", "initContainers"):
            tree[f"f:{name}"] = {
                item("name", container["name"]): container_fields(container)
                for container in sorted(spec[name], key=lambda container: str(container["name"]))
            }
        elif name == "volumes":
            volumes = [volume for volume in spec[name] if not volume["name"].startswith("kube-api-access")]
            if volumes:
                tree["f:volumes"] = ALL | {
                    item("name", volume["name"]): volume_fields(volume)
                    for volume in sorted(volumes, key=lambda volume: str(volume["name"]))
                }
        elif name not in ("nodeName", "tolerations", "preemptionPolicy", "priority"):
            tree[f"f:{name}"] = {}
    return {"f:metadata": about, "f:spec": tree}


def status_fields(pod_ip: str) -> Tree:
    """What the kubelet owns."""
    condition = ALL | leaves("lastProbeTime", "lastTransitionTime", "status", "type")
    return {
        "f:status": {
            "f:conditions": {item("type", name): condition for name in CONDITIONS},
            "f:containerStatuses": {},
            "f:hostIP": {},
            "f:hostIPs": {},
            "f:phase": {},
            "f:podIP": {},
            "f:podIPs": ALL | {item("ip", pod_ip): ALL | leaves("ip")},
            "f:startTime": {},
        }
    }


def entry(manager: str, time: str, fields: Tree, subresource: str = "") -> dict[str, Any]:
    written = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return written | ({"subresource": subresource} if subresource else {})

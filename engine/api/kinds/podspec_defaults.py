"""What is filled in to a pod's spec, in a Pod as in the template of a controller."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

Values = dict[str, Any]

FILE_MODE = 0o644

# Members of volume sources that take a value when they are absent or empty.
_SOURCES: Mapping[str, Mapping[str, Any]] = {
    "configMap": {"defaultMode": FILE_MODE},
    "secret": {"defaultMode": FILE_MODE},
    "downwardAPI": {"defaultMode": FILE_MODE},
    "projected": {"defaultMode": FILE_MODE},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_template(template: Values) -> None:
    """The defaults of a pod template."""
    template.setdefault("metadata", {})
    default_spec(template.setdefault("spec", {}))


def default_spec(spec: Values) -> None:
    """The defaults that a spec takes wherever it stands."""
    get = spec.get
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if get("securityContext") is None:
        spec["securityContext"] = {}
    if not get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    if account := get("serviceAccountName") or get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in get("containers") or ():
        default_container(container)
    for container in get("initContainers") or ():
        default_container(container)
    for container in get("ephemeralContainers") or ():
        default_container(container)
    if volumes := get("volumes"):
        for volume in volumes:
            _default_volume(volume)
    if get("hostNetwork"):
        _default_host_ports(spec)


def default_container(container: Values) -> None:
    get = container.get
    if get("resources") is None:
        container["resources"] = {}
    if not get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if not get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(get("image") or "")
    if ports := get("ports"):
        for port in ports:
            if not port.get("protocol"):
                port["protocol"] = "TCP"
    if env := get("env"):
        for variable in env:
            if "valueFrom" in variable:
                _default_source(variable["valueFrom"])
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := get(name):
            _default_probe(probe)
    if lifecycle := get("lifecycle"):
        for handler in (lifecycle.get("postStart"), lifecycle.get("preStop")):
            if handler and handler.get("httpGet") is not None:
                _default_http_get(handler["httpGet"])


@lru_cache(4096)
def pull_policy(image: str) -> str:
    """Always for the tag `latest`, which an image without tag and digest has; else IfNotPresent."""
    name, _, digest = image.partition("@")
    _, _, last = name.rpartition("/")
    _, _, tag = last.partition(":")
    latest = tag == "latest" or (bool(name) and not tag and not digest)
    return "Always" if latest else "IfNotPresent"


def _default_source(source: Values) -> None:
    """An environment variable's source."""
    if (field := source.get("fieldRef")) is not None and not field.get("apiVersion"):
        field["apiVersion"] = "v1"
    if (resource := source.get("resourceFieldRef")) is not None:
        resource.setdefault("divisor", "0")
    if (file := source.get("fileKeyRef")) is not None:
        file.setdefault("optional", False)


def _default_probe(probe: Values) -> None:
    get = probe.get
    if not get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not get("successThreshold"):
        probe["successThreshold"] = 1
    if not get("failureThreshold"):
        probe["failureThreshold"] = 3
    if (http := get("httpGet")) is not None:
        _default_http_get(http)
    if (grpc := get("grpc")) is not None:
        grpc.setdefault("service", "")


def _default_http_get(action: Values) -> None:
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"


def _default_volume(volume: Values) -> None:
    if len(volume) == 1:
        volume["emptyDir"] = {}
        return
    for name, source in volume.items():
        if name == "name" or not isinstance(source, dict):
            continue
        if values := _SOURCES.get(name):
            for member, value in values.items():
                if source.get(member) is None:
                    source[member] = value
        if name == "downwardAPI":
            _default_items(source)
        elif name == "projected":
            _default_projections(source)
        elif name == "image" and not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference") or "")
        elif name == "ephemeral":
            claim = source.get("volumeClaimTemplate") or {}
            claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def _default_projections(projected: Values) -> None:
    for projection in projected.get("sources") or ():
        if (token := projection.get("serviceAccountToken")) is not None:
            token.setdefault("expirationSeconds", 3600)
        if (downward := projection.get("downwardAPI")) is not None:
            _default_items(downward)


def _default_items(downward: Values) -> None:
    for item in downward.get("items") or ():
        _default_source(item)


def _default_host_ports(spec: Values) -> None:
    """On the host's network a container's port is the host's port."""
    for member in ("containers", "initContainers"):
        for container in spec.get(member) or ():
            for port in container.get("ports") or ():
                if not port.get("hostPort") and "containerPort" in port:
                    port["hostPort"] = port["containerPort"]

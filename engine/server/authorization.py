"""Who may do what. One policy: administrators and the control plane's components may do everything, others nothing."""

from __future__ import annotations

from engine.api.errors import StatusError, qualified
from engine.api.resource import Resource
from engine.server.request import User

MASTERS = "system:masters"
COMPONENTS = (
    "system:apiserver",
    "system:kube-controller-manager",
    "system:kube-scheduler",
    "system:node:",
    "system:serviceaccount:kube-system:",
)


def is_component(user: User) -> bool:
    """A part of the control plane, by Kubernetes' names for them: `system:kube-scheduler`, `system:node:NAME`, …"""
    return user.name.startswith(COMPONENTS)


def allowed(user: User) -> bool:
    """The policy."""
    return MASTERS in user.groups or is_component(user)


def authorize(
    user: User, verb: str, resource: Resource, namespace: str | None, name: str = "", subresource: str = ""
) -> None:
    """Raises StatusError 403."""
    if allowed(user):
        return
    what = f"{resource.plural}/{subresource}" if subresource else resource.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = qualified(resource.group, what)
    if name:
        subject += f' "{name}"'
    message = (
        f'{subject} is forbidden: User "{user.name}" cannot {verb} resource "{what}" in API group '
        f'"{resource.group}" {where}'
    )
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    raise StatusError(403, "Forbidden", message, {key: value for key, value in details.items() if value})


def authorize_path(user: User, verb: str, path: str) -> None:
    """The same for what is no resource: `/metrics`, discovery. Every authenticated user may discover."""
    if allowed(user) or path.startswith(("/api", "/openapi")):
        return
    raise StatusError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {verb} path "{path}"')

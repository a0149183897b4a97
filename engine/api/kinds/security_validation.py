"""Rules of the security contexts of a pod and its containers."""

from __future__ import annotations

from typing import Any

from engine.api.errors import Cause
from engine.api.kinds.volume_validation import check_descending
from engine.api.validation import INT32_MAX, invalid, not_supported, range_message, required

Values = dict[str, Any]

_SECCOMP_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_PROC_MOUNTS = ("Default", "Unmasked")
_GROUP_CHANGES = ("Always", "OnRootMismatch")
_GROUP_POLICIES = ("Merge", "Strict")


def check_pod_security(security: Values, spec: Values, path: str, causes: list[Cause]) -> None:
    for member in ("fsGroup", "runAsUser", "runAsGroup"):
        _check_id(security.get(member), f"{path}.{member}", causes)
    for index, group in enumerate(security.get("supplementalGroups") or ()):
        _check_id(group, f"{path}.supplementalGroups[{index}]", causes)
    for index, sysctl in enumerate(security.get("sysctls") or ()):
        if not sysctl.get("name"):
            causes.append(required(f"{path}.sysctls[{index}].name"))
    for member, known in (("fsGroupChangePolicy", _GROUP_CHANGES), ("supplementalGroupsPolicy", _GROUP_POLICIES)):
        if (policy := security.get(member)) is not None and policy not in known:
            causes.append(not_supported(f"{path}.{member}", policy, known))
    _check_seccomp(security.get("seccompProfile"), f"{path}.seccompProfile", causes)


def check_container_security(security: Values, path: str, causes: list[Cause], *, host_users: bool) -> None:
    for member in ("runAsUser", "runAsGroup"):
        _check_id(security.get(member), f"{path}.{member}", causes)
    if (mount := security.get("procMount")) is not None:
        if mount not in _PROC_MOUNTS:
            causes.append(not_supported(f"{path}.procMount", mount, _PROC_MOUNTS))
        if host_users and mount == "Unmasked":
            causes.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    _check_seccomp(security.get("seccompProfile"), f"{path}.seccompProfile", causes)
    if security.get("allowPrivilegeEscalation") is False:
        if security.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            causes.append(invalid(path, security, why))
        if "CAP_SYS_ADMIN" in ((security.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            causes.append(invalid(path, security, why))


def _check_id(number: int | None, path: str, causes: list[Cause]) -> None:
    if number is not None and not 0 <= number <= INT32_MAX:
        causes.append(invalid(path, number, range_message(0, INT32_MAX)))


def _check_seccomp(profile: Values | None, path: str, causes: list[Cause]) -> None:
    if profile is None:
        return
    type_, file = profile.get("type", ""), profile.get("localhostProfile")
    if not type_:
        causes.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif type_ not in _SECCOMP_TYPES:
        causes.append(not_supported(f"{path}.type", type_, _SECCOMP_TYPES))
    if type_ == "Localhost":
        if file is None:
            causes.append(required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            check_descending(file, f"{path}.localhostProfile", causes)
    elif file is not None:
        why = "can only be set when seccomp type is Localhost"
        causes.append(invalid(f"{path}.localhostProfile", profile, why))

"""Columns and cells that several kinds share."""

from __future__ import annotations

from typing import Any

from engine.api.kind import Column

NAME = Column("Name", "string", format="name", description="Name of the object, unique within its namespace.")
AGE = Column("Age", "string", description="Time since the object was created.")
CONTAINERS = Column("Containers", "string", priority=1, description="Names of the containers in the template.")
IMAGES = Column("Images", "string", priority=1, description="Images of the containers in the template.")
SELECTOR = Column("Selector", "string", priority=1, description="Label selector of the pods.")


def container_cells(template: dict[str, Any]) -> tuple[str, str]:
    """The names and the images of a template's containers, each joined by commas."""
    containers = template.get("spec", {}).get("containers") or []
    names = ",".join(container.get("name", "") for container in containers)
    return names, ",".join(container.get("image", "") for container in containers)


def map_text(found: dict[str, str] | None) -> str:
    """`a=b,c=d` in key order, `<none>` for nothing."""
    return ",".join(f"{key}={value}" for key, value in sorted(found.items())) if found else "<none>"

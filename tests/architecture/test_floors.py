"""A floor imports lower floors only, never a neighbour on its own floor; imports inside functions count too."""

from __future__ import annotations

import pytest

from tests.architecture.source import LIBRARY, ROOT, imports, module

FLOORS = (
    ("errors",),
    ("model", "caps", "keys", "submitter"),
    ("spelling", "graph", "expressions", "specfile", "durable", "collector", "outgoing", "spills"),
    ("settings", "device", "store", "language", "sealing", "signing"),
    ("tools",),
    ("plugins", "notify"),
    ("sites", "report", "transfer", "vault"),
    ("planning", "dvcrepo", "backup", "bundle"),
    ("run",),
    ("lab",),
    ("versioning", "collab"),
    ("notebook",),
    ("service", "lineage", "preview"),
    ("engine", "portal"),
    ("experiment", "cli", "testing"),
    ("", "__main__"),  # physlab/__init__.py, the face
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room(name: str) -> str:
    return [*name.split("."), ""][1]


def test_every_room_has_a_floor() -> None:
    assert {room(module(path)) for path in LIBRARY} == set(FLOOR), "a new room needs a line in FLOORS and in design.md"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT / "physlab")))
def test_imports_go_down(path: object) -> None:
    here = room(module(path))
    for name, line in imports(path):
        there = room(name)
        if name.split(".")[0] != "physlab" or there == here or name == "physlab":
            continue
        assert FLOOR[there] < FLOOR[here], f"{path}:{line}: floor {FLOOR[here]} imports {name} of floor {FLOOR[there]}"


def test_design_names_every_floor() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    for number, rooms in enumerate(FLOORS[:-1]):
        line = next((line for line in text.splitlines() if line.startswith(f"| {number} |")), "")
        assert all(f"`{name}`" in line for name in rooms), f"docs/design.md: floor {number} holds {rooms}, not {line!r}"

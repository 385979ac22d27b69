"""Finds `flows/`, `blocks/` and `deployments/`, and loads a flow as Prefect does.

They lie beside the package in a checkout and under `physlab/_bundled` in an installed wheel. Always this package's
own: an editable install may have left an old copy elsewhere, and a working directory may be another checkout.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import physlab
from physlab.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from prefect import Flow

FOLDERS = ("flows", "blocks", "deployments")


def checkout(package: Path | None = None) -> Path | None:
    """Return the checkout that this package is imported from, None when it is an installed wheel."""
    folder = (package or Path(physlab.__file__).parent).resolve().parent
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError):
        return None
    return folder if project.get("name") == "physlab" and (folder / "flows").is_dir() else None


@cache
def root(package: Path | None = None) -> Path:
    """Return the folder that holds `flows/`, `blocks/` and `deployments/`.

    Args:
        package: The `physlab` package; default: the one that is imported.

    Raises:
        ConfigurationError: Neither a checkout nor an installed wheel: the installation is damaged.
    """
    package = (package or Path(physlab.__file__).parent).resolve()
    found = checkout(package) or package / "_bundled"
    missing = [name for name in FOLDERS if not (found / name).is_dir()]
    if missing:
        raise ConfigurationError(
            f"physlab at {package} has no {', '.join(missing)}: neither a checkout nor a complete installation.",
            hint="Install it again: pip install --force-reinstall physlab.",
        )
    return found


def flow_names() -> list[str]:
    """Return the names of all flows: one file, one flow."""
    return sorted(path.stem for path in (root() / "flows").glob("*.py"))


def entrypoint(name: str) -> str:
    """Return `path/to/flows/name.py:name`, as Prefect wants it.

    Raises:
        ConfigurationError: There is no such flow; the hint lists the known ones.
    """
    if name not in flow_names():
        raise ConfigurationError(f"There is no flow '{name}'.", hint=nearest(name, flow_names()))
    return f"{root() / 'flows' / name}.py:{name}"


def load_flow(name: str) -> Flow[..., Any]:
    """Load a flow by its name, through Prefect's own loader."""
    from prefect.flows import load_flow_from_entrypoint

    return load_flow_from_entrypoint(entrypoint(name), use_placeholder_flow=False)


def set_root() -> dict[str, str]:
    """Answer a deployment's `pull:` step: the code is where the worker's own physlab is."""
    return {"directory": str(root())}

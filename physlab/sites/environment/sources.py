"""The files of an installed package: what its RECORD lists, or for one that is worked on, its folder as it is now."""

from __future__ import annotations

import ast
import base64
import csv
import importlib.util
import json
import posixpath
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import physlab
from physlab.errors import ConfigurationError
from physlab.keys import digest_bytes, digest_stream

SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}/site-packages"
"""Where packages lie in an environment."""
LAB = "physlab"
BUNDLED = ("flows", "blocks", "deployments")
_DATA = ("share/", "etc/")
_ABOUT_THIS_INSTALLATION = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json")
_KEPT_METADATA = ("METADATA", "entry_points.txt", "top_level.txt")


class Item(NamedTuple):
    """One file of an environment.

    Attributes:
        path: Its place in the environment.
        digest: SHA-256 of its content.
        size: Its size [bytes].
        source: Path of the file here, or its content.
    """

    path: str
    digest: str
    size: int
    source: str | bytes


def items_of(dist: Distribution) -> list[Item]:
    """Return the files of a package.

    A package from a wheel is what its RECORD says, without reading the files; what is read when they travel must be
    that. physlab out of a checkout, and packages in editable installs, are read.

    Raises:
        ConfigurationError: Its files cannot be told.
    """
    record, base = dist.read_text("RECORD"), _project(dist)
    if _is_lab(dist) and not _is_installed_lab(record, dist, base):
        return [*_lab_items(), *_metadata(dist)]
    if record is None or base is not None:
        return [*_module_items(dist, base), *_metadata(dist)]
    return list(_recorded(record, dist))


def lab_of_checkout() -> Distribution | None:
    """Return physlab's own package where it runs from a checkout that was never installed."""
    folder = _lab_folder().parent
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return None
    return _Checkout(project) if project.get("name") == LAB else None


class _Checkout(Distribution):
    """Reads the metadata of a package that is not installed from its `pyproject.toml`."""

    def __init__(self, project: dict[str, object]) -> None:
        lines = [f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}"]
        lines += [f"Requires-Dist: {one}" for one in _strings(project.get("dependencies"))]
        extras = project.get("optional-dependencies")
        for extra, needed in extras.items() if isinstance(extras, dict) else ():
            lines.append(f"Provides-Extra: {extra}")
            for one in _strings(needed):
                name, _, marker = one.partition(";")
                also = f" and ({marker.strip()})" if marker else ""
                lines.append(f'Requires-Dist: {name.strip()} ; extra == "{extra}"{also}')
        self._metadata = "\n".join(lines) + "\n"

    def read_text(self, filename: str) -> str | None:
        return self._metadata if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return _lab_folder().parent / str(path)


def _strings(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _lab_folder() -> Path:
    return Path(physlab.__file__).resolve().parent


def _is_lab(dist: Distribution) -> bool:
    return dist.metadata["Name"] == LAB


def _is_installed_lab(record: str | None, dist: Distribution, base: Path | None) -> bool:
    """Say whether the physlab that runs is the one that this package installed."""
    installed = Path(str(dist.locate_file(LAB))).resolve()
    return record is not None and base is None and installed == _lab_folder()


def _project(dist: Distribution) -> Path | None:
    """Return the folder that an editable install leads to."""
    try:
        told = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not told.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(str(told.get("url"))).path)).resolve()


def _recorded(record: str, dist: Distribution) -> Iterator[Item]:
    root = Path(str(dist.locate_file("")))
    for row in csv.reader(record.splitlines()):
        name, hashed = row[0], row[1].removeprefix("sha256=")
        path = posixpath.normpath(f"{SITE}/{name}") if name.startswith("..") else f"{SITE}/{name}"
        if name.endswith(".pyc") or not path.startswith((f"{SITE}/", *_DATA)):
            continue  # programs in bin begin with the path of this machine's Python
        if ".dist-info/" in name and name.rpartition("/")[2] in _ABOUT_THIS_INSTALLATION:
            continue
        if hashed != row[1] and row[2].isdigit():
            digest = base64.urlsafe_b64decode(f"{hashed}{'=' * (-len(hashed) % 4)}").hex()
            yield Item(path, digest, int(row[2]), f"{root}/{name}")
        else:
            yield read_item(path, root / name)


def read_item(path: str, source: Path) -> Item:
    """Return a file with the digest of what it holds now.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        with source.open("rb") as stream:
            return Item(path, *digest_stream(stream), str(source))
    except OSError as error:
        raise ConfigurationError(
            f"{source} cannot be read: {error.strerror}.", hint="Install its package again."
        ) from error


def _lab_items() -> Iterator[Item]:
    folder = _lab_folder()
    yield from _tree(folder, LAB, leave_out=("_bundled",))
    base = folder.parent if (folder.parent / "flows").is_dir() else folder / "_bundled"
    for name in BUNDLED:
        yield from _tree(base / name, f"{LAB}/_bundled/{name}")


def _tree(folder: Path, name: str, leave_out: tuple[str, ...] = ()) -> Iterator[Item]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") or part in ("__pycache__", *leave_out) for part in inside.parts)
        if path.is_file() and not hidden and path.suffix != ".pyc":
            yield read_item(f"{SITE}/{name}/{inside.as_posix()}", path)


def _metadata(dist: Distribution) -> Iterator[Item]:
    """Yield what makes the package known to `importlib.metadata`, its entry points above all."""
    name = re.sub(r"[-_.]+", "_", dist.metadata["Name"])
    for file in _KEPT_METADATA:
        text = dist.read_text(file) or (dist.read_text("PKG-INFO") if file == "METADATA" else None)
        if text is not None:
            data = text.encode()
            path = f"{SITE}/{name}-{dist.version}.dist-info/{file}"
            yield Item(path, digest_bytes(data), len(data), data)


def _module_items(dist: Distribution, base: Path | None) -> list[Item]:
    root = base or Path(str(dist.locate_file(""))).resolve()
    found: list[Item] = []
    for name in sorted(_module_names(dist, base)):
        for place in _places(name):
            if not place.is_relative_to(root):
                continue
            if place.is_dir():
                found += _tree(place, name)
            else:
                found.append(read_item(f"{SITE}/{place.name}", place))
    if not found:
        kind = f"an editable install of {base}" if base else "installed without a list of its files"
        raise ConfigurationError(
            f"The package '{dist.metadata['Name']}' is {kind}, and its modules cannot be told.",
            hint=f"Install it from a wheel: pip install {base or dist.metadata['Name']}; or --without it.",
        )
    return found


def _places(name: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(path).resolve() for path in spec.submodule_search_locations or ()]
    return folders or ([Path(spec.origin).resolve()] if spec.origin and spec.has_location else [])


def _module_names(dist: Distribution, base: Path | None) -> set[str]:
    """Return the names under which a package that is worked on can be imported."""
    names = set((dist.read_text("top_level.txt") or "").split())
    names |= {point.module.partition(".")[0] for point in dist.entry_points}
    names.add(re.sub(r"[-.]+", "_", dist.metadata["Name"]))
    for row in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        file = Path(str(dist.locate_file(row[0])))
        if file.name.startswith("__editable__") and file.suffix == ".py":
            names |= _mapped(file)
        elif file.suffix == ".pth" and file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                folder = Path(line.strip())
                if folder.is_dir() and folder.resolve() != base:  # the project itself holds more than modules
                    names |= {one.stem for one in folder.iterdir() if one.suffix == ".py" or _is_package(one)}
    return {name for name in names if name.isidentifier()}


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _mapped(finder: Path) -> set[str]:
    """Return the names that setuptools' finder of an editable install leads to folders."""
    try:
        for node in ast.walk(ast.parse(finder.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(one, ast.Name) and one.id == "MAPPING" for one in targets):
                    return {str(name) for name in ast.literal_eval(node.value)}
    except (ValueError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"What setuptools wrote for an editable install cannot be read: {finder}: {error}.",
            hint="Install that package again: pip install -e FOLDER.",
        ) from error
    return set()

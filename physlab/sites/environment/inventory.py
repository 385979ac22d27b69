"""Which of the packages that are installed here make up a pilot's environment, and what that needs of a machine."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, distributions
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.keys import digest
from physlab.model import Model
from physlab.sites.environment.sources import LAB, SITE, Item, items_of, lab_of_checkout

DEVELOPMENT = ("test", "bench", "fuzz")
"""Extras of physlab that no pilot needs."""
INSTALLERS = frozenset(("pip", "uv", "setuptools", "wheel"))
"""What goes along only where a package requires it."""
_OLD_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
Glibc = tuple[int, int]


class Choice(Model):
    """What was asked for beside the usual packages.

    Attributes:
        add: Packages that go along though only the development of physlab needs them.
        leave_out: Packages that stay here, with those that only they need.
    """

    add: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Package:
    """One installed package: its files, and the identity that these give it."""

    name: str
    version: str
    dist: Distribution

    @cached_property
    def items(self) -> list[Item]:
        """Its files."""
        return items_of(self.dist)

    @cached_property
    def digest(self) -> str:
        """Its identity, by the names and digests of its files."""
        return digest(sorted([item.path, item.digest] for item in self.items))

    @property
    def glibc(self) -> Glibc | None:
        """The C library that it was built for; None where it holds no machine code."""
        tags = re.findall(r"^Tag: \S+-(\S+)$", self.dist.read_text("WHEEL") or "", re.MULTILINE)
        found = [version for tag in tags if (version := _glibc_of(tag)) is not None]
        if found:
            return min(found)
        built_here = any(tag.startswith("linux_") for tag in tags)
        built_here = built_here or any(re.search(r"\.so(\.\d|$)", item.path) for item in self.items)
        return own_glibc() if built_here else None


def _glibc_of(tag: str) -> Glibc | None:
    if told := re.match(r"manylinux_(\d+)_(\d+)_", tag):
        return int(told[1]), int(told[2])
    return _OLD_TAGS.get(tag.partition("_")[0])


def read_glibc(text: str) -> Glibc | None:
    """Return the version in `glibc 2.36`."""
    told = re.match(r"glibc (\d+)\.(\d+)", text)
    return (int(told[1]), int(told[2])) if told else None


def own_glibc() -> Glibc | None:
    """Return the version of this machine's C library."""
    return read_glibc(" ".join(platform.libc_ver()))


@dataclass(frozen=True)
class Pack:
    """An environment as it is here.

    Attributes:
        packages: What it holds, by name.
        choice: What it was made for.
    """

    packages: Mapping[str, Package]
    choice: Choice

    @cached_property
    def digest(self) -> str:
        """Its identity: the Python, the kind of machine, and every file."""
        content = {name: package.digest for name, package in sorted(self.packages.items())}
        return digest({"v": 1, **machine(), "site": SITE, "packages": content})[:16]

    @property
    def items(self) -> list[Item]:
        """All files; of two packages that bring the same one, the later package's."""
        return list({item.path: item for package in self.packages.values() for item in package.items}.values())

    def brief(self) -> dict[str, tuple[str, str]]:
        """Return name → version and digest."""
        return {name: (package.version, package.digest[:16]) for name, package in self.packages.items()}

    def glibc(self) -> tuple[Glibc, str] | None:
        """Return the C library that it needs, and the package that needs it."""
        needs = [(found, f"{one.name} {one.version}") for one in self.packages.values() if (found := one.glibc)]
        return max(needs, default=None)


def machine() -> dict[str, str]:
    """Return what a machine must have in common with this one."""
    return {"implementation": sys.implementation.name, "system": platform.system(), "machine": platform.machine(),
            "minor": f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"}  # fmt: skip


def pack(choice: Choice | None = None) -> Pack:
    """Return the environment that runs here.

    That is physlab, all that it requires, and whatever else is installed beside it, since nodes may import it; less
    what only physlab's own development needs, and less pip and its like.

    Raises:
        ValidationError: A name of the choice is not installed.
        ConfigurationError: The files of a package cannot be told.
    """
    choice, installed = choice or Choice(), _installed()
    if LAB not in installed:
        raise ConfigurationError("physlab is neither installed nor a checkout.", hint="pip install physlab")
    for name in (*choice.add, *choice.leave_out):
        if canonicalize_name(name) not in installed:
            raise ValidationError(f"There is no package '{name}' here.", hint=nearest(name, installed))
    if any(canonicalize_name(name) == LAB for name in choice.leave_out):
        raise ValidationError("physlab itself cannot be left out.", hint="Leave out packages beside it.")
    names = _chosen(installed, choice)
    return Pack({name: Package(name, *installed[name][1:3]) for name in sorted(names)}, choice)


class _Head(NamedTuple):
    """What a package says of itself; `importlib.metadata` would read the whole description with it, each time."""

    name: str
    version: str
    dist: Distribution
    requires: list[str]
    extras: list[str]


def _installed() -> dict[str, _Head]:
    found: dict[str, _Head] = {}
    for dist in distributions():  # the first one on the path is the one that is imported
        head = _read_head(dist)
        if head.name:
            found.setdefault(canonicalize_name(head.name), head)
    if LAB not in found and (checkout := lab_of_checkout()) is not None:
        found[LAB] = _read_head(checkout)
    return found


def _read_head(dist: Distribution) -> _Head:
    text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    said: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Z][A-Za-z-]+): *(.*\S)", text.partition("\n\n")[0], re.MULTILINE):
        said.setdefault(name, []).append(value)
    [name, *_], [version, *_] = said.get("Name", [""]), said.get("Version", ["?"])
    return _Head(name, version, dist, said.get("Requires-Dist", []), said.get("Provides-Extra", []))


def _chosen(installed: Mapping[str, _Head], choice: Choice) -> set[str]:
    wants = _Wants(installed)
    usual = (LAB, tuple(one for one in installed[LAB].extras if one not in DEVELOPMENT))
    needed = wants.reach([usual])
    others = set(installed) - needed - wants.reach([(LAB, DEVELOPMENT)]) - INSTALLERS
    inner = {name for one in others for name in wants.reach([(one, ())]) if name != one}
    roots = others - inner
    roots |= others - wants.reach([(name, ()) for name in roots])  # those that require each other in a circle
    asked = [canonicalize_name(name) for name in choice.add]
    without = {canonicalize_name(name) for name in choice.leave_out}
    return wants.reach([usual, *((name, ()) for name in (*roots, *asked))], without)


class _Wants:
    """What packages require of each other."""

    def __init__(self, installed: Mapping[str, _Head]) -> None:
        self._installed = installed
        self._known: dict[tuple[str, str], list[tuple[str, str]]] = {}

    def reach(self, roots: Iterable[tuple[str, tuple[str, ...]]], without: Iterable[str] = ()) -> set[str]:
        """Return the installed packages that some packages with their extras need, themselves included."""
        stopped, seen = set(without), set[tuple[str, str]]()
        left = [(name, extra) for name, extras in roots for extra in ("", *extras)]
        while left:
            one = left.pop()
            if one not in seen and one[0] not in stopped and one[0] in self._installed:
                seen.add(one)
                left += self._of(*one)
        return {name for name, _ in seen}

    def _of(self, name: str, extra: str) -> list[tuple[str, str]]:
        """Return what a package needs, or what one of its extras adds: each with the extras that are asked of it."""
        if (name, extra) not in self._known:
            texts = [
                text for text in self._installed[name].requires if ("extra" in text.partition(";")[2]) == bool(extra)
            ]
            read = [one for text in texts if (one := _read(text)) is not None]
            self._known[name, extra] = [
                (canonicalize_name(one.name), more) for one in read
                if one.marker is None or one.marker.evaluate({"extra": extra}) for more in ("", *one.extras)
            ]  # fmt: skip
        return self._known[name, extra]


def _read(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:  # of an old package; whatever it means is here or not
        return None


def differences(before: Mapping[str, Any], now: Mapping[str, tuple[str, str]]) -> list[str]:
    """Say how the packages of two environments differ.

    Args:
        before: Name → version and digest, there.
        now: The same, here.
    """
    found = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old is None or new is None:
            found.append(f"{name} {'is new' if old is None else 'is gone'}")
        elif tuple(old) != tuple(new):
            found.append(f"{name} {old[0]} → {new[0]}" if old[0] != new[0] else f"{name} has changed")
    return found

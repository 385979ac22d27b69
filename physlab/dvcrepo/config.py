"""DVC's two files of configuration: the one that is committed, and the one that stays on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from physlab.dvcrepo.objects import write_whole
from physlab.errors import ConfigurationError, ValidationError

SHARED, OWN = "config", "config.local"
PUBLIC = ("url", "endpointurl", "region", "port", "verify")
"""What of a remote may be committed; everything else (users, keys, tokens) stays on this machine."""


def read(folder: Path, file: str) -> dict[str, dict[str, str]]:
    """Return a configuration file of a repository: options by section.

    Raises:
        ConfigurationError: It is not one.
    """
    from configobj import ConfigObj, ConfigObjError  # type: ignore[import-untyped]

    path = folder / ".dvc" / file
    try:
        text = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return {name: dict(options) for name, options in ConfigObj(text).dict().items()}
    except (ConfigObjError, UnicodeDecodeError, ValueError) as error:
        raise ConfigurationError(
            f"{path} is not a configuration of DVC: {error}.", hint=f"Mend or remove it: {path}"
        ) from error


def write(folder: Path, file: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a configuration file, unless it says the same already; the own one is for nobody else's eyes."""
    from configobj import ConfigObj

    if sections == read(folder, file):
        return
    made = ConfigObj({name: dict(options) for name, options in sections.items() if options}, encoding="utf-8")
    made.filename = None
    lines = made.write()
    data = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"
    write_whole(folder / ".dvc" / file, data, mode=0o600 if file == OWN else 0o644)


def keep_shared(folder: Path, remotes: Mapping[str, Mapping[str, str]]) -> None:
    """Let DVC send no statistics and ask for no updates; add remotes, each checked when it is read from."""
    sections = read(folder, SHARED)
    sections["core"] = {**sections.get("core", {}), "analytics": "false", "check_update": "false"}
    for name, options in remotes.items():
        sections[section(name)] = {**sections.get(section(name), {}), **options, "verify": "true"}
        sections["core"].setdefault("remote", name)
    write(folder, SHARED, sections)


def keep_remote(folder: Path, name: str, options: Mapping[str, str]) -> list[str]:
    """Keep a remote: what may be committed in the one file, users, keys and passwords in the other.

    Returns:
        The options of the other file.

    Raises:
        ValidationError: The name or an option is not one.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValidationError(f"'{name}' cannot name a remote.", hint="Use letters, digits, dots, dashes.")
    odd = [key for key, value in options.items() if not re.fullmatch("[a-z_]+", key) or not value.isprintable()]
    if odd:
        raise ValidationError(f"'{odd[0]}' is not an option of DVC.", hint="See: dvc remote modify --help")
    bare, user, password = _split_login(options["url"])
    personal = {"user": user, "password": password} | {k: v for k, v in options.items() if k not in PUBLIC}
    personal = {key: value for key, value in personal.items() if value}
    keep_shared(folder, {name: {**{k: v for k, v in options.items() if k in PUBLIC}, "url": bare}})
    if personal:
        sections = read(folder, OWN)
        sections[section(name)] = {**sections.get(section(name), {}), **personal}
        write(folder, OWN, sections)
    return sorted(personal)


def _split_login(url: str) -> tuple[str, str, str]:
    """Return an address without user and password, and both."""
    match = re.fullmatch(r"([a-z0-9+]+://)(?:([^/@:]*)(?::([^/@]*))?@)?(.*)", url)
    if match is None:
        return url, "", ""
    return match[1] + match[4], unquote(match[2] or ""), unquote(match[3] or "")


def keep_own(folder: Path, own: Path) -> None:
    """Let DVC link to its cache here, and keep its databases where nobody else can plant a pickle.

    The committed file does not say so: whoever clones the repository gets DVC's own, writable copies.
    """
    sections = read(folder, OWN)
    sections["core"] = {**sections.get("core", {}), "site_cache_dir": str(own)}
    sections["cache"] = {"type": "hardlink,copy", **sections.get("cache", {})}
    write(folder, OWN, sections)


def section(remote: str) -> str:
    """Return the section of a remote."""
    return f'remote "{remote}"'


def remotes(folder: Path) -> dict[str, dict[str, str]]:
    """Return the remotes by name, with the options that may be shown."""
    found = {}
    for name, options in read(folder, SHARED).items():
        if name.startswith('remote "'):
            found[name[8:-1]] = {key: value for key, value in options.items() if key in PUBLIC}
    return found

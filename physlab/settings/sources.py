"""Reading the sources in order, and remembering which one set what."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import pydantic

from physlab.caps import CAPS
from physlab.errors import ConfigurationError, nearest
from physlab.settings import upstream
from physlab.settings.model import Settings

FILE = "physlab.toml"
PREFIX = "PHYSLAB_"
PATHS = (
    "home", "results", "report.logo", "dvc.repository", "backup.password_file", "keys.server_file",
    "collaboration.passphrase_file",
)  # fmt: skip
PLACES = ("stores.NAME.url",)  # folders, or addresses
LISTS_OF_PATHS = ("tools", "backup.also")


class Given(NamedTuple):
    """One value, where it was said, and the folder its relative paths start from."""

    value: Any
    origin: str
    base: Path


def load_settings(
    cwd: Path | None = None, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read every source and return the settings.

    Args:
        cwd: Where the search for `physlab.toml` starts; default: the working directory.
        overrides: What the caller insists on, nested or with dotted keys; None values are left out.
        environ: Stands for the environment in tests.

    Raises:
        ConfigurationError: A file cannot be read, a key is unknown, or a value is not accepted.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else Path(cwd).absolute()
    given: dict[str, Given] = {}
    for source in (_from_files(cwd, environ), _from_environment(cwd, environ), _from_overrides(cwd, overrides or {})):
        for key, said in source:
            _refuse_unknown(key, said.origin)
            given[key] = said
    given.setdefault("home", Given(_data_home(environ) / "physlab", "default", cwd))
    given.setdefault("results", Given("results", "default", cwd))
    settings = _validated(given)
    settings._origins.update({key: said.origin for key, said in given.items()})
    return settings


def origins(settings: Settings) -> dict[str, str]:
    """Say for each setting where its value came from: `default`, `path:line`, `environment NAME` or `override`."""
    return {key: settings._origins.get(key, "default") for key in _flat(settings.model_dump())}


def shown(settings: Settings) -> dict[str, Any]:
    """Return each setting under its dotted key as a JSON value, with passwords in URLs hidden."""
    flat = _flat(settings.model_dump(mode="json"))
    return {key: _masked(value) if isinstance(value, str) else value for key, value in flat.items()}


def child_environment(add: Mapping[str, str], drop_prefix: str | tuple[str, ...] = "") -> dict[str, str]:
    """Return this process's environment for a child: without what starts with `drop_prefix`, with `add`."""
    kept = {name: value for name, value in os.environ.items() if not (drop_prefix and name.startswith(drop_prefix))}
    return {**kept, **add}


def cache_folder() -> Path:
    """Return this user's folder for what may be lost: `$XDG_CACHE_HOME/physlab`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or _user(os.environ) / ".cache") / "physlab"


def insist(**values: str) -> None:
    """Let this process and its children read these values before any other source; only a program may do that."""
    os.environ.update({PREFIX + name.upper().replace(".", "__"): value for name, value in values.items()})


def own_variables() -> dict[str, str]:
    """Return the variables that are settings of this lab, for a process that is to work in the same one."""
    return {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}


def forget(prefix: str) -> None:
    """Hide variables from the programs that this process starts from now on."""
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]


def decline_tracking() -> None:
    """Let Prefect send no usage data from this process and its children; to be called before it is imported."""
    os.environ["DO_NOT_TRACK"] = "1"


def _masked(text: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", text)


def _from_files(cwd: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    lab = _config_home(environ) / "physlab" / FILE
    project = next((folder / FILE for folder in (cwd, *cwd.parents) if (folder / FILE).is_file()), cwd / FILE)
    read: set[Path] = set()
    for path in (lab.with_name(upstream.NAME), lab, cwd / upstream.NAME, project.with_name(upstream.NAME), project):
        if path in read or not path.is_file():
            continue
        read.add(path)
        if path.name == upstream.NAME:
            yield from (
                (key, Given(value, str(path), path.parent)) for key, value in upstream.read_config(path).items()
            )
        else:
            yield from _from_toml(path)


def _from_toml(path: Path) -> Iterator[tuple[str, Given]]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{path}:{line[1]}" if line else str(path)
        raise ConfigurationError(f"{where}: not valid TOML: {error}.", hint="Mend that line.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.", hint="It must be a UTF-8 text file.") from error
    lines = toml_lines(text)
    for key, value in _flat(document).items():
        yield key, Given(value, f"{path}:{lines[key]}" if key in lines else str(path), path.parent)


def toml_lines(text: str) -> dict[str, int]:
    """Say on which line each dotted key of a TOML text stands; keys in inline tables are left out."""
    section, found = "", {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([\w.\- \"']+)\]", line):
            section = re.sub(r"[\s\"']", "", header[1]) + "."
        elif assigned := re.match(r"\s*([\w.\- \"']+?)\s*=", line):
            found[section + re.sub(r"[\s\"']", "", assigned[1])] = number
    return found


def _from_environment(cwd: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, Given]]:
    for key, (value, name) in upstream.read_variables(environ).items():
        yield key, Given(value, f"environment {name}", cwd)
    for name, text in environ.items():
        if name.startswith(PREFIX) and text:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            yield key, Given(text, f"environment {name}", cwd)


def _from_overrides(cwd: Path, overrides: Mapping[str, Any]) -> Iterator[tuple[str, Given]]:
    for key, value in _flat(overrides).items():
        if value is not None:
            yield key, Given(value, "override", cwd)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping with dotted keys; an empty section says nothing."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _known(model: type[pydantic.BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            yield from _known(kind, f"{prefix}{name}.")
        elif name == "caps":
            yield from (f"caps.{cap}" for cap in CAPS)
        elif (inner := named_sections(kind)) is not None:
            yield from _known(inner, f"{prefix}{name}.NAME.")
        else:
            yield f"{prefix}{name}"


def named_sections(kind: Any) -> type[pydantic.BaseModel] | None:
    """Return the model of a setting that is a section for each name that people give, such as `sites.slurm.hpc`."""
    inner = get_args(kind)[1] if get_origin(kind) is dict else None
    return inner if isinstance(inner, type) and issubclass(inner, pydantic.BaseModel) else None


KNOWN = frozenset(_known())
NAMED = tuple({key.partition("NAME.")[0] for key in KNOWN if "NAME." in key})


def _pattern(key: str) -> str:
    """Return a key with `NAME` for a name that people give."""
    for section in NAMED:
        if key.startswith(section) and "." in (rest := key.removeprefix(section)):
            return f"{section}NAME.{rest.partition('.')[2]}"
    return key


def _refuse_unknown(key: str, origin: str) -> None:
    if _pattern(key) in KNOWN:
        return
    section = _pattern(key).rpartition(".")[0]
    siblings = [known for known in KNOWN if known.rpartition(".")[0] == section] if section else []
    raise ConfigurationError(
        f"{origin}: '{key}' is not a setting.",
        hint=nearest(key, siblings or KNOWN),
        details={"key": key, "origin": origin},
    )


def _validated(given: Mapping[str, Given]) -> Settings:
    tree: dict[str, Any] = {}
    for key, said in given.items():
        *sections, name = key.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        if key in LISTS_OF_PATHS and isinstance(said.value, str):  # a variable
            said = said._replace(value=[part.strip() for part in said.value.split(",") if part.strip()])
        branch[name] = _rooted(said) if key in (*PATHS, *LISTS_OF_PATHS) else said.value
        if _pattern(key) in PLACES and "://" not in str(said.value):
            branch[name] = str(_rooted(said))
    try:
        return Settings.model_validate(tree)
    except pydantic.ValidationError as error:
        raise _explained(error, given) from error


def _rooted(said: Given) -> Any:
    """Make a relative path start where it was written: beside its file, or in the working directory."""
    if isinstance(said.value, list | tuple):
        return [_rooted(said._replace(value=item)) for item in said.value]
    if isinstance(said.value, str | Path) and str(said.value):
        return said.base / Path(said.value).expanduser()
    return said.value


def _explained(error: pydantic.ValidationError, given: Mapping[str, Given]) -> ConfigurationError:
    lines, keys = [], []
    for problem in error.errors(include_url=False):
        named = [key for key in given if (".".join(map(str, problem["loc"])) + ".").startswith(key + ".")]
        named = named or [key for key in given if key.startswith(".".join(map(str, problem["loc"])) + ".")]
        key = max(named, key=len, default=".".join(map(str, problem["loc"])))
        said = given.get(key)
        reason = problem["msg"].removeprefix("Value error, ").rstrip(".")
        value = (
            "***"
            if key.endswith(("_token", "api_key", "password", "passphrase", "webhook"))
            else _masked(repr(said.value if said else problem["input"]))
        )
        lines.append(f"{said.origin if said else 'default'}: {key} = {value}: {reason}.")
        keys.append(key)
    return ConfigurationError(
        " ".join(lines), hint=" ".join(filter(None, map(_meaning, dict.fromkeys(keys)))), details={"keys": keys}
    )


def _meaning(key: str) -> str:
    """Return what a setting means, in the words of its description."""
    model: Any = Settings
    *sections, name = key.split(".")
    for section in sections:
        if (inner := named_sections(model)) is not None:
            model = inner
            continue
        model = getattr(model, "model_fields", {}).get(section, pydantic.fields.FieldInfo()).annotation
    field = getattr(model, "model_fields", {}).get(name)
    return f"{key}: {field.description}" if field is not None and field.description else ""


def _data_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_DATA_HOME") or _user(environ) / ".local" / "share")


def _config_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or _user(environ) / ".config")


def _user(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()

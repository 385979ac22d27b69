"""`doctor`: is everything here that the lab needs?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from physlab.cli.options import Json
from physlab.cli.output import counted, mark, size, table, voice

if TYPE_CHECKING:
    from physlab.settings import Settings

ENOUGH_BYTES = 2e9
LOCKED = "the lab is locked"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    do: str = ""


def doctor(json: Json = False) -> int:
    """Look whether everything is here that the lab needs.

    Exit code 1 when something is missing.
    """
    findings = list(_look())
    failed = sum(finding.state == "fail" for finding in findings)
    if voice.as_json:
        voice.reply({"ok": not failed, "findings": [asdict(finding) for finding in findings]})
        return 1 if failed else 0
    rows = [[mark(item.state), item.name, item.found, item.do] for item in findings]
    voice.say(table(("", "", "found", "what to do"), rows), "")
    if failed:
        voice.say(f"[bold red]✗[/bold red] {counted(failed, 'thing')} to mend.")
        return 1
    if any(finding.found == LOCKED for finding in findings):
        voice.say("[yellow]![/yellow] The lab is locked; nothing else is missing.")
        voice.next("physlab store unlock")
        return 0
    voice.say("[green]✓[/green] The lab is ready.")
    voice.next("physlab define --text 'hydrogen 2p state with animation'")
    return 0


def _look() -> Iterator[Finding]:
    from physlab.errors import PhyslabError
    from physlab.settings import load_settings

    yield _python()
    yield _versions()
    try:
        settings = load_settings()
    except PhyslabError as error:
        yield Finding("settings", "fail", error.message, error.hint)
        return
    for look in (_home, _disk, _index, _tools, _films, _paper, _server, _accelerators):
        yield _shielded(look, settings)
        if look is _tools:
            yield from _extras()


def _shielded(look: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """Turn an error of one look into its finding, so that the others are still made."""
    from physlab.errors import PhyslabError

    try:
        return look(settings)
    except PhyslabError as error:
        return Finding(look.__name__.strip("_"), "fail", error.message, error.hint)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("python", "ok", f"{version} at {sys.executable}")
    return Finding("python", "fail", version, "Use Python 3.11, 3.12 or 3.13.")


def _versions() -> Finding:
    names = ("physlab", "prefect", "numpy", "scipy", "matplotlib", "weasyprint")
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if set(missing) - {"physlab"}:  # a raw checkout need not be installed
        return Finding("packages", "fail", f"missing: {', '.join(missing)}", "pip install physlab")
    return Finding("packages", "ok", ", ".join(found))


def _home(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK | os.X_OK) and folder.is_dir():
        return Finding("home", "ok", str(settings.home))
    return Finding("home", "fail", f"{folder} is not writable", "Set PHYSLAB_HOME to a folder you may write to.")


def _disk(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < ENOUGH_BYTES:
        return Finding("disk", "warn", f"{size(free)} free", "Free some space, or move the home: PHYSLAB_HOME.")
    return Finding("disk", "ok", f"{size(free)} free")


def _index(settings: Settings) -> Finding:
    from physlab.lab import Lab
    from physlab.store import schema
    from physlab.vault import state

    if state(settings.home) != "open":
        return Finding("store", "warn", LOCKED, "physlab store unlock")
    if not (settings.home / "store").exists():
        return Finding("store", "ok", "empty; made at the first run")
    with Lab(settings) as lab:
        lab.store.refresh()
        count = len(lab.store.index.rows(schema.nodes.select().with_only_columns(schema.nodes.c.seq)))
    return Finding("store", "ok", f"{counted(count, 'result')}, index up to date")


def _tools(settings: Settings) -> Finding:
    from physlab.plugins import all_tools

    tools = all_tools().tools
    return Finding("tools", "ok", f"{counted(sum(len(tool.methods) for tool in tools.values()), 'method')}")


def _extras() -> Iterator[Finding]:
    """Yield which optional libraries are here, by the extra that brings them."""
    from importlib.util import find_spec

    from physlab.tools.extras import EXTRAS

    for extra in dict.fromkeys(name for _, name in EXTRAS.values()):
        wanted = {module: name for module, (name, of) in EXTRAS.items() if of == extra}
        missing = [name for module, name in wanted.items() if find_spec(module) is None]
        if missing:
            yield Finding(extra, "warn", f"without {', '.join(missing)}", f"pip install 'physlab[{extra}]'")
        else:
            yield Finding(extra, "ok", ", ".join(f"{name} {metadata.version(name)}" for name in wanted.values()))
    if find_spec("torch") is None:
        yield Finding("torch", "warn", "without PyTorch: no surrogates", "pip install torch")
    else:
        yield Finding("torch", "ok", f"PyTorch {metadata.version('torch')}")


def _films(settings: Settings) -> Finding:
    import imageio_ffmpeg

    try:
        return Finding("animations", "ok", str(imageio_ffmpeg.get_ffmpeg_exe()))
    except RuntimeError as error:
        return Finding("animations", "warn", f"no ffmpeg: {error}", "Install ffmpeg, or set IMAGEIO_FFMPEG_EXE.")


def _paper(settings: Settings) -> Finding:
    try:
        import weasyprint

        return Finding("reports", "ok", f"WeasyPrint {weasyprint.__version__} with Pango")
    except (OSError, ImportError) as error:
        first = str(error).splitlines()[0] if str(error) else repr(error)
        return Finding("reports", "fail", f"WeasyPrint: {first}", "Install Pango: apt install libpangoft2-1.0-0")


def _server(settings: Settings) -> Finding:
    from physlab.engine.server import server_status
    from physlab.settings import decline_tracking

    decline_tracking()
    info = server_status(settings)
    if info.kind == "lab":
        where = f"running at {info.ui_url}" if info.running else "not running; a run starts it"
        return Finding("prefect", "ok", f"the lab's own, {where}")
    if info.kind == "given":
        return _given(settings, info.api_url or "")
    return Finding("prefect", "ok", {"ephemeral": "a temporary one for each run"}.get(info.kind, "switched off"))


def _given(settings: Settings, api_url: str) -> Finding:
    from physlab.engine.server import ensure_server
    from physlab.errors import ConfigurationError

    try:
        ensure_server(settings)
    except ConfigurationError as error:
        return Finding("prefect", "fail", error.message, error.hint)
    return Finding("prefect", "ok", f"yours, at {api_url}")


def _accelerators(settings: Settings) -> Finding:
    from physlab import device

    kinds = ", ".join(device.accelerators()) or "none; everything runs on the CPU"
    return Finding("accelerator", "ok", f"{kinds} ({os.cpu_count()} cores)")

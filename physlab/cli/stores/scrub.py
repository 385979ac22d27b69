"""`store scrub`: reading what lies there, and naming what is damaged."""

from __future__ import annotations

from typing import Annotated

import typer

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, mark, size, table, voice
from physlab.cli.stores.shared import Limit, rate

Share = Annotated[
    str, typer.Option("--share", metavar="P/Q", help="Read so much; the next scrub reads the part after it.")
]
Stores = Annotated[
    list[str] | None, typer.Argument(metavar="[STORE]...", help="Which; `lab` is the lab itself; left out: all.")
]


def scrub(stores: Stores = None, share: Share = "1/1", limit: Limit = None, json: Json = False) -> int:
    """Read the files of this lab and of its stores, and name what is damaged; exit code 1 when something is."""
    from physlab.lab import Lab
    from physlab.service.replicas import scrub_stores
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = scrub_stores(lab, stores, share, rate(limit))
    if voice.as_json:
        voice.reply(found)
        return 0 if found["ok"] else 1
    rows = []
    for one in found["stores"]:
        bad = one["error"]["message"] if "error" in one else f"{len(one['damage'])} damaged" if one["damage"] else ""
        rows.append(
            [mark("fail" if bad else "ok"), one["store"], one["part"], f"{one.get('files', 0):,}",
             size(one.get("size", 0)), bad]
        )  # fmt: skip
    voice.say(table(("", "store", "part", "files", "read", "found"), rows, right=("files", "read")), "")
    damage = [item for one in found["stores"] for item in one.get("damage", ())]
    for item in damage:
        hurt = f" ({counted(len(item['files']), 'file')} of the lab)" if item["files"] else ""
        voice.say(f"[bold red]✗[/bold red] {escape(item['store'] + ': ' + item['name'] + ': ' + item['why'] + hurt)}")
    voice.next("physlab store repair" if damage else "physlab store replicas")
    return 0 if found["ok"] else 1

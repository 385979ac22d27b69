"""`site`: where nodes run, and whether a cluster would really run one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from physlab.cli import environments
from physlab.cli.options import Json
from physlab.cli.output import mark, table, voice

app = typer.Typer(name="site", help="Where nodes run.", no_args_is_help=True)
SiteName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the cluster in physlab.toml.")]


@app.command("list")
def sites(json: Json = False) -> int:
    """List the places where nodes run: this machine and the clusters of physlab.toml."""
    from physlab.lab import Lab
    from physlab.service.sites import list_sites
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        found = list_sites(lab)
    if voice.as_json:
        voice.reply({"sites": found})
        return 0
    rows = [
        [item["name"], item["kind"], item["host"], f"{item['cores']}", f"{item['memory_gb']:.3g} GB",
         ", ".join(item["accelerators"]), item["partition"] or ""] for item in found
    ]  # fmt: skip
    voice.say(table(("site", "kind", "host", "cores", "memory", "accelerators", "partition"), rows), "")
    for item in found:
        if item["policy"]:
            voice.fact(item["name"], f"policy: {item['policy']}")
    if len(found) > 1:
        voice.next(f"physlab site check {found[-1]['name']}")
    else:
        voice.note("No cluster is described: see [sites.slurm.NAME] in docs/howto/laptop-to-cluster.md.")
    return 0


@app.command()
def check(name: SiteName, json: Json = False) -> int:
    """Look whether a cluster would run nodes, with one that really goes there; exit code 1 when it would not."""
    from physlab.lab import Lab
    from physlab.service.sites import Check, check_site
    from physlab.settings import load_settings

    found: list[Check] = []
    with Lab(load_settings()) as lab:
        for item in check_site(lab, name):
            found.append(item)
            voice.note(f"{item.name} …" if item.ok else f"{item.name}: {item.found}")
    ok = all(item.ok for item in found)
    if voice.as_json:
        voice.reply({"ok": ok, "checks": [asdict(item) for item in found]})
        return 0 if ok else 1
    rows = [[mark("ok" if item.ok else "fail"), item.name, item.found, item.do] for item in found]
    voice.say(table(("", "", "found", "what to do"), rows), "")
    if ok:
        voice.next(f"physlab run examples/hydrogen_2p.yaml --site {name}")
    return 0 if ok else 1


app.command("install")(environments.install)

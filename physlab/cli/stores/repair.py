"""`store repair`: missing and damaged copies are made good."""

from __future__ import annotations

from dataclasses import asdict

from physlab.cli.options import Json
from physlab.cli.output import counted, escape, voice
from physlab.cli.stores.shared import Limit, rate


def repair(limit: Limit = None, json: Json = False) -> int:
    """Make missing and damaged copies good from good ones, the lab's own included.

    What is damaged says `store scrub`; what is missing is seen at once. Exit code 1 when something is lost.
    """
    from physlab.lab import Lab
    from physlab.service.replicas import repair_replicas
    from physlab.settings import load_settings

    with Lab(load_settings()) as lab:
        done = repair_replicas(lab, rate(limit))
    if voice.as_json:
        voice.reply({"ok": not done.lost, **asdict(done)})
        return 1 if done.lost else 0
    if done.fetched:
        voice.say(f"The lab got {counted(len(done.fetched), 'file')} back.")
    for name, count in done.sent.items():
        voice.say(f"{name} got {counted(count, 'file')}.")
    for item in done.mended:
        voice.say(f"[green]✓[/green] {escape(f'{item.store}: {item.name} is whole again')}")
    for item in done.lost:
        voice.say(f"[bold red]✗[/bold red] {escape(f'{item.store}: {item.name}: {item.why}')}")
    if not (done.fetched or done.sent or done.mended or done.lost):
        voice.say("[green]✓[/green] Nothing is missing, and no damage is known.")
    voice.next("physlab store replicas" if not done.lost else "physlab store scrub")
    return 1 if done.lost else 0

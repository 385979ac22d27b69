"""Bundles from elsewhere: verified, and taken into a lab that trusts whoever signed them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pydantic

from physlab.bundle import Checked, Opened, check_bundle, open_bundle, read_bundle
from physlab.bundle.archive import Archive, Limits
from physlab.bundle.names import NOTEBOOK, refused
from physlab.bundle.opening import stranger
from physlab.collab.audit import Event
from physlab.collab.audit.checkpoints import lab_key
from physlab.collab.commons import Commons
from physlab.collab.database import written
from physlab.errors import StoreError, ValidationError
from physlab.keys import digest_bytes
from physlab.lab import Lab
from physlab.model.notebook import Entry, EntrySignature
from physlab.notebook.book import ADAPTER
from physlab.notebook.signatures import check_signature
from physlab.service.sharing.commons import commons_of, local_who
from physlab.signing import PublicKey, read_public
from physlab.store import Store

TRUSTED = "trusted_lab"
Told = Callable[[int, int], None]


def public_key(lab: Lab) -> PublicKey:
    """Return the key by which others know this lab's bundles and audit log."""
    with commons_of(lab) as commons:
        return lab_key(commons.database).public


def trusted_keys(store: Store) -> dict[str, str]:
    """Return the keys of labs whose bundles are taken: line → since when."""
    store.refresh()
    found: dict[str, str] = {}
    for record in store.records_of(TRUSTED):
        if record["trusted"]:
            found[record["key"]] = record["at"]
        else:
            found.pop(record["key"], None)
    return found


def trust(lab: Lab, commons: Commons, key: PublicKey, *, trusted: bool = True) -> None:
    """Note that bundles of a lab are taken from now on, or no more; the ledger keeps who said so."""
    who = local_who(lab, commons)
    said = {"kind": TRUSTED, "key": key.line, "trusted": trusted, "at": str(written(commons.now)), "by": who.name}
    lab.store.append(TRUSTED, said)
    lab.store.flush()
    commons.trail.note(Event(who.name, "lab.trust" if trusted else "lab.distrust", None, key.id))


def read_key(text: str) -> PublicKey:
    """Return a public key from its line, or from the file that holds it.

    Raises:
        ValidationError: It is neither.
    """
    path = Path(text)
    try:
        return read_public(path.read_text() if not text.startswith("RW") and path.is_file() else text)
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"'{text}' is no key.", hint="Give RWQ…, or the file lab.pub.") from error


def verify_bundle(path: Path, key: PublicKey | None = None, told: Told = lambda done, whole: None) -> Checked:
    """Verify a bundle without any lab: every byte, record and signature.

    Args:
        path: The bundle.
        key: The key of the lab that should have signed it; None: whichever signed.
        told: Is told how far it is.

    Raises:
        ValidationError: Something is wrong; the message names the first thing.
    """
    _signed_by(path, key)
    checked = check_bundle(path, told=told)
    if NOTEBOOK in checked.manifest.files:
        with Archive(path, Limits()) as archive:
            _check_notebook(archive.read(NOTEBOOK, checked.manifest.files[NOTEBOOK].size))
    return checked


def _signed_by(path: Path, key: PublicKey | None) -> Checked:
    checked = read_bundle(path)
    if key is not None and key.line != checked.signer.line:
        raise ValidationError(
            f"The bundle is signed by {checked.signer.line}, not by {key.line}.",
            hint="It is not from the lab that you think: ask it for its key (physlab bundle key) and for the bundle.",
        )
    return checked


def _check_notebook(data: bytes) -> None:
    """Verify the extract of a notebook: each record is one, and each signature holds for its entry."""
    entries: dict[str, tuple[Entry, bytes]] = {}
    for number, line in enumerate(data.splitlines(), 1):
        try:
            item = ADAPTER.validate_python(orjson.loads(line))
            if isinstance(item, Entry):
                entries[digest_bytes(line)] = item, line
            elif item.entry not in entries:
                raise ValidationError("it speaks of an entry that is not there", hint="")
            elif isinstance(item, EntrySignature):
                check_signature(item.entry, entries[item.entry][0], item, entries[item.entry][1])
        except (orjson.JSONDecodeError, pydantic.ValidationError, ValidationError) as error:
            why = error.message if isinstance(error, ValidationError) else str(error).splitlines()[0]
            raise refused(NOTEBOOK, f"line {number}: {why}") from error


def take_bundle(
    lab: Lab, path: Path, *, trusting: PublicKey | None = None, dry_run: bool = False,
    told: Told = lambda done, whole: None,
) -> Opened:  # fmt: skip
    """Take a bundle into a lab, all of it or nothing.

    Args:
        lab: The lab.
        path: The bundle.
        trusting: The key of the lab that made it, which is trusted from now on.
        dry_run: Verify all of it, and take nothing.
        told: Is told how far it is.

    Raises:
        ValidationError: It does not hold, or its signer is not known here; the lab is as before.
        StoreError: The lab cannot take it.
    """
    checked = _signed_by(path, trusting)
    with commons_of(lab) as commons:
        known = {*trusted_keys(lab.store), lab_key(commons.database).public.line}
        if checked.signer.line not in known and trusting is None:
            raise stranger(path, checked.signer)
        verify_bundle(path)  # before its lab is trusted, and before a byte is written
        room = lab.settings.home / "bundles"
        try:
            opened = open_bundle(
                lab.store, path, room, {checked.signer.line}, dry_run=dry_run, told=told
            )  # what changed meanwhile is found again
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{room} cannot be written: {error.strerror}.", hint="Free disk space.") from error
        if not dry_run:
            if checked.signer.line not in known:
                trust(lab, commons, checked.signer)
            told_of = {"dag_id": opened.checked.manifest.dag_id, "key": checked.signer.id}
            commons.trail.note(Event(local_who(lab, commons).name, "bundle.open", None, None, told_of))
    return opened

"""A sealed store: nothing of what it holds can be read from it, and with its key everything comes back."""

from __future__ import annotations

import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from physlab.errors import ConfigurationError, StoreError
from physlab.sealing import Keyring, age
from physlab.transfer import keyring, pull, push
from tests.unit.conftest import Bench, node
from tests.unit.transfer.conftest import Labs, content, remote, tree

MARKERS = [f"planted-plaintext-marker-{number:02d}" for number in range(20)]


def planted(lab_folder: Path) -> list[object]:
    """20 markers: in parameters and texts, in titles, in the names and contents of files, in large arrays of text."""
    nodes = [node(f"give-{MARKERS[i]}", "give", value={MARKERS[i]: MARKERS[i]}) for i in range(8)]
    for i in range(8, 14):
        path = lab_folder / f"{MARKERS[i]}.txt"
        path.write_text(f"{MARKERS[i]}\n" * 3)
        nodes.append(node(f"read{i}", "read", file=str(path)))
    return nodes


def test_s34_a_sealed_store_tells_nothing(
    sealed_labs: Labs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    temporary = sealed_labs.folder / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    caplog.set_level(logging.DEBUG)
    with sealed_labs.open() as one:
        Bench(one, sealed_labs.folder).run(planted(sealed_labs.folder))
        for marker in MARKERS[14:17]:  # small files, whole
            one.store.blobs.put(marker.encode() * 10)
        for marker in MARKERS[17:]:  # large ones, in chunks and packs
            one.store.blobs.put(marker.encode() * 100_000)
        plain = "".join(line.read_text() for line in one.store.journal.folder.glob("*.jsonl"))
        assert all(marker in plain for marker in MARKERS[:14]), "else the test could not fail"
        digests = set(one.store.blobs.all())
        with remote(one) as there:
            push(one.store, there)
        secrets = [keyring(one.settings).server(), keyring(one.settings).project().identity]
    leaked = tree(sealed_labs.folder / "nas") | tree(temporary)
    assert len(leaked) > 10
    everything = b"\n".join((*leaked.values(), *(name.replace("/", "").encode() for name in leaked)))
    everything += caplog.text.encode()
    for word in (*MARKERS, *digests, *secrets):
        assert word.encode() not in everything, word
    for marker in MARKERS:
        for bent in (marker.encode().hex(), marker[::-1]):
            assert bent.encode() not in everything


def test_with_the_key_everything_comes_back(sealed_labs: Labs) -> None:
    with sealed_labs.open() as one:
        record = sealed_labs.run(one)
        with remote(one) as there:
            push(one.store, there)
        with remote(one) as there:
            assert push(one.store, there).files == 0
        blobs = set(one.store.blobs.all())
    with sealed_labs.open("two") as two:
        with remote(two) as there:
            pull(two.store, there, "latest")
        assert set(two.store.blobs.all()) == blobs and list(two.store.verify()) == []
        assert two.find_run(record.run_id).run_id == record.run_id


def test_every_file_of_a_sealed_store_is_checked(sealed_labs: Labs) -> None:
    with sealed_labs.open() as one:
        sealed_labs.run(one)
        with remote(one) as there:
            push(one.store, there)
    store = sealed_labs.folder / "nas"
    with sealed_labs.open("two") as two:
        before = content(two.store)
        for number, name in enumerate(sorted(tree(store))):
            path = store / name
            good = path.read_bytes()
            bad = bytearray(good)
            bad[len(bad) // 2 if number % 2 else len(bad) - 1] ^= 1
            path.write_bytes(bad)
            if not name.startswith(("keys", "store.json")):
                with remote(two) as there, pytest.raises(StoreError, match=r"changed or cut"):
                    pull(two.store, there)
            assert content(two.store) == before
            shutil.rmtree(two.settings.home / "transfer", ignore_errors=True)
            path.write_bytes(good)


def test_what_somebody_else_sealed_for_this_key_is_not_taken(sealed_labs: Labs) -> None:
    """The public key stands in the store: who may write there can seal anything, but not name it."""
    with sealed_labs.open() as one:
        sealed_labs.run(one)
        with remote(one) as there:
            push(one.store, there)
            recipient = keyring(one.settings).project().recipient
            [(digits, _)] = there.listed("journal")
    lines = b'{"digest":"' + b"0" * 64 + b'","kind":"note","record":{}}\n'
    path = sealed_labs.folder / "nas" / "journal" / digits[:2] / f"{digits[2:]}.jsonl"
    path.write_bytes(age.seal(lines, recipient))
    with sealed_labs.open("two") as two, remote(two) as there, pytest.raises(StoreError, match=r"was changed"):
        pull(two.store, there)


def test_settings_that_do_not_fit_the_store_are_told(sealed_labs: Labs) -> None:
    with sealed_labs.open() as one:
        with remote(one) as there:
            push(one.store, there)
        one.settings.stores["nas"].__dict__["sealed"] = False
        with remote(one) as there, pytest.raises(ConfigurationError, match=r"is sealed, the settings say otherwise"):
            push(one.store, there)
    other = Labs(sealed_labs.folder, sealed_labs.settings)
    shutil.rmtree(sealed_labs.folder / "keys")
    with other.open("two") as two, remote(two) as there:
        with pytest.raises(ConfigurationError, match=r"sealed with another key") as raised:
            pull(two.store, there)
        assert "physlab keys recover" in raised.value.hint


def test_s32_the_server_key_changes_while_a_push_is_under_way(sealed_labs: Labs) -> None:
    with sealed_labs.open() as one:
        sealed_labs.run(one)
        with remote(one) as there:
            half = sorted(one.store.blobs.all())
            there.prepare()
            from physlab.transfer.sending import Sender

            Sender(one.store.blobs, there).send(half[:2])
            before = tree(sealed_labs.folder / "nas")
            keyring(one.settings).rotate()
            push(one.store, there)
        after = tree(sealed_labs.folder / "nas")
        assert before.items() <= after.items(), "no file was touched"
        with remote(one) as there:
            assert push(one.store, there).files == 0
            shutil.rmtree(one.store.blobs.objects)
            one.store.blobs.create()
            assert pull(one.store, there).files == len(half)


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed: apt-get install age")
def test_the_recovery_key_and_the_program_age_are_enough(sealed_labs: Labs, tmp_path: Path) -> None:
    secret = age.make_identity()
    with sealed_labs.open() as one:
        keyring(one.settings).init(recovery=age.recipient_of(secret))
        digest, _ = one.store.blobs.put(b"what nobody else may read")
        with remote(one) as there:
            push(one.store, there)
    store = sealed_labs.folder / "nas"
    (tmp_path / "recovery.txt").write_text(secret + "\n")
    command = ["age", "-d", "-i", tmp_path / "recovery.txt", store / "keys" / "recovery.age"]
    key = subprocess.run(command, check=True, capture_output=True).stdout
    (tmp_path / "data.key").write_bytes(key)
    opened = [
        subprocess.run(["age", "-d", "-i", tmp_path / "data.key", path], check=True, capture_output=True).stdout
        for path in (store / "blobs").rglob("*")
        if path.is_file()
    ]
    assert opened == [b"what nobody else may read"]
    ring = Keyring(tmp_path / "fresh")
    ring.recover(secret, wrapped=(store / "keys" / "recovery.age").read_bytes())
    assert ring.project().name_of(f"blobs {digest}")[:2] in {path.name for path in (store / "blobs").iterdir()}

"""`[stores]`, `[replicas]` and `[keys]`: what is accepted, where folders start, where the server key may be kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError, PhyslabError
from physlab.sealing import age
from physlab.settings import load_settings
from physlab.transfer import keyring
from tests.unit.conftest import open_lab


def stores(tmp_path: Path, text: str) -> Any:
    (tmp_path / "physlab.toml").write_text(text)
    (tmp_path / "deep").mkdir(exist_ok=True)
    return load_settings(tmp_path / "deep", environ={"HOME": str(tmp_path)})


def test_a_folder_starts_where_it_was_written_and_an_address_stays(tmp_path: Path) -> None:
    text = '[stores.a]\nurl = "nas"\nlimit = "5MB/s"\n[stores.b]\nurl = "file:///mnt/b"\n[stores.c]\nurl = "s3://b/p"\n'
    found = stores(tmp_path, text).stores
    assert [found[name].url for name in "abc"] == [str(tmp_path / "nas"), "/mnt/b", "s3://b/p"]
    assert found["a"].limit == 5e6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[stores.a]\nurl = "ftp://host/x"', "give a folder, file:///path"),
        ('[stores.a]\nurl = "s3://key:secret@bucket"', "a password does not belong"),
        ('[stores.a]\nurl = "x"\nendpoint = "http://x"', "endpoint is for s3:// only"),
        ('[stores.a]\nurl = "x"\nlimit = "fast"', "limit"),
        ('[stores.lab]\nurl = "x"', "this lab's own store"),
        ('[stores.A]\nurl = "x"', "stores.A"),
        ("[stores.a]\nsealed = true", "url"),
        ('[keys]\nserver_file = "k"\nserver_variable = "K"', "name one source"),
        ("[replicas]\ncopies = 0", "replicas.copies"),
    ],
)
def test_what_is_not_accepted_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        stores(tmp_path, text)
    assert told in str(raised.value) and "secret@" not in str(raised.value)


def test_the_server_key_may_be_kept_in_a_file_a_variable_or_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = age.make_identity()
    (tmp_path / "server.txt").write_text(key)
    monkeypatch.setenv("LAB_KEY", key)
    program = tmp_path / "print_key.py"
    program.write_text(f"print('# a comment')\nprint('{key}')")
    sources = (
        {"keys.server_file": str(tmp_path / "server.txt")},
        {"keys.server_variable": "LAB_KEY"},
        {"keys.server_command": f"{sys.executable} '{program}'"},
    )
    for source in sources:
        with open_lab(tmp_path, **source) as lab:
            ring = keyring(lab.settings)
            ring.init()
            assert ring.is_elsewhere and not (ring.folder / "server.key").exists()
            assert ring.project().open(ring.project().seal(b"hello"), "it") == b"hello"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"keys.server_file": "/nowhere/key"}, "/nowhere/key"),
        ({"keys.server_variable": "NOT_SET"}, "NOT_SET"),
        ({"keys.server_command": "no-such-program x"}, "no-such-program"),
        (
            {"keys.server_command": "sh -c 'echo 1WRONG; echo locked >&2; exit 3'"},
            "ended with 3: locked",
        ),
        ({"keys.server_command": "echo AGE-SECRET-KEY-1WRONG"}, "is not an age secret key"),
    ],
)
def test_a_key_that_cannot_be_had_is_told_and_never_shown(tmp_path: Path, source: dict[str, str], told: str) -> None:
    with open_lab(tmp_path, **source) as lab, pytest.raises(PhyslabError) as raised:
        keyring(lab.settings).init()
    assert told in str(raised.value) and "WRONG" not in str(raised.value)
    assert raised.value.hint

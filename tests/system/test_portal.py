"""The lab served by its own command: over HTTP to this machine, over TLS to others."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from physlab.errors import ConfigurationError
from physlab.portal.serve import bound
from tests.flows.conftest import free_port

PASSWORD = "correct horse battery staple"  # noqa: S105 - of the test


def physlab(folder: Path, *words: str, code: int = 0, port: str | None = None) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "physlab", *words], cwd=folder, env=environment(folder, port), capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


def environment(folder: Path, port: str | None = None) -> dict[str, str]:
    given = {"PHYSLAB_HOME": str(folder / "home"), "PHYSLAB_SERVER__MODE": "none", "HOME": str(folder)}
    return {**os.environ, **given, **({"PHYSLAB_PORTAL__PORT": port} if port else {})}


@contextmanager
def portal(folder: Path, *words: str) -> Iterator[str]:
    """Serve a lab; give its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "physlab", "portal", *words, "--json"], cwd=folder, env=environment(folder),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    try:
        yield json.loads(line)["address"]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode in (0, 130), errors
    assert "Traceback" not in errors


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of 127.0.0.1 and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "physlab test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    cert, private = folder / "lab.pem", folder / "lab.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    return cert, private


def sign_in(http: httpx.Client, login: str) -> None:
    answer = http.post("/api/v1/sign-in", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    http.headers["x-csrf-token"] = answer.json()["csrf"]


def test_a_viewer_and_an_editor_do_what_their_role_allows(tmp_path: Path) -> None:
    (tmp_path / "fall.yaml").write_text(
        "title: A falling stone\nnodes:\n"
        "  - {id: fall, tool: cas, method: integrate, params: {expr: 'g*t', symbol: t, bounds: [0, 2]}}\n"
    )
    run = physlab(tmp_path, "run", "fall.yaml", "--session", "stones", "--json")["run_id"]
    codes = {}
    for login in ("vera", "eddy"):
        mail = f"{login}@example.org"
        codes[login] = physlab(tmp_path, "people", "add", login, "--name", login, "--mail", mail, "--json")["code"]
    shared = ("vera@example.org=read", "eddy@example.org=write")
    physlab(tmp_path, "session", "share", *shared, "-s", "stones", "--json")
    with portal(tmp_path, "--port", str(free_port())) as address, ExitStack() as open_ones:
        vera, eddy = (open_ones.enter_context(httpx.Client(base_url=address)) for _ in range(2))
        for http, login in ((vera, "vera"), (eddy, "eddy")):
            http.headers["origin"] = address
            first = http.post("/api/v1/password/first", json={"code": codes[login], "password": PASSWORD})
            assert first.status_code == 200, first.text
            sign_in(http, login)
        path = "/api/v1/sessions/stones"
        assert [one["run_id"] for one in vera.get(f"{path}/runs").json()["runs"]] == [run]
        entry = {"title": "Two seconds", "content": "It fell $\\frac12 g t^2$.", "runs": [run]}
        assert vera.post(f"{path}/notebook", json=entry).status_code == 403
        added = eddy.post(f"{path}/artifacts?name=stone.txt", content=b"19.6 m\n")
        assert added.status_code == 201, added.text
        made = eddy.post(f"{path}/notebook", json={**entry, "artifacts": [added.json()["sha256"]]})
        assert made.status_code == 201, made.text
        read = vera.get(f"{path}/notebook/{made.json()['entry_id']}").json()
        assert (read["title"], read["attachments"][0]["name"]) == ("Two seconds", "stone.txt")
        assert vera.get(f"{path}/artifacts/{added.json()['sha256']}").content == b"19.6 m\n"
        assert vera.get(f"{path}/audit").status_code == 403
    told = physlab(tmp_path, "session", "members", "-s", "stones", "--json")["members"]
    assert {one["name"]: one["role"] for one in told if one["role"] != "owner"} == {"vera": "viewer", "eddy": "editor"}


def test_a_session_of_another_lab_is_joined_from_the_command_line(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    port = str(free_port())
    with portal(here, "--port", port) as address:
        physlab(here, "people", "add", "eddy", "--name", "Eddy", "--json")
        shared = physlab(here, "session", "share", "-a", "write", "-s", "stones", "--json", port=port)["share_url"]
        for name, words in (("writes", []), ("reads", ["--reads-only"])):
            made = physlab(here, "people", "token", "add", "eddy", "--label", name, *words, "--json")["token"]
            (there / name).write_text(f"{made}\n")
            (there / name).chmod(0o600)
        only = physlab(there, "session", "join", shared, "--token-file", "reads", "--json", code=1)
        assert "only reads" in only["error"]["message"]
        joined = physlab(there, "session", "join", shared, "--token-file", "writes", "--json")
        assert joined == {"session_id": "stones", "role": "editor", "lab": address}
        for words, said in (
            ([f"{address}/#/join/pll_{'A' * 43}", "--token-file", "writes"], "does not open anything"),
            ([shared], "nobody can be asked"), ([address, "--token-file", "writes"], "not the address of a link"),
        ):  # fmt: skip
            assert said in physlab(there, "session", "join", *words, "--json", code=1)["error"]["message"]
        (there / "writes").write_text("wrong\n")
        wrong = physlab(there, "session", "join", shared, "--token-file", "writes", "--json", code=1)
        assert wrong["error"]["message"] == "This is no token of an account."
    told = physlab(here, "session", "members", "-s", "stones", "--json")["members"]
    assert {"Eddy": "editor"}.items() <= {one["name"]: one["role"] for one in told}.items()


def test_a_shared_graph_is_fetched_verified_and_run_again_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    (here / "fall.yaml").write_text(
        "title: A falling stone\nnodes:\n"
        "  - {id: fall, tool: cas, method: integrate, params: {expr: 'g*t', symbol: t, bounds: [0, 2]}}\n"
    )
    port = str(free_port())
    run = physlab(here, "run", "fall.yaml", "--json")["run_id"]
    call = {"method": "collaborate_share", "dag_id": "a-falling-stone", "access": "read", "participants": ["bo@x.org"]}
    (here / "share.json").write_text(json.dumps({"tool": "experiment_orchestrator", "params": call}))
    with portal(here, "--port", port) as address:
        shared = json.loads(physlab(here, "call", "share.json"))
        assert shared["share_url"].startswith(address), "links lead to where the lab is being served"
        fetched = physlab(there, "bundle", "fetch", shared["share_url"], "-o", "stone.zip", "--json")
        assert (fetched["runs"], fetched["sha256"]) == ([run], shared["bundle"]["sha256"])
        again = physlab(there, "bundle", "fetch", shared["share_url"], "-o", "stone.zip", "--json", code=1)
        assert "is there already" in again["error"]["message"]
        wrong = physlab(there, "bundle", "fetch", f"{address}/#/join/pll_{'A' * 43}", "-o", "x", "--json", code=1)
        assert "does not open anything" in wrong["error"]["message"]
    silent = physlab(there, "bundle", "fetch", shared["share_url"], "-o", "y", "--json", code=1)
    assert "cannot be reached" in silent["error"]["message"]
    assert sorted(path.name for path in there.iterdir()) == ["stone.zip"], "nothing is half there"
    verified = physlab(there, "bundle", "verify", "stone.zip", "--json")
    physlab(there, "bundle", "open", "stone.zip", "--trust", verified["key"], "--json")
    again = physlab(there, "reproduce", run, "--json")
    assert again["verdict"] == "identical", again


def test_s35_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    port = str(free_port())
    with portal(tmp_path, "--port", port, "--certificate", str(cert), "--private-key", str(key)) as address:
        assert address == f"https://127.0.0.1:{port}"
        trusted = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=address, verify=trusted) as http:
            answer = http.get("/api/v1/health")
            assert answer.json() == {"ok": True}
            assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        old = ssl.create_default_context(cafile=str(cert))
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError), httpx.Client(base_url=address, verify=old) as http:
            http.get("/api/v1/health")
        with pytest.raises(httpx.ConnectError), httpx.Client(base_url=address) as http:
            http.get("/api/v1/health")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "lab.example.org"])  # noqa: S104 - to be refused
def test_s35_no_passwords_in_the_clear(tmp_path: Path, host: str) -> None:
    said = physlab(tmp_path, "portal", "--host", host, "--json", code=1)["error"]
    assert said["code"] == "CONFIGURATION_ERROR"
    assert "there is no certificate" in said["message"] and "--insecure-lan" in said["hint"]


def test_half_a_certificate_and_none_that_is_one(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    said = physlab(tmp_path, "portal", "--certificate", str(cert), "--json", code=1)["error"]
    assert "belong together" in said["message"]
    said = physlab(tmp_path, "portal", "--certificate", str(key), "--private-key", str(key), "--json", code=1)["error"]
    assert "cannot be used" in said["message"]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = physlab(tmp_path, "portal", "--port", str(port), "--json", code=1)["error"]
        with pytest.raises(ConfigurationError) as refused:
            bound("127.0.0.1", port)
    assert "cannot be had" in said["message"]
    free = int(said["hint"].rpartition("--port ")[2])
    assert free != port
    bound("127.0.0.1", free).close()
    assert "Address already in use" in refused.value.message
    with pytest.raises(ConfigurationError, match="cannot be had") as refused:
        bound("192.0.2.1", port)
    assert "--host 127.0.0.1" in refused.value.hint

"""A local authority of time stamps: `openssl ts` behind a small HTTP server."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from physlab.signing.timestamp import REPLY

CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = {digest}
"""


class Authority:
    """An authority in a folder.

    Args:
        folder: An empty folder.
        kind: Of its key: `rsa:2048` or `ec`.
        digest: With which it signs.
    """

    def __init__(self, folder: Path, kind: str = "ec", digest: str = "sha256") -> None:
        self.folder = folder
        self.asked: list[bytes] = []
        more = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
        self._run("req", "-x509", "-newkey", kind, *more, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                  "-subj", "/CN=Test CA")  # fmt: skip
        self._run("req", "-new", "-newkey", kind, *more, "-nodes", "-keyout", "signer.key", "-out", "signer.csr",
                  "-subj", "/CN=Test authority")  # fmt: skip
        (folder / "usage").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
        self._run("x509", "-req", "-in", "signer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                  "2", "-extfile", "usage", "-out", "signer.pem")  # fmt: skip
        (folder / "serial").write_text("01\n")
        (folder / "config").write_text(CONFIG.format(folder=folder, digest=digest))

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True, timeout=60)

    @property
    def signer(self) -> str:
        """Its certificate."""
        return (self.folder / "signer.pem").read_text()

    @property
    def root(self) -> str:
        """The certificate of who issued that."""
        return (self.folder / "ca.pem").read_text()

    def answer(self, url: str, query: bytes) -> bytes:
        """Return a reply, as somebody at an address would."""
        self.asked.append(query)
        (self.folder / "query").write_bytes(query)
        self._run("ts", "-reply", "-queryfile", "query", "-config", "config", "-section", "own", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on this machine; give the address."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = authority.answer("", self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200 if self.path == "/" else 302)
                self.send_header("Content-Type", REPLY if self.path == "/" else "text/html")
                self.end_headers()
                self.wfile.write(data * (1000 if self.path == "/long" else 1))

            def log_message(self, *given: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

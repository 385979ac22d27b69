"""`[portal]`: the lab served to people elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from physlab.model.base import Model


def _bare(url: str) -> str:
    if not url.startswith(("http://", "https://")) or url.count("/") < 2:
        raise ValueError("it is no address; give one such as https://lab.example.org")
    return url.rstrip("/")


class PortalSettings(Model):
    """`[portal]`: the lab served to people elsewhere, by `physlab portal`."""

    host: str = Field("127.0.0.1", description="Address it listens on.")
    port: int = Field(8460, ge=1, le=65535, description="Port.")
    url: Annotated[str, AfterValidator(_bare)] | None = Field(
        None, description="Address that links begin with; unset: that it listens on. A proxy in front: its address."
    )
    certificate: Path | None = Field(None, description="TLS certificate, with those that signed it (PEM).")
    private_key: Path | None = Field(None, description="Key of the certificate (PEM).")
    behind_proxy: bool = Field(
        False, description="A proxy on this machine ends TLS and tells the visitor's address in X-Forwarded-For."
    )
    insecure_lan: bool = Field(False, description="Listen beyond this machine without TLS: passwords travel readably.")
    body_mb: float = Field(
        64, gt=0, le=4096, description="Largest file that may be added [MB]; any other body has 2 MB at most."
    )
    requests_per_minute: int = Field(
        1200, ge=10, description="Requests of one address in a minute, at most; 10 kB that are said count as one more."
    )

    @property
    def address(self) -> str:
        """The address that links begin with."""
        if self.url is not None:
            return self.url
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}"

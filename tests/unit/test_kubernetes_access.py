"""How a cluster is reached: kubeconfigs that are broken."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from physlab.errors import ConfigurationError
from physlab.sites.kubernetes.api import KubeApi


def kubeconfig(folder: Path, user: dict[str, Any], host: str = "http://127.0.0.1:1", **cluster: Any) -> Path:
    made = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "lab"}}],
        "clusters": [{"name": "k", "cluster": {"server": host, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }  # fmt: skip
    path = folder / "kubeconfig"
    path.write_text(json.dumps(made))
    return path


BAD_CA = base64.b64encode(b"no certificate").decode()


@pytest.mark.parametrize(("text", "said"), [
    ("a: [1, b: {", "while parsing"),
    ("\x00", "special characters"),
    ("", "it is no kubeconfig"),
    ("just words", "it is no kubeconfig"),
    ("- 1\n- 2", "it is no kubeconfig"),
    ("contexts: 7", "it is no kubeconfig"),
    ("current-context: c\ncontexts: [{name: c, context: 5}]", "it is no kubeconfig"),
    ("contexts: []\nclusters: []\nusers: []", "current-context"),
])  # fmt: skip
def test_a_broken_kubeconfig_is_named_with_the_reason(text: str, said: str, tmp_path: Path) -> None:
    (path := tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(KubeApi.open(path))
    assert str(path) in caught.value.message and said in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(("user", "host", "cluster", "said"), [
    ({}, "https://h", {"certificate-authority-data": BAD_CA}, "certificate"),
    ({}, "https://h", {"certificate-authority-data": "aaaaa"}, "base64"),
    ({}, "https://h", {"certificate-authority": "nowhere.pem"}, "nowhere.pem"),
    ({"exec": {"apiVersion": "v1", "command": "/no/such/plugin"}}, "http://h", {}, "/no/such/plugin"),
    ({"exec": {"apiVersion": "v1", "command": "false"}}, "http://h", {}, "process returned 1"),
    ({}, 5, {}, "it is no kubeconfig"),
], ids=["bad CA", "no base64", "no CA", "no plugin", "plugin fails", "odd server"])  # fmt: skip
def test_access_that_leads_nowhere_is_named_with_the_reason(
    user: Any, host: Any, cluster: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, user, host, **cluster)
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(KubeApi.open(path))
    assert str(path) in caught.value.message and said in caught.value.message

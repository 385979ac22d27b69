"""The folders that a pod's volumes are, on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from physlab.testing.kubernetes.environment import NotConfigured, contents, downward, expand
from physlab.testing.kubernetes.objects import Obj, namespace_of
from physlab.testing.kubernetes.plane import ControlPlane

TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


class Volumes:
    """The volumes of one pod.

    Args:
        plane: The control plane.
        pod: The pod.
        folder: A folder of the pod's own.
        claims: Where the volumes of claims lie; they outlive pods.
    """

    def __init__(self, plane: ControlPlane, pod: Obj, folder: Path, claims: Path) -> None:
        self._plane, self._pod, self._folder, self._claims = plane, pod, folder, claims
        self._places: dict[str, Path] = {}

    def prepare(self) -> None:
        """Make every volume.

        Raises:
            NotConfigured: One of them is not to be had yet.
        """
        for volume in self._pod["spec"].get("volumes") or []:
            name = volume["name"]
            try:
                self._places[name] = self._make(volume)
            except NotConfigured as error:
                raise NotConfigured(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    def _make(self, volume: Obj) -> Path:
        if "hostPath" in volume:
            return self._host_path(volume["hostPath"])
        if "persistentVolumeClaim" in volume:
            place = self._claims / namespace_of(self._pod) / str(volume["persistentVolumeClaim"]["claimName"])
            place.mkdir(parents=True, exist_ok=True)
            return place
        place = self._folder / "volumes" / str(volume["name"])
        place.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            place.chmod(0o777)
            return place
        known = {"configMap": self._config, "secret": self._secret, "downwardAPI": self._downward}
        sources = (volume.get("projected") or {}).get("sources") or [volume]
        for source in sources:
            kinds = [kind for kind in known if kind in source]
            if not kinds:
                kind = next(iter(set(source) - {"name"}), "?")
                raise NotConfigured(f"the test cluster has no volumes of the kind {kind}")
            known[kinds[0]](source[kinds[0]], place)
        return place

    @staticmethod
    def _host_path(given: Obj) -> Path:
        place, kind = Path(str(given["path"])), given.get("type") or ""
        if kind in ("", "DirectoryOrCreate") and not place.exists():
            place.mkdir(parents=True)
        if kind == "FileOrCreate":
            place.touch()
        if kind == "Directory" and not place.is_dir():
            raise NotConfigured(f"hostPath type check failed: {place} is not a directory")
        if kind == "File" and not place.is_file():
            raise NotConfigured(f"hostPath type check failed: {place} is not a file")
        return place

    def _config(self, given: Obj, place: Path) -> None:
        self._files(given, contents(self._plane.store, namespace_of(self._pod), "configmaps", given), place)

    def _secret(self, given: Obj, place: Path) -> None:
        self._files(given, contents(self._plane.store, namespace_of(self._pod), "secrets", given), place)

    def _downward(self, given: Obj, place: Path) -> None:
        for item in given.get("items") or []:
            path = (item.get("fieldRef") or {}).get("fieldPath", "")
            _write(place / item["path"], downward(self._pod, path).encode(), 0o644)

    @staticmethod
    def _files(given: Obj, data: dict[str, bytes], place: Path) -> None:
        mode = int(given.get("defaultMode") or 0o644)
        items = given.get("items")
        for item in items if items is not None else [{"key": key, "path": key} for key in data]:
            if item["key"] in data:
                _write(place / item["path"], data[item["key"]], int(item.get("mode") or mode))
            elif not given.get("optional"):
                raise NotConfigured(f"references non-existent config key: {item['key']}")

    def mounts(self, container: Obj, env: dict[str, str]) -> list[list[str]]:
        """Return what a container has mounted: from where, to where, and `ro` or `rw`."""
        found = []
        for mount in container.get("volumeMounts") or []:
            source = self._places[mount["name"]]
            below = mount.get("subPath") or expand(str(mount.get("subPathExpr") or ""), env)
            if below:
                source = source / below
                if not source.exists():
                    source.mkdir(parents=True)
            volume: dict[str, Any] = next(one for one in self._pod["spec"]["volumes"] if one["name"] == mount["name"])
            only = mount.get("readOnly") or bool({"configMap", "secret", "projected", "downwardAPI"} & set(volume))
            found.append([str(source), mount["mountPath"], "ro" if only else "rw"])
        return found

    def account(self) -> list[list[str]]:
        """Return the mount with the token of the pod's service account; none if the pod does not want it."""
        spec = self._pod["spec"]
        if spec.get("automountServiceAccountToken") is False:
            return []
        place = self._folder / "account"
        if not place.exists():
            token = self._plane.gate.account_token(namespace_of(self._pod), spec["serviceAccountName"])
            _write(place / "token", token.encode(), 0o644)
            _write(place / "namespace", namespace_of(self._pod).encode(), 0o644)
            _write(place / "ca.crt", self._plane.authority.encode(), 0o644)
        return [[str(place), TOKENS, "ro"]]

    def remove(self) -> None:
        """Remove what was the pod's own."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _write(place: Path, data: bytes, mode: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        os.chmod(place, 0o600)
    place.write_bytes(data)
    os.chmod(place, mode)

"""The stores that the settings name, opened."""

from __future__ import annotations

from physlab.errors import ConfigurationError, ValidationError, nearest
from physlab.sealing import Keyring
from physlab.settings import RemoteStoreSettings, Settings, server_key
from physlab.transfer.layout import RECOVERY
from physlab.transfer.places import open_place
from physlab.transfer.places.base import told
from physlab.transfer.remote import RemoteStore


def keyring(settings: Settings) -> Keyring:
    """Return the keys of a lab."""
    return Keyring(settings.home / "keys", lambda: server_key(settings.keys))


def described(settings: Settings, name: str) -> RemoteStoreSettings:
    """Return what the settings say of a store.

    Raises:
        ValidationError: There is none of that name.
    """
    found = settings.stores.get(name)
    if found is None:
        hint = nearest(name, settings.stores) if settings.stores else f"Describe it in physlab.toml: [stores.{name}]"
        raise ValidationError(f"There is no store '{name}'.", hint=hint)
    return found


def wrapped_key(settings: Settings, name: str) -> bytes:
    """Return the data key of a sealed store as it is wrapped there for recovery.

    Raises:
        ConfigurationError: There is none.
    """
    said = described(settings, name)
    place = open_place(said.url, said.endpoint)
    with told(place, f"read {RECOVERY} of"):
        data = place.read(RECOVERY)
    if data is None:
        raise ConfigurationError(
            f"The store {said.url} has no {RECOVERY}.",
            hint="It is written when keys have a recovery key: physlab keys init --recovery age1…",
        )
    return data


def open_remote(settings: Settings, name: str, limit: float | None = None) -> RemoteStore:
    """Return a store by its name.

    Args:
        settings: The lab's.
        name: Name of the store.
        limit: Bytes a second instead of what the settings say.

    Raises:
        ValidationError: There is none of that name.
        ConfigurationError: It is sealed and there is no key, or its address means nothing.
        StoreError: It cannot be reached.
    """
    said = described(settings, name)
    key = recovery = None
    if said.sealed:
        ring = keyring(settings)
        try:
            key, recovery = ring.project(said.project), ring.recovery_file(said.project)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"The store '{name}' is sealed. {error.message}",
                hint=f"{error.hint.rstrip('.')}. For what another lab sealed: "
                f"physlab keys recover --from {name} --identity FILE",
            ) from error
    place = open_place(said.url, said.endpoint)
    folder = settings.home / "transfer" / name
    return RemoteStore(name, place, folder, key, said.limit if limit is None else limit, recovery)

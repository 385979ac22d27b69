"""The part of GitHub's REST interface that a push needs (docs.github.com/rest/repos)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from physlab.errors import ComputationError, ValidationError
from physlab.tools.export.webclient import Service

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True)
class Hosted:
    """A repository on GitHub: where people look at it, where git pushes to, whether this call made it."""

    page: str
    clone: str
    made: bool


def ensure_repository(
    service: Service, owner: str | None, name: str, *, description: str, private: bool, topics: Sequence[str]
) -> Hosted:
    """Find a repository, or create it.

    Args:
        service: GitHub.
        owner: User or organisation; None for the token's own user.
        name: Name of the repository.
        description: One line.
        private: True when only members shall see it.
        topics: Topics, set where there are none.

    Raises:
        ValidationError: It exists and is public, though `private` is asked for.
        ConfigurationError: The token is refused.
        ResourceError: GitHub is busy.
    """
    login = str(service.ask("GET", "user")["login"])
    owner = owner or login
    place = f"repos/{quote(owner)}/{quote(name)}"
    found = service.ask("GET", place, absent=True)
    made = found is None
    if found is None:
        home = "user/repos" if owner.lower() == login.lower() else f"orgs/{quote(owner)}/repos"
        wish = {"name": name, "description": description, "private": private, "auto_init": False}
        found = service.ask("POST", home, json=wish, repeat=False)
    elif private and not found.get("private"):
        raise ValidationError(
            f"The repository {owner}/{name} exists and everybody can see it, but private: true is asked for.",
            hint="Make it private on GitHub first, or choose another repository_name.",
        )
    if topics and not found.get("topics"):
        service.ask("PUT", f"{place}/topics", json={"names": list(topics)})
    return Hosted(str(found["html_url"]), _trusted(service, found), made)


def _trusted(service: Service, found: dict[str, Any]) -> str:
    """Return the address for git, which gets the token: it must be on GitHub's own host."""
    clone = str(found.get("clone_url", ""))
    api, place = urlsplit(service.url), urlsplit(clone)
    own = {api.netloc, api.netloc.removeprefix("api.")}
    safe = place.scheme == "https" or (place.scheme == "http" and place.hostname in ("127.0.0.1", "localhost", "::1"))
    if place.netloc not in own or not safe or "@" in place.netloc:
        raise ComputationError(
            f"GitHub at {service.url} names '{place.scheme}://{place.netloc}' for the push, which is another host.",
            hint="The token is not sent there. Check export.github_api.",
        )
    return clone

"""Who may do what: bearer tokens, and Roles with their bindings."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from physlab.testing.kubernetes.kinds import BY_PLURAL, Kind
from physlab.testing.kubernetes.objects import Obj, namespace_of
from physlab.testing.kubernetes.refusals import Refusal, forbidden, unauthorized
from physlab.testing.kubernetes.store import Store

ADMIN_GROUP = "system:masters"
_ANYBODY = ("/api", "/apis", "/openapi", "/version", "/healthz", "/readyz", "/livez")


@dataclass(frozen=True)
class User:
    """Somebody who asks.

    Args:
        name: As messages name them.
        groups: What they belong to.
    """

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deed:
    """What somebody wants to do: a verb, a resource with its sub-resource, where, and to what."""

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def place(self) -> str:
        """The namespace that the object lies in; a namespace lies in none, though rules say it does."""
        return self.namespace if self.kind.namespaced else ""

    @property
    def resource(self) -> str:
        """The resource as rules name it, such as `pods/log`."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


@dataclass
class Gate:
    """Knows tokens, and asks the bindings.

    Args:
        store: Where Roles and bindings are.
        tokens: Users by their token.
    """

    store: Store
    tokens: dict[str, User] = field(default_factory=dict)

    def token_for(self, user: User) -> str:
        """Return a new token for a user."""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = user
        return token

    def account_token(self, namespace: str, name: str) -> str:
        """Return a new token for a service account."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return self.token_for(User(f"system:serviceaccount:{namespace}:{name}", groups))

    def who(self, header: str) -> User:
        """Return who sends an `Authorization` header.

        Raises:
            Refusal: Nobody has this token.
        """
        if not header:
            return User("system:anonymous", ("system:unauthenticated",))
        user = self.tokens.get(header.removeprefix("Bearer "))
        if user is None:
            raise unauthorized()
        if user.name.startswith("system:serviceaccount:"):
            _, _, namespace, name = user.name.split(":")
            if self.store.find(BY_PLURAL["serviceaccounts"], namespace, name) is None:
                raise unauthorized()
        return user

    def path(self, user: User, path: str) -> None:
        """Refuse an address without a resource to somebody who may not read it.

        Raises:
            Refusal: They may not.
        """
        open_to_all = path in ("/healthz", "/readyz", "/livez", "/version")
        known = "system:unauthenticated" not in user.groups and path.startswith(_ANYBODY)
        if not (open_to_all or known or ADMIN_GROUP in user.groups):
            message = f'forbidden: User "{user.name}" cannot get path "{path}"'
            raise Refusal(403, "Forbidden", message)

    def check(self, user: User, deed: Deed) -> None:
        """Refuse what somebody may not do.

        Raises:
            Refusal: They may not.
        """
        if self.allows(user, deed):
            return
        where = f'in the namespace "{deed.namespace}"' if deed.namespace else "at the cluster scope"
        raise forbidden(
            deed.kind, deed.name,
            f'User "{user.name}" cannot {deed.verb} resource "{deed.resource}" in API group "{deed.kind.group}" '
            f"{where}",
        )  # fmt: skip

    def allows(self, user: User, deed: Deed) -> bool:
        """Return whether somebody may do something."""
        if ADMIN_GROUP in user.groups:
            return True
        if deed.kind.plural == "selfsubjectaccessreviews":
            return "system:unauthenticated" not in user.groups
        return any(
            _covers(rule, deed) for role in self._roles(user, deed.namespace) for rule in role.get("rules") or []
        )

    def _roles(self, user: User, namespace: str) -> Iterator[Obj]:
        bindings = list(self.store.all(BY_PLURAL["clusterrolebindings"]))
        if namespace:
            bindings += self.store.all(BY_PLURAL["rolebindings"], namespace)
        for binding in bindings:
            if any(_is(subject, user, namespace_of(binding)) for subject in binding.get("subjects") or []):
                wanted = binding["roleRef"]
                kind = BY_PLURAL["clusterroles" if wanted["kind"] == "ClusterRole" else "roles"]
                role = self.store.find(kind, namespace_of(binding) if kind.namespaced else "", wanted["name"])
                if role is not None:
                    yield role


def _is(subject: Obj, user: User, namespace: str) -> bool:
    if subject["kind"] == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return subject["name"] == user.name if subject["kind"] == "User" else subject["name"] in user.groups


def _covers(rule: Obj, deed: Deed) -> bool:
    def has(field_name: str, value: str) -> bool:
        given = rule.get(field_name) or []
        return value in given or "*" in given

    names = rule.get("resourceNames") or []
    resource = has("resources", deed.resource) or (
        bool(deed.subresource) and f"*/{deed.subresource}" in (rule.get("resources") or [])
    )
    return has("verbs", deed.verb) and has("apiGroups", deed.kind.group) and resource and (
        not names or deed.name in names
    )  # fmt: skip

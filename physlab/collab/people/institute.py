"""An institute that signs people in: what it answers, and what its word is worth (OpenID Connect Core 1.0)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from physlab.errors import ConfigurationError, MissingExtraError, ResourceError

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures that need a key which only the institute has; none with a shared secret, and not `none`."""
LARGEST = 1 << 20
"""An institute's answer has so many bytes at most."""
LIMIT_S = 10.0
SKEW_S = 60
"""The clocks of the institute and the lab may differ by so much [s]."""
HERE = ("127.0.0.1", "localhost", "::1")


class Untrue(Exception):  # noqa: N818 - a signal, not an error: people are told the one refusal
    """What somebody brought is not the institute's word for this sign-in."""


@dataclass(frozen=True, slots=True)
class Institute:
    """Where people are signed in.

    Attributes:
        issuer: Its address, as its tokens name it.
        client_id: What it calls this lab.
        client_secret: With which this lab proves to be that; unset for a public client.
        mail_domains: Who has a verified mail address there gets an account by signing in.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    mail_domains: tuple[str, ...] = ()


class Provider:
    """Talks to an institute.

    Args:
        institute: Which.
    """

    def __init__(self, institute: Institute) -> None:
        self.institute = institute

    def describe(self) -> Mapping[str, Any]:
        """Return where its endpoints are.

        Raises:
            ResourceError: It does not answer.
            ConfigurationError: It is another one than its address says, or would be asked in the clear.
        """
        issuer = self.institute.issuer
        found = self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise ConfigurationError(
                f"{issuer} says that it is {found.get('issuer')!r}.",
                hint="Write the issuer as its configuration names it: physlab config show",
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            self._refuse_clear(str(found.get(name)), name)
        return found

    def redeem(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        """Return what the institute says of who brought a code; its signature and all that it must say were checked.

        The nonce, and the times, are for `check`.

        Raises:
            Untrue: The code is none, or the answer is not the institute's.
            ResourceError: It does not answer.
        """
        told = self.describe()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
                "code_verifier": verifier, "client_id": self.institute.client_id}  # fmt: skip
        answer = self._ask("POST", str(told["token_endpoint"]), form)
        return self._signed(str(answer.get("id_token")), self._ask("GET", str(told["jwks_uri"])))

    def check(self, claims: Mapping[str, Any], nonce: str, now_s: float) -> None:
        """Hold what a token says against what it must say (section 3.1.3.7).

        Raises:
            Untrue: Another issuer, another audience, another sign-in, too late, or nobody.
        """
        audience = claims.get("aud")
        audience = audience if isinstance(audience, list) else [audience]
        party = claims.get("azp", self.institute.client_id if len(audience) == 1 else None)
        times = [claims.get("exp"), claims.get("iat")]
        subject = claims.get("sub")
        if claims.get("iss") != self.institute.issuer:
            raise Untrue(f"the issuer is {claims.get('iss')!r}")
        if self.institute.client_id not in audience or party != self.institute.client_id:
            raise Untrue(f"the token is for {audience}")
        if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times):
            raise Untrue("it says not from when to when it holds")
        if not times[1] - SKEW_S <= now_s < times[0] + SKEW_S:  # type: ignore[operator]
            raise Untrue(f"it holds from {times[1]} to {times[0]}")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise Untrue("it is of another sign-in")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise Untrue("it names nobody")

    def _signed(self, token: str, keys: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            from joserfc import jwt
            from joserfc.errors import JoseError
            from joserfc.jwk import KeySet
        except ImportError as error:
            raise MissingExtraError(
                "Signing in at an institute needs a package that is not installed.", hint="pip install 'physlab[oidc]'"
            ) from error
        try:
            known = [key for key in keys.get("keys", []) if key.get("kty") != "oct" and key.get("use", "sig") == "sig"]
            found = jwt.decode(token, KeySet.import_key_set({"keys": known}), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise Untrue(f"its signature does not hold: {error}") from error
        return found.claims

    def _ask(self, verb: str, url: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Make one request; no redirect is followed, and no more is read than an answer can have."""
        import httpx

        from physlab.outgoing import client, read_reply

        self._refuse_clear(url, "issuer")
        headers, auth = {"Accept": "application/json", "User-Agent": "physlab"}, None
        if form is not None and self.institute.client_secret is not None:  # as RFC 6749 (2.3.1) spells both
            auth = httpx.BasicAuth(*(quote(word, safe="") for word in (self.institute.client_id, self._secret)))
        try:
            with (
                client(self.institute.issuer, limit_s=LIMIT_S, headers=headers) as http,
                http.stream(verb, url, data=form, auth=auth) as reply,
            ):
                body = read_reply(reply, LARGEST, LIMIT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(url, str(error) or type(error).__name__) from error
        if form is not None and 400 <= reply.status_code < 500:
            raise Untrue(f"the code was refused with {reply.status_code}")
        try:
            found = json.loads(body)
        except ValueError as error:
            raise self._silent(url, f"it answered {reply.status_code} without JSON") from error
        if reply.status_code != 200 or not isinstance(found, dict):
            raise self._silent(url, f"it answered {reply.status_code}")
        return found

    def _refuse_clear(self, url: str, name: str) -> None:
        """Refuse an address at which everybody on the way could read what is said."""
        parts, ours = urlsplit(url), urlsplit(self.institute.issuer).hostname
        if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and parts.hostname == ours in HERE):
            return
        raise ConfigurationError(
            f"The {name} {url!r} is no https:// address.",
            hint="Only for an institute on this machine http:// will do: physlab config show",
        )

    @property
    def _secret(self) -> str:
        return self.institute.client_secret or ""

    def _silent(self, url: str, why: str) -> ResourceError:
        return ResourceError(
            f"The institute at {urlsplit(url).netloc} does not sign in: {why}.",
            hint="Try again later, or sign in with a password; who administers the lab looks with: physlab doctor",
        )

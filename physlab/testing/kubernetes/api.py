"""The API server: addresses to deeds, who may do them, and answers in the words of the real one."""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from typing import Any

from aiohttp import web

from physlab.testing.kubernetes import schema, streams, tables
from physlab.testing.kubernetes.access import ADMIN_GROUP, Deed, User
from physlab.testing.kubernetes.faults import Faults
from physlab.testing.kubernetes.kinds import AUTH, BY_PLURAL, GROUPS, PODS, Kind, group_entry, resource_list
from physlab.testing.kubernetes.kubelet import Kubelet
from physlab.testing.kubernetes.objects import Obj, deleting, name_of, namespace_of, now, set_condition, uid_of
from physlab.testing.kubernetes.plane import ControlPlane, parse_body
from physlab.testing.kubernetes.refusals import Refusal, bad_request, conflict, expired, no_such_path
from physlab.testing.kubernetes.selectors import parse

VERSION = {
    "major": "1", "minor": "36", "gitVersion": "v1.36.2", "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
    "goVersion": "", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip
AUDITED = 50_000
_OLD_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)
_ADDRESS = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/v1)(?:/namespaces/(?P<namespace>[^/]+)(?=/(?!status$|finalize$)))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>[a-z]+))?"
)


class ApiServer:
    """Answers requests.

    Args:
        plane: The control plane.
        kubelets: The nodes, by name.

    Attributes:
        faults: What goes wrong.
        audit: Who asked for what, and how it was answered.
    """

    def __init__(self, plane: ControlPlane, kubelets: dict[str, Kubelet]) -> None:
        self.plane, self.store, self.kubelets = plane, plane.store, kubelets
        self.faults = Faults()
        self.audit: deque[Obj] = deque(maxlen=AUDITED)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        entry: Obj = {"path": request.path, "method": request.method, "query": dict(request.query), "code": 0,
                      "agent": request.headers.get("User-Agent", ""), "user": "", "verb": "get"}  # fmt: skip
        self.audit.append(entry)
        try:
            response = await self._answer(request, entry)
        except Refusal as refusal:
            response = web.json_response(refusal.status(), status=refusal.code, headers=refusal.headers)
        except ConnectionResetError:
            response = web.Response(status=499)
        entry["code"] = response.status
        return response

    async def _answer(self, request: web.Request, entry: Obj) -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        deed = _deed(request, path)
        if deed is not None:
            entry.update(verb=deed.verb, resource=deed.resource, group=deed.kind.group, namespace=deed.namespace,
                         name=deed.name)  # fmt: skip
        await self.faults.meet(request, entry["verb"])
        user = self.plane.gate.who(request.headers.get("Authorization", ""))
        entry["user"] = user.name
        if deed is None:
            self.plane.gate.path(user, path)
            return self._plain(path)
        self.plane.gate.check(user, deed)
        return await self._do(request, deed, user)

    # --- addresses without a resource -------------------------------------------------------------------------------

    @staticmethod
    def _plain(path: str) -> web.Response:
        if path in ("/readyz", "/livez", "/healthz"):
            return web.Response(text="ok")
        named = [group for group in GROUPS if group]
        known: dict[str, Any] = {
            "/version": VERSION,
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group_entry(group) for group in named]},
            "/openapi/v3": {"paths": {
                root: {"serverRelativeURL": f"/openapi/v3/{root}"}
                for root in ("api/v1", *(f"apis/{group}/v1" for group in named))
            }},
        }  # fmt: skip
        for group in GROUPS:
            root = f"/apis/{group}/v1" if group else "/api/v1"
            known[root] = resource_list(group)
            known[f"/openapi/v3{root}"] = schema.openapi(group)
            if group:
                known[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **group_entry(group)}
        if path not in known:
            raise no_such_path()
        return web.json_response(known[path])

    # --- deeds ------------------------------------------------------------------------------------------------------

    async def _do(self, request: web.Request, deed: Deed, user: User) -> web.StreamResponse:
        body = parse_body(await request.read(), request.content_type) if request.can_read_body else None
        if deed.kind.plural == "selfsubjectaccessreviews":
            return web.json_response(self._review(user, body), status=201)
        if deed.verb == "watch":
            watch = streams.Watch(self.store, self.faults, request, deed.kind, deed.namespace, deed.name)
            return await watch.answer()
        if deed.verb == "list":
            return web.json_response(tables.shown(request, deed.kind, self._list(request, deed)))
        if deed.verb == "deletecollection":
            return web.json_response(self._delete_all(request, deed, body))
        if deed.verb == "create" and not deed.subresource:
            return self._create(request, deed, body)
        obj = self.store.get(deed.kind, deed.place, deed.name)
        if deed.subresource == "log":
            return await streams.log(request, self.faults, self.kubelets, obj)
        if deed.subresource == "eviction":
            return web.json_response(self._evict(obj), status=201)
        if deed.subresource == "token":
            return web.json_response(self._token(obj, body), status=201)
        if deed.verb == "get":
            return web.json_response(tables.shown(request, deed.kind, obj))
        if deed.verb == "delete":
            return self._delete(request, deed, obj, body)
        return self._change(request, deed, obj, body)

    def _create(self, request: web.Request, deed: Deed, body: Any) -> web.Response:
        clean, warnings = self._accepted(request, deed.kind, body)
        made = self.plane.create(deed.kind, deed.namespace, clean, dry=_dry(request))
        return web.json_response(made, status=201, headers=_warned(warnings))

    def _change(self, request: web.Request, deed: Deed, obj: Obj, body: Any) -> web.Response:
        part, dry = deed.subresource, _dry(request)
        if deed.verb == "patch":
            if not isinstance(body, dict | list):
                raise bad_request("error decoding patch: an object or a list is wanted")
            warnings: list[str] = []
            if isinstance(body, dict):
                typed = {key: value for key, value in body.items() if not key.startswith("$")}
                _, warnings = schema.accept(deed.kind, _without_directives(typed), _validation(request))
            changed = self.plane.patch(deed.kind, obj, request.content_type, body, part, dry)
            return web.json_response(changed, headers=_warned(warnings))
        clean, warnings = self._accepted(request, deed.kind, body)
        if (clean.get("metadata") or {}).get("name") != deed.name:
            given = (clean.get("metadata") or {}).get("name", "")
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({deed.name})")
        changed = self.plane.replace(deed.kind, obj, clean, part, dry)
        return web.json_response(changed, headers=_warned(warnings))

    @staticmethod
    def _accepted(request: web.Request, kind: Kind, body: Any) -> tuple[Obj, list[str]]:
        if not isinstance(body, dict):
            raise bad_request("Object 'Kind' is missing in the body of the request")
        for field, wanted in (("kind", kind.kind), ("apiVersion", kind.api_version)):
            if body.get(field) not in (None, "", wanted):
                raise bad_request(
                    f'{body.get("kind", kind.kind)} in version "{str(body.get("apiVersion", "")).rpartition("/")[2]}" '
                    f"cannot be handled as a {kind.kind}: the {field} of the data ({body[field]}) is not {wanted}"
                )
        return schema.accept(kind, body, _validation(request))

    def _delete(self, request: web.Request, deed: Deed, obj: Obj, body: Any) -> web.Response:
        options = body or {}
        wanted = (options.get("preconditions") or {}).get("uid")
        if wanted and wanted != uid_of(obj):
            why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid_of(obj)}"
            raise conflict(deed.kind, deed.name, why)
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        if _dry(request) or options.get("dryRun"):
            return web.json_response(obj)
        left, warning = self.plane.delete(deed.kind, obj, policy, None if grace is None else int(grace))
        headers = _warned([warning] if warning else [])
        if deleting(left) or deed.kind is PODS:
            return web.json_response(left, headers=headers)
        details: Obj = {"name": deed.name, "kind": deed.kind.plural, "uid": uid_of(obj)}
        if deed.kind.group:
            details["group"] = deed.kind.group
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return web.json_response(done, headers=headers)

    def _delete_all(self, request: web.Request, deed: Deed, body: Any) -> Obj:
        options = body or {}
        found = self._list(request, deed)
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        for obj in found["items"]:
            self.plane.delete(deed.kind, obj, policy, None if grace is None else int(grace))
        return found

    def _list(self, request: web.Request, deed: Deed) -> Obj:
        query, kind = request.query, deed.kind
        matches = parse(kind, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        revision, after = self.store.revision, ("", "")
        if query.get("continue"):
            revision, after = _page(query["continue"])
            try:
                objects = self.store.as_of(kind, deed.namespace, revision)
            except Refusal:
                raise expired(_OLD_PAGE) from None
        else:
            objects = list(self.store.all(kind, deed.namespace))
        found = [obj for obj in objects if matches(obj) and (namespace_of(obj), name_of(obj)) > after]
        metadata: Obj = {"resourceVersion": str(revision)}
        limit = int(query.get("limit") or 0)
        if limit and len(found) > limit:
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
            metadata["continue"] = _token_of(revision, found[-1])
        items = [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in found]
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}

    # --- what has no object of its own ------------------------------------------------------------------------------

    def _evict(self, pod: Obj) -> Obj:
        def change(target: Obj) -> None:
            new = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                   "message": "Eviction API: evicting", "lastProbeTime": None, "lastTransitionTime": now()}  # fmt: skip
            set_condition(target["status"].setdefault("conditions", []), new)

        self.plane.delete(PODS, self.store.update(PODS, pod, change))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _token(self, account: Obj, body: Any) -> Obj:
        token = self.plane.gate.account_token(namespace_of(account), name_of(account))
        status = {"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}
        return {**(body or {}), "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": status}

    def _review(self, user: User, body: Any) -> Obj:
        wanted = ((body or {}).get("spec") or {}).get("resourceAttributes") or {}
        kind = BY_PLURAL.get(wanted.get("resource", ""))
        if kind is None or kind.group != wanted.get("group", ""):
            allowed = ADMIN_GROUP in user.groups
        else:
            deed = Deed(wanted.get("verb", ""), kind, wanted.get("namespace", ""), wanted.get("name", ""),
                        wanted.get("subresource", ""))  # fmt: skip
            allowed = self.plane.gate.allows(user, deed)
        return {**body, "kind": "SelfSubjectAccessReview", "apiVersion": f"{AUTH}/v1", "status": {"allowed": allowed}}


def _deed(request: web.Request, path: str) -> Deed | None:
    """Return what a request wants to do; None when its address names no resource."""
    match = _ADDRESS.fullmatch(path)
    kind = BY_PLURAL.get(match["plural"]) if match else None
    if match is None or kind is None:
        return None
    if kind.group != (match["group"] or ""):
        raise no_such_path()
    namespace, name, part = match["namespace"] or "", match["name"] or "", match["part"] or ""
    if not kind.namespaced:
        namespace = name if kind.plural == "namespaces" else ""
    if part and part not in {sub[0] for sub in kind.subresources}:
        raise no_such_path()
    watching = streams.flag(request.query, "watch")
    verbs = {
        ("GET", True): "watch" if watching else "get", ("GET", False): "watch" if watching else "list",
        ("POST", False): "create", ("PUT", True): "update", ("PATCH", True): "patch", ("DELETE", True): "delete",
        ("DELETE", False): "deletecollection", **({("POST", True): "create"} if part else {}),
    }  # fmt: skip
    verb = verbs.get((request.method, bool(name)))
    if verb is None or (kind.namespaced and not namespace and (name or verb == "create")):
        message = "the server does not allow this method on the requested resource"
        raise Refusal(405, "MethodNotAllowed", message)
    return Deed(verb, kind, namespace, name, part)


def _validation(request: web.Request) -> str:
    return request.query.get("fieldValidation") or "Warn"


def _dry(request: web.Request) -> bool:
    return "All" in request.query.getall("dryRun", [])


def _warned(warnings: list[str]) -> list[tuple[str, str]]:
    return [("Warning", f"299 - {json.dumps(text)}") for text in warnings]


def _without_directives(value: Any) -> Any:
    """Return a patch without what only a strategic patch says."""
    if isinstance(value, dict):
        return {key: _without_directives(item) for key, item in value.items() if not key.startswith("$")}
    return [_without_directives(item) for item in value] if isinstance(value, list) else value


def _token_of(revision: int, last: Obj) -> str:
    told = {"v": "meta.k8s.io/v1", "rv": revision, "start": [namespace_of(last), name_of(last)]}
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()


def _page(token: str) -> tuple[int, tuple[str, str]]:
    try:
        told = json.loads(base64.urlsafe_b64decode(token))
        namespace, name = told["start"]
        return int(told["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error

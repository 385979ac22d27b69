"""What a method gets beside its parameters: scratch space, seed, device, caps, and a way to hand over files."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from physlab import caps
from physlab.errors import ComputationError, ConfigurationError
from physlab.model import Share, Visuals, Web
from physlab.tools.types import File, Params


@dataclass(frozen=True)
class Written:
    """A file that a method wrote for people, before it enters the store."""

    file: File
    role: str
    caption: str
    field: str | None


@dataclass
class Context:
    """The surroundings of one call of a method.

    Attributes:
        scratch: Makes the empty scratch folder of this call; use `workdir`.
        visuals: Which visual outputs are wanted (all booleans set).
        seed: Seed of the call; use `rng`.
        device: The device kind to compute on.
        allow_large: True when the caps are lifted.
        cap_values: Caps of this lab that differ from the table.
        web: How this lab asks public services.
        home: The lab's own folder, None where there is none.
        time_limit_s: How long the call may take [s].
        checkpoint: What an earlier attempt saved to go on from: name → file.
        share: The part that this call is to make, None for all.
        parts: What the parts made, when they are all there: their fields, in order.
        office: Answers the lab's own methods, for the methods that ask it: name and parameters to fields.
        meta: What the reply's `meta` shall say (`mesh`, `samples`, `dtype`, …).
    """

    scratch: Callable[[], Path]
    visuals: Visuals
    seed: int = 0
    device: str = "cpu"
    allow_large: bool = False
    cap_values: Mapping[str, float] = field(default_factory=dict)
    web: Web = field(default_factory=Web)
    home: Path | None = None
    time_limit_s: float = 10.0
    cpu: int = 1
    attempt: int = 1
    checkpoint: Mapping[str, Path] = field(default_factory=dict)
    share: Share | None = None
    parts: Sequence[Mapping[str, Any]] = ()
    office: Callable[[str, Mapping[str, Any]], dict[str, Any]] | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    handed_in: dict[str, Any] | None = None

    @cached_property
    def workdir(self) -> Path:
        """The call's own scratch folder, made when it is used first."""
        return self.scratch()

    @cached_property
    def rng(self) -> np.random.Generator:
        """The call's own seeded random numbers."""
        return np.random.default_rng(self.seed)

    def wants(self, what: Literal["static", "series", "animation"]) -> bool:
        """Say whether a visual output is wanted."""
        return bool(getattr(self.visuals, what))

    def enforce(self, cap: str, value: float, what: str) -> None:
        """Refuse a value above its cap unless `allow_large` is set."""
        caps.enforce(cap, value, what=what, allow_large=self.allow_large, overrides=self.cap_values)

    def ask_lab(self, method: str, params: Params, *, without: Collection[str] = ()) -> dict[str, Any]:
        """Let the lab itself answer one of its own methods.

        Args:
            method: Its name.
            params: Its parameters; those that are None are left out.
            without: Parameters that the tool itself takes care of.

        Raises:
            ConfigurationError: This call runs outside its lab.
            PhyslabError: Whatever the lab says.
        """
        if self.office is None:
            raise ConfigurationError(
                f"{method} was to run outside its lab.", hint="It is answered by the lab that runs the graph."
            )
        return self.office(method, params.model_dump(exclude_none=True, exclude={"allow_large", *without}))

    def hand_in(self, fields: Mapping[str, Any]) -> None:
        """Give what a part made; the call that joins the parts finds it in `parts`."""
        self.handed_in = dict(fields)

    def warn(self, text: str) -> None:
        """Say something that the user must read but that does not stop the node."""
        self.warnings.append(text)

    def save(
        self,
        source: Path | bytes | str,
        name: str,
        *,
        role: Literal["static", "series", "animation", "thumbnail", "data", "log", "document"],
        caption: str = "",
        field: str | None = None,
        show: Literal["base64", "text", "path"] = "path",
        media_type: str | None = None,
    ) -> File:
        """Hand over a file as an artifact of this node.

        Args:
            source: A file in `workdir`, or the bytes or text themselves.
            name: The name people see, with its extension.
            role: Its part: a static figure, a data series, an animation, …
            caption: One sentence for the report, made from the parameters.
            field: The reply field that holds it.
            show: How a reply shows it.
            media_type: Defaults to what the extension says.

        Returns:
            The file, to be put into the returned fields.
        """
        if isinstance(source, Path):
            path = source
        else:
            path = self.workdir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source if isinstance(source, bytes) else source.encode())
        if not path.is_file():
            raise ComputationError(f"The file '{name}' was not written.")
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        file = File(path=path, name=name, media_type=kind, show=show)
        self.written.append(Written(file, role, caption, field))
        return file

"""The `export_tool`: what leaves the lab, as a paper, a repository, a deposition, a notebook or a mesh.

Nothing is sent to anybody unless a node says `push`, `upload` or `publish`. Such a node is cached like any other, so
that a repeated run sends nothing; and where it does run again (changed content, a new version, `--refresh`, a retry),
the service is asked first whether the same content is there already.
"""

from __future__ import annotations

from physlab.model import Visuals
from physlab.tools.export import github, github_params, notebook, overleaf, overleaf_params, vr, zenodo, zenodo_params
from physlab.tools.figures import IMPORTS
from physlab.tools.registry import registry

registry.tool(
    "export_tool", summary="Papers, repositories, depositions, notebooks and meshes.", discriminator="export_type",
    aliases={"vr": "vr_export"},
)  # fmt: skip
registry.method(
    "export_tool",
    "overleaf",
    params=overleaf_params.OverleafParams,
    returns=overleaf.PORTS,
    leaves=True,
    expand=overleaf_params.expand,
    lasting=False,  # whether it compiles depends on the TeX of this machine, here and now
    time_limit_s=120.0,
    keeps_time=True,
    libraries=("pybtex",),
    kind="text",
)(overleaf.overleaf)
registry.method(
    "export_tool",
    "github",
    params=github_params.GithubParams,
    returns=github.PORTS,
    leaves=True,
    expand=github_params.expand,
    time_limit_s=None,
    keeps_time=True,
    libraries=("ruamel.yaml",),
    kind="text",
)(github.github)
registry.method(
    "export_tool",
    "zenodo",
    params=zenodo_params.ZenodoParams,
    returns=zenodo.PORTS,
    leaves=True,
    expand=zenodo_params.expand,
    time_limit_s=None,
    kind="text",
)(zenodo.zenodo)
registry.method(
    "export_tool",
    "jupyter",
    params=notebook.JupyterParams,
    returns=notebook.PORTS,
    leaves=True,
    time_limit_s=60.0,
    libraries=("nbformat", "nbconvert", "weasyprint"),
    kind="text",
)(notebook.jupyter)
registry.method(
    "export_tool",
    "vr_export",
    params=vr.VrParams,
    returns=vr.PORTS,
    leaves=True,
    can=Visuals(static=True, series=False, animation=False),
    time_limit_s=60.0,
    libraries=("numpy", "matplotlib", "trimesh"),
    imports=IMPORTS,
    kind="data",
)(vr.vr_export)

for name in ("overleaf", "github", "zenodo", "jupyter", "vr_export"):
    registry.alias(f"export_{name}", "export_tool", name)
registry.alias("export_vr", "export_tool", "vr_export")

"""The names of the tool family: methods, parameters with their defaults, returned fields. All of them are answered to.

A table of what programs written for this family of tools send and read. A parameter may have another name in physlab
(then it is an alias), a returned field may not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from physlab.tools import Method, load_tools
from physlab.tools.types import array_to_json

OWN = object()  # the parameter is known, its default is physlab's own


@dataclass(frozen=True)
class Spec:
    """What the family says of one method.

    Attributes:
        required: Names of the parameters that it cannot do without, in one text.
        returns: Names of the returned fields, in one text.
        defaults: The other parameters with their defaults, None where there is none.
    """

    required: str
    returns: str
    defaults: dict[str, Any]


def spec(required: str, returns: str, /, **defaults: Any) -> Spec:
    """Return what the family says of one method."""
    return Spec(required, returns, defaults)


PLOT_STYLE: dict[str, Any] = {"title": None, "xlabel": None, "ylabel": None, "dpi": 100, "width": 8, "height": 6}

CURVE: dict[str, Any] = {
    "expression": OWN, "x_range": None, "y_range": None, "plot_title": None, "show_grid": True, "export_data": False,
    "series": (), "domain": None, "animations": OWN, "export": OWN,
}  # fmt: skip
CALCULATOR: tuple[tuple[str, str, str, dict[str, Any]], ...] = (  # operation, required, returned, the others
    ("evaluate", "expression", "result", {"variables": {}, "precision": 6, "format": None}),
    ("simplify", "expression", "result", {}),
    ("expand", "expression", "result", {}),
    ("factor", "expression", "result", {}),
    ("solve_equation", "equation", "solutions", {"variable": None}),
    ("solve_system", "equations", "solutions", {"solve_for": None}),
    ("find_roots", "expression", "roots", {"variable": None, "x_range": (-10, 10)}),
    ("derivative", "expression", "derivative", {"variable": None, "order": 1, "point": None}),
    ("integral", "expression", "result", {"variable": None, "bounds": None}),
    ("limit", "expression", "result", {"variable": None, "point": OWN}),
    ("series", "expression", "result", {"variable": None, "point": OWN, "order": 6}),
    ("plot_function", "", "image_png_b64", CURVE),
    ("plot_parametric", "", "image_png_b64", CURVE),
    ("plot_polar", "", "image_png_b64", CURVE),
    ("plot_implicit", "", "image_png_b64", {"equation": None}),
    ("plot_inequality", "", "image_png_b64", {"expression": None}),
    ("plot_data", "data_y", "image_png_b64", {"data_x": None, "regression_type": None}),
    ("matrix_add", "matrix matrix_b", "result", {}),
    ("matrix_multiply", "matrix matrix_b", "result", {}),
    ("matrix_determinant", "matrix", "result", {}),
    ("matrix_inverse", "matrix", "result", {}),
    ("matrix_eigenvalues", "matrix", "eigenvalues", {}),
    ("matrix_rref", "matrix", "result", {}),
    ("stats_descriptive", "data", "mean median std variance", {}),
    ("stats_regression", "data_y", "r_squared", {"data_x": None, "regression_type": "linear"}),
    ("stats_distribution", "", "result", {"distribution": "normal", "parameters": {}, "value": None}),
    (
        "stats_hypothesis_test", "", "p_value",
        {"test_type": OWN, "data": None, "null_hypothesis": None, "confidence_level": 0.95},
    ),
    ("create_list", "", "list list_name length", {"list_name": OWN, "list_data": None}),
    ("list_operations", "list_operation", "result", {"list_data": None, "list_name": None}),
    ("table_values", "", "x y", {"expression": None, "variable": None, "x_range": OWN, "step": None}),
    ("store_variable", "var_name var_value", "var_name", {}),
    ("recall_variable", "var_name", "value", {}),
    (
        "define_function", "func_name func_expression", "func_name func_expression func_variables",
        {"func_variables": OWN},
    ),
    ("execute_program", "program", "result", {}),
    ("convert_units", "value from_unit to_unit", "result", {}),
    (
        "financial_calc", "financial_type", "result",
        {"present_value": None, "future_value": None, "interest_rate": None, "periods": None},
    ),
)  # fmt: skip

FAMILY: dict[str, Spec] = {
    "cas.evaluate": spec("expr", "latex str evalf original", vars={}),
    "cas.diff": spec("expr symbol", "latex str original", order=1),
    "cas.integrate": spec("expr symbol", "latex str evalf definite", bounds=None, vars={}),
    "cas.solve_equation": spec(
        "equation symbol", "solutions latex_solutions numeric_solutions count assumptions", assumptions={}
    ),
    "cas.solve_ode": spec(
        "ode symbol func",
        "general_solution latex ode ode_original particular_solution particular_latex initial_conditions",
        ics={},
    ),
    "cas.propagate_uncertainty": spec(
        "expr",
        "expression mean_value uncertainty relative_uncertainty result_with_uncertainty partial_contributions latex",
        vars={},
    ),
    "plot.function_2d": spec(
        "f", "image_png_b64 csv_data x_range y_range samples", x_min=None, x_max=None, x=None, samples=1000,
        **PLOT_STYLE,
    ),
    "plot.parametric_2d": spec(
        "x_t y_t", "image_png_b64 t_range samples", t_min=None, t_max=None, samples=1000, **PLOT_STYLE
    ),
    "plot.field_2d": spec(
        "fx fy", "image_png_b64 x_range y_range grid_points plot_type", x_min=None, x_max=None, y_min=None, y_max=None,
        grid_points=20, plot_type_field="quiver", **PLOT_STYLE,
    ),
    "plot.phase_portrait": spec(
        "dx dy", "image_png_b64 x_range y_range grid_points system", x_min=None, x_max=None, y_min=None, y_max=None,
        grid_points=20, **PLOT_STYLE,
    ),
    "plot.surface_3d": spec(
        "f", "image_png_b64 csv_data x_range y_range z_range samples", x_min=None, x_max=None, y_min=None, y_max=None,
        samples=50, **{**PLOT_STYLE, "zlabel": None, "width": 10, "height": 8},
    ),
    "plot.contour_2d": spec(
        "f", "image_png_b64 x_range y_range z_range levels samples", x_min=None, x_max=None, y_min=None, y_max=None,
        levels=15, samples=100, **PLOT_STYLE,
    ),
    "plot.volume_3d": spec(
        "f", "png_contact_sheet_b64 csv_data animation_path", x=None, y=None, z=None, mode="slices", iso_level=0,
        emit_animation=None, animate_axis="z", fps=24, format="mp4", samples_cap=160, allow_large=False,
    ),
    "plot.animation": spec(
        "frame_expr t_range", "animation_path csv_data frames_data", x_range=(-5, 5, 100), renderer="imshow", fps=24,
        format="mp4", dpi=120, emit_frames=False, emit_csv=None, frames_cap=300, allow_large=False, title=None,
    ),
    "plot.interactive": spec(
        "expr controls", "thumbnails ui_spec", x_range=OWN, renderer="line", grid_limit=24
    ),
    "accel_caps": spec("", "active device mode has_torch capabilities"),
    "data.import_hdf5": spec(
        "file_path", "data dataset_path metadata file_metadata shape dtype size_mb", dataset_path=None,
        emit_plots=None,
    ),
    "data.import_fits": spec("file_path", "data header hdu_info shape dtype", hdu_index=0, emit_plots=None),
    "data.import_root": spec(
        "file_path", "data tree_name branches all_branches entries_read total_entries", tree_name=None, branches=None,
        max_entries=10000, emit_plots=None,
    ),
    "data.export_hdf5": spec(
        "data", "file_path file_size_mb compression success", file_path=OWN, compression="gzip", metadata={}
    ),
    "data.fft": spec(
        "signal_data sample_rate",
        "frequencies spectrum_real spectrum_imag magnitude phase sample_rate window_used nyquist_frequency "
        "frequency_resolution",
        window="hann", emit_plots=None, emit_csv=None,
    ),
    "data.filter": spec(
        "signal_data sample_rate filter_type cutoff_freq",
        "filtered_signal filter_coefficients filter_type cutoff_frequency filter_order sample_rate", filter_order=4,
    ),
    "data.spectrogram": spec(
        "signal_data sample_rate", "frequencies times spectrogram window_size overlap window_type sample_rate",
        window_size=256, overlap=0.5, window_type="hann",
    ),
    "data.wavelet": spec(
        "signal_data sample_rate", "coefficients_real coefficients_imag frequencies scales wavelet sample_rate",
        wavelet="morlet", scales=None,
    ),
    "quantum.solve": spec(
        "problem",
        "problem parameters energy_levels ground_state_x ground_state_psi units wavefunctions circuit_description "
        "initial_state final_state probabilities entanglement fidelity_with_bell algorithm iterations "
        "success_probability circuit_depth speedup eigenvalues ground_state_energy excited_state_energies ground_state "
        "degeneracy",
        hamiltonian=None, n_max=None, omega=1, length=None, num_qubits=None, marked_item=1, max_iterations=OWN,
        p_layers=1, hbar=OWN, n=None,
    ),
    "quantum.ops": spec(
        "operators", "commutator anticommutator commutator_norm commute matrices properties", task="matrix_rep"
    ),
    "quantum.visualize": spec(
        "", "visualization state bloch_vector probabilities image format", state=None, kind="bloch"
    ),
    "constants_get": spec("name", "name value unit dimensionality description uncertainty source"),
    "units_convert": spec("quantity to", "input output conversion_factor dimensionality"),
    "statmech_partition": spec(
        "energy_levels",
        "temperature temperature_unit energy_levels degeneracies partition_function ln_partition_function "
        "internal_energy internal_energy_unit heat_capacity heat_capacity_unit helmholtz_free_energy "
        "helmholtz_free_energy_unit entropy entropy_unit populations most_populated_level",
        temperature=300, degeneracies=None,
    ),
    "tensor_algebra": spec(
        "metric", "status computation results capabilities", coords=(), compute=OWN
    ),
    "ml_ai_augmentation.surrogate_pde_train": spec(
        "", "model_path training_curves_png_b64 pred_vs_truth_png_b64 error_heatmap_png_b64 animation_path",
        problem="pinn", equations=(), domain=OWN, train_data=None, epochs=200, batch_size=1024, lr=1e-3,
        animate=False, fps=24, format="mp4",
    ),
    "ml_ai_augmentation.pattern_recognition_infer": spec(
        "task images", "annotated_images confusion_matrix_png_b64 metrics_json_path", model="classical",
        threshold=0.25, labels=(),
    ),
    "ml_ai_augmentation.symbolic_regression_train": spec(
        "X y", "expression_sympy expression_latex overlay_png_b64 residuals_png_b64 csv_prediction_path", features=(),
        ops=OWN, max_depth=12, pop_size=1000, trials=1, metric="mse", seed=OWN, use_pysr=OWN,
    ),
    "ml_ai_augmentation.explain_derivation": spec(
        "goal context_expr_sympy", "latex summary_md", assumptions=OWN, audience_level="grad"
    ),
    "api_tools.arxiv": spec(
        "", "papers query total_found", query=None, category=None, max_results=10, sort_by="relevance",
        download_pdfs=False,
    ),
    "api_tools.cern": spec(
        "", "datasets total_found returned", dataset_name=None, experiment=None, data_type=None, year=None, max_files=5
    ),
    "api_tools.nasa": spec(
        "dataset_type", "datasets", mission=None, instrument=None, date_range=None, coordinates=None,
        max_results=20,
    ),
    "api_tools.nist": spec(
        "data_type", "data", element=None, property=None, temperature=None, pressure=None, format="json"
    ),
    "export_tool.overleaf": spec(
        "",
        "project_name project_directory archive_path main_file artifact_files template overleaf_url", project_name="",
        title="", template="article", authors=(), abstract="", artifacts=(), bibliography=(),
    ),
    "export_tool.github": spec(
        "repository_name", "local_path artifact_count github_url", description="", private=False,
        include_artifacts=True, include_code=True, license="MIT", topics=(), readme_content=None,
    ),
    "export_tool.zenodo": spec(
        "title description creators", "package_directory archive_path metadata data_files zenodo_url doi", keywords=(),
        license="CC-BY-4.0", upload_type="dataset", related_identifiers=(),
    ),
    "export_tool.jupyter": spec(
        "", "notebook_path exported_files cell_count", notebook_name=OWN, session_data={}, title="", description="",
        include_outputs=True, kernel="python3", export_format="ipynb",
    ),
    "export_tool.vr_export": spec("geometry", "path", format="glb", extras={}),
    "nli_parse": spec("text", "intent args confidence explanation"),
    "report_generate": spec(
        "session_id", "report_path format bytes session_id title author", format="markdown", title=OWN,
        author="", include=OWN,
    ),
    "experiment_orchestrator.define_dag": spec(
        "", "dag_id validated nodes edges ui_overview_png_b64", spec=None, natural_language=None
    ),
    "experiment_orchestrator.validate_dag": spec("dag_id", "dag_id ok warnings"),
    "experiment_orchestrator.run_dag": spec(
        "dag_id", "run_id artifacts reportable", parallelism=None, offload_policy=None,
        execution_policy=None,  # then the lab's settings, which begin with 2 and auto
    ),
    "experiment_orchestrator.publish_report": spec(
        "run_id", "pdf_path", title=None, authors=None, bib=None
    ),
    **{f"graphing_calculator.{name}": Spec(needs, f"success {gives}", rest) for name, needs, gives, rest in CALCULATOR},
}  # fmt: skip

RANGES: dict[str, dict[str, tuple[float, float | None]]] = {  # advertised ends, None where there is none
    "cas.diff": {"order": (1, None)},
    "plot.function_2d": {"samples": (10, None), "dpi": (50, None)},
    "plot.parametric_2d": {"samples": (10, None), "dpi": (50, None)},
    "plot.field_2d": {"grid_points": (5, None)},
    "plot.phase_portrait": {"grid_points": (5, None)},
    "plot.surface_3d": {"samples": (10, 100)},
    "plot.contour_2d": {"levels": (5, None), "samples": (20, None)},
    "data.filter": {"filter_order": (1, 10)},
    "data.spectrogram": {"overlap": (0, 0.95)},
    "ml_ai_augmentation.symbolic_regression_train": {"max_depth": (1, 20), "pop_size": (10, 10000), "trials": (1, 10)},
    "ml_ai_augmentation.surrogate_pde_train": {
        "epochs": (1, 10000), "batch_size": (1, 65536), "lr": (1e-6, 1), "fps": (1, 60)
    },
    "ml_ai_augmentation.pattern_recognition_infer": {"threshold": (0, 1)},
    "api_tools.arxiv": {"max_results": (1, 100)},
    "api_tools.cern": {"max_files": (1, 50), "year": (2010, 2024)},
    "experiment_orchestrator.run_dag": {"parallelism": (1, 16)},
}  # fmt: skip

SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [  # documented spellings that are no mere aliases
    ("data.import_hdf5", {"file": "a.h5"}, {"file_path": "a.h5"}),
    ("quantum.solve", {"problem": "sho", "params": {"n_levels": 4}}, {"problem": "sho", "n_max": 3}),
    ("quantum.solve", {"problem": "particle_in_box", "params": {"L": 2}}, {"problem": "particle_in_box", "length": 2}),
    (
        "ml_ai_augmentation.pattern_recognition_infer",
        {"task": "detect", "image_data": "a.png", "model_type": "log", "confidence_threshold": 0.5},
        {"task": "detect", "images": ["a.png"], "model": "log", "threshold": 0.5},
    ),
]


METHODS = {method.full_name: method for tool in load_tools().tools.values() for method in tool.methods.values()}


def known(name: str) -> Method:
    """Return a method of the family; skip what is written after this table."""
    return METHODS[name]


def names(method: Method) -> dict[str, FieldInfo]:
    """Return the parameters of a method by each of their names."""
    found: dict[str, FieldInfo] = {}
    for name, field in method.params.model_fields.items():
        alias = field.validation_alias
        others = alias.choices if isinstance(alias, AliasChoices) else [alias, field.alias]
        found |= {str(other): field for other in (name, *others) if other is not None}
    return found


def plain(value: Any) -> Any:
    """Return a default as JSON would have it."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_defaults=True)
    value = array_to_json(value)
    return list(value) if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("name", FAMILY)
def test_the_names_of_the_family_are_known(name: str) -> None:
    method, said = known(name), FAMILY[name]
    found = names(method)
    assert {*said.required.split(), *said.defaults} <= found.keys()
    required = [id(found[word]) for word in said.required.split()]
    assert [word for word, field in found.items() if field.is_required() and id(field) not in required] == []
    assert method.open_returns or set(said.returns.split()) <= {port.name for port in method.returns}


@pytest.mark.parametrize("name", FAMILY)
def test_defaults_are_those_of_the_family(name: str) -> None:
    found = names(known(name))
    for word, default in FAMILY[name].defaults.items():
        if default is not OWN:
            assert plain(found[word].get_default(call_default_factory=True)) == plain(default), word


@pytest.mark.parametrize("name", RANGES)
def test_ranges_hold_those_of_the_family(name: str) -> None:
    found = names(known(name))
    for word, (low, high) in RANGES[name].items():
        ends = [(getattr(item, "ge", None), getattr(item, "le", None)) for item in found[word].metadata]
        assert [least for least, _ in ends if least is not None] == [low], word
        assert all(most >= high for _, most in ends if most is not None and high is not None), word


@pytest.mark.parametrize(("name", "documented", "meant"), SAME)
def test_documented_spellings_mean_the_same(name: str, documented: Mapping[str, Any], meant: Mapping[str, Any]) -> None:
    method = METHODS[name]

    def read(raw: Mapping[str, Any]) -> Any:
        expanded = method.expand(dict(raw), Path()) if method.expand else dict(raw)
        return method.params.model_validate(expanded)

    assert read(documented) == read(meant)


def test_every_name_of_the_table_is_a_method() -> None:
    assert FAMILY.keys() <= METHODS.keys()

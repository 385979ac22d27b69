"""Bound states against closed forms (Bethe & Salpeter 1957, section 3; Griffiths 2005, sections 2.2 and 2.3)."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson

from physlab.errors import PhysicsError, ValidationError
from physlab.tools.quantum.hydrogen import RYDBERG_EV, Atom, dipole_z, legendre, on_plane
from physlab.tools.quantum.wells import Box, Oscillator
from physlab.tools.types import array_to_json

states = st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1)))


class TestHydrogenPhysics:
    @given(states, st.sampled_from([1.0, 2.0, 3.5]))
    @settings(deadline=None, max_examples=30)
    def test_moments_of_the_radial_function_meet_their_closed_forms(self, state, Z):
        (n, l), atom = state, Atom(Z)  # noqa: E741
        r = np.linspace(0, 1.3 * atom.reach(n), 20_001)
        weight = (r * atom.radial(n, l, r)) ** 2
        assert simpson(weight, x=r) == pytest.approx(1, abs=1e-7)
        assert simpson(weight * r, x=r) == pytest.approx(atom.mean_r(n, l), rel=1e-6)
        assert simpson(weight * r**2, x=r) == pytest.approx(atom.mean_r2(n, l), rel=1e-6)
        over_r = np.divide(weight, r, out=np.zeros_like(r), where=r > 0)
        assert simpson(over_r, x=r) == pytest.approx(atom.mean_inverse_r(n), rel=1e-5)

    @pytest.mark.parametrize("l", [0, 1, 2, 5])
    def test_shells_with_one_l_are_orthogonal(self, l):  # noqa: E741
        atom, r = Atom(), np.linspace(0, 400, 40_001)
        radial = np.array([atom.radial(n, l, r) for n in range(l + 1, l + 6)])
        overlap = simpson(radial[:, None] * radial[None, :] * r**2, x=r)
        assert overlap == pytest.approx(np.eye(5), abs=1e-6)

    def test_virial_theorem(self):
        """⟨V⟩ = 2E: −Z⟨1/r⟩ E_h is twice the energy."""
        for n in range(1, 8):
            assert -3 * Atom(3).mean_inverse_r(n) * 2 * RYDBERG_EV == pytest.approx(2 * Atom(3).energy_ev(n))

    @pytest.mark.parametrize(("n", "l"), [(1, 0), (2, 0), (3, 0), (3, 1), (4, 1), (7, 2), (30, 0), (60, 3)])
    def test_nodes(self, n, l):  # noqa: E741
        atom, r = Atom(2), np.linspace(1e-9, Atom(2).reach(n), 60_000)
        signs = np.sign(atom.radial(n, l, r))
        radii = atom.node_radii(n, l)
        assert len(radii) == n - l - 1 == np.count_nonzero(np.diff(signs))
        assert np.allclose(r[:-1][np.diff(signs) != 0], radii, atol=2 * (r[1] - r[0]))

    def test_known_radial_functions(self):
        """R_10 = 2e^{-r}, R_20 = (2 − r)e^{-r/2}/2√2, R_21 = r e^{-r/2}/2√6."""
        r = np.linspace(0, 20, 50)
        assert Atom().radial(1, 0, r) == pytest.approx(2 * np.exp(-r))
        assert Atom().radial(2, 0, r) == pytest.approx((2 - r) * np.exp(-r / 2) / (2 * sqrt(2)))
        assert Atom().radial(2, 1, r) == pytest.approx(r * np.exp(-r / 2) / (2 * sqrt(6)))

    def test_high_shells_stay_finite(self):
        r = np.linspace(0, Atom().reach(100), 60_001)
        for l in (0, 50, 99):  # noqa: E741
            assert simpson((r * Atom().radial(100, l, r)) ** 2, x=r) == pytest.approx(1, abs=1e-6)

    @pytest.mark.parametrize(("n", "l", "expected"), [(1, 0, 1), (2, 1, 4), (3, 2, 9), (2, 0, 3 + sqrt(5)), (8, 7, 64)])
    def test_most_probable_distance(self, n, l, expected):  # noqa: E741
        """n² for l = n − 1; the outer root of r³ − 6r² + 4r for 2s… is 3 + √5."""
        assert Atom().most_probable_r(n, l) == pytest.approx(expected, rel=1e-9)

    def test_angular_functions_are_orthonormal(self):
        nodes, weights = np.polynomial.legendre.leggauss(40)
        for m in (-2, 0, 1, 3):
            rows = np.array([legendre(l, m, nodes) for l in range(abs(m), abs(m) + 5)])  # noqa: E741
            assert 2 * pi * (rows * weights) @ rows.T == pytest.approx(np.eye(5), abs=1e-12)

    def test_angular_functions_are_those_of_the_tables(self):
        c = np.linspace(-1, 1, 9)
        assert legendre(1, 0, c) == pytest.approx(sqrt(3 / (4 * pi)) * c)
        assert legendre(1, 1, c) == pytest.approx(-sqrt(3 / (8 * pi)) * np.sqrt(1 - c**2))
        assert legendre(2, -1, c) == pytest.approx(sqrt(15 / (8 * pi)) * c * np.sqrt(1 - c**2))

    def test_density_of_a_state_integrates_to_one(self):
        """∫|ψ|²d³r over the plane, turned around the z axis: dV = π|x| dx dz."""
        axis = np.linspace(-40, 40, 801)
        for n, l, m in ((2, 1, 0), (2, 1, 1), (3, 2, -1)):  # noqa: E741
            density = on_plane(Atom(), n, l, m, axis, axis) ** 2
            rings = simpson(density * pi * np.abs(axis), x=axis)
            assert simpson(rings, x=axis) == pytest.approx(1, abs=2e-3)

    def test_dipole_elements(self):
        """⟨1s|z|2p0⟩ = 2⁷√2/3⁵ a_0; forbidden ones vanish."""
        assert dipole_z(Atom(), (1, 0, 0), (2, 1, 0)) == pytest.approx(2**7 * sqrt(2) / 3**5, rel=1e-8)
        assert dipole_z(Atom(), (1, 0, 0), (2, 0, 0)) == 0
        assert dipole_z(Atom(), (1, 0, 0), (2, 1, 1)) == 0


class TestSolveHydrogen:
    def test_2p(self, ask):
        a = ask("quantum", "solve", problem="hydrogen", n=2, l=1)
        assert a["energy_ev"] == pytest.approx(-13.605693122990 / 4, rel=1e-12)  # CODATA 2022
        assert a["energy_hartree"] == -0.125
        assert a["mean_r"] == 5 and a["mean_r2"] == 30 and a["mean_inv_r"] == 0.25
        assert a["radial_nodes"] == 0 and a["most_probable_r"] == pytest.approx(4)
        assert a["normalisation"] == pytest.approx(1, abs=1e-8)
        assert a["psi"] is a["radial"] and a["r"].shape == a["psi"].shape == (1000,)
        assert a["density"].shape == (len(a["density_z"]), len(a["density_x"])) == (151, 151)
        assert a["density"][75, :].max() < 1e-6 * a["density"].max()  # the node of p_z: the plane z = 0
        assert a["units"]["mean_r"] == "a_0" and a.context.meta["mesh"] == [151, 151]

    def test_lyman_alpha(self, ask):
        """121.567 nm (NIST ASD); a fixed nucleus gives hc/(3/4 Ry) = 121.502 nm."""
        (fixed,) = ask("quantum", "solve", problem="hydrogen", n=2, l=1)["transitions"]
        assert fixed["to_n"] == 1 and fixed["to_l"] == 0
        assert fixed["wavelength_nm"] == pytest.approx(121.502, abs=1e-3)
        (moving,) = ask("quantum", "solve", problem="hydrogen", n=2, l=1, reduced_mass=True)["transitions"]
        assert moving["wavelength_nm"] == pytest.approx(121.567, abs=2e-3)

    def test_only_dipole_lines_are_listed(self, ask):
        lines = ask("quantum", "solve", problem="hydrogen", n=3, l=1)["transitions"]
        assert [(line["to_n"], line["to_l"]) for line in lines] == [(1, 0), (2, 0)]
        assert lines[1]["wavelength_nm"] == pytest.approx(656.11, abs=0.02)  # Balmer alpha, fixed nucleus
        assert ask("quantum", "solve", problem="hydrogen", n=1)["transitions"] == []

    def test_helium_ion_has_hydrogen_n2_energy_at_n4(self, ask):
        ion = ask("quantum", "solve", problem="hydrogen", n=4, Z=2)
        assert ion["energy_ev"] == pytest.approx(ask("quantum", "solve", problem="hydrogen", n=2)["energy_ev"])

    def test_nested_params_are_the_same_request(self, ask):
        nested = ask("quantum", "solve", problem="hydrogen", params={"n": 3, "l": 2})
        assert nested["energy_ev"] == ask("quantum", "solve", problem="hydrogen", n=3, l=2)["energy_ev"]

    def test_a_short_grid_is_said(self, ask):
        a = ask("quantum", "solve", problem="hydrogen", n=3, r_max=10)
        assert a["normalisation"] < 0.9 and "raise r_max" in a.context.warnings[0]

    def test_relativity_is_said_for_heavy_ions(self, ask):
        assert "relativity" in ask("quantum", "solve", problem="hydrogen", Z=79).context.warnings[0]

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"n": 2, "l": 2}, "Use l from 0 to 1"),
            ({"n": 0}, "n = 0"),
            ({"n": 3, "l": 1, "m": -2}, "Use m from -1 to 1"),
        ],
    )
    def test_impossible_quantum_numbers(self, ask, wrong, says):
        with pytest.raises(PhysicsError, match=says):
            ask("quantum", "solve", problem="hydrogen", **wrong)

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"problem": "shor"}, "Did you mean 'sho'"),
            ({"problem": "hydrogen_superposition"}, "evolve"),
            ({"problem": "hydrogen", "omega": 2.0}, "omega means nothing to hydrogen"),
            ({"problem": "hydrogen", "Z": 0}, "Z = 0"),
            ({"problem": "hydrogen", "n": 101}, "n = 100"),
            ({"problem": "hydrogen", "Z": 2, "reduced_mass": True}, "nuclear_mass"),
            ({"problem": "hydrogen", "nuclear_mass": 2.0}, "reduced_mass: true"),
            ({"problem": "hydrogen", "samples": 100_001}, "cap"),
            ({"problem": "hydrogen", "density_samples": 161}, "cap"),
            ({"problem": "hydrogen", "n": 2, "params": {"n": 3}}, "beside and inside"),
            ({"problem": "hydrogen", "shells": 2}, "unknown parameter 'shells'"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "solve", **wrong)

    def test_figure_and_series(self, ask):
        a = ask("quantum", "solve", _visuals={"static": True, "series": True}, problem="hydrogen", n=3, l=1)
        roles = [(item.role, item.field) for item in a.context.written]
        assert roles == [
            ("static", "png_b64"), ("static", "svg"), ("thumbnail", "thumbnails"), ("series", "csv_path"),
        ]  # fmt: skip
        assert a.context.written[0].caption.startswith("Radial function R_31(r), radial probability, and density")
        lines = a["csv_path"].path.read_text().splitlines()
        assert lines[0] == "r [a_0],R [a_0^-3/2],r^2 R^2 [1/a_0]" and len(lines) == 1001
        assert float(lines[500].split(",")[1]) == a["psi"][499]

    def test_what_a_dump_of_the_parameters_says_is_the_same_request(self, ask):
        """A worker gets the parameters after defaults; they must mean what was asked."""
        from physlab.tools import load_tools

        model = load_tools().find("quantum", "solve").params
        for given_params in (
            {"problem": "hydrogen", "n": 2, "l": 1},
            {"problem": "sho", "n_levels": 4, "m": 2},
            {"problem": "particle_in_box", "L": 2},
        ):
            once = model.model_validate(given_params)
            assert model.model_validate(once.model_dump(mode="json")) == once

    def test_references_inside_nested_params_are_found(self, tmp_path):
        from physlab.model import Node
        from physlab.tools import load_tools
        from physlab.tools.prepare import Findings, prepare

        params = {"problem": "hydrogen", "params": {"n": "from:sweep.n", "l": 1}}
        node, findings = Node(id="h", tool="quantum", method="solve", params=params), Findings()
        prepared = prepare(node, load_tools().find("quantum", "solve"), tmp_path, findings)
        assert prepared is not None and findings.items == []
        assert prepared.params["n"] == {"$in": 0} and prepared.params["l"] == 1


class TestWells:
    def test_oscillator_states_are_orthonormal_up_to_high_n(self):
        well = Oscillator(omega=2, mass=3, hbar=0.5)
        x = np.linspace(*well.span(200), 8001)
        psi = well.states(200, x)
        overlap = simpson(psi[::20, None] * psi[None, ::20], x=x)
        assert overlap == pytest.approx(np.eye(11), abs=1e-9)

    def test_oscillator_moments(self):
        """⟨x²⟩ = (n + 1/2) ħ/mω, and the virial theorem ⟨V⟩ = E/2."""
        well = Oscillator(omega=2, mass=3, hbar=0.5)
        x = np.linspace(*well.span(9), 8001)
        for n, psi in enumerate(well.states(9, x)):
            assert simpson(x**2 * psi**2, x=x) == pytest.approx((n + 0.5) * 0.5 / 6)
            assert simpson(well.potential(x) * psi**2, x=x) == pytest.approx(well.energy(n) / 2)
            assert np.count_nonzero(np.diff(np.sign(psi[np.abs(psi) > 1e-12]))) == n

    def test_box_states_are_orthonormal_and_vanish_at_the_walls(self):
        well, x = Box(length=2.5), np.linspace(0, 2.5, 4001)
        psi = well.states(6, x)
        assert simpson(psi[:, None] * psi[None, :], x=x) == pytest.approx(np.eye(6), abs=1e-10)
        assert np.abs(psi[:, [0, -1]]).max() < 1e-14

    def test_solve_oscillator(self, ask):
        a = ask("quantum", "solve", problem="sho", omega=2.0)
        assert a["energy_levels"] == pytest.approx(2 * (np.arange(11) + 0.5))
        assert a["ground_state_x"].shape == a["ground_state_psi"].shape == (1000,)
        assert a["ground_state_psi"].max() == pytest.approx((2 / pi) ** 0.25, rel=1e-4)
        assert [item["n"] for item in a["wavefunctions"]] == [0, 1, 2]
        assert a["psi"] == pytest.approx(a["ground_state_psi"])

    def test_a_chosen_level(self, ask):
        a = ask("quantum", "solve", problem="sho", n=7)
        assert a["energy"] == 7.5 and a["mean_x2"] == pytest.approx(7.5, rel=1e-6) and abs(a["mean_x"]) < 1e-9

    def test_solve_box(self, ask):
        a = ask("quantum", "solve", problem="particle_in_box", length=2.0)
        assert a["energy_levels"] == pytest.approx(np.arange(1, 6) ** 2 * pi**2 / 8)
        assert a["wavefunctions"][1]["energy"] == a["energy_levels"][1]
        assert a["mean_x"] == pytest.approx(1)

    def test_documented_names(self, ask):
        old = ask("quantum", "solve", problem="particle_in_box", params={"n_levels": 4, "L": 2.0, "m": 3.0})
        assert old["energy_levels"] == pytest.approx(np.arange(1, 5) ** 2 * pi**2 / 24)
        assert len(ask("quantum", "solve", problem="sho", n_levels=4)["energy_levels"]) == 4

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"problem": "sho", "l": 1}, "l means nothing to sho"),
            ({"problem": "sho", "omega": -1}, "omega"),
            ({"problem": "sho", "m": 2, "mass": 3}, "mean the same"),
            ({"problem": "sho", "n_levels": 2, "n_max": 3}, "how many levels"),
            ({"problem": "sho", "n": 501}, "n = 500"),
            ({"problem": "particle_in_box", "length": 0}, "length"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "solve", **wrong)

    def test_no_level_below_the_ground_state(self, ask):
        with pytest.raises(PhysicsError, match="below n = 1"):
            ask("quantum", "solve", problem="particle_in_box", n=0)

    @pytest.mark.parametrize("problem", ["sho", "particle_in_box"])
    def test_the_ladder_is_drawn(self, ask, problem):
        a = ask("quantum", "solve", _visuals={"static": True, "series": True}, problem=problem, n_max=1)
        assert "Energy levels and wave functions" in a.context.written[0].caption
        assert a["csv_path"].path.read_text().startswith("x,psi_")


class TestEvolve:
    def test_beat_of_1s_and_2p(self, ask):
        """T = h/(¾ Ry) = 0.4053 fs; ⟨z⟩ = ⟨1s|z|2p⟩ cos(2πt/T) for equal parts."""
        a = ask("quantum", "evolve", frames=8)
        assert a["beat_period_fs"] == pytest.approx(4.135667696923859 / (0.75 * RYDBERG_EV), rel=1e-12)
        expected = 2**7 * sqrt(2) / 3**5 * np.cos(2 * pi * np.arange(8) / 8)
        assert a["dipole_z"] == pytest.approx(expected, abs=1e-8)
        assert a["mean_energy_ev"] == pytest.approx(-RYDBERG_EV * (1 + 0.25) / 2)
        assert list(a["probabilities"]) == pytest.approx([0.5, 0.5])

    def test_amplitudes_and_phases(self, ask):
        parts = [{"n": 1, "amplitude": 3}, {"n": 2, "l": 1, "amplitude": 4, "phase": pi / 2}]
        a = ask("quantum", "evolve", superposition=parts, frames=4)
        assert list(a["probabilities"]) == pytest.approx([9 / 25, 16 / 25])
        assert a["dipole_z"][0] == pytest.approx(0, abs=1e-8)  # a quarter turn between the two

    def test_density_agrees_with_the_dipole(self, ask):
        """⟨z⟩ from the film's own density, by turning the plane around the axis."""
        from physlab.tools.quantum.hydrogen_motion import Superposition, _Film
        from physlab.tools.quantum.params import EvolveParams

        state = Superposition.of(EvolveParams())
        axis, t = np.linspace(-30, 30, 601), np.array([0.0, 0.05, 0.13])
        film = _Film(state, axis, t, state.mean_z(t))
        for instant, mean in zip(t, film.z, strict=True):
            rings = simpson(film.density(float(instant)) * pi * np.abs(axis), x=axis)
            assert simpson(rings * axis, x=axis) == pytest.approx(mean, abs=3e-3)

    def test_film_stills_and_series(self, ask):
        a = ask(
            "quantum", "evolve", _visuals={"static": True, "series": True, "animation": True},
            frames=6, samples=31, dpi=60, problem="hydrogen_superposition",
        )  # fmt: skip
        assert a["animation_path"] is a["mp4_path"] and a["mp4_path"].media_type == "video/mp4"
        assert a["mp4_path"].path.read_bytes()[4:8] == b"ftyp"
        assert a["csv_path"].path.read_text().splitlines()[0] == "t [fs],z [a_0]"
        assert "1s + 2p" in a.context.written[0].caption
        assert a.context.meta["frames"] == 6

    def test_states_of_one_shell_do_not_beat(self, ask):
        with pytest.raises(PhysicsError, match="does not move"):
            ask("quantum", "evolve", superposition=[{"n": 2, "l": 0}, {"n": 2, "l": 1}])

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"frames": 301}, "cap of 300"),
            ({"samples": 200}, "cap of 160"),
            ({"superposition": [{"n": 1}]}, "superposition"),
            ({"superposition": [{"n": 1}, {"n": 1}]}, "stands twice"),
            ({"superposition": [{"n": 1, "amplitude": 0}, {"n": 2, "amplitude": 0}]}, "zero"),
            ({"superposition": [{"n": 1}, {"n": 11}]}, "n = 10"),
            ({"format": "avi"}, "mp4"),
        ],
    )
    def test_wrong_requests(self, ask, wrong, says):
        with pytest.raises(ValidationError, match=says):
            ask("quantum", "evolve", **wrong)

    def test_impossible_states(self, ask):
        with pytest.raises(PhysicsError, match="l = 1"):
            ask("quantum", "evolve", superposition=[{"n": 1, "l": 1}, {"n": 2}])


def test_results_are_json_or_arrays(ask):
    for problem in ("hydrogen", "sho", "particle_in_box"):
        for value in ask("quantum", "solve", problem=problem).fields.values():
            assert isinstance(array_to_json(value), list | dict | str | float | int)


def test_the_units_of_the_fields_are_units():
    import pint

    from physlab.tools import load_tools

    known = pint.get_application_registry()
    for name in ("solve", "evolve"):
        for port in load_tools().find("quantum", name).returns:
            if port.unit is not None:
                known.Unit(port.unit)
    assert known.Unit("a_0**(-3/2)").dimensionality == {"[length]": -1.5}

"""Steps of physics: constants, units, quantum mechanics, statistics, curvature."""

from __future__ import annotations

import re

from physlab.language.clauses import Clause
from physlab.language.hydrogen import LETTERS, hydrogen_experiment
from physlab.language.story import FIGURE, Spec, Story, Thing, UnclearError

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_STATE = r"(?:\b\d[spdfghi]\b|\bn\s*=\s*\d|\b(?:states?|orbitals?|wave ?functions?|radial|experiment)\b)"
_HYDROGEN = re.compile(rf"\bhydrogen\b(?=.*{_STATE})|{_STATE}.*\bhydrogen\b", re.IGNORECASE)
_CONVERT = re.compile(
    rf"(?:convert|express|what (?:is|are)|how (?:much|many) (?:is|are))\s+(?P<value>{_NUMBER})\s*(?P<unit>\S.*?)\s+"
    r"(?:to|into|in|as)\s+(?P<to>\S.*)",
    re.IGNORECASE,
)
_CONVERT_IT = re.compile(r"(?:convert|express)\s+(?:it|that|this|the result)\s+(?:to|into|in|as)\s+(?P<to>\S.*)")
_CONSTANT = re.compile(
    r"(?:(?:what (?:is|'s)|give(?: me)?|get|look up|show(?: me)?|find|tell me)\s+)?(?:the\s+)?"
    r"(?:(?:value of|constant)\s+(?:the\s+)?(?P<name>.+)|(?P<bare>.+ (?:constant|mass|radius|charge|magneton|"
    r"permittivity|permeability|number|ratio|energy)|speed of light|elementary charge))",
    re.IGNORECASE,
)
_PROBLEMS = (
    (r"(?:quantum )?harmonic oscillator|\bsho\b", "sho"),
    (r"particle in a(?:n infinite)? (?:box|well)|infinite (?:square )?well", "particle_in_box"),
    (r"bell (?:state|pair)", "bell_state"),
    (r"teleport", "teleportation"),
    (r"\bgrover", "grover"),
    (r"\bvqe\b|variational quantum eigensolver", "vqe"),
    (r"\bqaoa\b|quantum approximate optimi[sz]ation|max-?cut", "qaoa"),
)
_OPERATORS = re.compile(
    r"(?:the )?(?P<task>commutator|matrix representation|matrix)\s+(?:of|between)\s+(?:the )?(?P<list>.+)",
    re.IGNORECASE,
)
_TENSORS = re.compile(
    r"(?P<list>.*?\b(?:christoffel|riemann|ricci|geodesic|curvature).*?)\s+(?:of|for|in)\s+(?:the\s+)?"
    r"(?P<metric>schwarzschild|kerr)\b.*",
    re.IGNORECASE,
)
_LEVELS = re.compile(
    r"(?:the )?partition function (?:of|for)\s+(?:(?:the )?(?:energy )?levels\s+)?\[?(?P<list>[-+.\deE,\s]+)\]?\s*"
    rf"(?P<unit>J|eV|meV)?(?:\s+at\s+(?P<t>{_NUMBER})\s*K)?",
    re.IGNORECASE,
)
_BLOCH = re.compile(r"(?:(?:show|draw|plot)\s+)?(?:the )?bloch sphere (?:of|for)\s+(?P<state>\S+)", re.IGNORECASE)
_EV = {"J": 1.0, "eV": 1.602176634e-19, "meV": 1.602176634e-22}


def hydrogen(step: str, story: Story) -> bool:
    """Read `hydrogen 2p state with radial plot, density and animation`: a whole experiment."""
    if _HYDROGEN.search(step) is None:
        return False
    n, l_, m = 2, 1, 0
    state = re.search(r"\b(\d+)([spdfghi])\b", step)
    if state:
        n, l_ = int(state[1]), LETTERS.index(state[2])
    given = {name: int(value) for name, value in re.findall(r"\b([nlm])\s*=\s*(-?\d+)", step)}
    n, l_, m = given.get("n", n), given.get("l", l_), given.get("m", m)
    moves = bool(re.search(r"animat|movie|film|video|time", step, re.IGNORECASE))
    taken = {node["id"] for node in story.nodes}
    for node in hydrogen_experiment(n, l_, m, animation=moves)["nodes"]:
        if node["id"] in taken:
            raise UnclearError("one text can study one state of hydrogen")
        story.nodes.append(node)
    story.it = Thing(why="the state is drawn already")
    return True


def convert(clause: Clause, story: Story) -> bool:
    """Read `convert 5 eV to J`, and `convert it to eV` after a constant."""
    match = _CONVERT.fullmatch(clause.text)
    if match is not None:
        params: Spec = {"quantity": {"value": float(match["value"]), "unit": match["unit"]}, "to": match["to"]}
    else:
        match = _CONVERT_IT.fullmatch(clause.text)
        if match is None:
            return False
        if story.it is None or story.it.quantity is None:
            raise UnclearError("there is no quantity before that could be converted")
        params = {"quantity": story.it.quantity, "to": match["to"]}
    node = story.add("conversion", "units_convert", None, params)
    quantity = {"value": f"from:{node}.output.value", "unit": f"from:{node}.output.unit"}
    story.it = Thing(quantity=quantity, why="a quantity cannot be drawn")
    return True


def constant(clause: Clause, story: Story) -> bool:
    """Read `value of the Planck constant`."""
    match = _CONSTANT.fullmatch(clause.text)
    if match is None:
        return False
    name = match["name"] or match["bare"]
    node = story.add("constant", "constants_get", None, {"name": name.strip()})
    quantity = {"value": f"from:{node}.value", "unit": f"from:{node}.unit"}
    story.it = Thing(quantity=quantity, why="a constant cannot be drawn")
    return True


def quantum(clause: Clause, story: Story) -> bool:
    """Read `the energy levels of the harmonic oscillator with n = 3`, `Grover's search on 3 qubits for 5`."""
    problem = next((name for words, name in _PROBLEMS if re.search(words, clause.text, re.IGNORECASE)), None)
    if problem is None:
        return False
    params: Spec = {"problem": problem}
    if problem in ("sho", "particle_in_box"):
        known = {"sho": ("n", "omega"), "particle_in_box": ("n", "length")}[problem]
        unknown = sorted(set(clause.values) - {*known, "L"})
        if unknown:
            raise UnclearError(f"'{unknown[0]}' is not known of this problem: say {' or '.join(known)}")
        given = {"length" if name == "L" else name: value for name, value in clause.values.items()}
        if size := re.search(rf"(?:of )?(?:length|width)\s+({_NUMBER})", clause.text):
            given["length"] = size[1]
        params |= {name: int(value) if name == "n" else float(value) for name, value in given.items()}
    if qubits := re.search(r"(\d+)[ -]qubits?|qubits\s*=\s*(\d+)", clause.text):
        params["num_qubits"] = int(qubits[1] or qubits[2])
    if problem == "grover" and (marked := re.search(r"\b(?:for|marking|item)\s+(?:state |item )?(\d+)", clause.text)):
        params["marked_item"] = int(marked[1])
    story.add("state", "quantum", "solve", params, FIGURE)
    story.it = Thing(data="from:state.psi", why="its picture is drawn already")
    return True


def operators(clause: Clause, story: Story) -> bool:
    """Read `the commutator of sigma_x and sigma_y`."""
    match = _OPERATORS.fullmatch(clause.text)
    names = re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", match["list"]) if match else []
    if match is None or any(re.fullmatch(r"[A-Za-zσ_ ₓ]\S*", name) is None for name in names):
        return False
    task = "commutator" if match["task"].lower() == "commutator" else "matrix_rep"
    if task == "commutator" and len(names) != 2:
        raise UnclearError("a commutator is of two operators")
    story.add("operators", "quantum", "ops", {"operators": names, "task": task})
    return True


def bloch(clause: Clause, story: Story) -> bool:
    """Read `show the Bloch sphere of |+>`."""
    match = _BLOCH.fullmatch(clause.text)
    if match is None:
        return False
    story.add("bloch", "quantum", "visualize", {"state": match["state"], "kind": "bloch"}, {**FIGURE, "series": False})
    return True


def tensors(clause: Clause, story: Story) -> bool:
    """Read `the Christoffel symbols and the Ricci scalar of the Schwarzschild metric`."""
    match = _TENSORS.fullmatch(clause.text)
    if match is None:
        return False
    words = match["list"].lower()
    wanted = [name for name in ("christoffel", "riemann", "geodesics") if name.rstrip("s") in words]
    wanted += ["ricci_scalar"] if "ricci scalar" in words or "scalar curvature" in words else []
    wanted += ["ricci"] if re.search(r"ricci(?! scalar)", words) else []
    story.add("tensors", "tensor_algebra", None, {"metric": match["metric"].lower(), "compute": wanted or ["riemann"]})
    return True


def ensemble(clause: Clause, story: Story) -> bool:
    """Read `the partition function of levels 0, 1e-21, 2e-21 J at 300 K`."""
    match = _LEVELS.fullmatch(clause.text)
    if match is None:
        return False
    unit = next((name for name in _EV if name.lower() == (match["unit"] or "J").lower()), "J")
    levels = [float(word) * _EV[unit] for word in re.split(r"[,\s]+", match["list"].strip(" ,")) if word]
    params: Spec = {"energy_levels": levels} | ({"temperature": float(match["t"])} if match["t"] else {})
    story.add("ensemble", "statmech_partition", None, params)
    return True

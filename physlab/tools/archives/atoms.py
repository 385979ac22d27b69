"""Atoms and ions in the spelling of spectroscopy: `Fe II` is Fe⁺."""

from __future__ import annotations

import re

from physlab.errors import ValidationError

SPECTRUM = re.compile(r"(\d{1,3})?([A-Za-z]{1,2})(?:\s*([IVXLCivxlc]+|\d{1,3}\+?|\++))?")
SYMBOLS = (
    "H", "D", "T", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar", "K",
    "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr",
    "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La",
    "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os",
    "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am",
    "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds",
)  # fmt: skip
NAMES = (
    "hydrogen", "deuterium", "tritium", "helium", "lithium", "beryllium", "boron", "carbon", "nitrogen", "oxygen",
    "fluorine", "neon", "sodium", "magnesium", "aluminium", "silicon", "phosphorus", "sulfur", "chlorine", "argon",
    "potassium", "calcium", "scandium", "titanium", "vanadium", "chromium", "manganese", "iron", "cobalt", "nickel",
    "copper", "zinc", "gallium", "germanium", "arsenic", "selenium", "bromine", "krypton", "rubidium", "strontium",
    "yttrium", "zirconium", "niobium", "molybdenum", "technetium", "ruthenium", "rhodium", "palladium", "silver",
    "cadmium", "indium", "tin", "antimony", "tellurium", "iodine", "xenon", "caesium", "barium", "lanthanum",
    "cerium", "praseodymium", "neodymium", "promethium", "samarium", "europium", "gadolinium", "terbium",
    "dysprosium", "holmium", "erbium", "thulium", "ytterbium", "lutetium", "hafnium", "tantalum", "tungsten",
    "rhenium", "osmium", "iridium", "platinum", "gold", "mercury", "thallium", "lead", "bismuth", "polonium",
    "astatine", "radon", "francium", "radium", "actinium", "thorium", "protactinium", "uranium", "neptunium",
    "plutonium", "americium", "curium", "berkelium", "californium", "einsteinium", "fermium", "mendelevium",
    "nobelium", "lawrencium", "rutherfordium", "dubnium", "seaborgium", "bohrium", "hassium", "meitnerium",
    "darmstadtium",
)  # fmt: skip
ROMAN = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def spell_spectrum(text: str, *, neutral: bool = False) -> str:
    """Return the spectrum as ASD spells it: `Fe II`, `198Hg I`, or a bare symbol.

    Args:
        text: `Fe II`, `fe ii`, `Fe+`, `Fe 2`, `Fe`, `iron`, `iron II`.
        neutral: True makes a bare symbol the neutral atom.

    Raises:
        ValidationError: There is no such atom or ion.
    """
    name, *rest = text.split() or [""]
    if name.lower() in SYMBOL_OF:
        text = " ".join((SYMBOL_OF[name.lower()], *rest))
    found = SPECTRUM.fullmatch(text.strip())
    symbol = found[2].capitalize() if found else ""
    if found is None or symbol not in SYMBOLS:
        raise ValidationError(
            f"element = '{text}' is no atom or ion.", hint="Write `H`, `H I`, `Fe II`, `Fe+` or `198Hg I`."
        )
    stage = found[3] or ""
    if len(found[2]) == 2 and found[2].isupper() and not stage and found[2][1] in "IVX":
        raise ValidationError(
            f"element = '{text}' may be {symbol} or {found[2][0]} {found[2][1]}.", hint="Write the one that is meant."
        )
    if stage and set(stage) == {"+"}:
        stage = roman(len(stage) + 1)
    elif stage.endswith("+"):
        stage = roman(int(stage[:-1]) + 1)
    elif stage.isdigit():
        stage = roman(int(stage))
    elif stage and stage.upper() not in STAGES:
        raise ValidationError(f"element = '{text}': '{stage}' is no ionisation stage.", hint="Write `Fe II` or `Fe+`.")
    if not stage and neutral:
        stage = "I"
    return f"{found[1] or ''}{symbol} {stage.upper()}".strip()


def roman(number: int) -> str:
    """Return a Roman numeral: the stage of ionisation, I for the neutral atom.

    Raises:
        ValidationError: It is not 1 to 120.
    """
    if not 1 <= number <= 120:
        raise ValidationError(f"The ionisation stage {number} does not exist.", hint="I is the neutral atom.")
    text = ""
    for value, sign in ROMAN:
        text += sign * (number // value)
        number %= value
    return text


SYMBOL_OF = dict(zip(NAMES, SYMBOLS, strict=True)) | {"aluminum": "Al", "sulphur": "S", "cesium": "Cs"}
STAGES = frozenset(map(roman, range(1, 121)))

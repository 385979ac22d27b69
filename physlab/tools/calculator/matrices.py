"""`graphing_calculator`: matrices, exactly; entries may be formulas."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from physlab.errors import ComputationError, ValidationError
from physlab.tools.calculator.format import SUCCESS, Calculation, Speller, exact, present
from physlab.tools.calculator.names import Names, Text
from physlab.tools.cas.algebra import number_of, write
from physlab.tools.context import Context
from physlab.tools.registry import Port

LARGEST = 40  # rows and columns: exact entries grow with every step of an elimination
SYMBOLIC = 8  # the same for entries with free names


def _to_rows(value: Any) -> Any:
    """Read arrays of other nodes, complex ones too, as rows."""
    if isinstance(value, dict) and set(value) == {"real", "imag"}:
        value = np.asarray(value["real"], dtype=float) + 1j * np.asarray(value["imag"], dtype=float)
    if isinstance(value, np.ndarray):
        if value.ndim != 2:
            raise ValidationError(f"an array of shape {value.shape} is no matrix.", hint="Give rows of equal length.")
        if value.dtype.kind == "c":
            return [[{"real": float(z.real), "imag": float(z.imag)} for z in row] for row in value]
        return value.tolist()
    return value


Rows = Annotated[list[list[Text]], BeforeValidator(_to_rows)]


class MatrixParams(Calculation):
    """One matrix."""

    matrix: Rows = Field(
        validation_alias=AliasChoices("matrix", "matrix_a"),
        description='Rows of numbers or formulas: [[1, "a"], [0, 2]].',
    )

    @field_validator("matrix", "matrix_b", check_fields=False)
    @classmethod
    def _rectangular(cls, rows: list[list[str]]) -> list[list[str]]:
        lengths = {len(row) for row in rows}
        if len(lengths) != 1 or 0 in lengths:
            raise ValidationError(
                f"the rows have {', '.join(map(str, sorted(lengths))) or 'no'} entries.",
                hint="Give rows of one length.",
            )
        return rows


class TwoMatricesParams(MatrixParams):
    """Two matrices."""

    matrix_b: Rows = Field(description="The second matrix.")


MATRIX = (
    SUCCESS,
    Port("result", "list", description="The matrix, rows of texts spelled as `format` asks"),
    Port("latex", "text", description="The same as LaTeX"),
    Port("matrix", "array", description="Its numbers; null when an entry is symbolic"),
    Port("shape", "list", description="[rows, columns]"),
)


def _read(rows: list[list[str]], names: Names, context: Context, name: str) -> tuple[Any, bool]:
    """Return a SymPy matrix, and whether an entry holds decimals."""
    import sympy

    largest = max(len(rows), len(rows[0]))
    read = [[exact(names.read(text, context)) for text in row] for row in rows]
    entries = [[item for item, _ in row] for row in read]
    free = any(item.free_symbols for row in entries for item in row)
    limit = SYMBOLIC if free else LARGEST
    if largest > limit and not context.allow_large:
        raise ValidationError(
            f"{name} is {len(rows)} x {len(rows[0])}; exact matrices {'with free names ' if free else ''}have at most "
            f"{limit} rows and columns.", hint="Set allow_large: true, or use the python tool with numpy.",
        )  # fmt: skip
    return sympy.Matrix(entries), any(some for row in read for _, some in row)


def numbers(matrix: Any) -> Any:
    """Return a matrix as an array, None when an entry is symbolic."""
    if matrix.free_symbols:
        return None
    found = np.array([[complex(matrix[i, j].evalf(20)) for j in range(matrix.cols)] for i in range(matrix.rows)])
    return found.real if not found.imag.any() else found


def _fields(found: Any, params: Calculation, decimals: bool) -> dict[str, Any]:
    import sympy

    speller = Speller(params.format, params.precision, decimals=decimals)
    rows = [[speller.spell(found[i, j]) for j in range(found.cols)] for i in range(found.rows)]
    body = r" \\ ".join(" & ".join(item["latex"] for item in row) for row in rows)
    assert isinstance(found, sympy.MatrixBase)  # noqa: S101
    return {
        "success": True, "result": [[item["str"] for item in row] for row in rows],
        "latex": rf"\begin{{pmatrix}} {body} \end{{pmatrix}}", "matrix": numbers(found),
        "shape": [found.rows, found.cols],
    }  # fmt: skip


def _pair(params: TwoMatricesParams, context: Context) -> tuple[Any, Any, bool]:
    names = params.names()
    (a, first), (b, second) = (
        _read(rows, names, context, name) for rows, name in ((params.matrix, "matrix"), (params.matrix_b, "matrix_b"))
    )
    return a, b, first or second


def matrix_add(params: TwoMatricesParams, context: Context) -> dict[str, Any]:
    """Add two matrices.

    Args:
        params: The matrices, of one shape.
        context: Gets notes on how letters were read.

    Returns:
        The sum, as texts and as an array.

    Raises:
        ValidationError: The shapes differ.
    """
    a, b, decimals = _pair(params, context)
    if a.shape != b.shape:
        raise ValidationError(
            f"matrix is {a.rows} x {a.cols} and matrix_b is {b.rows} x {b.cols}.", hint="A sum needs equal shapes."
        )
    return _fields(a + b, params, decimals)


def matrix_multiply(params: TwoMatricesParams, context: Context) -> dict[str, Any]:
    """Multiply two matrices.

    Args:
        params: The matrices; the first has as many columns as the second has rows.
        context: Gets notes on how letters were read.

    Returns:
        The product matrix · matrix_b.

    Raises:
        ValidationError: The shapes do not fit.
    """
    a, b, decimals = _pair(params, context)
    if a.cols != b.rows:
        raise ValidationError(
            f"matrix is {a.rows} x {a.cols} and matrix_b is {b.rows} x {b.cols}: {a.cols} columns, {b.rows} rows.",
            hint="A product needs as many columns of the first as rows of the second.",
        )
    return _fields((a * b).applyfunc(_tidy), params, decimals)


def _tidy(item: Any) -> Any:
    import sympy

    return item if item.is_Number else sympy.simplify(item)


def _square(params: MatrixParams, context: Context, what: str) -> tuple[Any, bool]:
    found, decimals = _read(params.matrix, params.names(), context, "matrix")
    if found.rows != found.cols:
        raise ValidationError(f"matrix is {found.rows} x {found.cols}.", hint=f"{what} needs a square matrix.")
    return found, decimals


def _determinant(matrix: Any) -> Any:
    return _tidy(matrix.det(method="berkowitz")) if matrix.free_symbols else _tidy(matrix.det())


def matrix_determinant(params: MatrixParams, context: Context) -> dict[str, Any]:
    """Compute a determinant.

    Args:
        params: A square matrix.
        context: Gets notes on how letters were read.

    Returns:
        The determinant.

    Raises:
        ValidationError: The matrix is not square.
    """
    matrix, decimals = _square(params, context, "A determinant")
    return present(_determinant(matrix), params, f"det of {matrix.rows} x {matrix.cols}", context, decimals=decimals)


def matrix_inverse(params: MatrixParams, context: Context) -> dict[str, Any]:
    """Invert a matrix.

    Args:
        params: A square matrix with a determinant that is not zero.
        context: Gets a warning when the inverse exists only where a formula is not zero, or is ill-conditioned.

    Returns:
        The inverse, its determinant, and its condition number.

    Raises:
        ValidationError: The matrix is not square.
        ComputationError: It is singular; the message says its rank.
    """
    matrix, decimals = _square(params, context, "An inverse")
    determinant = _determinant(matrix)
    if determinant == 0:
        raise ComputationError(
            f"matrix is singular: its determinant is 0 and its rank {matrix.rank()} of {matrix.rows}.",
            hint="Only a matrix of full rank has an inverse.",
        )
    if determinant.free_symbols:
        context.warn(f"The inverse exists where {write(determinant)['str']} is not zero.")
    inverse = (matrix.adjugate() / determinant if matrix.free_symbols else matrix.inv()).applyfunc(_tidy)
    plain = numbers(matrix)
    condition = None if plain is None else float(np.linalg.cond(plain))
    if condition is not None and condition > 1e12 and decimals:
        context.warn(
            f"The condition number is {condition:.1e}: decimals that are rounded make the inverse meaningless."
        )
    return {**_fields(inverse, params, decimals), "determinant": write(determinant)["str"],
            "condition_number": condition}  # fmt: skip


def matrix_rref(params: MatrixParams, context: Context) -> dict[str, Any]:
    """Bring a matrix to its reduced row echelon form.

    Args:
        params: Any matrix.
        context: Gets a warning when pivots are formulas.

    Returns:
        The form, the columns of its pivots (counted from 0), and the rank.
    """
    import sympy

    matrix, decimals = _read(params.matrix, params.names(), context, "matrix")
    found, pivots = matrix.rref(simplify=sympy.simplify)
    if matrix.free_symbols:
        context.warn("Pivots that are formulas were taken as not zero.")
    return {**_fields(found, params, decimals), "pivots": list(pivots), "rank": len(pivots)}


INVERSE = (
    *MATRIX,
    Port("determinant", "text", description="The determinant"),
    Port("condition_number", "number", description="Ratio of the largest to the smallest singular value"),
)
RREF = (
    *MATRIX,
    Port("pivots", "list", description="Columns of the pivots, counted from 0"),
    Port("rank", "number", description="The rank"),
)
EIGEN = (
    SUCCESS,
    Port("eigenvalues", "list", description="The eigenvalues, spelled as `format` asks, each once"),
    Port("multiplicities", "list", description="Algebraic multiplicity of each"),
    Port("numeric_eigenvalues", "list", description="Their numbers, complex as {real, imag}; null where symbolic"),
    Port("eigenvectors", "list", description="For each eigenvalue a basis of its eigenvectors, exact; null if numeric"),
    Port("values", "array", description="All eigenvalues with their multiplicity; null when symbolic"),
    Port("vectors", "array", description="Unit eigenvectors as columns, in the order of values; null when symbolic"),
    Port("characteristic_polynomial", "text", description="det(λ - matrix), in lambda"),
    Port("diagonalizable", "boolean", description="True when the eigenvectors span the space; null if unknown"),
)


def matrix_eigenvalues(params: MatrixParams, context: Context) -> dict[str, Any]:
    """Find eigenvalues and eigenvectors, in closed form where there is one.

    Args:
        params: A square matrix.
        context: Gets a warning when the eigenvalues are numeric.

    Returns:
        Eigenvalues with multiplicities (real ones ascending, then complex, then symbolic), eigenvectors.

    Raises:
        ValidationError: The matrix is not square.
        ComputationError: A symbolic matrix has no closed form.
    """
    import sympy

    matrix, decimals = _square(params, context, "An eigenvalue problem")
    unknown = sympy.Symbol("lambda")
    polynomial = matrix.charpoly(unknown)
    roots = {} if decimals else sympy.roots(polynomial)
    closed = sum(roots.values()) == matrix.rows and (not matrix.free_symbols or matrix.rows <= 3)
    if not closed and matrix.free_symbols:
        raise ComputationError(
            "The eigenvalues of this matrix have no closed form.", hint="Give values to its names, in variables."
        )
    if not closed:
        if not decimals:
            context.warn("The eigenvalues have no closed form in radicals; they are numbers.")
        roots = _numeric_roots(polynomial, params.precision)
    pairs = sorted(((_tidy(value) if closed else value, count) for value, count in roots.items()), key=_rank)
    bases = [_basis(matrix, value) for value, _ in pairs] if closed and matrix.rows <= 6 else None
    speller = Speller(params.format, params.precision, decimals=not closed)
    values, vectors = _numeric(matrix, pairs)
    return {
        "success": True, "eigenvalues": speller.all([value for value, _ in pairs]),
        "multiplicities": [count for _, count in pairs],
        "numeric_eigenvalues": [number_of(value) for value, _ in pairs],
        "eigenvectors": None if bases is None else [[speller.all(list(v)) for v in basis] for basis in bases],
        "values": values, "vectors": vectors,
        "characteristic_polynomial": write(polynomial.as_expr())["str"],
        "diagonalizable": bool(matrix.is_diagonalizable()) if closed and matrix.rows <= 4 else None,
    }  # fmt: skip


def _rank(pair: tuple[Any, int]) -> tuple[int, float, float]:
    value = number_of(pair[0])
    if isinstance(value, dict):
        return (1, value["real"], value["imag"])
    return (0, value, 0.0) if value is not None else (2, 0.0, 0.0)


def _numeric_roots(polynomial: Any, precision: int) -> dict[Any, int]:
    """Return the roots as decimals, the multiplicity of each by exact factors."""
    digits = max(precision, 17) + 5
    found: dict[Any, int] = {}
    for factor, count in polynomial.factor_list()[1]:
        for root in factor.nroots(n=digits, maxsteps=500):
            found[root] = count
    return found


def _basis(matrix: Any, value: Any) -> list[Any]:
    import sympy

    space = (matrix - value * sympy.eye(matrix.rows)).nullspace(simplify=sympy.simplify)
    return [vector.applyfunc(_tidy) for vector in space]


def _numeric(matrix: Any, pairs: list[tuple[Any, int]]) -> tuple[Any, Any]:
    """Return all eigenvalues in order and the unit eigenvectors that belong to them."""
    plain = numbers(matrix)
    if plain is None:
        return None, None
    hermitian = bool(np.array_equal(plain, plain.conj().T))
    values, vectors = np.linalg.eigh(plain) if hermitian else np.linalg.eig(plain)
    exact = np.array([complex(value.evalf(20)) for value, count in pairs for _ in range(count)])
    order: list[int] = []
    for value in exact:
        left = [i for i in range(len(values)) if i not in order]
        order.append(min(left, key=lambda i: abs(values[i] - value)))
    return (exact.real if not exact.imag.any() else exact), vectors[:, order]

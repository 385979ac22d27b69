"""`graphing_calculator`: names that travel with the graph, and programs of several steps."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from physlab.errors import ValidationError, nearest
from physlab.expressions import normal_name
from physlab.tools.calculator.format import RESULT, SUCCESS, Calculation, Speller, exact, has_decimals, present
from physlab.tools.calculator.names import Names, Text, UserFunction, plain_name
from physlab.tools.calculator.program import Machine, merged, read_program
from physlab.tools.cas.algebra import number_of, write
from physlab.tools.context import Context
from physlab.tools.registry import Port

ENVIRONMENT = Port(
    "environment", "object", description="All names; another node takes them: `environment: from:node.environment`"
)


class StoreParams(Calculation):
    """A name and its value."""

    var_name: str = Field(validation_alias=AliasChoices("var_name", "name"), description="The name.")
    var_value: Text = Field(
        validation_alias=AliasChoices("var_value", "value", "expression"), description="A number or a formula."
    )


class RecallParams(Calculation):
    """A name to look up."""

    var_name: str = Field(validation_alias=AliasChoices("var_name", "name"), description="The name.")


def _to_names(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class DefineParams(Calculation):
    """A function."""

    func_name: str = Field(validation_alias=AliasChoices("func_name", "name"), description="Its name.")
    func_expression: Text = Field(
        validation_alias=AliasChoices("func_expression", "expression", "function"), description="Its formula."
    )
    func_variables: Annotated[tuple[str, ...], BeforeValidator(_to_names)] = Field(
        ("x",), min_length=1, max_length=20, validation_alias=AliasChoices("func_variables", "variable"),
        description="Names of its arguments, `[x, y]` or `x, y`.",
    )  # fmt: skip


def _to_program(value: Any) -> Any:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value


class ProgramParams(Calculation):
    """A program."""

    program: Annotated[str, BeforeValidator(_to_program)] = Field(
        max_length=100_000,
        validation_alias=AliasChoices("program", "expression", "commands", "code"),
        description="Statements, one in a line or a list of them: `x = 3`, `f(x) = x^2`, `L = [1, 2]`, "
        "`for k = 1 to 10 step 2`, `for v in L`, `while x < 9`, `if x > 2`, `else`, `end`, `print x`, or a formula.",
    )
    max_steps: int = Field(10_000, ge=1, le=1_000_000, description="Stop with an error after so many statements.")

    @field_validator("program")
    @classmethod
    def _reads(cls, value: str) -> str:
        if not read_program(value):
            raise ValidationError("the program is empty.", hint="Write for instance x = 3.")
        return value


STORE = (*RESULT, Port("var_name", "text", description="The name"), ENVIRONMENT)
RECALL = (
    *STORE,
    Port("kind", "text", description="variable, function or list"),
    Port("list", "array", description="The values of a list"),
)
DEFINE = (
    SUCCESS,
    Port("func_name", "text", description="The name"),
    Port("func_expression", "text", description="The formula"),
    Port("func_variables", "list", description="Names of its arguments"),
    Port("latex", "text", description="The formula as LaTeX"),
    ENVIRONMENT,
)
PROGRAM = (
    SUCCESS,
    Port("outputs", "list", description="What was printed, each {line, statement, result, value}"),
    Port("result", "text", description="The last of them; null when nothing was printed"),
    Port("value", "any", description="Its number; null when it is symbolic"),
    Port("variables", "object", description="All variables at the end, {name: {result, value}}"),
    Port("steps", "number", description="How many statements were carried out"),
    ENVIRONMENT,
)


def store_variable(params: StoreParams, context: Context) -> dict[str, Any]:
    """Put a value into an environment under a name.

    Nothing is kept between calls: a node's result follows from its parameters alone. The next node takes the name by
    `environment: from:this_node.environment`.

    Args:
        params: The name, its value (a formula is computed first), the environment to start from.
        context: Gets notes on how letters were read.

    Returns:
        The value, and the environment with it.

    Raises:
        ValidationError: The name is that of a built-in function, or the value cannot be read.
        ComputationError: The value is undefined or infinite.
    """
    name = plain_name(params.var_name, "A variable")
    read = params.names().read(params.var_value, context)
    raw, decimals = exact(read)
    if name in {item.name for item in raw.free_symbols}:
        raise ValidationError(
            f"{name} = {params.var_value} defines {name} by itself.", hint="Give the old one a value."
        )
    text = write(raw)["str"]
    if decimals:
        plain = read.to_sympy()
        text = repr(float(raw)) if plain.is_Float else write(plain)["str"]
    found = merged(params.environment, params.variables).with_names(variables={name: text})
    fields = present(raw, params, params.var_value, context, decimals=decimals)
    return {**fields, "var_name": name, "environment": found.model_dump(mode="json")}


def recall_variable(params: RecallParams, context: Context) -> dict[str, Any]:
    """Look a name up in an environment.

    Args:
        params: The name, and the environment or `variables` that hold it.
        context: Gets notes on how letters were read.

    Returns:
        Its value; for a function its formula, for a list its values.

    Raises:
        ValidationError: The environment has no such name; nothing is remembered between calls.
    """
    name, environment = normal_name(params.var_name), merged(params.environment, params.variables)
    known = [*environment.variables, *environment.functions, *environment.lists]
    if name not in known:
        raise ValidationError(
            f"The environment has no '{params.var_name}'.",
            hint=nearest(name, known)
            if known
            else "Nothing is remembered between calls: give environment: "
            "from:node.environment of the node that stored it, or variables.",
        )
    fields: dict[str, Any] = {"var_name": name, "environment": environment.model_dump(mode="json")}
    if name in environment.lists:
        values = environment.lists[name]
        blank = dict.fromkeys(("result", "latex", "exact", "value", "format"))
        return {"success": True, **blank, "original": str(values), **fields, "kind": "list", "list": values}
    function = environment.functions.get(name)
    bound = () if function is None else function.variables
    text = environment.variables[name] if function is None else function.expression
    raw, decimals = exact(Names(environment, {}, bound).read(text, context))
    kind = "variable" if function is None else "function"
    return {**present(raw, params, text, context, decimals=decimals), **fields, "kind": kind}


def define_function(params: DefineParams, context: Context) -> dict[str, Any]:
    """Put a function into an environment; any formula that gets the environment may call it.

    Args:
        params: Name, arguments and formula; other names in it are looked up when it is called.
        context: Gets notes on how letters were read.

    Returns:
        The function, and the environment with it.

    Raises:
        ValidationError: A name is that of a built-in function, an argument stands twice, or the formula is wrong.
    """
    name = plain_name(params.func_name.partition("(")[0], "A function")
    variables = tuple(plain_name(item, "An argument") for item in params.func_variables)
    if len(set(variables)) < len(variables):
        raise ValidationError(f"{name}({', '.join(variables)}) has an argument twice.", hint="Rename one.")
    base = merged(params.environment, params.variables)
    function = UserFunction(variables=variables, expression=params.func_expression)
    found = base.with_names(functions={name: function})
    Names(found, {}, variables).read(params.func_expression, context)
    call = f"{name}({', '.join(f'({item})' for item in variables)})"
    raw = Names(found, {}, variables).read(call).to_sympy()
    return {
        "success": True, "func_name": name, "func_expression": params.func_expression,
        "func_variables": list(variables), "latex": write(raw)["latex"], "environment": found.model_dump(mode="json"),
    }  # fmt: skip


def execute_program(params: ProgramParams, context: Context) -> dict[str, Any]:
    """Run a small program: assignments, functions, lists, loops and conditions.

    Whole numbers and fractions are exact, decimals are floating-point numbers. Bounded are the statements carried out
    (`max_steps`), the printed lines (1000), the digits of a number (300) and the time.

    Args:
        params: The program, the environment to start from.
        context: Gets notes on how letters were read.

    Returns:
        What was printed, the variables at the end, and the environment for other nodes.

    Raises:
        ValidationError: A line cannot be read; the message names it.
        ComputationError: A value is undefined, or a bound is reached.
    """
    machine = Machine(merged(params.environment, params.variables), params.max_steps)
    machine.run(read_program(params.program))
    outputs = [
        {"line": line.number, "statement": line.text, **_shown(value, params)} for line, value in machine.printed
    ]
    names = machine.names()
    values = {name: names.read(text).to_sympy() for name, text in machine.variables.items()}
    last = outputs[-1] if outputs else {"result": None, "value": None}
    return {
        "success": True, "outputs": outputs, "result": last["result"], "value": last["value"],
        "variables": {name: _shown(value, params) for name, value in values.items()}, "steps": machine.steps,
        "environment": machine.environment().model_dump(mode="json"),
    }  # fmt: skip


def _shown(value: Any, params: Calculation) -> dict[str, Any]:
    speller = Speller(params.format, params.precision, decimals=has_decimals(value))
    return {"result": speller.spell(value)["str"], "value": number_of(value)}

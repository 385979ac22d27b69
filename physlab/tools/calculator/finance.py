"""`graphing_calculator.financial_calc`: the time value of money.

All amounts are positive and each quantity has its own formula, with i the rate for one period, n the periods, P the
payment at the end of each (at its beginning with `due: begin`), v = 1/(1 + i) and k = 1 + i for `begin`, else 1
(S. G. Kellison, "The Theory of Interest", 3rd ed., chapters 3 to 6):

- future value: FV = PV (1 + i)^n + P k ((1 + i)^n - 1)/i, what deposits grow to;
- present value: PV = FV v^n + P k (1 - v^n)/i, what receipts are worth now;
- payment: the P of a loan PV that leaves FV at its end; without PV, the deposit that grows to FV;
- periods and interest rate: of growth from PV to FV, or of a loan with payments.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AliasChoices, BeforeValidator, Field

from physlab.errors import ComputationError, ValidationError
from physlab.tools.calculator.format import SUCCESS
from physlab.tools.calculator.regression import column
from physlab.tools.context import Context
from physlab.tools.registry import Port
from physlab.tools.types import Array, Params


def _to_rate(value: Any) -> Any:
    """Read `"5 %"` as 0.05."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip()[:-1]) / 100
        except ValueError:
            return value
    return value


Rate = Annotated[float, BeforeValidator(_to_rate)]
KINDS = {
    "pv": "present_value", "fv": "future_value", "compound_interest": "future_value", "pmt": "payment",
    "loan_payment": "payment", "loan": "payment", "nper": "periods", "rate": "interest_rate",
    "amortization": "amortisation", "amortization_schedule": "amortisation", "effective_annual_rate": "effective_rate",
    "net_present_value": "npv", "internal_rate_of_return": "irr",
}  # fmt: skip


class FinanceParams(Params):
    """What is known of a loan, a deposit or a stream of cash."""

    financial_type: Annotated[
        Literal["present_value", "future_value", "payment", "periods", "interest_rate", "npv", "irr", "amortisation",
                "effective_rate", "simple_interest"],
        BeforeValidator(lambda value: KINDS.get(value, value) if isinstance(value, str) else value),
    ] = Field(description="What to compute.")  # fmt: skip
    present_value: float | None = Field(
        None, validation_alias=AliasChoices("present_value", "principal"), ge=0, description="Amount now."
    )
    future_value: float | None = Field(None, ge=0, description="Amount at the end.")
    payment: float | None = Field(None, ge=0, description="Amount paid in every period.")
    interest_rate: Rate | None = Field(
        None, gt=-1, allow_inf_nan=False, description='As a fraction, 0.05, or "5 %"; for one year when '
        "`compounding` says the periods of a year.",
    )  # fmt: skip
    periods: float | None = Field(None, gt=0, le=1e6, description="How many periods.")
    compounding: int = Field(1, ge=1, le=366, description="Periods of a year; the rate of one is interest_rate / this.")
    due: Literal["end", "begin"] = Field("end", description="When payments fall due within a period.")
    cash_flows: Array | None = Field(
        None, validation_alias=AliasChoices("cash_flows", "data", "list_data"),
        description="npv, irr: amounts at periods 0, 1, 2, …; what is spent is negative.",
    )  # fmt: skip

    def need(self, *names: str) -> list[float]:
        """Return parameters that this calculation cannot do without.

        Raises:
            ValidationError: Names the first that is missing.
        """
        for name in names:
            if getattr(self, name) is None:
                raise ValidationError(f"{self.financial_type} needs `{name}`.", hint=f"It takes {', '.join(names)}.")
        return [float(getattr(self, name)) for name in names]

    @property
    def rate(self) -> float:
        """The rate for one period."""
        return self.need("interest_rate")[0] / self.compounding


PORTS = (
    SUCCESS,
    Port("result", "number", description="What was asked"),
    Port("financial_type", "text", description="What it is"),
    Port("rate_per_period", "number", description="The rate for one period"),
    Port("total_paid", "number", description="Sum of all payments"),
    Port("total_interest", "number", description="Interest in all"),
    Port("schedule", "object", description="amortisation: arrays {period, payment, interest, principal, balance}"),
    Port("rates", "array", description="irr: every internal rate of return above -100 %"),
)


def financial_calc(params: FinanceParams, context: Context) -> dict[str, Any]:
    """Compute loans, deposits, net present values and rates of return.

    Args:
        params: What to compute and what is known; amounts are positive, but for cash flows.
        context: Gets a warning when a rate looks like a percentage, or a rate of return is not the only one.

    Returns:
        The result, and what belongs to it.

    Raises:
        ValidationError: Something needed is missing.
        ComputationError: There is no solution; the message says why.
    """
    if params.interest_rate is not None and params.interest_rate >= 1:
        context.warn(f"interest_rate = {params.interest_rate:g} means {100 * params.interest_rate:g} %.")
    found = CALCULATIONS[params.financial_type](params, context)
    rate = None if params.interest_rate is None else params.rate
    return {"success": True, "financial_type": params.financial_type, "rate_per_period": rate, **found}


def annuity(i: float, n: float) -> float:
    """Return (1 - v^n)/i, accurate also for tiny rates; n at rate zero."""
    return n if i == 0 else -math.expm1(-n * math.log1p(i)) / i


def _growth(i: float, n: float) -> float:
    """Return (1 + i)^n.

    Raises:
        ComputationError: It is beyond floating-point numbers.
    """
    try:
        return math.exp(n * math.log1p(i))
    except OverflowError as error:
        raise ComputationError(
            f"A rate of {i:g} over {n:g} periods grows beyond 1e308.", hint="Check interest_rate and periods."
        ) from error


def _due(params: FinanceParams) -> float:
    return 1 + params.rate if params.due == "begin" else 1.0


def _future_value(params: FinanceParams, context: Context) -> dict[str, Any]:
    i, (n,) = params.rate, params.need("periods")
    if params.present_value is None and params.payment is None:
        raise ValidationError("future_value needs `present_value`, `payment`, or both.")
    now, paid = params.present_value or 0.0, params.payment or 0.0
    value = now * _growth(i, n) + paid * _due(params) * annuity(i, n) * _growth(i, n)
    return {"result": value, "total_paid": paid * n, "total_interest": value - now - paid * n}


def _present_value(params: FinanceParams, context: Context) -> dict[str, Any]:
    i, (n,) = params.rate, params.need("periods")
    if params.future_value is None and params.payment is None:
        raise ValidationError("present_value needs `future_value`, `payment`, or both.")
    later, paid = params.future_value or 0.0, params.payment or 0.0
    value = later / _growth(i, n) + paid * _due(params) * annuity(i, n)
    return {"result": value, "total_paid": paid * n, "total_interest": later + paid * n - value}


def _payment(params: FinanceParams, context: Context) -> dict[str, Any]:
    i, (n,) = params.rate, params.need("periods")
    later = params.future_value or 0.0
    if params.present_value is None:
        (later,) = params.need("future_value")
        value = later / (annuity(i, n) * _growth(i, n) * _due(params))
        return {"result": value, "total_paid": value * n, "total_interest": later - value * n}
    value = (params.present_value - later / _growth(i, n)) / (annuity(i, n) * _due(params))
    if value < 0:
        raise ComputationError(f"The loan of {params.present_value:g} is below what {later:g} is worth now.")
    return {"result": value, "total_paid": value * n, "total_interest": value * n + later - params.present_value}


def _periods(params: FinanceParams, context: Context) -> dict[str, Any]:
    i, (now,) = params.rate, params.need("present_value")
    later = params.future_value or 0.0
    paid = (params.payment or 0.0) * _due(params)
    if paid == 0:
        now, later = params.need("present_value", "future_value")
        if i == 0 or now == 0 or later == 0 or (later / now > 1) != (i > 0):
            raise ComputationError(
                f"{now:g} never becomes {later:g} at the rate {i:g}.", hint="Check rate and amounts."
            )
        return {"result": math.log(later / now) / math.log1p(i)}
    if i == 0:
        return {"result": (now - later) / paid}
    ratio = (paid - i * later) / (paid - i * now) if paid != i * now else math.inf
    if not 0 < ratio < math.inf:
        raise ComputationError(
            f"A payment of {paid:g} never repays {now:g}: the interest alone is {i * now:g} in every period.",
            hint="Raise the payment.",
        )
    return {"result": math.log(ratio) / math.log1p(i)}


def _interest_rate(params: FinanceParams, context: Context) -> dict[str, Any]:
    from scipy.optimize import brentq

    now, n = params.need("present_value", "periods")
    if not params.payment:
        (later,) = params.need("future_value")
        if now <= 0 or later <= 0:
            raise ComputationError(f"No rate leads from {now:g} to {later:g}.", hint="Both amounts must be above 0.")
        i = math.expm1(math.log(later / now) / n)
    else:
        paid, later = params.payment, params.future_value or 0.0

        def miss(i: float) -> float:
            worth = later * math.exp(-n * math.log1p(i)) + paid * annuity(i, n) * (
                1 + i if params.due == "begin" else 1
            )
            return worth - now

        low, high = max(-0.99, math.expm1(-600 / n)), 10.0  # v^n stays a number
        if miss(low) * miss(high) > 0:
            raise ComputationError(f"No rate between -99 % and 1000 % makes {n:g} payments of {paid:g} worth {now:g}.")
        i = float(brentq(miss, low, high, xtol=1e-15, rtol=8.9e-16))
    return {"result": i * params.compounding, "rate_per_period": i}


def _flows(params: FinanceParams, least: int) -> Array:
    if params.cash_flows is None:
        raise ValidationError(f"{params.financial_type} needs `cash_flows`.", hint="Give the amounts at 0, 1, 2, …")
    return column(params.cash_flows, "cash_flows", least=least)


def _npv(params: FinanceParams, context: Context) -> dict[str, Any]:
    flows = _flows(params, 1)
    return {"result": math.fsum(flows * np.exp(-np.arange(len(flows)) * math.log1p(params.rate)))}


def _irr(params: FinanceParams, context: Context) -> dict[str, Any]:
    flows = _flows(params, 2)
    if not ((flows > 0).any() and (flows < 0).any()):
        raise ComputationError(
            "The cash flows have one sign, so that no rate balances them.", hint="Spending is negative."
        )
    found = _discounts(flows)
    if not found:
        raise ComputationError("No rate above -100 % balances the cash flows.", hint="Check their signs.")
    rates = np.sort(np.array([1 / v - 1 for v in found]))
    best = float(rates[np.abs(rates).argmin()])
    if len(rates) > 1:
        listed = ", ".join(f"{100 * rate:.4g} %" for rate in rates)
        context.warn(f"{len(rates)} rates balance the cash flows: {listed}; compare net present values instead.")
    return {"result": best * params.compounding, "rate_per_period": best, "rates": rates}


def _discounts(flows: Array) -> list[float]:
    """Return every v > 0 at which the flows' present value, a polynomial in v, is zero; isolated exactly."""
    import sympy

    polynomial = sympy.Poly([sympy.Rational(float(flow)) for flow in flows[::-1]], sympy.Symbol("v"), domain="QQ")
    return [float(root.evalf(20)) for root in polynomial.sqf_part().real_roots() if root > 0]


def _amortisation(params: FinanceParams, context: Context) -> dict[str, Any]:
    now, n = params.need("present_value", "periods")
    if n != int(n):
        raise ValidationError(f"A schedule has whole periods, not {n:g}.", hint="Give a whole number.")
    if params.due != "end":
        raise ValidationError("A schedule has its payments at the end.", hint="Leave `due` out.")
    context.enforce("samples", n, "periods")
    i, value = params.rate, _payment(params, context)["result"]
    period = np.arange(1, int(n) + 1)
    before = np.array(
        [now * _growth(i, k - 1) - value * annuity(i, k - 1) * _growth(i, k - 1) for k in map(float, period)]
    )
    interest = before * i
    schedule = {
        "period": period, "payment": np.full(len(period), value), "interest": interest, "principal": value - interest,
        "balance": before + interest - value,
    }  # fmt: skip
    return {"result": value, "schedule": schedule, "total_paid": value * n, "total_interest": float(interest.sum())}


def _effective_rate(params: FinanceParams, context: Context) -> dict[str, Any]:
    return {"result": math.expm1(params.compounding * math.log1p(params.rate))}


def _simple_interest(params: FinanceParams, context: Context) -> dict[str, Any]:
    now, n = params.need("present_value", "periods")
    interest = now * params.rate * n
    return {"result": now + interest, "total_interest": interest}


CALCULATIONS = {
    "present_value": _present_value, "future_value": _future_value, "payment": _payment, "periods": _periods,
    "interest_rate": _interest_rate, "npv": _npv, "irr": _irr, "amortisation": _amortisation,
    "effective_rate": _effective_rate, "simple_interest": _simple_interest,
}  # fmt: skip

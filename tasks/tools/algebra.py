"""From a checked tree to sympy objects, every constant part folded under size bounds first.

The tree of `tasks.tools.expression` names every operation; the tables here say which sympy
function each name stands for. No text is ever parsed by sympy.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tasks.tools.expression import ExpressionError
from tasks.tools.rational import NotRationalError, call, evaluate, operate

if TYPE_CHECKING:
    from tasks.tools.expression import Tree


def build(tree: Tree) -> Any:  # noqa: ANN401
    """The sympy object of a tree; parts without unknowns are folded under size bounds first."""
    import sympy

    try:
        return as_rational(evaluate(tree))
    except NotRationalError:
        pass
    match tree:
        case ["const", str(name)]:
            return {"tau": 2 * sympy.pi}.get(name) or getattr(sympy, name)
        case ["var", str(name)]:
            return sympy.Symbol(name)
        case ["neg", inner]:
            return -build(inner)
        case ["op", str(operator), left, right]:
            return _operate(operator, build(left), build(right))
        case ["rel", str(relation), left, right]:
            return _relate(relation, build(left), build(right))
        case ["call", str(name), *parts]:
            return _call(name, [build(part) for part in parts])
    raise ExpressionError("several expressions are taken by solve only")


def as_rational(value: Fraction) -> Any:  # noqa: ANN401
    """The sympy rational of a fraction."""
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def as_fraction(value: Any) -> Fraction | None:  # noqa: ANN401
    """The fraction of a sympy rational, None of anything else."""
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else None


def _operate(operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
    """One operator; two rationals that only algebra brought together are bounded here too."""
    import sympy

    first, second = as_fraction(left), as_fraction(right)
    if first is not None and second is not None:
        try:
            return as_rational(operate(operator, first, second))
        except NotRationalError:
            pass
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            if right == 0:
                raise ExpressionError("division by zero")
            return left / right
        case "//":
            return sympy.floor(left / right)
        case "%":
            return sympy.Mod(left, right)
        case _:
            return left**right


def _relate(relation: str, left: Any, right: Any) -> Any:  # noqa: ANN401
    import sympy

    names = {"==": "Eq", "!=": "Ne", "<": "Lt", "<=": "Le", ">": "Gt", ">=": "Ge"}
    return getattr(sympy, names[relation])(left, right)


def _call(name: str, values: list[Any]) -> Any:  # noqa: ANN401
    import sympy

    fractions = [as_fraction(value) for value in values]
    exact = [value for value in fractions if value is not None]
    if len(exact) == len(values):
        try:
            return as_rational(call(name, exact))
        except (NotRationalError, KeyError):
            pass
    match name:
        case "ln" | "log":
            return sympy.log(*values)
        case "log2" | "log10":
            return sympy.log(values[0], int(name[3:]))
        case "ceil":
            return sympy.ceiling(values[0])
        case "round":
            return _round(values)
        case "root":
            return sympy.root(*values)
        case "mean":
            return sympy.Add(*values) / len(values)
        case "mod":
            return _operate("%", *values)
        case "pow":
            return _operate("**", *values)
        case "degrees":
            return values[0] * 180 / sympy.pi
        case "radians":
            return values[0] * sympy.pi / 180
        case "comb":
            return sympy.binomial(*values)
        case "perm":
            return sympy.ff(*values)
        case "isprime":
            return sympy.S.true if sympy.isprime(as_integer(values[0])) else sympy.S.false
        case "nextprime":
            return sympy.Integer(sympy.nextprime(as_integer(values[0])))
        case "min" | "max" | "abs":
            return getattr(sympy, name.capitalize())(*values)
        case "diff" | "integrate" | "sum" | "product" | "limit":
            return _over_variable(name, values)
    return getattr(sympy, name)(*values)


def _over_variable(name: str, values: list[Any]) -> Any:  # noqa: ANN401
    import sympy

    expression, variable, *rest = values
    match name, rest:
        case "diff", _:
            return sympy.diff(expression, variable, *(as_integer(order) for order in rest))
        case "integrate", []:
            return sympy.integrate(expression, variable)
        case "integrate", [low, high]:
            return sympy.integrate(expression, (variable, low, high))
        case "sum", [low, high]:
            return sympy.summation(expression, (variable, low, high))
        case "product", [low, high]:
            return sympy.product(expression, (variable, low, high))
        case "limit", [target]:
            return sympy.limit(expression, variable, target)
    raise ExpressionError(f"{name} takes both bounds or none")


def _round(values: list[Any]) -> Any:  # noqa: ANN401
    import sympy

    places = as_integer(values[1]) if len(values) > 1 else 0
    # Exact, so that a value close to a half is not decided by its printed digits.
    scaled = values[0].evalf(60 + abs(places)) * sympy.Integer(10) ** places
    return sympy.Rational(int(sympy.floor(scaled + sympy.Rational(1, 2)))) / 10**places


def as_integer(value: Any) -> int:  # noqa: ANN401
    """A sympy integer of at most 50 digits as an int.

    Raises:
        ExpressionError: it is not one.
    """
    if not value.is_Integer:
        raise ExpressionError(f"{str(value)[:60]} is not a whole number")
    if abs(value) > 10**50:
        raise ExpressionError("a whole number is too large for this function")
    return int(value)

"""The calculator's helper process: builds sympy objects from a checked tree and evaluates them.

Run as `python -m tasks.tools.calculator_worker` by `tasks.tools.worker`. It never sees text, only
trees that passed the gate.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.tools.algebra import as_fraction, build
from tasks.tools.expression import ExpressionError
from tasks.tools.rational import TooLargeError, format_decimal, format_fraction
from tasks.tools.worker_loop import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.tools.expression import Tree

LONGEST_OUTPUT = 4000


def load() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Import sympy once and return the function that answers."""
    import sympy

    # The first evaluation pays for caches and lazy imports; no question should.
    sympy.integrate(sympy.Symbol("x") ** 2).evalf()
    sympy.solve(sympy.Symbol("x") ** 2 - 1)
    return handle


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Answer one question: {"output": text} or {"error": sentence, "type": name}."""
    kind, precision = str(request["kind"]), int(request["precision"])
    try:
        output = _KINDS[kind](request["tree"], request["variable"], precision)
    except TooLargeError as error:
        return {"error": str(error), "type": "too_large"}
    except ExpressionError as error:
        return {"error": str(error), "type": "bad_arguments"}
    except ZeroDivisionError:
        return {"error": "division by zero", "type": "bad_arguments"}
    except (NotImplementedError, ValueError, TypeError, AttributeError, ArithmeticError):
        # sympy says "I cannot do this" in all of these ways.
        return {"error": f"sympy has no way to {kind} this", "type": "no_solution"}
    if len(output) > LONGEST_OUTPUT:
        return {"error": f"the result has {len(output):,} characters", "type": "too_large"}
    return {"output": output}


def _numeric(tree: Tree, variable: str | None, precision: int) -> str:
    del variable
    return _format(build(tree), precision)


def _format(value: Any, precision: int) -> str:  # noqa: ANN401
    """Decimal text of a number or truth value."""
    import sympy

    if value in (sympy.S.true, sympy.S.false):
        return str(value).lower()
    if value.free_symbols:
        names = ", ".join(sorted(map(str, value.free_symbols)))
        raise ExpressionError(f"{names} has no value: kinds simplify and solve take unknowns")
    exact = as_fraction(value)
    if exact is not None:
        return format_fraction(exact, precision)
    number = value.evalf(precision)
    if number.has(sympy.zoo, sympy.nan):
        raise ExpressionError("division by zero, or undefined")
    real, imaginary = number.as_real_imag()
    # What evalf cannot tell from zero is noise of the last digits.
    if imaginary == 0 or abs(imaginary) < abs(real) * sympy.Float(10) ** (2 - precision):
        return _format_real(real, precision)
    parts = [_format_real(real, precision)] if real != 0 else []
    return " + ".join([*parts, f"{_format_real(imaginary, precision)}*I"])


def _format_real(value: Any, precision: int) -> str:  # noqa: ANN401
    import sympy

    if value in (sympy.oo, -sympy.oo):
        return str(value).replace("oo", "inf")
    if not value.is_number or not (value.is_Float or value.is_Rational):
        raise NotImplementedError
    return format_decimal(Decimal(str(sympy.Float(value, precision))))


def _integer_kind(tree: Tree, variable: str | None, precision: int) -> str:
    del variable, precision
    import sympy

    value = build(tree)
    if not value.is_Integer:
        value = sympy.simplify(value)
    if not value.is_Integer:
        raise ExpressionError(f"the result is not a whole number: {_format(value, 15)}")
    return str(value)


def _rewrite(name: str) -> Callable[[Tree, str | None, int], str]:
    def rewrite(tree: Tree, variable: str | None, precision: int) -> str:
        del variable, precision
        import sympy

        return str(getattr(sympy, name)(build(tree)))

    return rewrite


def _with_variable(name: str) -> Callable[[Tree, str | None, int], str]:
    def derive(tree: Tree, variable: str | None, precision: int) -> str:
        del precision
        import sympy

        expression = build(tree)
        return str(getattr(sympy, name)(expression, _unknown(expression, variable)))

    return derive


def _unknown(expression: Any, variable: str | None) -> Any:  # noqa: ANN401
    import sympy

    if variable:
        return sympy.Symbol(variable)
    names = sorted(expression.free_symbols, key=str)
    if len(names) != 1:
        raise ExpressionError(f"say which variable: the expression has {len(names)} unknowns")
    return names[0]


def _solve(tree: Tree, variable: str | None, precision: int) -> str:
    """Solutions as `x = 1; x = 2`, of a system as `x = 1, y = 2; …`; inequalities as sympy does."""
    import sympy

    parts = [build(part) for part in (tree[1:] if tree[0] == "list" else [tree])]
    if all(part in (sympy.S.true, sympy.S.false) for part in parts):
        return "always true" if sympy.S.false not in parts else "no solution"
    if sympy.S.false in parts:
        return "no solution"
    parts = [part for part in parts if part != sympy.S.true]
    unknowns = sorted(set().union(*(part.free_symbols for part in parts)), key=str)
    if not unknowns:
        raise ExpressionError("there is nothing to solve for: the expression has no unknown")
    equalities = all(isinstance(part, sympy.Eq) or not part.is_Relational for part in parts)
    if not equalities:
        target = sympy.Symbol(variable) if variable else unknowns[0]
        return str(sympy.reduce_inequalities(parts, target))
    targets = [sympy.Symbol(variable)] if variable else unknowns
    found = sympy.solve(parts, targets, dict=True)
    if not found:
        return "no solution"
    return "; ".join(_show_solution(solution, precision) for solution in found)


def _show_solution(solution: dict[Any, Any], precision: int) -> str:
    shown = []
    for name in sorted(solution, key=str):
        value = solution[name]
        text = f"{name} = {value}"
        if value.is_number and not value.is_Integer:
            text += f" (about {_format(value, min(precision, 15))})"
        shown.append(text)
    return ", ".join(shown)


_KINDS: dict[str, Callable[[Tree, str | None, int], str]] = {
    "numeric": _numeric,
    "integer": _integer_kind,
    "simplify": _rewrite("simplify"),
    "expand": _rewrite("expand"),
    "factor": _rewrite("factor"),
    "derivative": _with_variable("diff"),
    "integral": _with_variable("integrate"),
    "solve": _solve,
}


if __name__ == "__main__":
    serve(load)

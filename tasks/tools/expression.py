"""The calculator's front gate: text in, a small tree of whitelisted operations out.

Nothing of the text ever reaches `eval` or `sympify`. It is parsed by Python's own parser, every
node is checked against what is written here, and the tree that leaves this module holds numbers,
named constants, variables, operators and whitelisted function names only.

A tree is JSON: ["num", "3/2"], ["const", "pi"], ["var", "x"], ["op", "+", a, b], ["neg", a],
["call", "sqrt", a, ...], ["rel", "<", a, b], ["list", a, ...].
"""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from typing import Any

Tree = list[Any]

LONGEST = 1000
"""Characters of an expression."""
MOST_NODES = 400
DEEPEST = 150
MOST_VARIABLES = 6
LONGEST_NUMBER = 100
"""Characters of one number literal."""
LARGEST_EXPONENT = 1000
"""Of a literal such as 1e300."""

CONSTANTS = {
    "pi": "pi",
    "e": "E",
    "E": "E",
    "i": "I",
    "I": "I",
    "j": "I",
    "tau": "tau",
    "phi": "GoldenRatio",
    "inf": "oo",
    "oo": "oo",
}
"""Name in an expression to name in the tree."""

FUNCTIONS: dict[str, tuple[int, int]] = {
    "sqrt": (1, 1),
    "cbrt": (1, 1),
    "root": (2, 2),
    "exp": (1, 1),
    "ln": (1, 1),
    "log": (1, 2),
    "log2": (1, 1),
    "log10": (1, 1),
    "sin": (1, 1),
    "cos": (1, 1),
    "tan": (1, 1),
    "sec": (1, 1),
    "csc": (1, 1),
    "cot": (1, 1),
    "asin": (1, 1),
    "acos": (1, 1),
    "atan": (1, 1),
    "atan2": (2, 2),
    "sinh": (1, 1),
    "cosh": (1, 1),
    "tanh": (1, 1),
    "degrees": (1, 1),
    "radians": (1, 1),
    "gamma": (1, 1),
    "re": (1, 1),
    "im": (1, 1),
    "conjugate": (1, 1),
    "abs": (1, 1),
    "sign": (1, 1),
    "floor": (1, 1),
    "ceil": (1, 1),
    "ceiling": (1, 1),
    "round": (1, 2),
    "min": (1, 50),
    "max": (1, 50),
    "mean": (1, 50),
    "gcd": (2, 50),
    "lcm": (2, 50),
    "mod": (2, 2),
    "pow": (2, 2),
    "factorial": (1, 1),
    "binomial": (2, 2),
    "comb": (2, 2),
    "perm": (2, 2),
    "isprime": (1, 1),
    "nextprime": (1, 1),
    "diff": (2, 3),
    "integrate": (2, 4),
    "limit": (3, 3),
    "sum": (4, 4),
    "product": (4, 4),
}
"""Function to its fewest and most arguments."""

BINDERS = ("diff", "integrate", "limit", "sum", "product")
"""Functions whose second argument names the variable they run over."""

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_RELATIONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_SPELLINGS = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∗": "*",
        "÷": "/",
        "∕": "/",
        "−": "-",
        "–": "-",
        "π": " pi ",
        "τ": " tau ",
        "∞": " inf ",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "²": "**2",
        "³": "**3",
        "[": "(",
        "]": ")",
        "{": "(",
        "}": ")",
        "\u00a0": " ",
    }
)
_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?")


class ExpressionError(ValueError):
    """An expression the calculator does not take; the message is for the model that wrote it."""


def parse(text: str) -> Tree:
    """The tree of an expression, a relation, or several of them separated by `;`.

    Beside Python's notation it reads `^` as power, `=` as equality, `5!`, `2x`, `3(4+1)`,
    `15% of 80`, `1,234` and the usual mathematical signs.

    Raises:
        ExpressionError: too long, too deep, not an expression, or a name that is not allowed.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression is longer than {LONGEST} characters")
    parts = [normalise(part) for part in text.split(";") if part.strip()]
    if not parts:
        raise ExpressionError("the expression is empty")
    trees = [_Reader(part).read() for part in parts]
    return trees[0] if len(trees) == 1 else ["list", *trees]


def variables(tree: Tree) -> list[str]:
    """Names of the unknowns in a tree, sorted."""
    if tree[0] == "var":
        return [tree[1]]
    found = {name for part in tree[1:] if isinstance(part, list) for name in variables(part)}
    return sorted(found)


def normalise(text: str) -> str:
    """Rewrite usual mathematical spellings into Python's."""
    text = text.translate(_SPELLINGS).strip().strip("$").rstrip(".").replace("^", "**")
    if not re.search(r"[A-Za-z]\s*\(", text):
        text = re.sub(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)", lambda m: m[0].replace(",", ""), text)
    text = re.sub(r"\bmod\b(?!\s*\()", "%", text)
    text = re.sub(r"%\s*of\b", "/100*", text)
    text = re.sub(r"%(?=\s*(?:[-+*/),<>=!]|$))", "/100", text)
    text = _factorials(text)
    text = re.sub(r"(?<![<>=!])=(?!=)", "==", text)
    # 2x, 2 pi, 3(4): a number that stands alone, before a name or a bracket, but not 1e5.
    alone = r"(?<![\w.])(\d+(?:\.\d+)?|\.\d+)(?![eE][+-]?\d)(?=\s*[A-Za-z(])"
    text = re.sub(alone, r"\1*", text)
    return re.sub(r"\)\s*(?=[\w(])", ")*", text).strip()


def _factorials(text: str) -> str:
    """`5!`, `n!` and `(2+3)!` as calls; a bracket is taken back to its partner."""
    text = re.sub(r"(?<![\w.])(\w+)\s*!(?!=)", r"factorial(\1)", text)
    while (match := re.search(r"\)\s*!(?!=)", text)) is not None:
        depth, start = 0, match.start()
        while start >= 0:
            depth += {")": 1, "(": -1}.get(text[start], 0)
            if depth == 0:
                break
            start -= 1
        if start < 0:
            break
        operand = text[start : match.start() + 1]
        name = re.search(r"[A-Za-z]\w*$", text[:start])
        start = name.start() if name else start
        operand = (name[0] if name else "") + operand
        text = f"{text[:start]}factorial({operand}){text[match.end() :]}"
    return text


class _Reader:
    """Walks one parsed expression, counting what it meets."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._nodes = 0
        self._names: set[str] = set()
        self._bound: set[str] = set()

    def read(self) -> Tree:
        if not self._text.isascii():
            strange = next(character for character in self._text if not character.isascii())
            raise ExpressionError(f"the character {strange!r} is not understood")
        try:
            body = ast.parse(self._text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ExpressionError(f"{self._text[:200]!r} is not an expression") from None
        return self._visit(body, 0)

    def _visit(self, node: ast.expr, depth: int) -> Tree:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise ExpressionError(f"the expression has more than {MOST_NODES} parts")
        if depth > DEEPEST:
            raise ExpressionError(f"the expression is nested deeper than {DEEPEST}")
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return ["neg", self._visit(operand, depth + 1)]
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._visit(operand, depth + 1)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                sides = self._visit(left, depth + 1), self._visit(right, depth + 1)
                return ["op", _OPERATORS[type(op)], *sides]
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _RELATIONS:
                sides = self._visit(left, depth + 1), self._visit(right, depth + 1)
                return ["rel", _RELATIONS[type(op)], *sides]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args, depth)
            case ast.Tuple(elts=parts) if parts and depth == 0:
                return ["list", *(self._visit(part, depth + 1) for part in parts)]
        raise ExpressionError(
            f"{ast.unparse(node)[:80]!r} is not allowed: numbers, + - * / // % **, brackets, "
            "comparisons and named functions are"
        )

    def _number(self, node: ast.Constant) -> Tree:
        source = self._text[node.col_offset : node.end_col_offset].replace("_", "")
        if not isinstance(node.value, int | float) or not _NUMBER.fullmatch(source):
            raise ExpressionError(f"{source[:80]!r} is not a number")
        if len(source) > LONGEST_NUMBER:
            raise ExpressionError(f"a number has more than {LONGEST_NUMBER} digits")
        exponent = re.search(r"[eE]([+-]?\d+)$", source)
        if exponent and abs(int(exponent[1])) > LARGEST_EXPONENT:
            raise ExpressionError(f"{source!r} is too large or too small")
        return ["num", str(Fraction(source))]

    def _name(self, name: str) -> Tree:
        if name in CONSTANTS and name not in self._bound:
            return ["const", CONSTANTS[name]]
        if name in FUNCTIONS:
            raise ExpressionError(f"the function {name!r} needs its arguments in brackets")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,19}", name) or "__" in name:
            raise ExpressionError(f"{name[:40]!r} is not a usable name")
        self._names.add(name)
        if len(self._names) > MOST_VARIABLES:
            raise ExpressionError(f"there are more than {MOST_VARIABLES} unknowns")
        return ["var", name]

    def _call(self, name: str, args: list[ast.expr], depth: int) -> Tree:
        if name not in FUNCTIONS:
            if name in CONSTANTS or len(name) == 1:
                raise ExpressionError(f"write {name}*(…) to multiply: {name!r} is not a function")
            raise ExpressionError(f"there is no function {name[:40]!r}: {', '.join(FUNCTIONS)}")
        fewest, most = FUNCTIONS[name]
        if not fewest <= len(args) <= most:
            count = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise ExpressionError(f"{name} takes {count} arguments, not {len(args)}")
        if name in BINDERS:
            if not isinstance(args[1], ast.Name):
                raise ExpressionError(f"the second argument of {name} is a variable, such as x")
            # sum(i, i, 1, 10): here i counts, it is not the imaginary unit.
            self._bound.add(args[1].id)
        return ["call", name, *(self._visit(argument, depth + 1) for argument in args)]

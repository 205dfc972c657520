"""The calculator: arithmetic with its own grammar, as a tool; never `eval`."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from preceptor.arithmetic import FUNCTIONS, ArithmeticProblem, evaluate, terminates, written
from preceptor.errors import ToolError


class Calculator:
    """`calculator(expression)` → `{value, exact}`, and `fraction` where the decimal places do not end.

    `value` is text, so that no digit is lost: all digits where they end, else thirty.
    """

    name = "calculator"
    version = "1"
    declaration: Mapping[str, Any] = {
        "name": "calculator",
        "description": (
            "Compute one arithmetic expression exactly: + - * / // (whole division) % (percent, or remainder before a "
            f"number) ^ parentheses, and {', '.join(sorted(FUNCTIONS))}. No thousands separators, units or variables."
        ),
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "such as (1250 - 980) / 980 * 100"}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    }

    async def __call__(self, **arguments: Any) -> dict[str, Any]:
        expression = arguments.get("expression")
        if set(arguments) != {"expression"} or not isinstance(expression, str):
            given = ", ".join(sorted(arguments)) or "nothing"
            raise ToolError(f"calculator takes one expression as text, such as '2 * (3 + 4)'; given: {given}")
        try:
            value = evaluate(expression)
        except ArithmeticProblem as problem:
            raise ToolError(f"calculator: {problem}") from None
        told: dict[str, Any] = {"value": written(value), "exact": isinstance(value, Fraction)}
        if isinstance(value, Fraction) and terminates(value) is None:
            told["fraction"] = str(value)
        return told

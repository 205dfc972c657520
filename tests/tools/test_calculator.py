"""The calculator computes exactly, stops early, and can be talked into nothing."""

import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.arithmetic import ArithmeticProblem, evaluate, written
from preceptor.errors import ToolError
from preceptor.tools import Calculator


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2^2", "-4"),
        ("2^-3", "0.125"),
        ("2^3^2", "512"),
        ("2**10", "1024"),
        ("10 - 4 - 3", "3"),
        ("100 / 8 / 5", "2.5"),
        ("0.1 + 0.2", "0.3"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("10 % 3", "1"),
        ("mod(-7, 3)", "2"),
        ("50% * 200", "100"),
        ("15% of 240", "36"),
        ("(1250 - 980) / 980 * 100%", "0.275510204081632653061224489796"),
        ("1/3", "0.333333333333333333333333333333"),
        ("1/3 * 3", "1"),
        ("1.5e3", "1500"),
        ("1_000_000 / 4", "250000"),
        ("3 × 4 ÷ 6 − 1", "1"),
        ("√(16)", "4"),
        ("sqrt(2)", "1.41421356237309504880168872421"),
        ("sqrt(16/9) * 3", "4"),
        ("4^0.5", "2"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(1234.567, 1)", "1234.6"),
        ("round(1234, -2)", "1200"),
        ("abs(-3) + max(1, 5, 2) - min(4, 2)", "6"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("mean(1, 2, 6)", "3"),
        ("250000*(0.0425/12)/(1-(1+0.0425/12)^-360)", "1229.84972769870910838196998056"),
    ],
)
def test_arithmetic_is_what_it_is_on_paper(expression: str, value: str) -> None:
    assert written(evaluate(expression)) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "nothing to compute"),
        ("   ", "nothing to compute"),
        ("1 +", "the expression ends where a number should be"),
        ("(1 + 2", "never closed at character 1"),
        ("1)", "'\\)' is not expected at character 2"),
        ("1 2", "two numbers with nothing between them at character 3"),
        ("1,000 + 1", "write 1000, not 1,000"),
        ("(1,2)", "write 1000, not 1,000"),
        ("3 x 4", "at character 3: 3 ▸x 4"),
        ("1/0", "division by zero at character 2"),
        ("5 // (2 - 2)", "division by zero at character 3"),
        ("0^-1", "division by zero"),
        ("sqrt(-1)", "no square root at character 1"),
        ("(-8)^(1/3)", "no such power"),
        ("max()", "is not a number"),
        ("sqrt(1, 2)", "sqrt takes 1 numbers, not 2"),
        ("sqrt 4", "takes its numbers in parentheses"),
        ("2 $ 3", "'\\$' is not part of arithmetic at character 3"),
    ],
)
def test_what_is_not_arithmetic_is_told_with_its_place(expression: str, said: str) -> None:
    with pytest.raises(ArithmeticProblem, match=said):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')", "x.__class__", "().__class__", "open('/etc/passwd')", "lambda: 1", "[1 for _ in 9]",
        "factorial(10**9)", "9**9**9", "2^3000", "10^10^10", "9" * 1_900, "9" * 10**6, "1e999999999", "1e1000 * 1e1000",
        "(" * 900 + "1" + ")" * 900, "(" * 10**5, "-" * 1_900 + "1", "2^" * 900 + "2", "sqrt(" * 300 + "2" + ")" * 300,
        "pi^999999", "1.5^900000", "e^-900000", "sum(" + "9^99," * 300 + "1", "round(1, 10^9)", "1" + "%" * 1_900,
    ],
)  # fmt: skip
def test_attacks_end_in_an_error_within_fifty_milliseconds(expression: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ArithmeticProblem):
        evaluate(expression)
    assert time.perf_counter() - began < 0.05


class Sum:
    """An expression as text beside what Fraction makes of it."""

    def __init__(self, text: str, value: Fraction) -> None:
        self.text, self.value = text, value

    def __repr__(self) -> str:
        return self.text


_numbers = st.builds(
    lambda whole, places: Sum(str(Decimal(whole).scaleb(-places).normalize().__format__("f")), Fraction(whole, 10**places)),
    st.integers(0, 10**9),
    st.integers(0, 4),
)


def _joined(left: Sum, sign: str, right: Sum) -> Sum:
    text = f"({left.text}) {sign} ({right.text})"
    if sign in ("/", "//") and right.value == 0:
        sign, text = "*", f"({left.text}) * ({right.text})"
    value: Any = {
        "+": lambda: left.value + right.value, "-": lambda: left.value - right.value,
        "*": lambda: left.value * right.value, "/": lambda: left.value / right.value,
        "//": lambda: Fraction(left.value // right.value),
    }[sign]()  # fmt: skip
    return Sum(text, value)


_expressions = st.recursive(
    _numbers,
    lambda inner: st.one_of(
        st.builds(_joined, inner, st.sampled_from(["+", "-", "*", "/", "//"]), inner),
        st.builds(lambda s: Sum(f"-({s.text})", -s.value), inner),
        st.builds(lambda s: Sum(f"({s.text})%", s.value / 100), inner),
        st.builds(lambda s: Sum(f"({s.text})^2", s.value**2), inner),
        st.builds(lambda s, t: Sum(f"max({s.text}, {t.text})", max(s.value, t.value)), inner, inner),
        st.builds(lambda s: Sum(f"abs({s.text})", abs(s.value)), inner),
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(_expressions)
def test_any_expression_agrees_with_fractions(expression: Sum) -> None:
    if len(expression.text) > 1_900 or len(str(expression.value)) > 900:
        return
    assert evaluate(expression.text) == expression.value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789+-*/%^().,e sqrtmaxof√_'\"\\\x00", max_size=60))
def test_any_text_is_a_value_or_a_problem_and_nothing_else(text: str) -> None:
    try:
        value = evaluate(text)
    except ArithmeticProblem:
        return
    assert isinstance(value, Fraction | Decimal)
    assert written(value)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(0, 40))
def test_a_decimal_that_ends_is_written_with_all_its_digits(whole: int, places: int) -> None:
    value = Fraction(whole, 10**places)
    assert Fraction(written(value)) == value


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("2 * 3", {"value": "6", "exact": True}),
        ("1 / 3", {"value": "0.333333333333333333333333333333", "exact": True, "fraction": "1/3"}),
        ("sqrt(2)", {"value": "1.41421356237309504880168872421", "exact": False}),
    ],
)
async def test_the_tool_says_whether_its_value_is_exact(expression: str, told: dict[str, object]) -> None:
    assert await Calculator()(expression=expression) == told


@pytest.mark.parametrize("arguments", [{}, {"expression": 3}, {"expression": "1", "code": "1"}, {"query": "1"}])
async def test_wrong_arguments_are_refused_with_what_it_takes(arguments: dict[str, object]) -> None:
    with pytest.raises(ToolError, match="takes one expression as text"):
        await Calculator()(**arguments)


async def test_the_tool_tells_where_an_expression_goes_wrong() -> None:
    with pytest.raises(ToolError, match="at character 5: 2 \\+ ▸\\* 3"):
        await Calculator()(expression="2 + * 3")

"""Arithmetic with a grammar of its own: exact where it can be, capped everywhere, and nothing is ever executed.

    sum      = product { ("+" | "-") product }
    product  = signed { ("*" | "/" | "//" | "%" | "of") signed }
    signed   = ("+" | "-") signed | power
    power    = percent [ ("^" | "**") signed ]                  right to left; -2^2 is -4
    percent  = atom { "%" }                                     "%" before a number, a name or "(" is the remainder
    atom     = number | "(" sum ")" | name "(" sum { "," sum } ")" | "pi" | "e"

Values are fractions as long as they can be; a root that is not exact makes a decimal of 50 digits, and so does
all that is computed with it.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from decimal import DecimalException as _DecimalException
from fractions import Fraction
from typing import TypeAlias

Value: TypeAlias = Fraction | Decimal

MOST_CHARACTERS = 2_000
MOST_DEPTH = 50
MOST_DIGITS = 1_000
"""Digits of any number written or computed: numerator and denominator each."""
DIGITS = 50
"""Digits of a result that is not exact."""


class ArithmeticProblem(ValueError):
    """The expression cannot be computed; says why and where."""

    def __init__(self, why: str, expression: str = "", at: int = -1) -> None:
        place = f" at character {at + 1}: {expression[max(0, at - 12) : at]}▸{expression[at : at + 20]}"
        super().__init__(why + (place if at >= 0 else ""))
        self.at = at


@dataclass(frozen=True, slots=True)
class _Token:
    sort: str
    text: str
    at: int


_PATTERN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z]+)"
    r"|(?P<sign>\*\*|//|[-+*/%^(),])",
    re.ASCII,
)
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "√": "s", "\u00a0": " "})


def evaluate(expression: str) -> Value:
    """The value of `expression`: a Fraction where it is exact, else a Decimal of 50 digits.

    Raises ArithmeticProblem, with the place, for anything that is not arithmetic or that would grow too large.
    Percent is a hundredth wherever it stands: `200 + 10%` is 200.1.
    """
    if not isinstance(expression, str) or not expression.strip():
        raise ArithmeticProblem("there is nothing to compute")
    if len(expression) > MOST_CHARACTERS:
        long = f"this one has {len(expression):,}"
        raise ArithmeticProblem(f"an expression has at most {MOST_CHARACTERS:,} characters, {long}")
    text = expression.replace("√", "sqrt").translate(_SPELLINGS)
    with localcontext(Context(prec=DIGITS)):
        return _Reading(text, _tokens(text)).whole()


def written(value: Value, digits: int = 30) -> str:
    """`value` as a decimal number: all digits where they end within `MOST_DIGITS`, else `digits` significant ones."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        places = terminates(value)
        if places is not None and places <= MOST_DIGITS:
            sign, scaled = "-" * (value < 0), abs(value.numerator) * 10**places // value.denominator
            whole = str(scaled).zfill(places + 1)
            return f"{sign}{whole[:-places]}.{whole[-places:]}"
    with localcontext(Context(prec=digits)):
        number = decimal(value).normalize()
    return format(number, "f") if -8 < number.adjusted() < digits else str(number)


def terminates(value: Fraction) -> int | None:
    """How many decimal places `value` has; None where they do not end."""
    twos = fives = 0
    rest = value.denominator
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def decimal(value: Value) -> Decimal:
    """`value` as a Decimal, rounded to the digits of the context that is in force."""
    return value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        found = _PATTERN.match(text, at)
        if not found:
            raise ArithmeticProblem(f"{text[at]!r} is not part of arithmetic", text, at)
        if found.lastgroup != "space":
            tokens.append(_Token(str(found.lastgroup), found.group(), at))
        at = found.end()
    return [*tokens, _Token("end", "", len(text))]


_BINDING = {"+": 10, "-": 10, "*": 20, "/": 20, "//": 20, "%": 20, "of": 20, "^": 40, "**": 40}
_SIGNED = 30
"""How strongly a leading sign binds: below power, above product."""


class _Reading:
    """A Pratt parser that computes as it reads; it holds the place in the tokens and the depth."""

    def __init__(self, text: str, tokens: Sequence[_Token]) -> None:
        self.text, self.tokens, self.place, self.depth = text, tokens, 0, 0

    def whole(self) -> Value:
        value = self.sum(0)
        if self.next.sort != "end":
            raise self.problem(f"{self.next.text!r} is not expected")
        return value

    def sum(self, binding: int) -> Value:
        """What follows, up to an operator that binds no stronger than `binding`."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise self.problem(f"nested deeper than {MOST_DEPTH}")
        value = self.first()
        while True:
            sign = self.next
            if sign.text == "%" and self.is_percent():
                self.take()
                value = self.checked(_divided(value, Fraction(100)), sign)
                continue
            strength = _BINDING.get(sign.text, -1)
            if strength <= binding:
                break
            self.take()
            # Power groups from the right, and a sign may follow it: 2^-3^2 is 2^(-(3^2)).
            right = self.sum(_SIGNED - 1 if strength == 40 else strength)
            value = self.applied(sign, value, right)
        self.depth -= 1
        return value

    def first(self) -> Value:
        token = self.take()
        if token.sort == "number":
            return self.number(token)
        if token.text in ("-", "+"):
            value = self.sum(_SIGNED)
            return -value if token.text == "-" else value
        if token.text == "(":
            value = self.sum(0)
            self.expect(")", token)
            return value
        if token.sort == "name" and token.text != "of":
            return self.named(token)
        ends = token.sort == "end"
        what = "the expression ends where a number should be" if ends else f"{token.text!r} is not a number"
        raise ArithmeticProblem(what, self.text, token.at)

    def number(self, token: _Token) -> Value:
        digits, _, exponent = token.text.replace("_", "").lower().partition("e")
        if len(digits) > MOST_DIGITS or len(exponent) > 6 or abs(int(exponent or 0)) > MOST_DIGITS:
            raise ArithmeticProblem(f"a number has at most {MOST_DIGITS:,} digits", self.text, token.at)
        after = self.next
        if after.sort == "number" and after.at > token.at:
            raise ArithmeticProblem("two numbers with nothing between them", self.text, after.at)
        return Fraction(digits) * Fraction(10) ** int(exponent or 0)

    def named(self, token: _Token) -> Value:
        name = token.text.lower()
        if name in _CONSTANTS and self.next.text != "(":
            return _CONSTANTS[name]
        if name not in FUNCTIONS:
            there = ", ".join(sorted(FUNCTIONS))
            raise ArithmeticProblem(f"no function named {token.text[:30]!r}; there are: {there}", self.text, token.at)
        if self.next.text != "(":
            raise ArithmeticProblem(f"{name} takes its numbers in parentheses", self.text, self.next.at)
        opened = self.take()
        values = [self.sum(0)]
        while self.next.text == ",":
            self.take()
            values.append(self.sum(0))
        self.expect(")", opened)
        least, most, compute = FUNCTIONS[name]
        if not least <= len(values) <= most:
            takes = f"{least}" if least == most else f"{least} to {most}" if most < 100 else f"{least} or more"
            raise ArithmeticProblem(f"{name} takes {takes} numbers, not {len(values)}", self.text, token.at)
        return self.computed(token, lambda: compute(values))

    def applied(self, sign: _Token, left: Value, right: Value) -> Value:
        return self.computed(sign, lambda: _OPERATIONS[sign.text](left, right))

    def computed(self, token: _Token, compute: Callable[[], Value]) -> Value:
        try:
            return self.checked(compute(), token)
        except ArithmeticProblem as problem:
            raise (problem if problem.at >= 0 else ArithmeticProblem(str(problem), self.text, token.at)) from None
        except (ZeroDivisionError, OverflowError, ValueError, _DecimalException) as error:
            why = "division by zero" if isinstance(error, ZeroDivisionError) else "this has no value here"
            raise ArithmeticProblem(why, self.text, token.at) from None

    def checked(self, value: Value, token: _Token) -> Value:
        """`value`; rounded where a fraction grows too long to be kept exact, refused where the number is too large."""
        if isinstance(value, Fraction) and value.denominator.bit_length() > _MOST_BITS:
            value = decimal(value)
        if isinstance(value, Fraction):
            large = value.numerator.bit_length() > _MOST_BITS
        else:
            large = not value.is_finite() or abs(value.adjusted()) > MOST_DIGITS
        if large:
            raise ArithmeticProblem(f"this has more than {MOST_DIGITS:,} digits", self.text, token.at)
        return value

    def is_percent(self) -> bool:
        after = self.tokens[self.place + 1]
        return not (after.sort == "number" or after.text == "(" or (after.sort == "name" and after.text != "of"))

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.tokens[self.place]
        self.place += token.sort != "end"
        return token

    def expect(self, text: str, opened: _Token) -> None:
        if self.next.text == text:
            self.take()
            return
        if self.next.text == ",":
            raise self.problem("a comma stands only between the numbers of a function: write 1000, not 1,000")
        if self.next.sort == "end":
            raise ArithmeticProblem("this parenthesis is never closed", self.text, opened.at)
        raise self.problem(f"{self.next.text!r} is not expected")

    def problem(self, why: str) -> ArithmeticProblem:
        if self.next.text == ",":
            why = "a comma stands only between the numbers of a function: write 1000, not 1,000"
        return ArithmeticProblem(why, self.text, self.next.at)


_MOST_BITS = math.ceil(MOST_DIGITS * math.log2(10))


def _both(
    exact: Callable[[Fraction, Fraction], Fraction], rounded: Callable[[Decimal, Decimal], Decimal]
) -> Callable[[Value, Value], Value]:
    def compute(left: Value, right: Value) -> Value:
        if isinstance(left, Fraction) and isinstance(right, Fraction):
            return exact(left, right)
        return rounded(decimal(left), decimal(right))

    return compute


_added = _both(lambda a, b: a + b, lambda a, b: a + b)
_taken = _both(lambda a, b: a - b, lambda a, b: a - b)
_times = _both(lambda a, b: a * b, lambda a, b: a * b)
_divided = _both(lambda a, b: a / b, lambda a, b: a / b)


def _floored(left: Value, right: Value) -> Value:
    """Division rounded towards minus infinity, so that a = b × (a // b) + a % b and the remainder has b's sign."""
    return Fraction(math.floor(_divided(left, right)))


def _remainder(left: Value, right: Value) -> Value:
    return _taken(left, _times(right, _floored(left, right)))


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        times = int(exponent)
        if base == 0 and times < 0:
            raise ZeroDivisionError
        if isinstance(base, Fraction) and _fits(base, times):
            return base**times
        if isinstance(base, Fraction) and base.denominator == 1:
            raise ArithmeticProblem(f"this power has more than {MOST_DIGITS:,} digits")
        return _rounded_power(decimal(base), Decimal(times))
    if isinstance(base, Fraction) and exponent == Fraction(1, 2):
        return _root(base)
    if base < 0:
        raise ArithmeticProblem("a negative number has no such power")
    return _rounded_power(decimal(base), decimal(exponent))


def _fits(base: Fraction, times: int) -> bool:
    """True where the power may be computed exactly. Asked before it is, because the computing is what costs."""
    bits = max(abs(base.numerator), base.denominator).bit_length()
    return abs(base) in (0, 1) or bits * abs(times) <= _MOST_BITS


def _rounded_power(base: Decimal, exponent: Decimal) -> Decimal:
    if abs(exponent) > 1_000_000:
        raise ArithmeticProblem("an exponent is at most 1,000,000")
    return base**exponent


def _root(value: Value) -> Value:
    if value < 0:
        raise ArithmeticProblem("a negative number has no square root")
    if isinstance(value, Fraction):
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return decimal(value).sqrt()


def _rounded(values: Sequence[Value]) -> Value:
    """Half away from zero, as taught at school; the second number says how many places (it may be negative)."""
    places = values[1] if len(values) > 1 else Fraction(0)
    if not isinstance(places, Fraction) or places.denominator != 1 or abs(places) > 100:
        raise ArithmeticProblem("round takes a whole number of places, -100 to 100")
    scale = Fraction(10) ** int(places)
    exact = values[0] if isinstance(values[0], Fraction) else Fraction(values[0])
    whole = math.floor(abs(exact) * scale + Fraction(1, 2))
    return Fraction(whole if exact >= 0 else -whole) / scale


def _summed(values: Sequence[Value]) -> Value:
    total: Value = Fraction(0)
    for value in values:
        total = _added(total, value)
    return total


def _exactly(value: Value) -> Fraction:
    return Fraction(value)


_OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "+": _added,
    "-": _taken,
    "*": _times,
    "of": _times,
    "/": _divided,
    "//": _floored,
    "%": _remainder,
    "^": _power,
    "**": _power,
}
_CONSTANTS: dict[str, Value] = {
    "pi": Decimal("3.14159265358979323846264338327950288419716939937510"),
    "e": Decimal("2.71828182845904523536028747135266249775724709369995"),
}
FUNCTIONS: dict[str, tuple[int, int, Callable[[Sequence[Value]], Value]]] = {
    "abs": (1, 1, lambda v: v[0] if v[0] >= 0 else -v[0]),
    "ceil": (1, 1, lambda v: Fraction(math.ceil(v[0]))),
    "floor": (1, 1, lambda v: Fraction(math.floor(v[0]))),
    "max": (1, 1_000, lambda v: sorted(v, key=_exactly)[-1]),
    "mean": (1, 1_000, lambda v: _divided(_summed(v), Fraction(len(v)))),
    "min": (1, 1_000, lambda v: sorted(v, key=_exactly)[0]),
    "mod": (2, 2, lambda v: _remainder(v[0], v[1])),
    "round": (1, 2, _rounded),
    "sqrt": (1, 1, lambda v: _root(v[0])),
    "sum": (1, 1_000, _summed),
}
"""Name: fewest and most numbers, and what computes it."""

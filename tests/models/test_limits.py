"""What an error means, and how long to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from preceptor.models.limits import classify, hopeless, retry_after, spoken

NOW = datetime(2026, 11, 21, 7, 0, 0, tzinfo=UTC)
SKEWED = {"Date": format_datetime(NOW + timedelta(hours=1), usegmt=True)}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "86400"}, 86400),
        ({"Retry-After": format_datetime(NOW.replace(minute=1), usegmt=True)}, 60),
        ({"Retry-After": format_datetime(NOW.replace(year=2020), usegmt=True)}, 0),
        ({"Retry-After": format_datetime(NOW + timedelta(hours=1, seconds=9), usegmt=True), **SKEWED}, 9),
        ({"Retry-After": "2026-11-21T07:00:30Z"}, 30),
        ({"Retry-After": str(NOW.timestamp() + 7)}, 7),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2m59.5s"}, 179.5),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "2m"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{(NOW.timestamp() + 4) * 1000:.0f}"}, 4),
        ({}, None),
    ],
)
def test_b04_retry_after_is_read_in_each_of_its_spellings(headers: dict[str, str], seconds: float | None) -> None:
    read = retry_after(headers, NOW.timestamp())
    assert read == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (429, "Rate limit reached", "rate_limit"),
        (429, "insufficient_quota", "permanent"),
        (402, "credit balance too low", "permanent"),
        (503, "", "overload"),
        (529, "overloaded_error", "overload"),
        (500, "", "transient"),
        (504, "", "transient"),
        (408, "", "transient"),
        (400, "content_filter triggered", "content"),
        (400, "unknown parameter", "permanent"),
        (401, "", "permanent"),
        (404, "", "permanent"),
        (413, "", "permanent"),
        (422, "", "permanent"),
    ],
)
def test_one_table_says_what_an_error_means(status: int, words: str, kind: str) -> None:
    assert classify(status, words) == kind


@pytest.mark.parametrize(
    ("failures", "same", "share", "poison"),
    [
        (2, 2, 0.0, False),
        (3, 3, 0.01, True),
        (4, 1, 0.0, False),
        (5, 1, 0.0, True),
        (5, 5, 0.3, False),  # 0.3⁵ is one request in four hundred: a run of thousands would lose some that are well
        (12, 12, 0.3, True),
        (50, 50, 0.9, False),
    ],
)
def test_b10_a_request_is_poison_when_its_failures_are_no_bad_luck(
    failures: int, same: int, share: float, poison: bool
) -> None:
    assert hopeless(failures, same, share, attempts=5) is poison


@pytest.mark.parametrize(("seconds", "words"), [(0.42, "0.4 s"), (12, "12 s"), (300, "5 min"), (86400, "24.0 h")])
def test_waits_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words

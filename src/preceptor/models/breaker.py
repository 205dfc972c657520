"""An endpoint that fails is left alone, and looked in on: breaker and retry budget. Pure; `now` is handed in.

    closed ── ten failures in a row, or most of forty calls in thirty seconds, or all refused ──▶ open
      ▲                                                                                            │ pause
      ╰────────── one call is answered ◀── probe: one call, whichever is next ◀────────────────────╯

While it is open, work waits; nothing fails. A pause is 1, 2, 4, 5 seconds, then an eighth of how long it has been open, at
most twenty: an endpoint that is back is found soon after a short outage, and not pestered through a long one.
"""

STREAK = 10
WINDOW = 30.0
LEAST = 40
SHARE = 0.6
"""Half of twenty would open it once in twenty times for an endpoint that drops 30 % and is well otherwise."""
REFUSED = 5
MOST = 0.8
"""So many calls broken off or refused, and such a share of all that were sent since the first of them."""
PAUSES = (1.0, 5.0, 20.0)
"""The first, the longest of a short outage, the longest of any."""
AGAIN = 10.0
"""Opened again so soon after it was closed, it goes on with the pauses where they were."""


class Window:
    """Calls and failures of the last thirty seconds or so: two halves, of which the older is let go."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._halves = [(0, 0), (0, 0)]

    def add(self, now: float, calls: int, failures: int) -> None:
        """So many sent, so many failed. Sends are counted, and no answers: failures come sooner than answers do."""
        self._turn(now)
        sent, failed = self._halves[0]
        self._halves[0] = (sent + calls, failed + failures)

    def seen(self, now: float) -> tuple[int, float]:
        """Calls, and the share of them that failed."""
        self._turn(now)
        calls, failures = (sum(pair) for pair in zip(*self._halves, strict=True))
        return calls, failures / calls if calls else 0.0

    def _turn(self, now: float) -> None:
        passed = now - self._since
        if passed >= WINDOW / 2:
            self._halves = [(0, 0), self._halves[0] if passed < WINDOW else (0, 0)]
            self._since = now


class Breaker:
    """The health of one endpoint."""

    def __init__(self) -> None:
        self.open = False
        self.why = ""
        self.probe_at = 0.0
        self._window, self._since_closed = Window(), Window()
        self._calls = self._failures = 0
        self._opened = self._tripped = self._closed = float("-inf")
        self._pauses = 0
        self._ill_from = float("inf")
        """When the first of the failures came that no later call was answered after."""
        self._sent = self._ill = 0
        """Calls since then, and how many of them failed."""

    def wait(self, now: float) -> float:
        """Seconds until a call may go: 0 unless it is open."""
        return max(0.0, self.probe_at - now) if self.open else 0.0

    def sent(self, now: float) -> None:
        """A call goes out; where it is open, as the probe: the next is due after the next pause."""
        self._sent += 1
        self._calls += 1
        self._window.add(now, 1, 0)
        self._since_closed.add(now, 1, 0)
        if self.open:
            self.probe_at = now + self._pause(now)

    def answered(self, now: float, sent: float) -> None:
        """A call was answered. It is closed, unless that call had been sent before it opened."""
        if sent >= self._ill_from:
            self._ill_from = float("inf")
        if self.open and sent >= self._tripped:
            self.open, self._closed, self._since_closed = False, now, Window()

    def failed(self, now: float, sent: float, why: str) -> None:
        """A call broke off."""
        self._failures += 1
        self._window.add(now, 0, 1)
        self._since_closed.add(now, 0, 1)
        calls, share = self._since_closed.seen(now)
        if self._all_fail(now, sent, STREAK) or (calls >= LEAST and share >= SHARE):
            self.trip(now, why)

    def refused(self, now: float, sent: float, alone: bool, asked: float) -> None:
        """A call was refused, and the endpoint asks to wait; `alone`: no other is out."""
        if self._all_fail(now, sent, REFUSED) or alone:
            self.trip(now, "", asked)

    def _all_fail(self, now: float, sent: float, least: int) -> bool:
        """Whether everything that was sent since the first of a row of failures has failed, and that is enough to tell.
        What else is out was let in before, and proves nothing."""
        if sent >= self._ill_from:
            self._ill += 1
        elif self._ill_from == float("inf"):
            self._ill_from, self._sent, self._ill = now, 0, 0
        return self._ill >= least and self._ill >= MOST * self._sent

    def trip(self, now: float, why: str, least: float = 0.0) -> None:
        """It is open: for as long as the endpoint asks for, where it does, else for a pause; told again while it is open,
        for at least as long as it asks now."""
        self.why = why
        if self.open:
            self.probe_at = max(self.probe_at, now + least)
            return
        self.open, self._tripped = True, now
        if now - self._closed > AGAIN:
            self._opened, self._pauses = now, 0
        self.probe_at = now + (least or self._pause(now))

    def share(self, now: float) -> float:
        """Failed calls as a share: of the last thirty seconds or so, or of all that there were, whichever is more."""
        return max(self._window.seen(now)[1], self._failures / self._calls if self._calls else 0.0)

    def _pause(self, now: float) -> float:
        first, short, longest = PAUSES
        self._pauses += 1
        return float(min(first * 2 ** (self._pauses - 1), max(short, min(longest, (now - self._opened) / 8))))


class RetryBudget:
    """Retries that fail again may be a fifth of first sends: what is tried again and answered costs nothing.

    So an endpoint that drops a third of its calls is served at full speed, and one that drops most is not asked three
    times as often as a healthy one.
    """

    SHARE = 0.2
    MOST = 20.0
    TRICKLE = 0.2
    """A second: enough that nothing waits for ever."""

    def __init__(self) -> None:
        self._left = 10.0
        self._at: float | None = None

    def first(self) -> None:
        """A request is sent for the first time."""
        self._left = min(self.MOST, self._left + self.SHARE)

    def take(self, now: float) -> float:
        """0, and a retry is paid for; or the seconds until there may be one."""
        if self._at is not None:
            self._left = min(self.MOST, self._left + self.TRICKLE * (now - self._at))
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return max(0.01, (1 - self._left) / self.TRICKLE)

    def back(self) -> None:
        """A retry was answered."""
        self._left = min(self.MOST, self._left + 1)

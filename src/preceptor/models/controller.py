"""How many calls an endpoint can take at once: found, kept, and found again when it changes. Pure; `now` is handed in.

    ramp      8, then three times as many each tenth of a second, until something is refused or the ceiling is reached
    cut       a refusal: × 0.85, at most once in five seconds; further ones follow down what is still being served
    grow      5 % a round while at least four fifths are in use; slower at a wall that refused before, faster beyond it
    recover   after a collapse: the ramp again, to 0.85 of what it was before
    queue     an endpoint that never refuses gets slow: cut to what is served, when answers wait longer than they take

Refusals come at once and answers take their time, so a ramp by the clock finds the wall before a ramp by answers would.
"""

from collections import deque
from dataclasses import dataclass
from math import sqrt

START = 8
STEP = 3.0
PACE = 0.1
CUT = 0.85
COOL = 5.0
GROWTH = 0.05
FASTEST = 0.5
BUSY = 0.8
WALL_WAITS = (5.0, 30.0)
"""Least and most seconds before a wall is tried again; each time that it refuses at the same place, twice as long."""
QUEUE_CUT = 0.4
QUEUE_GROWS = 0.2
"""Waiting, as a share of serving: above the first the limit is cut, below the second it may grow."""
LEAST = 0.25
"""Of a limit, after one cut for a queue."""
FIRST = 2 * START
FEW = 0.2
"""A cut by 15 % leaves less than half of a share of refusals up to this, where they come of too many calls."""
SEEN = 64
SIGMAS = 3.0


@dataclass(slots=True)
class Line:
    """Seconds = wait + pace × tokens, fitted to the last answers, the older the lighter.

    A server that batches gets slower by the token; one that queues makes every answer wait, long or short. So what
    grows with a queue is the intercept.
    """

    n: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def add(self, tokens: float, seconds: float, span: float) -> None:
        """One answer more; those older than `span` answers hardly count."""
        self.n += 1
        w = 1 / min(self.n, span)
        self.x += w * (tokens - self.x)
        self.y += w * (seconds - self.y)
        self.xx += w * (tokens * tokens - self.xx)
        self.xy += w * (tokens * seconds - self.xy)
        self.yy += w * (seconds * seconds - self.yy)

    def fit(self, span: float) -> tuple[float, float, float]:
        """(intercept, served seconds of a mean answer beyond it, standard error of the intercept)."""
        var = self.xx - self.x * self.x
        cov = self.xy - self.x * self.y
        tells = var > (0.1 * self.x) ** 2  # answers of one length tell no pace: all of it counts as intercept
        slope = max(0.0, cov / var) if tells else 0.0
        rest = max(0.0, self.yy - self.y * self.y - slope * cov)
        leverage = 1 + self.x * self.x / var if tells else 1.0
        served = slope * self.x
        return self.y - served, served, sqrt(rest / max(1.0, min(self.n, span)) * leverage)


class Controller:
    """The limit on the calls to one endpoint that are out at once."""

    def __init__(self, ceiling: int, *, start: int = START) -> None:
        self.ceiling = float(max(1, ceiling))
        self.limit = min(float(start), self.ceiling)
        self._wall = Wall()
        self._queue = Queue()
        self._chance = Chance()
        self._aim = self.ceiling
        """How far the ramp may go."""
        self._ramping = True
        self._step_at = 0.0
        self._cut_at = self._refused_at = float("-inf")
        self._raised = True
        self._growth = GROWTH

    def room(self, now: float, out: int) -> float:
        """0 where one call more may go out; else seconds until that may change by itself, or infinity."""
        if out < int(self.limit):
            if not self._step_at:
                self._step_at = now + PACE  # the first call: the ramp's clock starts
            return 0.0
        if not self._ramping or self.limit >= self._aim:
            return float("inf")
        if now < self._step_at:
            return self._step_at - now
        self.limit = min(self._aim, max(self.limit + 1, self.limit * STEP))
        self._step_at = now + PACE
        self._raised = True
        return 0.0 if out < int(self.limit) else PACE

    def refused(self, now: float, out: int, sent: float = 0.0, by_rate: bool = False) -> None:
        """The call that was sent then came back refused; `out` others are still out. `by_rate`: the endpoint also counts by the
        minute, so that a refusal may say nothing of how many were out at once, and is obeyed all the same."""
        share = self._chance.told(sent, refused=True)
        if out == 0 and self.limit <= 1:
            return  # still down: nothing new
        if not by_rate and self._chance.explains(share):
            return
        anew = self._raised or now - self._refused_at > 1
        # A recovery that is refused aims lower; anything else that is refused says nothing against what was good before.
        self._aim = self.limit * CUT if self._raised else max(self._aim, self.limit * CUT)
        self._wall.hit(now, out + 1, anew)
        self._queue.forget(now)
        self._refused_at, self._raised, self._ramping = now, False, False
        if now - self._cut_at >= COOL:
            self._cut_at = now
            self._chance.cut(now, 0.0 if by_rate else share, self.limit)
            self.limit = max(1.0, self.limit * CUT)
        else:
            self.limit = max(1.0, min(self.limit, float(out)))
        self._growth = GROWTH
        self._step_at = now + PACE

    def answered(self, now: float, out: int, sent: float, order: int, tokens: int) -> None:
        """The call that was sent as number `order` was answered with so many tokens; with it, `out` were out."""
        self._chance.told(sent, refused=False)
        if before := self._chance.in_vain():
            self.limit, self._wall = max(self.limit, before), Wall()
            self._ramping, self._aim, self._step_at = True, self.ceiling, now + PACE
        busy = out >= BUSY * self.limit
        limit = self._queue.answered(now, sent, order, tokens, self.limit) if busy else self.limit
        if sent > self._refused_at and limit < self._aim / 2:
            self._ramping = True  # a collapse is over when a call was sent and answered without a refusal between
        if limit < self.limit:
            self._wall.hit(now, int(limit) + 1, anew=True)
            self.limit, self._growth, self._aim = limit, GROWTH, 0.0
        elif limit > self.limit:
            self.limit = min(limit, self.ceiling)
        elif busy and limit < self.ceiling and not self._queue.waits:
            self._grow(now)

    def _grow(self, now: float) -> None:
        grown = self.limit + (self._growth if self.limit >= 4 else 4 * self._growth / self.limit)
        if not self._wall.lets(now, grown):
            return
        if self._wall.at == float("inf") and now - self._refused_at > COOL:
            self._growth = min(FASTEST, self._growth * (1 + 0.7 / self.limit))  # twice as fast, round after round
        self.limit = min(self.ceiling, grown)


class Chance:
    """Refusals that come whatever the number of calls: a provider that turns away one in twenty at any load.

    Told by a cut that did not help: it is taken back, and refusals of about that share are no reason for another.
    """

    def __init__(self) -> None:
        self.usual = 0.0
        """The share of calls that is refused in any case."""
        self._last: deque[bool] = deque(maxlen=SEEN)
        self._refused = 0
        self._from = self._before = self._limit = 0.0
        self._sent = self._sent_refused = 0
        """Calls that were sent after the cut, and how many of them were refused."""

    def told(self, sent: float, refused: bool) -> float:
        """One outcome more; returns the share of refusals among the last ones."""
        if len(self._last) == SEEN:
            self._refused -= self._last[0]
        self._last.append(refused)
        self._refused += refused
        if sent > self._from:
            self._sent += 1
            self._sent_refused += refused
        return self._refused / max(SEEN // 2, len(self._last))

    def explains(self, share: float) -> bool:
        """Whether so many refusals are no more than usual."""
        return self.usual > 0 and share <= 2 * self.usual + 3 / SEEN

    def cut(self, now: float, share: float, limit: float) -> None:
        """The limit is cut from `limit` for so many refusals."""
        self._from, self._before, self._limit = now, share if share <= FEW else 0.0, limit
        self._sent = self._sent_refused = 0

    def in_vain(self) -> float:
        """The limit before a cut that turns out not to have helped; 0 where there is none."""
        if not self._before or self._sent < SEEN:
            return 0.0
        share, before, self._before = self._sent_refused / self._sent, self._before, 0.0
        if not before / 2 < share <= FEW:
            return 0.0
        self.usual = max(self.usual, share)
        return self._limit


class Wall:
    """The number of calls out at once that was refused last. It is tried again, ever more rarely while it stands."""

    def __init__(self) -> None:
        self.at = float("inf")
        self._until = 0.0
        self._wait = WALL_WAITS[0]

    def hit(self, now: float, level: int, anew: bool) -> None:
        """A call was refused as one of `level`."""
        if anew:
            again = abs(level - self.at) <= max(1.0, 0.1 * level)
            self._wait = min(WALL_WAITS[1], self._wait * 2) if again else WALL_WAITS[0]
            self.at = float(level)
        self.at = min(self.at, float(level))
        self._until = now + self._wait

    def lets(self, now: float, grown: float) -> bool:
        """Whether a limit may grow to so much."""
        if grown < self.at:
            return True
        if now < self._until:
            return False
        if grown >= self.at + 1:  # it was passed, and nothing was refused
            self.at = float("inf")
        return True


class Queue:
    """Whether calls wait at the endpoint before they are served, told by the answers alone."""

    def __init__(self) -> None:
        self.waits = False
        self._alone = Line()
        """The first calls, sent before any queue was ours."""
        self._line = Line()
        self._from = float("-inf")
        self._waited = 0.0
        self._before = 0.0
        self._usual = 0.0
        """Seconds by which the intercept is more than with the first calls, for other reasons than a queue of ours."""

    def answered(self, now: float, sent: float, order: int, tokens: int, limit: float) -> float:
        """The limit that this answer leads to: the same, but for a cut, or for a cut that is taken back."""
        seconds = now - sent
        if order < FIRST:
            self._alone.add(float(tokens), seconds, FIRST)
        if sent < self._from:
            return limit  # it waited in the queue that was cut already
        span = max(2.0 * FIRST, limit)
        self._line.add(float(tokens), seconds, span)
        if self._line.n < FIRST or self._alone.n < FIRST / 2:
            return limit
        base, served, error = self._line.fit(span)
        best, _, doubt = self._alone.fit(FIRST)
        best = max(0.0, best) + self._usual
        wait, doubt = base - best, sqrt(error * error + doubt * doubt)
        share = wait / max(1e-9, best + served)
        self.waits = share > QUEUE_GROWS and wait > doubt
        if self._line.n < span:
            return limit
        cut_before, self._waited = self._waited, 0.0
        if share <= QUEUE_CUT or wait <= SIGMAS * doubt:
            return limit
        return self._cut(now, wait, share, limit, cut_before)

    def forget(self, now: float) -> None:
        """It refuses, so it does not queue; and what answers while fewer go out are the slow ones that were left."""
        self._line, self._from, self._waited, self.waits = Line(), now, 0.0, False

    def _cut(self, now: float, wait: float, share: float, limit: float, before: float) -> float:
        self._line, self._from = Line(), now
        if before and wait > 0.6 * before:
            # Fewer calls did not wait less: it is slow by nature, or for another's sake, and not for ours.
            self._usual += wait
            return max(limit, self._before)
        self._waited, self._before = wait, limit
        return max(1.0, limit * max(LEAST, CUT / (1 + share)))

"""
What the proxy knows of tokens: good routes, of which the least used leave first; wrong tokens apart, for seconds.

Pure: time is a parameter, in seconds of the proxy's own clock. Asking about unknown ones is the business of `routes`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from proxyd.route import Route

#: For so long after it was asked about again, a route is not asked about once more.
REFRESH_PAUSE: Final = 30.0


class RouteTable:
    """Routes by token."""

    def __init__(self, *, good: int = 100_000, wrong: int = 10_000, wrong_for: float = 5.0) -> None:
        self._good_room = good
        self._wrong_room = wrong
        self._wrong_for = wrong_for
        self._routes: OrderedDict[bytes, Route] = OrderedDict()
        self._by_backend: dict[str, set[bytes]] = {}
        self._wrong: dict[bytes, float] = {}  #: until when; in the order of time, since all last alike

    def __len__(self) -> int:
        return len(self._routes)

    def find(self, token: bytes, now: float) -> Route | None:
        """Return the route of a token, if it is known and has not expired."""
        route = self._routes.get(token)
        if route is None:
            return None
        if now >= route.expires_at:
            self.drop(token)
            return None
        self._routes.move_to_end(token)
        return route

    def is_wrong(self, token: bytes, now: float) -> bool:
        """Tell whether this token was found to lead nowhere a moment ago."""
        return self._wrong.get(token, now) > now

    def add(self, route: Route) -> None:
        """Know a route from now on."""
        self._wrong.pop(route.token, None)
        self.drop(route.token)
        self._routes[route.token] = route
        self._by_backend.setdefault(route.backend, set()).add(route.token)
        if len(self._routes) > self._good_room:
            self.drop(next(iter(self._routes)))

    def add_wrong(self, token: bytes, now: float) -> None:
        """Know for a few seconds that a token leads nowhere."""
        self.drop(token)
        self._wrong.pop(token, None)
        self._wrong[token] = now + self._wrong_for
        if len(self._wrong) > self._wrong_room:
            del self._wrong[next(iter(self._wrong))]

    def drop(self, token: bytes) -> None:
        """Forget one route."""
        route = self._routes.pop(token, None)
        if route is None:
            return
        tokens = self._by_backend[route.backend]
        tokens.discard(token)
        if not tokens:
            del self._by_backend[route.backend]

    def drop_backend(self, backend: str, tokens: Iterable[bytes] | None = None) -> None:
        """Forget these routes of a backend, or all of them."""
        known = self._by_backend.get(backend, set())
        for token in list(known) if tokens is None else [token for token in tokens if token in known]:
            self.drop(token)

    def doubt(self, now: float) -> None:
        """Have every route asked about again when it is used: something may have been said while nobody listened."""
        for route in self._routes.values():
            route.refresh_at = min(route.refresh_at, now)

    def wants_refresh(self, route: Route, now: float) -> bool:
        """Tell, once per pause, whether a route in use should be asked about again."""
        if now < route.refresh_at:
            return False
        route.refresh_at = now + REFRESH_PAUSE
        return True

    def expire(self, now: float) -> None:
        """Forget wrong tokens whose time is over."""
        while self._wrong and next(iter(self._wrong.values())) <= now:
            del self._wrong[next(iter(self._wrong))]

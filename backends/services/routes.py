"""
Where a token leads: asked by proxies, found by the token's hash, one round trip for all questions of a moment.

A question is an answer to "may this token be used now", so each one that is answered with a route counts as a use.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postgres.gathering import Gatherer, Notes
from postgres.pool import Pool, Row
from postgres.statements import load
from protocol.backend_state import BackendStatus
from protocol.routes import RouteInfo
from protocol.tokens import token_hash

FIND_ROUTES: Final = load(__file__, "find_routes")
NOTE_TOKEN_USES: Final = load(__file__, "note_token_uses")

#: How long a proxy may go on with an answer before it asks again, at most.
REASK_AT_MOST: Final = dt.timedelta(minutes=5)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


@dataclass(frozen=True)
class Question:
    """A token, by its hash, and the cluster of the proxy that asks."""

    hash: bytes
    cluster: str


@dataclass(frozen=True)
class Pending:
    """The token is good; its backend is not ready yet."""

    backend: str


class Routes:
    """Answers proxies' questions, and notes that the tokens were used."""

    def __init__(self, pool: Pool, *, token_lifetime: dt.timedelta) -> None:
        self._pool = pool
        self._lifetime = token_lifetime
        # A proxy that asks again this soon has its tokens' uses noted before they run out.
        self.reask_after = min(REASK_AT_MOST, token_lifetime / 4)
        # Proxies give up after 5 s.
        self._gatherer = Gatherer("routes", self._find, every=0.001, patience=4.0)
        self._uses = Notes("token_uses", self._note_uses, every=0.5)

    def ask(self, token: str, *, cluster: str) -> asyncio.Future[RouteInfo | Pending | None]:
        """Tell where a token leads. None: nowhere, now or ever."""
        question = Question(token_hash(token), cluster)
        return self._gatherer.submit(question, question)

    def used(self, token: str) -> None:
        """Note that a token's route was given to a proxy."""
        self._uses.note(token_hash(token), None)

    async def _find(self, questions: Sequence[Question]) -> list[RouteInfo | Pending | None]:
        rows = await self._pool.fetch(
            FIND_ROUTES,
            hashes=[question.hash for question in questions],
            clusters=[question.cluster for question in questions],
        )
        answers: list[RouteInfo | Pending | None] = [None] * len(questions)
        for row in rows:
            answers[row["number"] - 1] = self._route(row)
        return answers

    def _route(self, row: Row) -> RouteInfo | Pending:
        if row["status_rank"] < BackendStatus.READY.rank or row["address"] is None:
            return Pending(row["backend_id"])
        static = row["kind"] == "static"
        return RouteInfo(
            backend_id=row["backend_id"],
            address=row["address"],
            secret_token="" if static else row["secret"],
            cluster=row["cluster"],
            user=row["username"],
            user_data=None if static else row["auth"] or {},
            subdomain=row["subdomain"],
            expires_in_ms=self.reask_after // _MILLISECOND,
        )

    async def _note_uses(self, uses: Mapping[bytes, None]) -> int:
        # The proxy goes on for a while without asking: what it lets in then is a use too.
        lifetime = self._lifetime + self.reask_after
        return await self._pool.execute(NOTE_TOKEN_USES, hashes=list(uses), lifetime=lifetime)

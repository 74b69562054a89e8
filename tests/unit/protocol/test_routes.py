"""
Routes: what a proxy is told, and what of it may be shown.
"""

from __future__ import annotations

from protocol.codec import decode
from protocol.routes import RouteInfo, RouteInfoRequest, RouteInfoResponse, RoutePending, TokensRevoked
from tests.factories import BACKEND, SECRET, TOKEN, make_route


def test_no_question_or_answer_shows_its_token() -> None:
    """Whoever reads a log could enter the session."""
    answers = [
        RouteInfoRequest(TOKEN),
        RouteInfoResponse(TOKEN, make_route()),
        RoutePending(TOKEN, BACKEND),
        TokensRevoked(BACKEND, [TOKEN]),
    ]
    shown = repr(answers)
    assert TOKEN not in shown
    assert SECRET not in shown
    assert BACKEND in shown


def test_a_revocation_shows_how_many_tokens_it_is_about() -> None:
    """All of a backend's, or so many."""
    assert "tokens=all" in repr(TokensRevoked(BACKEND, None))
    assert "tokens=2" in repr(TokensRevoked(BACKEND, [TOKEN, SECRET]))


def test_an_older_controller_may_leave_out_the_subdomain() -> None:
    """None is demanded then."""
    route = decode(
        '{"backend_id":"b","address":"1.2.3.4:5","secret_token":"","cluster":"c","user":null,"user_data":null}',
        RouteInfo,
    )
    assert route.subdomain is None

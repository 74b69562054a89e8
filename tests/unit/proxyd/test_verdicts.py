"""
Remembered verdicts: always what the judge says, and never more of them than there is room for.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyd.headers import judge_request
from proxyd.refusals import Refused
from proxyd.verdicts import MOST_SEEN, Verdicts


@given(st.lists(st.binary(max_size=6) | st.none(), max_size=60))
def test_it_repeats_the_judge_and_stays_small(blocks: list[bytes | None]) -> None:
    """Whatever is asked in whatever order, with forgetting (None) in between."""
    verdicts = Verdicts(bytes.upper, room=20, longest=4)
    for block in blocks:
        if block is None:
            verdicts.age()
        else:
            assert verdicts.of(block) == block.upper()
        assert sum(map(len, [*verdicts._young, *verdicts._old])) <= 40
        assert len(verdicts._seen) <= MOST_SEEN
        assert all(len(known) <= 4 for known in [*verdicts._young, *verdicts._old])


def test_what_is_used_outlives_a_flood() -> None:
    """A flood of blocks that never come back does not push it out."""
    judged: list[bytes] = []

    def judge(block: bytes) -> bytes:
        judged.append(block)
        return block

    verdicts = Verdicts(judge, room=100)
    for number in range(500):
        verdicts.of(b"%04d" % number)
        verdicts.of(b"used")
    assert judged.count(b"used") == 2  # the first time it was not kept yet
    assert len(verdicts) == 1


def test_what_was_seen_is_bounded() -> None:
    """Even a flood of blocks leaves only so many traces."""
    verdicts = Verdicts(bytes.upper)
    for number in range(MOST_SEEN + 10):
        verdicts.of(b"%d" % number)
    assert len(verdicts._seen) == 10
    assert len(verdicts) == 0


def test_what_is_not_used_is_forgotten_after_two_rounds() -> None:
    """Cookies are not kept for long."""
    verdicts = Verdicts(bytes.upper)
    verdicts.of(b"cookie")
    assert len(verdicts) == 0  # nor is what comes only once
    verdicts.of(b"cookie")
    assert len(verdicts) == 1
    verdicts.age()
    verdicts.age()
    assert len(verdicts) == 0


def test_a_refusal_is_not_remembered() -> None:
    """It costs its sender a connection anyway."""
    verdicts = Verdicts(judge_request)
    for _ in range(2):
        with pytest.raises(Refused):
            verdicts.of(b"X : 1\r\n")
    assert len(verdicts) == 0


@given(st.lists(st.sampled_from([b"Host: a\r\n", b"Connection: close\r\n", b"X: 1\r\n", b"Content-Length: 4\r\n"])))
def test_the_fast_path_only_repeats_the_strict_one(lines: list[bytes]) -> None:
    """Asked twice, and by itself: the same verdict or the same refusal."""
    verdicts = Verdicts(judge_request)
    block = b"".join(lines)
    outcomes = []
    for judge in (verdicts.of, verdicts.of, verdicts.of, judge_request):
        try:
            outcomes.append(judge(block))
        except Refused as refused:
            outcomes.append(refused.status)  # type: ignore[arg-type]
    assert all(outcome == outcomes[0] for outcome in outcomes)

"""
The rules of following a backend's status stream over broken connections. Opens none itself: clients do.

The stream tells the past first and ends after `terminated`. A connection that ends earlier is opened again from where
it broke off, with growing pauses, until nothing has been heard for too long.
"""

from typing import Final

from planectl.calls import ApiFailure, ControllerUnreachable, read_failure
from protocol.api_errors import ErrorKind
from protocol.backend_state import BackendStatus
from protocol.codec import MalformedMessage, decode
from protocol.views import BackendStatusView

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
#: Pauses in a row, of which most are the longest: about a minute without a word from the controller.
_MOST_PAUSES: Final = 34
#: A stream that opens and breaks off at once is tried again about once a second.
_PAUSES_AFTER_OPENING: Final = 3


class StatusFollower:
    """Where in a stream we are, and what to do when it breaks off."""

    def __init__(self) -> None:
        self.finished = False  #: whether the last word was said
        self.pause = 0.0  #: seconds to wait before the next try
        self._last: BackendStatus | None = None
        self._event_id = ""
        #: Before the first stream has opened there is no patience: whoever asks has perhaps mistyped the address.
        self._pauses = _MOST_PAUSES

    @property
    def headers(self) -> dict[str, str]:
        """What the next request carries so that the stream goes on where it broke off."""
        return {"Last-Event-ID": self._event_id} if self._event_id else {}

    def opened(self) -> None:
        """Take note that the controller tells events: it is there, however often something between us cuts in."""
        self._pauses = min(self._pauses, _PAUSES_AFTER_OPENING)

    def ended(self) -> None:
        """Take note that there is no more to tell."""
        self.finished = True

    def received(self, event_id: str, data: str) -> BackendStatusView | None:
        """
        Take one event; return it unless it was told before, or only sets how the stream is to be read.

        Raises:
            ApiFailure: it is no status.
        """
        if not data:
            # A comment that keeps the stream alive; the parser passes it on as an event without data.
            return None
        try:
            view = decode(data, BackendStatusView)
        except MalformedMessage as error:
            raise ApiFailure(ErrorKind.OTHER, f"the status stream holds no status: {error}", status=200) from error
        self._pauses = 0
        if self._last is not None and view.status.rank <= self._last.rank:
            return None
        self._last = view.status
        self.finished = view.status is BackendStatus.TERMINATED
        self._event_id = event_id or str(view.status)
        return view

    def refused(self, status: int, body: bytes) -> None:
        """
        Take an answer without events.

        Raises:
            ApiFailure: trying again would not help, or did not help for too long.
        """
        failure = read_failure(status, body)
        if status < 500 or self._pauses >= _MOST_PAUSES:
            raise failure
        self._lengthen_pause()

    def broken(self, reason: str) -> None:
        """
        Take the end of a connection that was not the end of the story.

        Raises:
            ControllerUnreachable: nothing was heard for too long.
        """
        if self._pauses >= _MOST_PAUSES:
            raise ControllerUnreachable(reason)
        self._lengthen_pause()

    def _lengthen_pause(self) -> None:
        self.pause = min(_FIRST_PAUSE * 2.0**self._pauses, _LONGEST_PAUSE)
        self._pauses += 1

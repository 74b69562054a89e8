"""Real ports, locks and directories: what keeps a demo from starting, in sentences."""

import socket
from pathlib import Path

import pytest

from planectl.demo.preflight import check_ports, sole_use
from planectl.demo.settings import DemoRefused, DemoSettings


def taken(host: str = "127.0.0.1") -> socket.socket:
    """Return a listening socket on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.bind((host, 0))
    listening.listen()
    return listening


def free_port() -> int:
    with taken() as listening:
        return int(listening.getsockname()[1])


def test_free_ports_are_fine() -> None:
    check_ports(DemoSettings(Path("/d"), free_port(), free_port()))


def test_all_taken_ports_are_named_with_their_flags() -> None:
    """One run of the demo tells all that is in its way."""
    with taken() as one, taken() as other:
        ports = one.getsockname()[1], other.getsockname()[1]
        with pytest.raises(DemoRefused) as caught:
            check_ports(DemoSettings(Path("/d"), *ports))
    message = str(caught.value)
    assert f"Port {ports[0]} is taken" in message
    assert f"Port {ports[1]} is taken" in message
    assert "--controller-port" in message
    assert "--proxy-port" in message


def test_a_port_taken_on_the_other_loopback_is_taken() -> None:
    """A browser would find the stranger first."""
    with taken("::1") as stranger, pytest.raises(DemoRefused, match="is taken"):
        check_ports(DemoSettings(Path("/d"), stranger.getsockname()[1], free_port()))


def test_one_port_for_two_is_refused() -> None:
    port = free_port()
    with pytest.raises(DemoRefused, match="must differ"):
        check_ports(DemoSettings(Path("/d"), port, port))


def test_a_second_demo_is_told_about_the_first(tmp_path: Path) -> None:
    """By its process; and may start when the first is gone."""
    settings = DemoSettings(tmp_path / "demo", 1, 2)
    with sole_use(settings), pytest.raises(DemoRefused, match=r"already running .*process \d+"), sole_use(settings):
        pass
    with sole_use(settings):
        pass


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """With the reason, and what to do."""
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(DemoRefused, match=r"Cannot keep data in .*--data-dir"),
        sole_use(DemoSettings(tmp_path / "file" / "demo", 1, 2)),
    ):
        pass


def test_logs_are_for_their_owner_only(tmp_path: Path) -> None:
    """They name backends and clients."""
    settings = DemoSettings(tmp_path / "demo", 1, 2)
    with sole_use(settings):
        assert settings.logs.stat().st_mode & 0o777 == 0o700

"""
The command lines of the control plane's programs: `plane controller` and `plane migrate`. What they do is elsewhere.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any, Final

import click
import django

from drones.terms import Terms, UnsoundTerms
from options.command import BadSettings, PlaneCommand, option
from options.types import POSTGRES_URL, WEB_URL, ClusterNameType, PortType, SecondsType
from plane_site import env, logs
from plane_site.checks import StartRefused, demand_private_address, read_secret_key
from plane_site.migrating import migrate_database

_DATABASE = option("--db", required=True, secret=True, type=POSTGRES_URL, help="The PostgreSQL database.")

#: The durations that the promise rests on, with their defaults in seconds. Every controller must have the same.
_TERMS: Final = {
    "lease-renew": ("renew", 30, "a drone renews a key's lease"),
    "lease-soft": ("soft", 40, "a drone that could not renew ends the backend softly"),
    "lease-hard": ("hard", 50, "… and kills it"),
    "lease-expiry": ("expiry", 60, "others may have the key, by the database's clock"),
    "heartbeat": ("heartbeat", 7, "nodes send heartbeats"),
    "unhealthy": ("unhealthy", 45, "a silent drone gets nothing new"),
    "lost": ("lost", 120, "a silent drone's backends are given up"),
}


def _term_flags(command: Callable[..., None]) -> Callable[..., None]:
    for flag, (name, default, help_text) in reversed(_TERMS.items()):
        declare = option(
            f"--{flag}", f"term_{name}", type=SecondsType(), default=default, show_default=True,
            help=f"After so many seconds {help_text}.",
        )  # fmt: skip
        command = declare(command)
    return command


@click.command(cls=PlaneCommand)
@_DATABASE
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@option("--port", type=PortType(), default=8080, show_default=True, help="The port to listen on.")
@option("--controller-url", type=WEB_URL, help="Where clients reach the controllers.  [default: http://HOST:PORT]")
@option("--default-cluster", type=ClusterNameType(), help="The cluster of requests that name none.")
@option("--cleanup-min-age-days", type=click.IntRange(min=0), help="Delete what ended so many days ago.")
@option("--best-of", type=click.IntRange(min=1, max=100), default=2, show_default=True,
        help="Of so many random drones the one with most room gets a backend.")  # fmt: skip
@option("--i-know", is_flag=True, help="Serve on any address, although nobody is asked for a key.")
@_term_flags
def controller(**flags: Any) -> None:
    """Decide everything: the HTTP API, and the sockets of drones and proxies."""
    terms = _sound_terms(flags)
    dsn, host, port = flags["db"], flags["host"], flags["port"]
    url = (flags["controller_url"] or _default_url(host, port)).rstrip("/")
    days = flags["cleanup_min_age_days"]
    logs.configure()
    try:
        demand_private_address(host, is_sure=flags["i_know"])
        secret_key = read_secret_key(dsn)
        os.environ |= {env.DATABASE: dsn, env.CONTROLLER_URL: url, env.POOLED: "1"}
        if not _given_secret_key():
            os.environ[env.SECRET_KEY] = secret_key
        # Only now: Django's settings read what was just set.
        django.setup()
        from plane_site.composition import ControllerSettings, run_controller

        settings = ControllerSettings(
            dsn=dsn,
            host=host,
            port=port,
            url=url,
            default_cluster=flags["default_cluster"],
            best_of=flags["best_of"],
            cleanup_min_age=None if days is None else dt.timedelta(days=days),
            terms=terms,
        )
        run_controller(settings)
    except StartRefused as refusal:
        raise click.ClickException(f"{refusal}.") from refusal


@click.command(cls=PlaneCommand)
@_DATABASE
def migrate(db: str) -> None:
    """Bring the database's tables up to date."""
    os.environ[env.DATABASE] = db
    try:
        migrate_database(db)
    except StartRefused as refusal:
        raise click.ClickException(f"{refusal}.") from refusal


PROGRAMS: Final = {"controller": controller, "migrate": migrate}


def _given_secret_key() -> str:
    """Return the secret key of the environment, or nothing. Raises: StartRefused."""
    try:
        return env.read_variable(os.environ, env.SECRET_KEY)
    except (OSError, UnicodeError) as error:
        raise StartRefused(f"cannot read the file of {env.SECRET_KEY}_FILE: {error}") from error


def _sound_terms(flags: dict[str, Any]) -> Terms:
    """Return the durations of the flags. Raises: BadSettings when they contradict each other."""
    names = [name for name, _, _ in _TERMS.values()]
    try:
        return Terms(**{name: dt.timedelta(seconds=flags[f"term_{name}"]) for name in names})
    except UnsoundTerms as error:
        complaints = [f"{complaint}." for complaint in error.complaints]
        raise BadSettings(complaints, click.get_current_context()) from error


def _default_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

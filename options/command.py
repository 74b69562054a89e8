"""
Commands whose flags can also be set in the environment, and which report every bad value at once.

A flag `--controller-url` is also `PLANE_CONTROLLER_URL`; one declared with `secret=True` may also be in a file that
`PLANE_CONTROLLER_URL_FILE` names. What the flags mean is the business of each command.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import click
from click.core import ParameterSource

F = TypeVar("F", bound=Callable[..., Any])

#: Kubernetes sets variables such as PLANE_PORT=tcp://10.0.0.1:80 for a service named `plane`: not meant for us.
_INJECTED = ("tcp://", "udp://", "sctp://")
_COMPLAINTS = "options.complaints"
_EPILOG = (
    "Each flag can also be set in the environment: PLANE_ and its name in capitals, such as PLANE_CONTROLLER_URL. "
    "Secrets can be read from a file: PLANE_CONTROLLER_URL_FILE."
)


class BadSettings(click.UsageError):
    """Everything that is wrong with a command line, in one error; exit status 2."""

    def __init__(self, complaints: Sequence[str], ctx: click.Context | None = None) -> None:
        super().__init__("\n".join(complaints), ctx)
        self.complaints = tuple(complaints)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print how to get help, and then each complaint on a line of its own."""
        if self.ctx is not None:
            click.echo(f"{self.ctx.get_usage()}\nTry '{self.ctx.command_path} --help' for help.\n", file=file, err=True)
        for complaint in self.complaints:
            click.echo(f"Error: {complaint}", file=file, err=True)


class _Collects(click.Parameter):
    """A parameter that notes what is wrong with its value instead of ending the command."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as error:
            ctx.meta.setdefault(_COMPLAINTS, []).append(error.format_message())
            if self.expose_value and self.name:
                ctx.params[self.name] = None
            return None, args


class PlaneOption(_Collects, click.Option):
    """A flag that is also an environment variable; with `secret`, also a file that one names."""

    def __init__(self, *declarations: Any, secret: bool = False, **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.secret = secret
        if self.envvar is None:
            self.envvar = variable_of(self.opts)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value from the environment, or from the file it names."""
        assert isinstance(self.envvar, str), "one variable per flag"
        value = os.environ.get(self.envvar, "")
        if value.startswith(_INJECTED):
            value = ""
        path = os.environ.get(f"{self.envvar}_FILE", "") if self.secret else ""
        if not path:
            return value or None
        if value:
            raise click.BadParameter(f"both {self.envvar} and {self.envvar}_FILE are set", ctx, self)
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise click.BadParameter(f"cannot read {path} ({self.envvar}_FILE): {reason}", ctx, self) from error

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the flag, and the variable if the bad value came from there."""
        hint = super().get_error_hint(ctx)
        if ctx and self.name and ctx.get_parameter_source(self.name) is ParameterSource.ENVIRONMENT:
            hint += f" (from {self.envvar})"
        return hint


class PlaneArgument(_Collects, click.Argument):
    """A positional argument whose bad value is reported with all others."""


class _ReportsAll(click.Command):
    """A command that refuses to run with everything that is wrong, not just the first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            rest = super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            ctx.meta.setdefault(_COMPLAINTS, []).append(error.format_message())
            rest = []
        if ctx.meta.get(_COMPLAINTS) and not ctx.resilient_parsing and not self._leaves_refusal(ctx):
            raise BadSettings(ctx.meta.pop(_COMPLAINTS), ctx)
        return rest

    def _leaves_refusal(self, ctx: click.Context) -> bool:  # noqa: ARG002 - a group looks at it
        """Tell whether a command below will report for this one, with complaints of its own."""
        return False


class PlaneCommand(_ReportsAll):
    """One command; its help ends with how the environment can be used."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("epilog", _EPILOG)
        super().__init__(*args, **attributes)


class PlaneGroup(_ReportsAll, click.Group):
    """
    A command with commands under it, which must be PlaneCommands too: the last one reports for all.

    The group's own function runs before that report, with None in place of what is bad or missing.
    """

    command_class = PlaneCommand

    def _leaves_refusal(self, ctx: click.Context) -> bool:
        name = next(iter(ctx._protected_args), "")  # noqa: SLF001 - click keeps the subcommand's name nowhere else
        return name in self.commands


def variable_of(flags: Sequence[str]) -> str:
    """Return the environment variable of a flag: `PLANE_` and its long name in capitals."""
    name = next(flag for flag in flags if flag.startswith("--"))
    return "PLANE_" + name.removeprefix("--").replace("-", "_").upper()


def option(*declarations: str, secret: bool = False, **attributes: Any) -> Callable[[F], F]:
    """Declare a flag as `click.option` does, with its environment variable; `secret` also allows `…_FILE`."""
    return click.option(*declarations, cls=PlaneOption, secret=secret, **attributes)


def argument(*declarations: str, **attributes: Any) -> Callable[[F], F]:
    """Declare a positional argument as `click.argument` does."""
    return click.argument(*declarations, cls=PlaneArgument, **attributes)

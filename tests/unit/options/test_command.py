"""How settings are taken from flags, environment and files, and how all that is wrong is said at once."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from options.command import BadSettings, PlaneCommand, PlaneGroup, argument, option, variable_of
from options.types import ControllerUrl, ImageCommandType, PortType, SecondsType


@click.command("thing", cls=PlaneCommand)
@option("--port", type=PortType(), default=8080, show_default=True, help="Where it listens.")
@option("--heartbeat", type=SecondsType(), default=7)
@option("--controller-url", type=ControllerUrl(), required=True, secret=True)
@option("--i-know", is_flag=True)
@option("--process-image", type=ImageCommandType(), multiple=True)
def thing(**settings: object) -> None:
    """Do a thing."""
    for name, value in sorted(settings.items()):
        click.echo(f"{name}={value}")
    click.echo(f"token={getattr(settings['controller_url'], 'bearer_token', None)}")


def run(*args: str, **env: str) -> Result:
    """Run the command with nothing of ours in the environment but what is given."""
    return CliRunner(env=env).invoke(thing, args)


def test_every_bad_value_is_reported_at_once() -> None:
    """Three mistakes, three lines, exit status 2, and nothing done."""
    result = run("--port", "99999", "--heartbeat", "soon")
    assert result.exit_code == 2
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 3
    assert "'--port'" in errors[0]
    assert "'--heartbeat'" in errors[1]
    assert "Missing option '--controller-url'" in errors[2]


def test_an_unknown_argument_is_reported_with_bad_values() -> None:
    """What does not fit at all joins the list."""
    result = run("--controller-url", "http://c", "--port", "x", "surplus")
    assert result.exit_code == 2
    assert "'--port'" in result.stderr
    assert "surplus" in result.stderr


def test_an_unknown_flag_is_refused() -> None:
    """A misspelt flag is never ignored."""
    result = run("--controller-url", "http://c", "--prot", "1")
    assert result.exit_code == 2
    assert "--prot" in result.stderr


def test_flags_come_from_the_environment() -> None:
    """PLANE_ and the name in capitals; switches take a truth value."""
    result = run(PLANE_CONTROLLER_URL="http://c:1", PLANE_PORT="81", PLANE_I_KNOW="1", PLANE_HEARTBEAT="0.5")
    assert result.exit_code == 0, result.stderr
    assert {"port=81", "i_know=True", "heartbeat=0.5"} <= set(result.stdout.splitlines())


def test_a_flag_wins_over_the_environment() -> None:
    """The command line is closer to the person."""
    result = run("--port", "82", PLANE_CONTROLLER_URL="http://c", PLANE_PORT="81")
    assert "port=82" in result.stdout.splitlines()


def test_a_bad_value_from_the_environment_names_its_variable() -> None:
    """Else one would search the command line for it."""
    result = run(PLANE_CONTROLLER_URL="http://c", PLANE_PORT="many")
    assert result.exit_code == 2
    assert "PLANE_PORT" in result.stderr


@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_what_kubernetes_injects_is_ignored(scheme: str) -> None:
    """A service named `plane` sets PLANE_PORT to a URL; the default stands."""
    result = run(PLANE_CONTROLLER_URL="http://c", PLANE_PORT=f"{scheme}://10.0.0.1:80")
    assert result.exit_code == 0, result.stderr
    assert "port=8080" in result.stdout.splitlines()


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """A mounted secret ends in a newline, which is not part of it."""
    secret = tmp_path / "url"
    secret.write_text("http://tok@c:8080/\n")
    result = run(PLANE_CONTROLLER_URL_FILE=str(secret))
    assert result.exit_code == 0, result.stderr
    assert "token=tok" in result.stdout


def test_only_secrets_come_from_files(tmp_path: Path) -> None:
    """For other flags …_FILE means nothing."""
    port = tmp_path / "port"
    port.write_text("81")
    result = run(PLANE_CONTROLLER_URL="http://c", PLANE_PORT_FILE=str(port))
    assert "port=8080" in result.stdout.splitlines()


def test_a_missing_secret_file_is_reported_with_the_rest(tmp_path: Path) -> None:
    """The file's name is said, the other mistakes too."""
    result = run("--port", "0", PLANE_CONTROLLER_URL_FILE=str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "PLANE_CONTROLLER_URL_FILE" in result.stderr
    assert "'--port'" in result.stderr


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of two values counts must not be a riddle."""
    secret = tmp_path / "url"
    secret.write_text("http://c")
    result = run(PLANE_CONTROLLER_URL="http://d", PLANE_CONTROLLER_URL_FILE=str(secret))
    assert result.exit_code == 2
    assert "both" in result.stderr


def test_repeated_values_stand_on_lines_in_the_environment() -> None:
    """A command holds spaces, so lines part them."""
    result = run(PLANE_CONTROLLER_URL="http://c", PLANE_PROCESS_IMAGE="a=run it\nb=run 'that one'")
    assert result.exit_code == 0, result.stderr
    assert "process_image=(('a', ('run', 'it')), ('b', ('run', 'that one')))" in result.stdout


def test_a_bad_controller_url_does_not_repeat_its_token() -> None:
    """Error messages end up in logs."""
    result = run("--controller-url", "ftp://hush@c")
    assert result.exit_code == 2
    assert "hush" not in result.output


def test_help_needs_no_other_flag() -> None:
    """And says how the environment works."""
    result = run("--help")
    assert result.exit_code == 0
    assert "PLANE_CONTROLLER_URL" in result.stdout


def test_a_group_collects_as_well() -> None:
    """Flags before a subcommand, and arguments after it."""

    @click.group(cls=PlaneGroup)
    @option("--controller", type=ControllerUrl(), required=True, secret=True)
    def admin(controller: object) -> None:
        """Ask a controller."""

    @admin.command()
    @argument("count", type=int)
    @option("--port", type=PortType())
    def show(**_: object) -> None:
        """Show."""

    result = CliRunner().invoke(admin, ["show", "x"])
    assert result.exit_code == 2
    assert "Missing option '--controller'" in result.stderr
    assert "'COUNT'" in result.stderr
    assert CliRunner().invoke(admin, ["show", "--help"]).exit_code == 0
    assert CliRunner().invoke(admin, ["hide"]).exit_code == 2
    result = CliRunner().invoke(admin, ["--controller", "http://c", "show", "--port", "x", "y"])
    assert result.exit_code == 2
    assert "'COUNT'" in result.stderr
    assert "'--port'" in result.stderr


def test_complaints_of_the_command_itself_look_the_same() -> None:
    """Settings that only together make no sense are refused by the command."""

    @click.command("odd", cls=PlaneCommand)
    @click.pass_context
    def odd(ctx: click.Context) -> None:
        """Refuse."""
        raise BadSettings(["a must be below b", "c must be below d"], ctx)

    result = CliRunner().invoke(odd)
    assert result.exit_code == 2
    assert "Error: a must be below b\nError: c must be below d\n" in result.stderr


def test_the_variable_is_made_from_the_long_flag() -> None:
    """A short flag beside it does not count."""
    assert variable_of(["-f", "--root-redirect-url"]) == "PLANE_ROOT_REDIRECT_URL"

"""Whether there is an engine to use, what is said if not, and when its image is built."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound

from planectl.demo import engine
from planectl.demo.engine import Engine, NoEngine, choose_engine, find_engine
from planectl.demo.settings import IMAGE, DemoRefused


class FakeImage:
    def __init__(self, mark: str) -> None:
        self.id = f"sha256:{mark}"
        self.labels = {"dev.plane.demo": mark}


class FakeContainer:
    def __init__(self, error: Exception | None = None) -> None:
        self.removed = False
        self.error = error

    def remove(self, *, force: bool, v: bool) -> None:
        assert force
        assert v
        if self.error:
            raise self.error
        self.removed = True


class FakeDocker:
    """As much of the SDK's client as the demo uses."""

    def __init__(self, image: FakeImage | None = None) -> None:
        self.images = self.containers = self.api = self
        self.image = image
        self.changes: list[str] = []
        self.forgotten: list[str] = []
        self.mine: list[FakeContainer] = []
        self.takes_imports = True

    def get(self, name: str) -> FakeImage:
        assert name == IMAGE
        if self.image is None:
            raise ImageNotFound("none")
        return self.image

    def import_image_from_data(self, data: Any, *, repository: str, tag: str, changes: list[str]) -> None:
        assert f"{repository}:{tag}" == IMAGE
        assert data.read(1)
        self.changes = changes
        if self.takes_imports:
            self.image = FakeImage(changes[-1].partition("=")[2])

    def remove(self, image: str) -> None:
        self.forgotten.append(image)

    def list(self, *, all: bool, filters: dict[str, str]) -> list[FakeContainer]:  # noqa: A002 - the SDK's word
        assert all
        return self.mine if filters == {"label": "dev.plane.drone=dr-mine"} else []

    def ping(self) -> None:
        return


@pytest.fixture(autouse=True)
def small_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image's content is another test's business."""
    monkeypatch.setattr(engine, "fingerprint", lambda: "now")
    monkeypatch.setattr(engine, "write_image", lambda archive: archive.write(b"tar"))


def raising(error: Exception) -> Callable[[str], None]:
    """Return a knock that fails."""

    def knock(_: str) -> None:
        raise error

    return knock


def found(knock: Callable[[str], None], host: str = "", client: Any = None) -> Engine | NoEngine:
    """Look for an engine with everything around it faked."""
    return find_engine({"DOCKER_HOST": host}, knock=knock, open_client=client or (lambda **_: FakeDocker()))


def test_an_engine_that_answers_is_found() -> None:
    """At the usual place, or where DOCKER_HOST says."""
    knocked: list[str] = []
    assert isinstance(found(knocked.append), Engine)
    assert isinstance(found(knocked.append, "unix:///tmp/my.sock"), Engine)
    assert knocked == ["/var/run/docker.sock", "/tmp/my.sock"]


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "none"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError(110, "slow"),
        TimeoutError("t"),
    ],
)
def test_no_engine_is_said_with_its_place(error: OSError) -> None:
    """And is no error yet: processes will do."""
    missing = found(raising(error))
    assert isinstance(missing, NoEngine)
    assert "/var/run/docker.sock" in missing.reason
    assert "success" not in missing.reason
    assert choose_engine(missing, "auto") is None
    with pytest.raises(DemoRefused, match="--runtime process"):
        choose_engine(missing, "docker")


def test_an_engine_without_permission_is_another_matter() -> None:
    """Whoever has an engine wants it used; the sentence says what to do."""
    with pytest.raises(DemoRefused, match="No Docker permission") as caught:
        found(raising(PermissionError(13, "no")))
    assert "--runtime process" in str(caught.value)


def test_an_engine_elsewhere_is_not_used() -> None:
    """Its published ports would be on another machine's loopback."""
    away = found(raising(AssertionError("nobody knocks")), "tcp://10.0.0.9:2375")
    assert isinstance(away, NoEngine)


def test_an_engine_that_answers_nonsense_is_none() -> None:
    """Something listens there, but it is no engine of use."""

    def refuse(**_: Any) -> None:
        raise DockerException("odd")

    assert isinstance(found(lambda _: None, client=refuse), NoEngine)


def test_the_image_is_built_once() -> None:
    """And again only when it would differ; the former one is not left lying about."""
    docker = FakeDocker()
    assert Engine(docker).ensure_image() is True
    assert docker.changes[-1] == "LABEL dev.plane.demo=now"
    assert Engine(docker).ensure_image() is False
    docker.image = FakeImage("before")
    assert Engine(docker).ensure_image() is True
    assert docker.forgotten == ["sha256:before"]


def test_an_engine_that_does_not_take_the_image_is_said() -> None:
    """A full disk, for example."""
    docker = FakeDocker()
    docker.takes_imports = False
    with pytest.raises(DemoRefused, match="did not take"):
        Engine(docker).ensure_image()


def test_leftover_containers_of_one_drone_are_removed() -> None:
    """One that is gone in the meantime is no failure; others are nobody's business."""
    docker = FakeDocker()
    gone = requests.Response()
    gone.status_code = 404
    docker.mine = [FakeContainer(APIError("gone", response=gone)), FakeContainer()]
    Engine(docker).remove_containers("dr-mine")
    assert docker.mine[1].removed


def test_an_engine_that_is_silent_at_the_end_is_said() -> None:
    """The drone had to be killed because its engine hung: what is left, and how to remove it, is a sentence."""
    docker = FakeDocker()
    docker.mine = [FakeContainer(requests.ReadTimeout("read timed out"))]
    with pytest.raises(DemoRefused, match=r"read timed out.*dev\.plane\.drone=dr-mine"):
        Engine(docker).remove_containers("dr-mine")

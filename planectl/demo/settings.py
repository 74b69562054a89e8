"""
What `plane demo` is asked for, and the addresses and files that follow from it. Values only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The image of the demo's application, and its stand-in in the process runtime.
IMAGE: Final = "plane-demo:latest"
#: The key of the one session that the demo starts.
KEY: Final = "demo"
ADMIN_USER: Final = "demo"


class DemoRefused(Exception):
    """Why the demo cannot run, in a sentence for a person that says what to do about it."""


@dataclass(frozen=True)
class DemoSettings:
    """One demo: where it keeps what it keeps, and on which ports it answers."""

    data_dir: Path
    controller_port: int
    proxy_port: int

    @property
    def controller_url(self) -> str:
        """What people are shown."""
        return f"http://localhost:{self.controller_port}"

    @property
    def controller_address(self) -> str:
        """What the parts use: no name that might lead to another family of addresses first."""
        return f"http://127.0.0.1:{self.controller_port}"

    @property
    def proxy_address(self) -> str:
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def admin_url(self) -> str:
        return f"{self.controller_url}/admin/"

    @property
    def cluster(self) -> str:
        return f"localhost:{self.proxy_port}"

    @property
    def database(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def journal(self) -> Path:
        return self.data_dir / "drone.sqlite"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def lock(self) -> Path:
        return self.data_dir / "lock"

    @property
    def keepsakes(self) -> Path:
        return self.data_dir / "keepsakes.json"

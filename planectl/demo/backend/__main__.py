"""
Run the demo's application: `python -m planectl.demo.backend`, as an image's command or as a process.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path
from random import SystemRandom

from planectl.demo.backend.room import Room
from planectl.demo.backend.server import SessionServer, serve_until


async def _run(host: str) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    facts = {
        "key": os.environ.get("SESSION_BACKEND_KEY", ""),
        "backend": os.environ.get("SESSION_BACKEND_ID", ""),
    }
    page = (Path(__file__).parent / "static" / "page.html").read_bytes()
    server = SessionServer(Room(SystemRandom()), page=page, facts=facts)
    await serve_until(server, host=host, port=int(os.environ.get("PORT", "8080")), stop=stop)


def main() -> None:
    """Serve on PORT until SIGTERM."""
    flags = argparse.ArgumentParser(prog="python -m planectl.demo.backend")
    flags.add_argument("--host", default="0.0.0.0", help="where to listen; a container listens everywhere")  # noqa: S104
    asyncio.run(_run(flags.parse_args().host))


if __name__ == "__main__":
    main()

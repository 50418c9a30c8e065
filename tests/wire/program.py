"""The program that the tests of this folder drive, named by STARLING.

The default is build/release/starling.
"""

import os
import pathlib
import socket

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("STARLING", str(ROOT / "build/release/starling"))
PATIENCE = 30.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

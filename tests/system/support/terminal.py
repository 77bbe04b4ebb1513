# SPDX-License-Identifier: Apache-2.0
"""weft on a terminal."""
import os
import pty
import signal
import subprocess

from lab import WEFT


def on_terminal(*words, columns="", stop_at=None):
    """Runs weft on a terminal and gives what it showed; SIGINT ends it behind a line with stop_at."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([WEFT, *map(str, words)], stdout=follower, stderr=follower,
                               stdin=follower,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": columns})
    os.close(follower)
    shown = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
        if stop_at and b"\n" in shown.partition(stop_at)[2]:
            process.send_signal(signal.SIGINT)
            stop_at = None
    process.wait()
    os.close(leader)
    return shown.decode().replace("\r\n", "\n")

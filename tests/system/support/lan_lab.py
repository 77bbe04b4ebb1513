# SPDX-License-Identifier: Apache-2.0
"""Daemons that look for others on their LAN, and a program beside them that speaks mDNS and beacons."""
import json
import pathlib
import subprocess
import sys

SUPPORT = pathlib.Path(__file__).parent
LISTEN = ["0.0.0.0:7000", "[::]:7000"]
LAN = "[lan]\ninterfaces = all\n"


def third_party(lab, netns, *words):
    """lan_listener.py in a namespace; gives what it said so far."""
    out = open(lab.dir / f"third-party-{len(lab.processes)}", "w+", encoding="ascii")
    lab.processes.append(subprocess.Popen(
        ["ip", "netns", "exec", netns, sys.executable, SUPPORT / "lan_listener.py", *words],
        stdout=out))

    def said():
        return [json.loads(line) for line in pathlib.Path(out.name).read_text().splitlines()
                if line.endswith("}")]
    return said

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From nothing to the first item of the DHT: the time from starting weftd to a
get that found something. weftd knows three nodes of a swarm of 50 libtorrent
nodes on loopback (cold). Or it knows what its last run stored and no bootstrap
at all (warm). Beside it libtorrent, from a new session that knows the same
three.
"""
import math
import pathlib
import resource
import statistics
import sys
import time

import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/system/support"))
from lab import Lab, Mismatch, Skip  # noqa: E402
from swarm import Swarm, text_of  # noqa: E402

SWARM_CNT = 50
TEXT = "the first item"
GIVE_UP_S = 30


def first_get(get):
    """Asks until something is found; the seconds that took."""
    began = time.monotonic()
    while time.monotonic() - began < GIVE_UP_S:
        if get():
            return time.monotonic() - began
    raise RuntimeError(f"nothing was found in {GIVE_UP_S} s")


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Start:
    """weftd, from exec to the first item."""

    def __init__(self, lab, swarm, target):
        self.lab, self.swarm, self.target, self.cnt = lab, swarm, target, 0

    def run(self, daemon):
        before_s, began = cpu_s(), time.monotonic()
        daemon.start()
        first_get(lambda: TEXT in daemon.weft("dht", "get", self.target).stdout)
        wall_s = time.monotonic() - began
        daemon.stop()
        return report.Sample(1, wall_s, cpu_s() - before_s)

    def cold(self):
        self.cnt += 1
        return self.run(self.lab.daemon(f"cold{self.cnt}", config=self.swarm.config()))

    def warm(self):
        self.cnt += 1
        daemon = self.lab.daemon(f"warm{self.cnt}", config=self.swarm.config())
        self.run(daemon)
        daemon.conf.write_text(self.swarm.config(bootstrap=""))
        return self.run(daemon)

    def foreign(self):
        """libtorrent's own start, without that of its interpreter."""
        wall_s = self.swarm.ask("start_and_get", self.target)
        return report.Sample(1, wall_s, 0.0)


def main():
    lab = Lab()
    try:
        swarm = Swarm(lab, count=SWARM_CNT)
        target = swarm.ask("put_immutable", 7, TEXT)["target"]
        assert text_of(swarm.ask("get_immutable", 30, target)) == TEXT
        start = Start(lab, swarm, target)
        samples = report.measure({"weftd, warm": start.warm, "weftd, cold": start.cold,
                                  "libtorrent session, cold": start.foreign})
    except (Skip, Mismatch) as why:
        print(f"skipped: {why}", file=sys.stderr)
        sys.exit(77)
    finally:
        lab.close()
    notes = [f"seconds to the first item{'':11} median      p90      p95      p99    worst"]
    for name, runs in samples.items():
        walls = sorted(run.wall_s for run in runs)
        at = [walls[math.ceil(part * len(walls)) - 1] for part in (0.9, 0.95, 0.99)]
        notes.append(f"  {name:26} {statistics.median(walls):12.3f} {at[0]:8.3f} {at[1]:8.3f} "
                     f"{at[2]:8.3f} {walls[-1]:8.3f}")
    report.report("dht-start", samples, "weftd, warm", "starts/s", 1, notes)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scores of contribution, judged by a model of twenty lines.

tests/vectors/contribution.json has traces of chance and the score after each step, as weft reckons
it in whole numbers (tests/unit/conformance/test_contribution_vectors). With a path as its argument
this program judges another file of that kind.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

FILE = "tests/vectors/contribution.json"
MB = 1e6


def scores(trace):
    relays = success = uptime = relayed = given = taken = give_take = minute = 0
    aged = trace[0][0]
    for time, what, length, flows, _ in trace:
        minutes = max(time - aged, 0) // 60
        aged += minutes * 60
        relays, success, uptime, relayed, given, taken, give_take = (
            number * 0.95 ** (minutes / 60)
            for number in (relays, success, uptime, relayed, given, taken, give_take))
        if what in ("answered", "failed"):
            success += ((what == "answered") - success) / 8
        if what not in ("failed", "taken") and time // 60 > minute:
            minute, uptime = time // 60, uptime + 1 / 60
        if what == "relayed":
            relays, relayed = relays + flows, relayed + length
        if what in ("given", "relayed", "taken"):
            given, taken = given + (what != "taken") * length, taken + (what == "taken") * length
            give_take += (min(given / max(taken, MB), 2) - give_take) * min(length / MB, 1)
        yield relays * 1 + success * 5 + uptime * 0.5 + relayed / MB * 0.2 + give_take * 1.5


def test_a_model_of_twenty_lines_has_the_same_scores(_):
    kinds, worst, highest = set(), 0, 0
    for trace in json.loads(pathlib.Path(FILE).read_text())["traces"]:
        for step, want in zip(trace, scores(trace)):
            kinds.add(step[1])
            highest = max(highest, want)
            error = abs(step[4] / 1000 - want) / max(want, 1)
            worst = max(worst, error)
            check(error < 0.002, f"{step}: the model says {want:.4f}")
    check_eq(kinds, {"answered", "failed", "given", "taken", "relayed"}, "what happens in the traces")
    print(f"# worst relative error {worst:.6f}, highest score {highest:.0f}")


if len(sys.argv) > 1 and pathlib.Path(sys.argv[1]).suffix == ".json":
    FILE = sys.argv.pop(1)
run([test_a_model_of_twenty_lines_has_the_same_scores])

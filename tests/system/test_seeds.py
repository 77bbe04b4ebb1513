#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of the simulator: what tools/run-tests and tools/sim-seeds play of a program that fails with seed 3,
of which seed 9 is kept."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
PROGRAM = """#!/bin/sh
echo "$SEED $SIM_SMALL" >> played
[ "$SEED" = 3 ] && { echo 'not ok 1 - test_a_claim'; echo 1..1; exit 1; }
echo 'ok 1 - test_a_claim'; echo 1..1
"""


def play(lab, tool, *words, **env):
    top = pathlib.Path(lab.dir)
    program = top / "build/tests/sim/test_claims"
    for folder in ("build/tests/sim", "tests/sim/seeds"):
        (top / folder).mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (top / "tests/sim/seeds/test_claims").write_text("# a comment\n9 what was wrong\n")
    keep = {name: value for name, value in os.environ.items() if name not in ("SEED", "SIM_SMALL", "CI")}
    done = subprocess.run([TOOLS / tool, *words, "build/tests/sim/test_claims"], cwd=top, check=False,
                          capture_output=True, text=True, env={**keep, **env})
    played = sorted((top / "played").read_text().splitlines())
    return done.returncode, done.stdout, played


def test_check_plays_the_first_in_full_the_others_small_and_the_kept(lab):
    code, out, played = play(lab, "run-tests", SIM_SEEDS="4")
    check_eq(played, ["1 ", "2 1", "3 1", "4 1", "9 "], "seeds")
    check_eq(code, 1, "exit")
    check("4 passed, 1 failed" in out and "SIM_SMALL=1 SEED=3 build/tests/sim/test_claims" in out, out)


def test_a_seed_of_the_environment_is_the_only_one(lab):
    code, _, played = play(lab, "run-tests", SIM_SEEDS="4", SEED="7")
    check_eq((code, played), (0, ["7 "]), "exit and seeds")


def test_nightly_ends_with_a_table_and_how_to_repeat_what_failed(lab):
    code, out, played = play(lab, "sim-seeds", "--from", "2", "--seeds", "4")
    check_eq(played, ["2 ", "3 ", "4 ", "5 ", "9 "], "seeds")
    check_eq(code, 1, "exit")
    check_eq([line.split() for line in out.splitlines() if "test_a_claim  " in line][-1],
             ["test_a_claim", "5", "1", "3"], "row: seeds, failed, which")
    check_eq(out.splitlines()[-1], "repeat with: SEED=3 build/tests/sim/test_claims", "last line")


run([test_check_plays_the_first_in_full_the_others_small_and_the_kept,
     test_a_seed_of_the_environment_is_the_only_one,
     test_nightly_ends_with_a_table_and_how_to_repeat_what_failed])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/mutate says of a small tree: one mutant that its test kills, one that survives, one that
no test executes."""
import functools
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "mutate"
CODE = """\
#include "half.h"
static const int whole[] = {1 + 1};
int half(int number)
{
	return number / whole[0];
}
int at_most(int number, int most)
{
	if (number > most)
		number = most;
	return number;
}
int never(int number)
{
	return number;
}
int endless(int number)
{
	volatile unsigned long left = number; /* 64 bits: counted upwards it ends after centuries */
	while (left)
		left--;
	return left;
}
int asleep(int number)
{
	if (number == 3)
		pause();
	return number;
}
int half_run(int number)
{
	if (number < 0)
		return number;
	return number + 0;
}
"""
TEST = """\
#include "../../userspace/half/half.h"
int main(void)
{
	return half(8) != 4 || at_most(5, 3) != 3 || endless(3) != 0 || asleep(4) != 4 || half_run(5) != 5;
}
"""
HEADER = "#include <unistd.h>\n" + "".join(f"int {name};\n" for name in (
    "half(int number)", "at_most(int number, int most)", "never(int number)", "endless(int number)",
    "asleep(int number)", "half_run(int number)"))
MAKEFILE = """\
PROGRAM := tests/half/test_half
mutant-programs: $(PROGRAM)
$(PROGRAM): $(PROGRAM).c userspace/half/half.c
	cc $(CFLAGS) -o $@ $^ $(LDFLAGS)
mutant-list:
	@echo $(PROGRAM)
"""
FILES = {"Makefile": MAKEFILE, "userspace/half/half.c": CODE, "userspace/half/half.h": HEADER,
         "tests/half/test_half.c": TEST}


def mutate(tree, *words):
    return subprocess.run([sys.executable, TOOL, "--tree", tree, *words], capture_output=True, text=True, check=False)


class Fixture:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        for name, text in FILES.items():
            path = pathlib.Path(self.folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self.folder.name

    def __exit__(self, *_):
        self.folder.cleanup()


@functools.cache
def fates():
    with Fixture() as tree:
        done = mutate(tree, "--count", "1000", "--json")
    check_eq(done.returncode, OK, done.stderr)
    return {(m["line"], m["change"]): m for m in json.loads(done.stdout)["mutants"]}


def test_a_mutant_that_a_test_notices_is_killed(_):
    fate = fates()[(5, "/ became *")]
    check(fate["reached"] and fate["killed_by"] == "tests/half/test_half", fate)


def test_a_mutant_that_no_test_notices_survives(_):
    fate = fates()[(9, "> became >=")]
    check(fate["reached"] and fate["killed_by"] is None, fate)


def test_a_mutant_that_no_test_executes_is_not_reached(_):
    fate = fates()[(15, "returns 0")]
    check(not fate["reached"] and fate["killed_by"] is None, fate)


def test_a_mutant_that_never_ends_is_killed(_):
    fate = fates()[(21, "-- became ++")]
    check(fate["killed_by"], fate)


def test_a_mutant_that_waits_for_ever_is_killed(_):
    fate = fates()[(26, "== became !=")]
    check_eq(fate["how"], "limit", fate)


def test_a_mutant_that_a_test_passes_by_in_its_function_is_not_reached(_):
    fate = fates()[(33, "returns 0")]
    check(fate["state"] == "not reached" and not fate["programs"], fate)


def runs(done):
    check_eq(done.returncode, OK, done.stderr)
    return next(line for line in done.stderr.splitlines() if "runs with a mutant" in line)


def test_what_a_program_said_is_remembered_until_it_changes(_):
    with Fixture() as tree:
        words = ("--folder", "userspace/half", "--count", "8", "--seed", "4")
        first, again = mutate(tree, *words), mutate(tree, *words)
        test = pathlib.Path(tree, "tests/half/test_half.c")
        test.write_text(TEST.replace("endless(3) != 0", "at_most(3, 3) != 3"))
        changed, fresh = mutate(tree, *words), mutate(tree, *words, "--fresh")
    check(" 0 remembered" in runs(first), first.stderr)
    check(" 0 runs with a mutant" in runs(again) and " 0 remembered" not in runs(again), again.stderr)
    check_eq(again.stdout, first.stdout, "the second report")
    check(" 0 remembered" in runs(changed), changed.stderr)
    check_eq(fresh.stdout, changed.stdout, "the report with nothing remembered")


def test_an_interrupt_prints_what_is_known(_):
    with Fixture() as tree:
        tool = subprocess.Popen([sys.executable, TOOL, "--tree", tree, "--count", "1000", "--jobs", "1"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in tool.stderr:
            if "survived: " in line:
                break
        tool.send_signal(signal.SIGINT)
        out = tool.communicate()[0]
    check_eq(tool.returncode, 128 + signal.SIGINT, out)
    check("  userspace/half/half.c:9: > became >=: if (number > most)" in out, out)
    last = out.splitlines()[-1]
    check(last.startswith("interrupted: ") and last.endswith("are open and counted nowhere"), out)


def test_programs_longer_than_wanted_are_left_out_and_said(_):
    with Fixture() as tree:
        done = mutate(tree, "--count", "3", "--longest", "0.000001")
    check("1 programs run longer" in done.stderr, done.stderr)
    check(done.stdout.splitlines()[-1].split()[1:4] == ["3", "0", "0"], done.stdout)


def test_same_seed_same_sample(_):
    with Fixture() as tree:
        first, again, other = (mutate(tree, "--list", "--count", "5", "--seed", seed).stdout for seed in "778")
    check_eq(len(first.splitlines()), 5, "mutants listed")
    check_eq(first, again, "the second list")
    check(first != other, first)


def test_a_table_has_a_row_for_each_folder_and_the_survivors_stand_before_it(_):
    with Fixture() as tree:
        done = mutate(tree, "--folder", "userspace/half", "--count", "1000")
        source = pathlib.Path(tree, "userspace/half/half.c").read_text()
    lines = done.stdout.splitlines()
    check("  userspace/half/half.c:9: > became >=: if (number > most)" in lines[:lines.index("not reached:")], done.stdout)
    check(lines[-2].startswith("userspace/half ") and lines[-1].startswith("all "), done.stdout)
    check_eq(source, CODE, "the source afterwards")


def test_only_programs_that_match_are_built_and_run(_):
    with Fixture() as tree:
        pathlib.Path(tree, "Makefile").write_text(MAKEFILE.replace("@echo", "@echo tests/half/none"))
        done = mutate(tree, "--count", "3", "--tests", "test_half$")
        none = mutate(tree, "--count", "3", "--tests", "nothing")
    check_eq(done.returncode, OK, done.stderr)
    check("programs without a mutant: 1 of 1" in done.stderr, done.stderr)
    check(none.returncode != OK and "--tests nothing" in none.stderr, none.stderr)


def test_a_folder_without_code_is_refused(_):
    with Fixture() as tree:
        done = mutate(tree, "--folder", "userspace/none")
    check(done.returncode != OK and "userspace/none" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

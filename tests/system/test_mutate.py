#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/mutate says of a small tree: one mutant that its test kills, one that survives, one that
no test executes."""
import functools
import json
import pathlib
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
	int left = number;
	while (left)
		left--;
	return left;
}
"""
TEST = """\
#include "../../userspace/half/half.h"
int main(void)
{
	return half(8) != 4 || at_most(5, 3) != 3 || endless(3) != 0;
}
"""
HEADER = "int half(int number);\nint at_most(int number, int most);\nint never(int number);\nint endless(int number);\n"
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


def test_a_folder_without_code_is_refused(_):
    with Fixture() as tree:
        done = mutate(tree, "--folder", "userspace/none")
    check(done.returncode != OK and "userspace/none" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

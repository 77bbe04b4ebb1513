#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the build does to the programs against memory errors, and whose flags it obeys."""
import os
import pathlib
import platform
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import WEFT, WEFTD, Skip, check, check_eq, run

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ["BUILD"])


def output(*words, env=None):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False, env=env, cwd=ROOT)
    check_eq(done.returncode, 0, f"{words[0]}: {done.stderr[:2000]}")
    return done.stdout


def need_plain_profile():
    if BUILD.name not in ("release", "debug"):
        raise Skip("machine: sanitizer and coverage builds need the dynamic loader")


def elf(path):
    return output("readelf", "-hlndW", path)


def test_programs_are_position_independent_and_need_no_loader(lab):
    need_plain_profile()
    for program in (WEFTD, WEFT):
        text = elf(program)
        check("DYN (Position-Independent Executable file)" in text, f"{program} is no PIE")
        check("INTERP" not in text, f"{program} asks for a loader")
        check("Build ID:" in text, f"{program} has no build id")


def test_relocations_are_read_only_and_no_stack_is_executable(lab):
    need_plain_profile()
    for path in (WEFTD, WEFT, BUILD / "libweft.so.0"):
        text = elf(path)
        check("GNU_RELRO" in text and "BIND_NOW" in text, f"{path} has no full RELRO")
        stack = next(line for line in text.splitlines() if "GNU_STACK" in line)
        check_eq(stack.split()[-2], "RW", f"{path}: its stack")


def test_library_calls_are_checked_against_their_buffers(lab):
    need_plain_profile()
    symbols = output("nm", WEFTD)
    for name in ("__memcpy_chk", "__snprintf_chk", "__stack_chk_fail"):
        check(f" {name}\n" in symbols, f"weftd calls no {name}")


def test_returns_and_jumps_are_guarded(lab):
    """In our objects: Debian's glibc is built without, so the linked program bears no mark."""
    need_plain_profile()
    if platform.machine() != "x86_64":
        raise Skip(f"machine: CET is x86's, this is {platform.machine()}")
    check("x86 feature: IBT, SHSTK" in output("readelf", "-n", BUILD / "libweft.a"),
          "libweft.a is built without -fcf-protection")


def test_builders_flags_come_last(lab):
    """From the command line and from the environment."""
    given = {"CPPFLAGS": "-DGIVEN_BEFORE", "CFLAGS": "-O1 -DGIVEN_AFTER", "LDFLAGS": "-Wl,-given"}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = ["make", "-n", "-B", "OPT=debug", "all"]
    for env, more in ((bare, [f"{name}={value}" for name, value in given.items()]),
                      (bare | given, [])):
        lines = output(*words, *more, env=env).splitlines()
        compiled = next(line for line in lines if line.endswith("userspace/weftd/weftd.c"))
        check(compiled.index("-DGIVEN_AFTER") > compiled.index("-fPIE"), compiled)
        check(compiled.index("-DGIVEN_BEFORE") > compiled.index("-Iinclude"), compiled)
        linked = next(line for line in lines if "-o build/debug/weftd " in line)
        check(linked.index("-Wl,-given") > linked.index("-static-pie"), linked)


def test_a_builders_fortify_level_replaces_the_default(lab):
    env = os.environ | {"CFLAGS": "", "CPPFLAGS": "-D_FORTIFY_SOURCE=2"}
    lines = output("make", "-n", "-B", "OPT=debug", "all", env=env).splitlines()
    compiled = next(line for line in lines if line.endswith("userspace/weftd/weftd.c"))
    check_eq(compiled.count("_FORTIFY_SOURCE"), 1, compiled)


def test_only_ci_fails_on_a_warning(lab):
    for ci, want in (("", False), ("true", True)):
        text = output("make", "-n", "-B", "OPT=debug", "all", env=os.environ | {"CI": ci})
        check_eq("-Werror" in text, want, f"-Werror with CI={ci}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libweft is installed, found by pkg-config, linked both ways, and does what its examples say."""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from client_library import ROOT, installed, make
from lab import DEADLINE_S, check, check_eq, run, wait_for

WARN = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c99", "-D_GNU_SOURCE"]


def pkg_config(env, *words):
    done = subprocess.run(["pkg-config", *words, "weft"], env=env, check=True,
                          capture_output=True, text=True)
    return done.stdout.split()


def build(lab, env, name, *libs):
    out = lab.dir / name
    subprocess.run(["gcc", *WARN, str(ROOT / "docs" / "examples" / f"{name}.c"),
                    *pkg_config(env, "--cflags"), *libs, "-o", str(out)], env=env, check=True)
    return str(out)


def declared():
    """The functions of the public headers."""
    text = "".join((ROOT / "include" / "weft" / name).read_text() for name in ("client.h", "service_offer.h", "err.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return set(re.findall(r"\b(weft_\w+)\(", text))


def symbols(*words):
    done = subprocess.run(["nm", "--defined-only", *words], check=True, capture_output=True,
                          text=True)
    return {line.split()[-1] for line in done.stdout.splitlines() if len(line.split()) == 3}


def test_examples_of_the_manual_compile(lab):
    env = {**os.environ, **installed(lab)}
    page = (lab.dir / "usr/share/man/man3/weft.3").read_text()
    names = re.findall(r"^\.SS (\w+)\.c", page, re.M)
    check(len(names) >= 4, names)
    for name in names:
        build(lab, env, name, *pkg_config(env, "--libs"))


def test_examples_run_against_what_is_installed(lab):
    env = {**os.environ, **installed(lab)}
    a = lab.daemon("a").start()
    greeter = build(lab, env, "greeter", *pkg_config(env, "--libs"))
    # The caller takes the library in whole.
    greet = build(lab, env, "greet", f"{lab.dir}/usr/lib/libweft.a",
                  *pkg_config(env, "--static", "--libs")[2:])
    check("libweft" not in subprocess.run(["ldd", greet], capture_output=True, text=True).stdout,
          "linked statically")
    env["WEFT_SOCKET"] = str(a.sock)
    none = subprocess.run([greet, "you"], env=env, capture_output=True, text=True)
    check_eq((none.returncode, "status 2" in none.stderr), (1, True), none.stderr)
    serving = subprocess.Popen([greeter, str(lab.dir / "greeter.sock")], env=env)
    lab.processes.append(serving)

    def greeted():
        return subprocess.run([greet, "you"], env=env, capture_output=True, text=True)

    wait_for(lambda: greeted().returncode == 0, "it is offered")
    check(greeted().stdout.startswith("hello, you\n("), greeted().stdout)
    greeter_offer = next(row for row in a.json("service", "list")["offers"] if row["name"] == "greeter")
    check_eq(greeter_offer["read_only"], ["Greet"], "what it declares")
    a.kill()
    a.start()
    wait_for(lambda: greeted().returncode == 0, "the daemon, killed, finds the program again")
    serving.send_signal(signal.SIGTERM)
    check_eq(serving.wait(DEADLINE_S), 0, "it ends by itself")
    names = [row["name"] for row in a.json("service", "list")["offers"]]
    check("greeter" not in names, "and withdrew its offer")
    check(not (lab.dir / "greeter.sock").exists(), "and its socket")
    a.stop()
    gone = greeted()
    check_eq((gone.returncode, "no daemon answers" in gone.stderr), (1, True), gone.stderr)


def test_endpoints_of_the_examples(lab):
    env = {**os.environ, **installed(lab)}
    a = lab.daemon("a").start()
    env["WEFT_SOCKET"] = str(a.sock)
    serving = subprocess.Popen([build(lab, env, "endpoint_echo", *pkg_config(env, "--libs")), "hall"],
                               env=env, stdout=subprocess.PIPE, text=True)
    lab.processes.append(serving)
    name, node = serving.stdout.readline().strip().split("@")
    check_eq((name, node), ("hall", a.json("node", "id")["node_id"]), "its address")
    ask = build(lab, env, "endpoint_ask", *pkg_config(env, "--libs"))
    for text in ("hello", "again"):
        done = subprocess.run([ask, node, "hall", text], env=env, capture_output=True, text=True)
        check_eq((done.returncode, done.stdout), (0, f"{text}\n"), done.stderr)
    none = subprocess.run([ask, node, "cellar", "x"], env=env, capture_output=True, text=True)
    check_eq(none.returncode, 1, f"no such endpoint: {none.stderr}")
    a.stop()
    check_eq(serving.wait(DEADLINE_S), 1, "the endpoint ends with the daemon")


def test_a_program_needs_no_other_packages_description(lab):
    """A program that only links libweft.so has jansson's library, and need not have its headers."""
    alone = {**os.environ, **installed(lab), "PKG_CONFIG_LIBDIR": str(lab.dir)}
    libs = pkg_config(alone, "--cflags", "--libs")
    check("-lweft" in libs and "-ljansson" not in libs, libs)


def test_only_what_is_declared_can_be_seen(lab):
    installed(lab)
    lib = lab.dir / "usr" / "lib"
    versioned = symbols("-D", str(lib / "libweft.so"))
    later = {"weft_count", "weft_offer_open_with", "weft_row_free", "weft_row_read", "weft_rows_read",
             "weft_rows_write", "weft_value_put", "weft_values_get"}
    versions = {name: 3 if name.startswith("weft_service_") else 2 if name in later else 1 for name in declared()}
    wanted = {f"{name}@@WEFT_0.{version}" for name, version in versions.items()}
    check_eq(versioned, wanted | {"WEFT_0.1", "WEFT_0.2", "WEFT_0.3"}, "libweft.so")
    check_eq(symbols("--extern-only", str(lib / "libweft.a")), declared(), "libweft.a")
    header = subprocess.run(["readelf", "-d", str(lib / "libweft.so")], check=True,
                            capture_output=True, text=True).stdout
    check("soname: [libweft.so.0]" in header, header)
    needed = set(re.findall(r"NEEDED.*\[(\w+)", header))
    check(needed <= {"libjansson", "libsodium", "libc", "ld"}, needed)


def test_the_header_is_one_of_cplusplus_too(lab):
    env = {**os.environ, **installed(lab)}
    subprocess.run(["g++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-"],
                   input="#include <weft/client.h>\n", text=True, check=True,
                   env={**env, "CPLUS_INCLUDE_PATH": f"{lab.dir}/usr/include"})


def test_uninstall_takes_back_all_of_it(lab):
    installed(lab)
    check((lab.dir / "usr/include/weft/client.h").exists(), "the header is there")
    make(lab, "uninstall")
    left = [str(path) for path in (lab.dir / "usr").rglob("*") if not path.is_dir()]
    check_eq(left, [], "files that are left")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

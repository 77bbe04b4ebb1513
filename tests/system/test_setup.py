#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/setup keeps the private root current. It upgrades a root that is a month old; where that
fails it uses it for a day, with a warning. It makes none where none could be entered. chroot,
unshare and what downloads are stubs that note what they are told."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import Skip, check, check_eq, run

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
DAY_S = 86400


class Setup:
    """A copy of tools/setup whose package list no host satisfies, with a root that is there."""

    def __init__(self, lab):
        if os.geteuid() != 0:
            raise Skip("as an ordinary user a root is made anew, not upgraded")
        self.tools, self.bin = lab.dir / "tools", lab.dir / "bin"
        for folder in (self.tools, self.bin):
            folder.mkdir()
        shutil.copy(TOOLS / "setup", self.tools)
        (self.tools / "packages").write_text("weft-nothing check cmd:weft-nothing\n")
        self.env = {name: value for name, value in os.environ.items() if name != "WEFT_IN_ROOT"}
        self.env |= {"XDG_CACHE_HOME": str(lab.dir), "PATH": f"{self.bin}:{os.environ['PATH']}"}
        self.root = pathlib.Path(self.run("--where", "check").stdout.strip())
        for name in ("usr/bin", "etc/apt/apt.conf.d", "var/lib/dpkg"):
            (self.root / name).mkdir(parents=True)
        for name in ("usr/bin/apt-get", "usr/bin/env"):
            (self.root / name).touch(0o755)
        self.told = lab.dir / "told"

    def run(self, *words, **env):
        return subprocess.run([self.tools / "setup", *words], env=self.env | env, capture_output=True, text=True,
                              check=True)

    def chroot(self, status):
        stub = self.bin / "chroot"
        stub.write_text(f"#!/bin/sh\necho \"$@\" >>{self.told}\nexit {status}\n")
        stub.chmod(0o755)

    def age(self, days):
        (self.root / ".upgraded").touch()
        then = time.time() - days * DAY_S - 60
        os.utime(self.root / ".upgraded", (then, then))

    def calls(self):
        text = self.told.read_text() if self.told.exists() else ""
        self.told.unlink(missing_ok=True)
        return [line.split()[-1] for line in text.splitlines()]


def test_a_root_is_upgraded_when_it_is_a_month_old(lab):
    setup = Setup(lab)
    setup.chroot(0)
    for days, calls in ((29, []), (30, ["update", "upgrade", "clean"]), (None, [])):
        if days is not None:
            setup.age(days)
        check_eq(setup.run("--root").returncode, 0, "status")
        check_eq(setup.calls(), calls, f"after {days} days")
    setup.age(3)
    setup.run("--root", WEFT_UPGRADE_AFTER_DAYS="2")
    check_eq(setup.calls(), ["update", "upgrade", "clean"], "after a number of days that was named")
    setup.age(1000)
    setup.run("--root", WEFT_UPGRADE_AFTER_DAYS="0")
    check_eq(setup.calls(), [], "never")


def test_without_a_network_it_warns_and_asks_again_tomorrow(lab):
    setup = Setup(lab)
    setup.chroot(100)
    setup.age(45)
    done = setup.run("--root")
    check_eq(setup.calls(), ["update"], "it was tried")
    check("warning: the upgrade failed" in done.stderr, done.stderr)
    check_eq((setup.run("--root").stderr, setup.calls()), ("", []), "the same day")


BUILD = ["weft-nothing", "weft-compiler/trixie-backports"]


class Bare:
    """A copy of the tools on a host that lacks two packages to build, one to check, and the root."""

    def __init__(self, lab, unshare):
        self.tools, self.bin, self.told = (lab.dir / name for name in ("tools", "bin", "told"))
        for folder in (self.tools, self.bin):
            folder.mkdir()
        for name in ("setup", "in-root"):
            shutil.copy(TOOLS / name, self.tools)
        rows = [f"{name} build cmd:weft-nothing" for name in BUILD]
        (self.tools / "packages").write_text("\n".join(["#: download_mib 1", "#: disk_mib 1", *rows, "weft-checker check cmd:weft-nothing", ""]))
        self.env = {name: value for name, value in os.environ.items() if name != "WEFT_IN_ROOT"}
        self.env |= {"XDG_CACHE_HOME": str(lab.dir / "cache"), "PATH": f"{self.bin}:{os.environ['PATH']}",
                     "WEFT_MIRROR": "http://127.0.0.1:1/debian"}
        self.stub("unshare", unshare)
        for name in ("mmdebstrap", "apt-get", "dpkg-deb"):
            self.stub(name, f"echo {name} >>{self.told}; exit 100")

    def stub(self, name, text):
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def run(self, tool, *words, wrap=()):
        return subprocess.run([*wrap, self.tools / tool, *words], env=self.env, capture_output=True, text=True,
                              check=False)


def test_nothing_is_downloaded_for_a_root_that_cannot_be_entered(lab):
    """And the packages that the host needs instead are named."""
    for unshare, why in (("exit 1", "namespace"),
                         ('case "$*" in *tmpfs*) exit 32 ;; esac; exit 0', "mount nothing")):
        shutil.rmtree(lab.dir, ignore_errors=True)
        lab.dir.mkdir()
        bare = Bare(lab, unshare)
        for tool, words, status in (("setup", ["--root"], 1), ("in-root", ["true"], 1)):
            done = bare.run(tool, *words)
            check_eq(done.returncode, status, f"{tool}: {done.stderr}")
            check(why in done.stderr and " ".join(BUILD) in done.stderr, done.stderr)
            check("weft-checker" in done.stderr.splitlines()[-1], done.stderr)
            check(not bare.told.exists(), f"{tool} went on: {done.stderr}")
        check(why in bare.run("setup", "--check").stdout, "--check does not say it")


def test_a_root_that_can_be_entered_is_begun(lab):
    bare = Bare(lab, "exit 0")
    done = bare.run("setup", "--root")
    check_eq(done.returncode, 1, "the stub of what downloads fails")
    check(bare.told.exists(), done.stderr)


def test_a_browser_is_fetched_once_and_its_lack_is_said(lab):
    setup = Setup(lab)
    apt = setup.bin / "apt-get"
    apt.write_text(f"#!/bin/sh\necho \"$@\" >>{setup.told}\necho 'E: no network here'\nexit 100\n")
    apt.chmod(0o755)
    # Without a browser of this machine.
    setup.env["PATH"] = str(setup.bin)
    for name in ("bash", "dirname", "awk", "sha256sum", "cut", "mkdir", "flock", "rm", "id", "grep", "env", "basename",
                 "dpkg-deb", "tar", "mv", "cat", "chmod"):
        if shutil.which(name):
            (setup.bin / name).symlink_to(shutil.which(name))
    where = pathlib.Path(setup.run("--where", "browser").stdout.strip())
    done = subprocess.run([setup.tools / "setup", "--browser"], env=setup.env, capture_output=True, text=True, check=False)
    check_eq(done.returncode, 1, done.stderr)
    check("no network here" in done.stderr.splitlines()[-1] and "skipped" in done.stderr, done.stderr)
    check(not where.exists() and setup.calls(), "apt was asked, and nothing is left that looks whole")
    where.mkdir()
    check_eq((setup.run("--browser").stderr, setup.calls()), ("", []), "what is there is used")


def test_without_proc_nothing_is_begun(lab):
    bare = Bare(lab, "exit 0")
    real = shutil.which("unshare")
    wrap = [real, *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount", "sh", "-c",
            'mount -t tmpfs weft /proc || exit 99; exec "$@"', "sh"]
    done = bare.run("setup", "--where", "check", wrap=wrap)
    if done.returncode == 99 or "unshare failed" in done.stderr:
        raise Skip("machine: a mount namespace with another /proc is refused here")
    check(done.returncode == 1 and "/proc is not mounted" in done.stderr, f"{done.returncode} {done.stderr}")
    check("host" not in done.stdout, "it took the host for whole")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

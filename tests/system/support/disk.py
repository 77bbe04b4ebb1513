# SPDX-License-Identifier: Apache-2.0
"""A filesystem of its own for a test: as full as the test likes, and it can lose power."""
import fcntl
import os
import shutil
import struct
import subprocess

from lab import Skip, need_root, run_plain, wait_for

IMAGE_LEN = 320 << 20  # the smallest that mkfs.xfs makes is 300 MiB

# FS_IOC_SHUTDOWN, also called EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: without a last flush.
SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2


class Disk:
    """A filesystem in a file, which can lose power."""

    def __init__(self, lab, kind):
        self.lab = lab
        need_root()
        mkfs = shutil.which(f"mkfs.{kind}", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not mkfs:
            raise Skip(f"mkfs.{kind} is not installed")
        self.image, self.root = lab.dir / "disk.img", lab.dir / "disk"
        with open(self.image, "wb") as image:
            image.truncate(IMAGE_LEN)
        run_plain(mkfs, "-q", str(self.image))
        self.root.mkdir()
        try:
            self.mount()
        except subprocess.CalledProcessError as why:
            raise Skip(f"machine: no {kind} by a loop device here: {why.stderr.strip()}") from why

    def mount(self):
        run_plain("mount", "-o", "loop", str(self.image), str(self.root))

    def cut(self):
        at = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(at, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(at)

    def unmount(self):
        def is_unmounted():
            return subprocess.run(["umount", str(self.root)], capture_output=True,
                                  check=False).returncode == 0

        wait_for(is_unmounted, "the filesystem is unmounted")

    def again(self):
        """The machine starts: the journal is replayed."""
        self.unmount()
        self.mount()

    def close(self):
        for daemon in self.lab.daemons:
            daemon.kill()
        if os.path.ismount(self.root):
            self.unmount()

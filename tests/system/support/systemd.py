# SPDX-License-Identifier: Apache-2.0
"""A machine whose first process is systemd. Namespaces of its own have this
root's /usr and /etc, whose changes lie in memory, and the daemon as make
install installs it. Nothing of it outlives it."""
import pathlib
import shutil
import subprocess

from lab import WEFT, WEFTD, Skip, check_eq, need_root, wait_for

PACKAGING = pathlib.Path(__file__).parents[3] / "tools" / "packaging"
SYSTEMD = "/lib/systemd/systemd"
# What asks for a console, a network device or the time of day.
MASKED = ("getty@.service", "systemd-networkd.service", "systemd-resolved.service",
          "networking.service", "systemd-timesyncd.service", "apt-daily.timer")

# $1: a folder to mount the root on, $2: the folder of what is to lie in it.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/root"
mount --bind "$1/root" "$1/root"
for name in usr etc; do
    mkdir -p "$1/upper/$name" "$1/work/$name" "$1/root/$name"
    mount -t overlay overlay "$1/root/$name" \\
        -o "lowerdir=/$name,upperdir=$1/upper/$name,workdir=$1/work/$name"
done
cd "$1/root"
for name in bin sbin lib lib64; do ln -s usr/$name $name; done
mkdir -p proc sys dev run tmp var/lib var/log srv root
mount -t tmpfs -o mode=755 tmpfs run
chmod 1777 tmp
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    touch dev/$name && mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
cp -r "$2/." .
ip link set lo up
mkdir .old
pivot_root . .old
umount -l .old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_PAGER=cat \
    %s --system --unit=multi-user.target --show-status=no </dev/null
""" % SYSTEMD


def put(root, path, text=None, *, copy=None, mode=0o644):
    at = root / path
    at.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        shutil.copy(copy, at)
    else:
        at.write_text(text)
    at.chmod(mode)


def installed(lab):
    """The files that make install gives to systemd, and the two programs."""
    root = lab.dir / "installed"
    put(root, "usr/sbin/weftd", copy=WEFTD, mode=0o755)
    put(root, "usr/bin/weft", copy=WEFT, mode=0o755)
    unit = (PACKAGING / "weftd.service").read_text()
    put(root, "etc/systemd/system/weftd.service", unit.replace("@PREFIX@", "/usr"))
    put(root, "usr/lib/sysusers.d/weft.conf", copy=PACKAGING / "weft.sysusers")
    put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    for name in MASKED:
        (root / "etc/systemd/system" / name).symlink_to("/dev/null")
    return root


class Machine:
    def __init__(self, lab):
        need_root()
        for tool in (SYSTEMD, "nsenter", "systemctl"):
            if not shutil.which(tool):
                raise Skip(f"{tool} is not installed")
        place = lab.dir / "machine"
        place.mkdir()
        self.log = lab.dir / "machine.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.outer = subprocess.Popen(
                ["unshare", "--pid", "--mount", "--cgroup", "--net", "--uts", "--ipc", "--fork",
                 "--kill-child", "sh", "-c", BOOT, "boot", place, installed(lab)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        lab.processes.append(self.outer)
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        self.pid = wait_for(lambda: self.is_over() or children.read_text().split(),
                            "the machine has a first process")[0]
        wait_for(lambda: self.is_over() or
                 self.run("systemctl", "is-system-running", code=None).stdout.strip()
                 in ("running", "degraded"), "systemd is up")
        self.run("systemd-sysusers")

    def is_over(self):
        """Skips where the namespaces or their mounts are refused."""
        if self.outer.poll() is not None:
            raise Skip("machine: systemd gets no namespaces or mounts of its own here: "
                       + self.log.read_text().strip()[-200:])
        return False

    def run(self, *command, code=0):
        done = subprocess.run(["nsenter", "-t", self.pid, "-a", "--", *map(str, command)],
                              capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if code is not None:
            check_eq(done.returncode, code, f"{command}: {done.stdout}{done.stderr}")
        return done

    def weft(self, *words, code=0):
        return self.run("weft", "-s", "/run/weft/control.sock", *words, code=code).stdout

    def put(self, path, text, mode=0o644):
        put(pathlib.Path(f"/proc/{self.pid}/root"), path, text, mode=mode)

    def property(self, name):
        return self.run("systemctl", "show", "-p", name, "--value", "weftd").stdout.strip()

    def journal(self):
        return self.run("journalctl", "-u", "weftd", "-o", "cat", "--no-pager").stdout

    def drop_in(self, text):
        self.put("etc/systemd/system/weftd.service.d/test.conf", text)
        self.run("systemctl", "daemon-reload")



#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Secret keys lie in locked memory alone: /proc/PID/mem outside it and a core file hold none.

The test looks for the node's seed and its Ed25519 expansion (SHA-512: the scalar and the
prefix of nonces). It also looks for the seeds of a share and of a community, and a passphrase,
after sessions, publishing and signing. OpenSSL, which can be configured to load code, takes no
configuration from the host.
"""
import errno
import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import nacl.exceptions
import nacl.pwhash
import nacl.secret
from lab import DEADLINE_S, OK, Skip, check, check_eq, need_root, run, wait_for

SEED_AT, SEED_LEN = 9, 32  # of a key file: magic 8, form 1
PHRASE = b"a passphrase that is in no program"
# Of address space that is looked at in one go.
PIECE_LEN = 1 << 30
CHUNK_LEN = 1 << 20


def all_of(name, seed):
    """The seed, and scalar and prefix of RFC 8032 5.1.5. Of each the 16 bytes in the middle,
    which no clamping changes. They are as written, and as SHA-512 loads them, each word
    turned."""
    digest = hashlib.sha512(seed).digest()
    parts = {}
    for part, secret in (("seed", seed), ("scalar", digest[:32]), ("prefix", digest[32:])):
        parts[f"{name} {part}"] = secret[8:24]
        parts[f"{name} {part}, words turned"] = secret[15:7:-1] + secret[23:15:-1]
    return parts


def node_seed(daemon, phrase):
    data = (daemon.state / "node.key").read_bytes()
    if not phrase:
        check_eq(data[8], 0, "form of the key file")
        return data[SEED_AT:SEED_AT + SEED_LEN]
    check_eq(data[8], 1, "form of the key file")
    ops, mem = struct.unpack(">II", data[9:17])
    salt, nonce, box = data[17:33], data[33:57], data[57:57 + 48]
    key = nacl.pwhash.argon2id.kdf(32, phrase, salt, ops, mem)
    return nacl.secret.SecretBox(key).decrypt(box, nonce)


def mappings(pid):
    """(start, end, name, flags) of what can be read, from smaps."""
    current = None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if head:
            current = (int(head[1], 16), int(head[2], 16), head[4], head[3])
        elif line.startswith("VmFlags:"):
            flags = line.split()[1:]
            if "rd" in flags and not current[2].startswith("[v"):
                yield current[0], current[1], current[2], flags


def locked_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmLck:\s+(\d+)", status).group(1))


def hits(data, secrets):
    return [name for name, part in secrets.items() if part in data]


def resident(pid, start, end):
    """Runs of pages that are in memory or swapped out: of the store's gigabytes most never were."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for at in range(start, end, PIECE_LEN):
            pagemap.seek(at // page * 8)
            tops = pagemap.read((min(end, at + PIECE_LEN) - at) // page * 8)[7::8]
            # The two highest bits of an entry: present, swapped.
            for pages in re.finditer(rb"[\x40-\xff]+", tops):
                yield at + pages.start() * page, at + pages.end() * page


def found_in_memory(pid, secrets):
    """What lies in pages that are not locked; and what in the locked ones, to show that they were read."""
    loose, held = [], set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, name, flags in mappings(pid):
            if "lo" in flags:
                check("dd" in flags, f"{name or 'a locked mapping'} would be dumped")
            for begin, until in resident(pid, start, end):
                memory.seek(begin)
                names = hits(memory.read(until - begin), secrets)
                if "lo" in flags:
                    held.update(names)
                else:
                    loose += [f"{each} in {name or 'anonymous memory'}" for each in names]
    return loose, held


def written(file):
    """(begin, end) of what is no hole of a file."""
    at = 0
    while True:
        try:
            begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield begin, at


def found_in_core(lab, pid, secrets):
    if not shutil.which("gcore"):
        raise Skip("gcore is not installed")
    done = subprocess.run(["gcore", "-o", lab.dir / "core", str(pid)], capture_output=True,
                          text=True, check=False)
    core = lab.dir / f"core.{pid}"
    check(core.exists(), f"gcore: {done.stdout}{done.stderr}")
    found = set()
    # What was reserved and never touched are holes of the file.
    with open(core, "rb") as file:
        for begin, until in written(file):
            file.seek(begin)
            tail = b""
            while chunk := file.read(min(CHUNK_LEN, until - file.tell())):
                found.update(hits(tail + chunk, secrets))
                tail = chunk[-64:]
    core.unlink()
    return sorted(found)


def done(daemon, *words):
    said = daemon.weft(*words)
    check_eq(said.returncode, OK, f"{' '.join(map(str, words))}: {said.stderr}")
    return said.stdout.strip()


def keep_busy(lab, a, b):
    """Sessions both ways, a share published twice, a community, tokens, records signed."""
    tree = lab.folder("tree", {"one": 100000, "two": 10})
    address = re.search(r"127\.0\.0\.1:\d+", a.weft("status").stdout).group(0)
    done(b, "peer", "connect", done(a, "node", "id"), address)
    done(a, "share", "new", "docs", "--public")
    for _ in range(2):
        done(a, "share", "publish", "docs", tree)
        (tree / "two").write_bytes(b"otherwise")
    done(a, "community", "create", "club", "--strict")
    done(a, "community", "token", "club", done(b, "node", "id"))
    done(a, "share", "export-key", "docs", lab.dir / "docs.key")
    wait_for(lambda: a.json("share", "show", "docs")["share"]["revision"] == 2, "published twice")


def stored_seeds(daemon, node):
    """Seeds that the store holds, opened by the key that is made of the node's (key_seal.c)."""
    key = hashlib.blake2b(digest_size=32, key=node, salt=(1).to_bytes(16, "little"),
                          person=b"weftseal".ljust(16, b"\0")).digest()
    data, seeds = (daemon.state / "db" / "data.mdb").read_bytes(), set()
    # A byte string of 72: nonce 24, box 48.
    for at in (match.end() for match in re.finditer(rb"\x58\x48", data)):
        try:
            seeds.add(nacl.secret.SecretBox(key).decrypt(data[at + 24:at + 72], data[at:at + 24]))
        except nacl.exceptions.CryptoError:
            pass
    return seeds


def secrets_of(lab, a, phrase):
    node = node_seed(a, phrase)
    share = (lab.dir / "docs.key").read_bytes()[SEED_AT:SEED_AT + SEED_LEN]
    others = stored_seeds(a, node)
    check(share in others and len(others) == 2, f"{len(others)} seeds are stored")
    (community,) = others - {share}
    return all_of("node", node) | all_of("share", share) | all_of("community", community)


def search(lab, a, secrets):
    loose, held = found_in_memory(a.pid(), secrets)
    print(f"# {locked_kib(a.pid())} KiB locked, {len(held)} parts found there")
    for name in ("node", "share", "community"):
        check(f"{name} seed" in held, f"locked memory holds {held}")
    core = found_in_core(lab, a.pid(), secrets)
    check_eq((loose, core), ([], []), "secrets in memory that is not locked, and in a core")


def searched(lab, phrase):
    need_root()
    config = "[node]\nworkers = 2\n"
    if phrase:
        (lab.dir / "phrase").write_bytes(phrase + b"\n")
        config += f"passphrase_file = {lab.dir / 'phrase'}\n"
    a = lab.daemon("a", config=config).start()
    b = lab.daemon("b").start()
    keep_busy(lab, a, b)
    secrets = secrets_of(lab, a, phrase)
    if phrase:
        secrets["passphrase"] = phrase
    search(lab, a, secrets)
    # And as they are read at the next start.
    a.kill()
    a.start()
    done(b, "peer", "list")
    search(lab, a, secrets)


def test_a_plain_key_lies_in_locked_memory_alone(lab):
    searched(lab, None)


def test_a_sealed_key_and_its_passphrase_lie_in_locked_memory_alone(lab):
    searched(lab, PHRASE)


def test_openssl_reads_no_configuration_of_the_host(lab):
    """A pipe without a writer: a reader that opens it stays there."""
    pipe = lab.dir / "openssl.cnf"
    os.mkfifo(pipe)
    a = lab.daemon("a").start(wrap=("env", f"OPENSSL_CONF={pipe}"))
    b = lab.daemon("b").start()
    address = re.search(r"127\.0\.0\.1:\d+", a.weft("status").stdout).group(0)
    done(b, "peer", "connect", done(a, "node", "id"), address)
    command = subprocess.run([*b.command("--version")], env={**os.environ, "OPENSSL_CONF": str(pipe)},
                             capture_output=True, timeout=DEADLINE_S, check=False)
    check_eq(command.returncode, OK, "weftd --version")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

# SPDX-License-Identifier: Apache-2.0
"""The messages of the mesh that a node got and sent: its datagrams are captured, and opened.

weftd writes down no secret of TLS. gdb reads them out of it, where OpenSSL has just made them. So
this takes root, and a weftd with its symbols. What is in the datagrams is read by the code that
judges handshakes (tests/conformance/handshake.py).
"""
import collections
import pathlib
import shutil
import struct
import subprocess
import sys

from lab import Skip, check, wait_for
from tap import Tap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conformance"))
try:
    import cbor2
    import handshake
except ImportError as missing:
    print(f"python3-cbor2, python3-nacl and python3-cryptography are needed: {missing}")
    sys.exit(77)

SCRIPT = r"""
set pagination off
set confirm off
handle all nostop noprint pass
python
LABEL, SECRET, LEN = REGISTERS
class Made(gdb.Breakpoint):
    def stop(self):
        label, secret, length = (gdb.parse_and_eval(f"(unsigned long)${name}") for name in (LABEL, SECRET, LEN))
        process = gdb.selected_inferior()
        word = bytes(process.read_memory(int(label), 32)).split(b"\0")[0].decode()
        with open(FILE, "a") as out:
            out.write(f"{word} {bytes(process.read_memory(int(secret), int(length))).hex()}\n")
        return False
Made("*ssl_log_secret", internal=True)
open(FILE, "a").close()
end
continue
"""
# The second to fourth argument of a function.
REGISTERS = {"x86_64": ("rsi", "rdx", "rcx"), "aarch64": ("x1", "x2", "x3")}
APP_SECRETS = ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
ID_LEN = 16  # of a connection, at both sides of all sessions of weft
FIXED_BIT, LONG_BIT = 0x40, 0x80
STUN_COOKIE = bytes.fromhex("2112a442")

# is_sent: by the node that was traced. peer: the address at the other end.
Message = collections.namedtuple("Message", "time is_sent peer type flags payload")


class Flow:
    """What one side of a session says, by its secret."""

    def __init__(self, secret, suite):
        self.keys, self.largest, self.streams = handshake.Keys(secret, suite), -1, {}

    def packet(self, data):
        """The frames of QUIC in a packet with a short header; Refused: it is of another flow."""
        number_at = 1 + ID_LEN
        mask = self.keys.mask(data[number_at + 4:number_at + 20])
        first = data[0] ^ mask[0] & 0x1f
        number_len = 1 + (first & 3)
        short = bytes(a ^ b for a, b in zip(data[number_at:number_at + number_len], mask[1:]))
        number = handshake_number(self.largest, int.from_bytes(short, "big"), 8 * number_len)
        opened = self.keys.open(number, data[number_at + number_len:],
                                bytes([first]) + data[1:number_at] + short)
        self.largest = max(self.largest, number)
        return opened

    def heard(self, frames):
        """Yields whole frames of the mesh as pieces of their streams come."""
        reader = handshake.Reader(frames)
        while not reader.is_at_end():
            kind = reader.varint()
            if not 8 <= kind <= 15:
                skip(reader, kind)
                continue
            stream = self.streams.setdefault(reader.varint(), Stream())
            off = reader.varint() if kind & 4 else 0
            stream.take(off, reader.take(reader.varint()) if kind & 2 else reader.rest())
            yield from stream.frames()


def handshake_number(largest, short, bits):
    """RFC 9000, A.3."""
    expected, window = largest + 1, 1 << bits
    number = expected & ~(window - 1) | short
    if number + window // 2 <= expected:
        return number + window
    return number - window if number > expected + window // 2 and number >= window else number


def skip(reader, kind):
    if kind in (2, 3):
        handshake.skip_ack(reader, kind)
    elif kind == 6:
        reader.varint()
        reader.take(reader.varint())
    elif kind in (0x30, 0x31):
        reader.take(reader.varint()) if kind & 1 else reader.rest()
    else:
        handshake.want(kind in handshake.FIELDS, f"frame {kind:#x}")
        for field in handshake.FIELDS[kind]:
            {"v": reader.varint, "s": lambda: reader.take(reader.varint()), "c": lambda: reader.vector(1),
             "8": lambda: reader.take(8), "t": lambda: reader.take(16)}[field]()


class Stream:
    def __init__(self):
        self.pieces, self.data, self.read = {}, bytearray(), 0

    def take(self, off, data):
        self.pieces[off] = max(data, self.pieces.get(off, b""), key=len)
        for at in sorted(self.pieces):
            piece = self.pieces[at]
            if at <= len(self.data) < at + len(piece):
                self.data += piece[len(self.data) - at:]

    def frames(self):
        """docs/wire/frames.md: a length, and a map of CBOR."""
        while len(self.data) - self.read >= 4:
            length, = struct.unpack_from("!I", self.data, self.read)
            end = self.read + 4 + length
            if len(self.data) < end:
                return
            frame = cbor2.loads(bytes(self.data[self.read + 4:end]))
            self.read = end
            yield frame[0], frame[2], frame[3]


def short_of(data):
    """What follows the long headers of a datagram; None: it is neither of QUIC nor of STUN."""
    if data[:1] < b"\x04" and data[4:8] == STUN_COOKIE:
        return b""
    while data and data[0] & LONG_BIT:
        reader = handshake.Reader(data)
        kind = reader.number(1) >> 4 & 3
        if reader.number(4) != 1 or kind == 3:
            return b""
        reader.vector(1)
        reader.vector(1)
        if kind == 0:
            reader.take(reader.varint())
        length = reader.varint()
        data = data[reader.at + length:]
    return data if not data or data[0] & FIXED_BIT else None


class Trace:
    """Of daemon, which runs and has no session yet, and listens on address."""

    def __init__(self, lab, daemon, address):
        machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
        if not shutil.which("gdb") or machine not in REGISTERS:
            raise Skip(f"gdb is not installed, or its registers are not known here ({machine})")
        self.address, self.secrets = address, lab.dir / f"{daemon.name}.secrets"
        script = lab.dir / "gdb.script"
        script.write_text(SCRIPT.replace("REGISTERS", repr(REGISTERS[machine])).replace("FILE", repr(str(self.secrets))))
        self.log = lab.dir / "gdb.log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.gdb = subprocess.Popen(["gdb", "-nx", "-batch", "-p", str(daemon.pid()), "-x", str(script)],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lab.processes.append(self.gdb)
        wait_for(lambda: self.secrets.exists() or self.gdb.poll() is not None, "gdb has the symbols of weftd")
        if "ptrace: " in self.log.read_text():
            raise Skip("machine: gdb may not attach to a process here")
        check(self.secrets.exists(), self.log.read_text())
        self.tap = Tap(lab, daemon.netns)

    def close(self):
        """Ends it. Returns the datagrams, the messages in order, and how many datagrams were not opened."""
        datagrams = self.tap.close()
        flows = [Flow(bytes.fromhex(secret), suite) for label, secret in self.made()
                 for suite in ((0x1301, 0x1303) if len(secret) == 64 else (0x1302,)) if label in APP_SECRETS]
        messages, unopened = [], 0
        for datagram in datagrams:
            data = short_of(datagram.data)
            if data == b"":
                continue
            flow, frames = self.opened(flows, data)
            unopened += flow is None
            is_sent = datagram.source == self.address
            peer = datagram.address if is_sent else datagram.source
            for kind, flags, payload in flow.heard(frames) if flow else ():
                messages.append(Message(datagram.time, is_sent, peer, kind, flags, payload))
        return datagrams, messages, unopened

    def made(self):
        return [line.split() for line in self.secrets.read_text().splitlines()]

    @staticmethod
    def opened(flows, data):
        for at, flow in enumerate(flows if data and len(data) >= 1 + ID_LEN + 20 else ()):
            try:
                frames = flow.packet(data)
            except handshake.Refused:
                continue
            # The next one is likely of the same.
            flows.insert(0, flows.pop(at))
            return flow, frames
        return None, b""

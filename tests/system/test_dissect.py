#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wireshark's dissector reads what the BPF program answers: every frame that
tests/bpf/test_answers gave it, and every frame that came back."""
import collections
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import Skip, check, check_eq, need_root, run

ANSWERS = pathlib.Path(os.environ.get("BUILD", "build/release")) / "tests/bpf/test_answers"
# Long headers: version 0 is a negotiation, type 3 of version 1 a Retry.
FIELDS = ["frame.number", "udp.srcport", "ip.checksum.status", "udp.checksum.status",
          "quic.version", "quic.long.packet_type", "_ws.malformed", "_ws.expert.severity",
          "_ws.expert.message"]
GOOD = "1"
ERROR = 8388608  # PI_ERROR of epan/proto.h


def dissect(capture):
    command = ["tshark", "-r", str(capture), "-d", "udp.port==7000,quic",
               "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
               "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for field in FIELDS:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    for line in done.stdout.splitlines():
        yield dict(zip(FIELDS, line.split("\t")))


def test_every_answer_is_read_without_complaint(lab):
    need_root()
    if not shutil.which("tshark"):
        raise Skip("tshark is not installed")
    if not ANSWERS.exists():
        raise Skip(f"{ANSWERS} is not built")
    capture = lab.dir / "answers.pcap"
    done = subprocess.run([str(ANSWERS)], env={**os.environ, "WEFT_PCAP": str(capture)},
                          capture_output=True, text=True, timeout=300, check=False)
    check_eq(done.returncode, 0, done.stdout)
    kinds = collections.Counter()
    for frame in dissect(capture):
        if frame["udp.srcport"] != "7000":
            continue
        severities = [int(word) for word in frame["_ws.expert.severity"].split(",") if word]
        check(not frame["_ws.malformed"] and ERROR not in severities, f"malformed: {frame}")
        check_eq(frame["udp.checksum.status"], GOOD, f"UDP checksum: {frame}")
        check(frame["ip.checksum.status"] in (GOOD, ""), f"IP checksum: {frame}")
        kinds["version" if int(frame["quic.version"].split(",")[0], 16) == 0
              else {"3": "Retry"}.get(frame["quic.long.packet_type"], "else")] += 1
    check(kinds["version"] > 1000 and kinds["Retry"] > 250 and not kinds["else"], f"{kinds}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

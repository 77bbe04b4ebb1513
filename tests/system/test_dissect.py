#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wireshark's dissectors read what the BPF program answers: every frame that
tests/bpf/test_answers and test_krpc gave it, and every frame that came back."""
import collections
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import Skip, check, check_eq, need_root, run

PROGRAMS = pathlib.Path(os.environ.get("BUILD", "build/release")) / "tests/bpf"
# Long headers: version 0 is a negotiation, type 3 of version 1 a Retry.
FIELDS = ["frame.number", "udp.srcport", "ip.checksum.status", "udp.checksum.status",
          "_ws.malformed", "_ws.expert.severity", "_ws.expert.message"]
QUIC = ["quic.version", "quic.long.packet_type"]
DHT = ["bt-dht.bencoded.dict", "bt-dht.node", "bt-dht.truncated_data", "bt-dht.invalid_string",
       "bt-dht.invalid_length"]
GOOD = "1"
ERROR = 8388608  # PI_ERROR of epan/proto.h


def captured(lab, program):
    """A capture of what program gave and got."""
    need_root()
    if not shutil.which("tshark"):
        raise Skip("tshark is not installed")
    path = PROGRAMS / program
    if not path.exists():
        raise Skip(f"{path} is not built")
    capture = lab.dir / f"{program}.pcap"
    done = subprocess.run([str(path)], env={**os.environ, "WEFT_PCAP": str(capture)},
                          capture_output=True, text=True, timeout=300, check=False)
    check_eq(done.returncode, 0, done.stdout)
    return capture


def answers(capture, protocol, fields):
    """The fields of each returned frame, if the dissector reports no fault."""
    fields = FIELDS + fields
    command = ["tshark", "-r", str(capture), "-d", f"udp.port==7000,{protocol}",
               "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
               "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    for line in done.stdout.splitlines():
        frame = dict(zip(fields, line.split("\t")))
        if frame["udp.srcport"] != "7000":
            continue
        severities = [int(word) for word in frame["_ws.expert.severity"].split(",") if word]
        check(not frame["_ws.malformed"] and ERROR not in severities, f"malformed: {frame}")
        check_eq(frame["udp.checksum.status"], GOOD, f"UDP checksum: {frame}")
        check(frame["ip.checksum.status"] in (GOOD, ""), f"IP checksum: {frame}")
        yield frame


def test_every_answer_of_quic_is_read_without_complaint(lab):
    kinds = collections.Counter()
    for frame in answers(captured(lab, "test_answers"), "quic", QUIC):
        kinds["version" if int(frame["quic.version"].split(",")[0], 16) == 0
              else {"3": "Retry"}.get(frame["quic.long.packet_type"], "else")] += 1
    check(kinds["version"] > 1000 and kinds["Retry"] > 250 and not kinds["else"], f"{kinds}")


def test_every_answer_of_the_dht_is_read_without_complaint(lab):
    cnt = node_cnt = 0
    for frame in answers(captured(lab, "test_krpc"), "bt-dht", DHT):
        for field in ("truncated_data", "invalid_string", "invalid_length"):
            check(not frame[f"bt-dht.{field}"], f"{field}: {frame}")
        check(frame["bt-dht.bencoded.dict"], f"no dictionary: {frame}")
        node_cnt += frame["bt-dht.node"].count(",") + 1 if frame["bt-dht.node"] else 0
        cnt += 1
    check(cnt > 20000 and node_cnt > 20000, f"{cnt} answers, {node_cnt} nodes")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])

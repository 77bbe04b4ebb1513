#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BLAKE3 of 1 GiB in page cache: ours, plain and by chunks, against b3sum on
one thread. Whole processes, each mapping the file."""
import os
import subprocess
import sys
import tempfile

import report

LEN = 1 << 30
PROGRAM = str(report.BUILD / "bench" / "hash_file")


def main():
    with tempfile.NamedTemporaryFile(dir=os.environ.get("TMPDIR", "/tmp")) as file:
        block = os.urandom(1 << 20)
        for _ in range(LEN >> 20):
            file.write(block)
        file.flush()
        ours, theirs = (subprocess.run(command, capture_output=True, text=True, check=True).stdout
                        for command in ([PROGRAM, "tree", file.name], ["b3sum", file.name]))
        if ours.split()[0] != theirs.split()[0]:
            sys.exit(f"hash differs from b3sum: {ours}{theirs}")
        samples = report.measure({
            "weft, plain": lambda: report.timed([PROGRAM, "plain", file.name], LEN),
            "weft, 256 KiB chunks": lambda: report.timed([PROGRAM, "tree", file.name], LEN),
            "b3sum --num-threads 1": lambda: report.timed(
                ["b3sum", "--num-threads", "1", file.name], LEN),
        })
        report.report("hash", samples, "weft, plain", "GB/s", 1e-9,
                      ["targets: plain >= 1.1x b3sum; chunks >= 1.0x plain (ours/this <= 1.00)"])


main()

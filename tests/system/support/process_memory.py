# SPDX-License-Identifier: Apache-2.0
"""What a process has in its memory, for root."""
import os
import pathlib
import re

PIECE_LEN = 1 << 30


def memory_of(daemon):
    """All pages that the process has in memory."""
    pid, page = daemon.pid(), os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, flags = line.split()[:2]
            begin, end = (int(part, 16) for part in span.split("-"))
            if "r" not in flags or "[v" in line:
                continue
            for at in range(begin, end, PIECE_LEN):
                cnt = (min(end, at + PIECE_LEN) - at) // page
                pagemap.seek(at // page * 8)
                # The two highest bits of an entry: present, swapped.
                for run_of in re.finditer(rb"[\x40-\xff]+", pagemap.read(cnt * 8)[7::8]):
                    memory.seek(at + run_of.start() * page)
                    yield memory.read((run_of.end() - run_of.start()) * page)

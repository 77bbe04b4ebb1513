# SPDX-License-Identifier: Apache-2.0
"""Interleaved measurements of weft and peers, as ratios of one run.

Each contender is a function that does the work once and returns a Sample.
measure() runs them in turn, ROUNDS times, in an order that changes from round
to round. report() prints a table of medians, spreads and ratios. It writes
build/bench/NAME.json with machine, kernel, commit and raw samples. No figure is
a pass or a fail.
"""
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time

ROUNDS = int(os.environ.get("ROUNDS", "7"))
BUILD = pathlib.Path(os.environ.get("BUILD", "build/release"))


class Sample:
    """units of work done in wall_s seconds with cpu_s seconds of all its processes."""

    def __init__(self, units, wall_s, cpu_s):
        self.units, self.wall_s, self.cpu_s = units, wall_s, cpu_s

    @property
    def rate(self):
        return self.units / self.wall_s

    @property
    def cpu_ns(self):
        return self.cpu_s * 1e9 / self.units


def timed(command, units, **options):
    """Runs command to its end; CPU is its own and its children's."""
    options.setdefault("stdout", subprocess.DEVNULL)
    start = time.monotonic()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Sample(units, wall_s, usage.ru_utime + usage.ru_stime)


def cpu_of(pids):
    """User and system seconds of processes so far, their threads and reaped children."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(contenders, rounds=ROUNDS):
    """contenders: {name: function}. Returns {name: [Sample]}; one unmeasured round first."""
    names = list(contenders)
    samples = {name: [] for name in names}
    for number in range(-1, rounds):
        turn = names[number % len(names):] + names[:number % len(names)]
        for name in turn:
            sample = contenders[name]()
            if number >= 0:
                samples[name].append(sample)
    return samples


def spread(values):
    return f"{min(values):.4g}..{max(values):.4g}"


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf8")
                  if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True,
                            text=True, check=False).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "commit": commit,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def report(name, samples, ours, unit, scale=1.0, notes=(), more=None):
    """Ratios are of medians, ours over each peer; unit is what scale * rate is in. more: what
    else the JSON file is to say."""
    facts = machine()
    print(f"{name}: {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
          f"commit {facts['commit']}, {len(samples[ours])} rounds")
    print(f"{'':28} {'median ' + unit:>16} {'spread':>22} {'cpu ns/unit':>12} "
          f"{'ours/this':>9} {'cpu ratio':>9}")
    our_rate = statistics.median(s.rate for s in samples[ours])
    our_cpu = statistics.median(s.cpu_ns for s in samples[ours])
    ratios = {}
    for contender, runs in samples.items():
        rates = [s.rate * scale for s in runs]
        cpu = statistics.median(s.cpu_ns for s in runs)
        ratios[contender] = our_rate * scale / statistics.median(rates)
        print(f"{contender:28} {statistics.median(rates):16.4g} {spread(rates):>22} {cpu:12.4g} "
              f"{ratios[contender]:9.2f} {cpu / our_cpu if our_cpu else 0:9.2f}")
    for note in notes:
        print(f"  {note}")
    out = BUILD.parent / "bench" / f"{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({
        "bench": name, "machine": facts, "unit": unit, "ours": ours, "ratios": ratios,
        "notes": list(notes), **(more or {}),
        "samples": {c: [vars(s) for s in runs] for c, runs in samples.items()}}, indent=1))
    print(f"  raw samples: {out}\n", flush=True)
    return ratios

# SPDX-License-Identifier: Apache-2.0
"""One flow of a relay while others carry a load, for bench/relay: how long its datagrams take, and
how many of them arrive.

The probe is the last flow, of 1,000 datagrams a second. The load is on the first flow, or on 100.
Without rates of flows it is a part of what the relay carries at most. With them each flow may
send RATE bytes a second. The probe sends 93 % of that, the load as much as the relay carries."""
import json
import os
import pathlib
import statistics

import relay_contenders as contenders
import report
import veth

SIZE = 1250
LOAD_FLOW_CNTS = (1, 100)
LOAD_SHARES = (0, 0.5, 0.8, 1)
PROBE_RATE = 1000
LOAD_SECONDS, PROBE_SECONDS = "3", "2"
RATE = 12500000
# The relay counts the IP packet that leaves.
CAPPED_PROBE_RATE = int(0.93 * RATE / (SIZE + contenders.HEAD_LEN + 28))
SINK_OBJECT = str(report.BUILD / "bench" / "relay_sink.bpf.o")


class Loaded:
    def __init__(self, bench):
        self.bench, self.net = bench, bench.net

    def probe(self, relay, rate):
        """Of the last flow: p50, p99 in us, and which part of its datagrams arrived."""
        last = contenders.FLOWS - 1
        ends = (f"{veth.SENDERS[0]}:{port + last}" for port in
                (contenders.FIRST_PORT, contenders.SECOND_PORT))
        probe = self.net.start(
            "send", self.bench.DELAY, *ends, f"{veth.RECEIVER}:{relay.port}",
            relay.heads(SIZE)[last].hex(), str(relay.sent_more + SIZE), str(rate), PROBE_SECONDS)
        with self.bench.undisturbed([probe.process.pid, *self.bench.napi.pids(), *relay.pids()]):
            found = json.loads(probe.wait()[0])
        return {"p50_us": found["p50_us"], "p99_us": found["p99_us"],
                "arrived": found["calls"] / found["sent"] if found["sent"] else 0}

    def under(self, relay, flow_cnt, load_rate, probe_rate):
        """The probe while flow_cnt flows carry load_rate datagrams a second; 0: none."""
        load = None
        if load_rate:
            load = self.net.start("send", *self.bench.sending(relay, SIZE, flow_cnt), "--seconds",
                                  LOAD_SECONDS, "--rate", str(int(load_rate)))
        found = self.probe(relay, probe_rate)
        if load:
            load.wait()
        return found

    def rows(self, name, relay, most):
        """{row: found} of one relay; most: datagrams a second that it carries."""
        found = {}
        for flow_cnt in LOAD_FLOW_CNTS:
            for share in LOAD_SHARES:
                found[f"{name}, {share:.0%} of {most:.0f}/s on {flow_cnt}"] = self.under(
                    relay, flow_cnt, share * most, PROBE_RATE)
        return found

    def capped_rows(self, name, relay, most):
        found = {f"{name}, each flow {RATE * 8e-6:.0f} Mbit/s: no load": self.under(
            relay, 1, 0, CAPPED_PROBE_RATE)}
        for flow_cnt in LOAD_FLOW_CNTS:
            found[f"{name}, each flow {RATE * 8e-6:.0f} Mbit/s: {most:.0f}/s on {flow_cnt}"] = (
                self.under(relay, flow_cnt, most, CAPPED_PROBE_RATE))
        return found

    def turn(self, most):
        """All rows once. The sink has to be there before the relay learns links."""
        rows = {}
        for name, device in (("XDP", "veth0"), ("UDP socket", "-")):
            for rate, take in ((0, self.rows), (RATE, self.capped_rows)):
                relay = contenders.Weft(self.net, self.bench.folder, device, rate)
                with relay.served():
                    self.net.clear("send")
                    self.net.nodes["send"].attach_xdp("veth0", SINK_OBJECT)
                    self.bench.napi.pin()
                    rows.update(take(name, relay, most[name]))
        return rows


def most_of(bench, name):
    """Datagrams a second that a relay carries of its best rate."""
    with bench.relays[name].served() as relay:
        bench.napi.pin()
        rate = bench.find_rate(relay, bench.FIRST_RATES[name], SIZE, 1)
        return bench.carry(relay, SIZE, 1, "1", rate).rate


def measure(bench):
    loaded, rows = Loaded(bench), {}
    most = {"XDP": most_of(bench, bench.OURS), "UDP socket": most_of(bench, bench.SOCKET)}
    for number in range(-1, report.ROUNDS):
        for row, found in loaded.turn(most).items():
            if number >= 0:
                rows.setdefault(row, []).append(found)
    facts = report.machine()
    print(f"relay-load: {facts['cpu']}, {facts['cores']} cores, load {os.getloadavg()[0]:.1f}, "
          f"commit {facts['commit']}, {report.ROUNDS} rounds; medians and spreads of one flow of "
          f"{SIZE}-byte datagrams")
    for row, each in rows.items():
        values = {key: [found[key] for found in each] for key in each[0]}
        print(f"  {row:52} p50 {statistics.median(values['p50_us']):7.1f} us, p99 "
              f"{statistics.median(values['p99_us']):7.1f} ({report.spread(values['p99_us'])}), "
              f"{100 * statistics.median(values['arrived']):6.2f} % arrived "
              f"({report.spread([100 * value for value in values['arrived']])})")
    out = report.BUILD.parent / "bench" / "relay-load.json"
    out.write_text(json.dumps({"bench": "relay-load", "machine": facts, "rows": rows}, indent=1))
    print(f"  raw samples: {pathlib.Path(out)}\n", flush=True)

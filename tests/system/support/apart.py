# SPDX-License-Identifier: Apache-2.0
"""Two namespaces of one network that pass each other no packets."""
import subprocess

from lab import Skip

DROPS = ("table inet apart {{\n"
         "chain input {{ type filter hook input priority 0; {1} saddr {0} drop; }}\n"
         "chain output {{ type filter hook output priority 0; {1} daddr {0} drop; }}\n}}\n")


def part(netns, address, family=4):
    done = subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"],
                          input=DROPS.format(address, "ip" if family == 4 else "ip6"), text=True, capture_output=True)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]

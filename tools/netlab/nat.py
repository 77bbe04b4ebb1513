# SPDX-License-Identifier: Apache-2.0
"""The kinds of network address translation, as nftables rules.

Linux keeps a source port while it is free, so that one inside port looks alike
to all outside: an endpoint-independent mapping (RFC 4787). Who may answer is
up to connection tracking: only who was written to. From there the kinds are
made. They hold for UDP and for one inside host per port; TCP is masqueraded.
"""
import pathlib
import shutil

TOP = pathlib.Path(__file__).resolve().parents[2]

_FRAME = """
table ip lab {{
	{map}
	chain outgoing {{
		type filter hook postrouting priority srcnat - 1;
		{outgoing}
	}}
	chain translate_source {{
		type nat hook postrouting priority srcnat;
		oifname "{outside}" {masquerade}
	}}
	chain translate_destination {{
		type nat hook prerouting priority dstnat;
		{incoming}
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop;
		iifname "{inside}" accept
		ct state established,related accept
		ct status dnat accept
	}}
	chain input {{
		comment "what nobody asked for leaves no trace that could take a port"
		type filter hook input priority filter; policy accept;
		iifname "{outside}" meta l4proto {{ udp, tcp }} ct state new drop
	}}
}}
"""

# A mapping lives while something goes out by it; RFC 4787 asks for two minutes or more.
_CONE = {
    "map": "map mapped {{ type {key}; flags dynamic,timeout; timeout 2m; size 65535; }}",
    "outgoing": 'oifname "{outside}" meta l4proto udp update @mapped '
                "{{ {out_key} : ip saddr . udp sport }}",
    "incoming": 'iifname "{outside}" meta l4proto udp dnat ip to {in_key} map @mapped',
    "masquerade": "masquerade",
}

KINDS = {
    "full-cone": ("anybody may write to a port that was used once", {
        **_CONE, "key": "inet_service : ipv4_addr . inet_service", "out_key": "udp sport",
        "in_key": "udp dport"}),
    "address-restricted": ("an address that was written to may answer from any port", {
        **_CONE, "key": "ipv4_addr . inet_service : ipv4_addr . inet_service",
        "out_key": "ip daddr . udp sport", "in_key": "ip saddr . udp dport"}),
    "port-restricted": ("only the address and port that was written to may answer", {
        "map": "", "outgoing": "", "incoming": "", "masquerade": "masquerade"}),
    "symmetric": ("as port-restricted, and each destination sees another port", {
        "map": "", "outgoing": "", "incoming": "", "masquerade": "masquerade fully-random"}),
}


def rules(kind, inside, outside):
    pieces = dict(KINDS[kind][1], inside=inside, outside=outside)
    return _FRAME.format(inside=inside, outside=outside, **{
        name: pieces[name].format(**pieces)
        for name in ("map", "outgoing", "incoming", "masquerade")})


def apply(namespace, kind, inside, outside):
    """Makes namespace translate between its devices inside and outside."""
    nft = ["nft"] if shutil.which("nft") else [str(TOP / "tools" / "in-root"), "nft"]
    namespace.run(*nft, "-f", "-", text=rules(kind, inside, outside))

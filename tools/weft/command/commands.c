/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the node, its network and its daemon, and the list of all. */
#include "api/node_views.h"
#include "command/command.h"

/* clang-format off */
const struct command commands_of_node[] = {
{ "status", "", "", "show how the node is", NULL, "weft status", NULL, 0, 0, { { 0 } },
	.call = { .method = "Status", .print = print_node_status } },
{ "node", "id", "", "print this node's id", NULL, "weft node id", NULL, 0, 0, { { 0 } },
	.call = { .method = "GetNodeId", .line = "node_id" } },
{ "top", "", "", "show who makes the node work, again and again, until q",
	"Sessions by what they carry, workers, devices, gets that run, drops, mode, memory.\n"
	"Piped it prints once; --json prints a line for each interval.",
	"weft top --interval 5s", .run = run_top, 0, 0,
	{ { "interval", "TIME", "between two looks: 1s (default), 5s, 1m" },
	  { "counters", NULL, "show the counters of all modules in place of these" },
	  { "once", NULL, "print once and end" } } },
{ "conns", "", "", "list connections: peer, path, round trip, losses, bytes, since when",
	"PATH is the peer's address now. LOST counts packets that had to be sent again.",
	"weft conns", .run = run_conns, 0, 0, { { 0 } } },
{ "peer", "list", "", "list known peers, connected ones first", NULL,
	"weft peer list", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListPeers", .member = "peers", .columns = api_view_peer_list,
	  .empty = "no peers yet; weft peer connect NODE ADDR:PORT meets one" } },
{ "peer", "show", "NODE", "show one peer",
	"NODE may be the first letters of an id, 8 or more.",
	"weft peer show yqbk5n3t", NULL, 1, 1, { { 0 } },
	.call = { .method = "ShowPeer", .takes = {"node_id"}, .member = "peer", .fields = api_view_peer_show } },
{ "peer", "set", "NODE SETTING=VALUE", "give a peer a larger share, or a reputation",
	"share=N: while a pool is full, the peer may hold N times what another chosen peer may;\n"
	"1 to 64, and 1 again takes it back. It is a chosen peer while N is more than 1.\n"
	"reputation=N, 0 to 100: providers of services are ordered by it, and what the peer does\n"
	"changes it from there on; 50 is that of an unknown peer. It lifts no ban (weft ban remove).\n"
	"Both hold after a restart. NODE may be the first letters of a known peer's id, 8 or more.",
	"weft peer set yqbk5n3t share=8", .run = run_peer_set, 2, 2, { { 0 } } },
{ "peer", "connect", "NODE [ADDR:PORT...]", "open a session with a peer",
	"NODE may be the first letters of a known peer's id, 8 or more; then ADDR:PORT is\n"
	"not needed either. --timeout, here 10 seconds by default, is for the peer to answer.",
	"weft peer connect NODE 192.0.2.1:7000", .run = run_peer_connect, 1, 9, { { 0 } } },
{ "peer", "ping", "NODE", "measure round trips to a connected peer",
	"NODE may be the first letters of a known peer's id, 8 or more. Ends with 6 when\n"
	"nothing was answered.",
	"weft peer ping yqbk5n3t --count 10", .run = run_peer_ping, 1, 1,
	{ { "count", "N", "how many; default 4" } } },
{ "check", "", "NODE", "say how a node is found and whether it answers, step by step",
	"Every way is gone through, also those that an open session makes needless: what\n"
	"earlier sessions left, the DHT, relays of records; then what they said is dialled.\n"
	"Ends with 1 when a step failed that nothing made up for, and says which.",
	"weft check yqbk5n3t", .run = run_check, 1, 1, { { 0 } } },
{ "route", "find", "NODE", "look for a node's address record on the DHT",
	"Only there: weft check goes through every way and dials, too.",
	"weft route find yqbk5n3t --trace", .run = run_route_find, 1, 1,
	{ { "trace", NULL, "say who was asked, who answered, and how long it took" } } },
{ "route", "publish", "", "publish this node's addresses anew, and say what is public", NULL,
	"weft route publish --dry-run", .run = run_route_publish, 0, 0,
	{ { "dry-run", NULL, "only say what is, or would be, public" } } },
{ "overlay", "status", "", "show the table that nodes of the mesh keep together", NULL,
	"weft overlay status", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowOverlay", .print = print_overlay_status } },
{ "lan", "list", "", "list who was heard on the LAN", NULL,
	"weft lan list", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListLanNodes", .member = "nodes", .columns = api_view_lan_node_list,
	  .empty = "nobody was heard; lan.interfaces in weft.conf says where this node listens" } },
{ "announce", "status", "", "show what the overlay is told of what this node has", NULL,
	"weft announce status", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowAnnounce", .print = print_announce_status } },
{ "dht", "status", "", "show who is known on the Mainline DHT, and what came in", NULL,
	"weft dht status", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowDht", .print = print_dht_status } },
{ "dht", "nodes", "", "list the routing table", NULL,
	"weft dht nodes", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListDhtNodes", .member = "nodes", .columns = api_view_dht_node_list,
	  .empty = "nobody is known yet; dht.bootstrap in weft.conf is the way in" } },
{ "dht", "get", "KEY", "fetch an item (BEP 44)",
	"KEY is a target of 40 hexadecimal letters, or a public key of 64, or of 52 as a\n"
	"node's id: then the item that this key signed.",
	"weft dht get e5f96f6f38320f0f33959cb4d3d656452117aadb", .run = run_dht_get, 1, 1,
	{ { "salt", "TEXT", "which of the key's items; default: the one without" },
	  { "trace", NULL, "say who was asked, who answered, and how long it took" } } },
{ "dht", "put", "TEXT", "put an item of at most 996 bytes",
	"Prints where it lies. Others forget it after two hours unless it is kept.",
	"weft dht put 'Hello World!'", .run = run_dht_put, 1, 1,
	{ { "salt", "TEXT", "sign it by this node's key, so that it can be replaced" },
	  { "cas", "SEQ", "only in place of the one with this sequence number" },
	  { "keep", NULL, "put it again every hour while the daemon runs" } } },
{ "dht", "lookup", "TARGET", "find the nodes nearest to a target of 40 hexadecimal letters", NULL,
	"weft dht lookup e5f96f6f38320f0f33959cb4d3d656452117aadb", .run = run_dht_lookup, 1, 1,
	{ { "ipv6", NULL, "in the network of IPv6" },
	  { "trace", NULL, "say who was asked, who answered, and how long it took" } } },
{ "dht", "announce", "HASH", "announce this node for an info-hash (BEP 5)", NULL,
	"weft dht announce e5f96f6f38320f0f33959cb4d3d656452117aadb", .run = run_dht_announce, 1, 1,
	{ { "port", "PORT", "default: the one that this node's datagrams come from" } } },
{ "dht", "peers", "HASH", "list who announced an info-hash", NULL,
	"weft dht peers e5f96f6f38320f0f33959cb4d3d656452117aadb", .run = run_dht_peers, 1, 1, { { 0 } } },
{ "dht", "survey", "KEYFILE", "measure how often the DHT gives back what was put",
	"Each line of KEYFILE is a KEY as of weft dht get, a salt may follow. Each is asked\n"
	"for again and again, of other nodes alone. Prints how many were found, how fast and\n"
	"from how many nodes: by the age of the item, and by how many nodes had it before.\n"
	"Ctrl-C ends it early and prints what it has.",
	"weft dht survey keys.txt --for 7d --every 1h --out survey.tsv", .run = run_dht_survey, 1, 1,
	{ { "for", "TIME", "for so long (90s, 10m, 12h, 7d); default: one round" },
	  { "every", "TIME", "from the start of a round to that of the next; default: 10m" },
	  { "out", "FILE", "append each answer to FILE, and count the answers that are there" } } },
{ "xdp", "plan", "DEVICE", "say what attaching XDP to a device would do",
	"Nothing is done. It says the mode, the queues, the memory, a program that is\n"
	"there already, what stays untouched, and what to beware of.",
	"weft xdp plan eth0", .run = run_xdp_plan, 1, 1,
	{ { "mode", "MODE", "auto, native or generic" } } },
{ "xdp", "attach", "DEVICE", "filter, answer and receive in front of the kernel",
	"Sessions go on. With --confirm it is detached by itself after that time unless\n"
	"weft xdp keep comes first: for machines that are reached through the device.",
	"weft xdp attach eth0 --confirm 60s", .run = run_xdp_attach, 1, 1,
	{ { "mode", "MODE", "auto, native (in the driver) or generic (behind it)" },
	  { "send", "HOW", "auto, udp or af_xdp" },
	  { "confirm", "TIME", "detach after TIME (60s, 5m) unless kept" } } },
{ "xdp", "keep", "DEVICE", "keep a device attached that was to be confirmed", NULL,
	"weft xdp keep eth0", NULL, 1, 1, { { 0 } },
	.call = { .method = "KeepXdp", .takes = {"device"}, .member = "device", .fields = api_view_xdp_device_show } },
{ "xdp", "detach", "DEVICE", "leave a device to the kernel again; sessions go on", NULL,
	"weft xdp detach eth0", NULL, 1, 1, { { 0 } },
	.call = { .method = "DetachXdp", .takes = {"device"} } },
{ "xdp", "status", "", "show attached devices, the mode and who may attach",
	"On a terminal also which worker serves which queue; --json has that and more.",
	"weft xdp status", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowXdp", .print = print_xdp_status } },
{ "xdp", "mode", "MODE", "set how unvalidated sources are treated: auto, normal, pressured, flood",
	"pressured makes them prove their address first, flood also cuts their rates.\n"
	"auto lets the mode follow the load again.",
	"weft xdp mode auto", .run = run_xdp_mode, 1, 1, { { 0 } } },
{ "event", "watch", "", "print events as they happen, until Ctrl-C", NULL,
	"weft event watch --since 1", .run = run_event_watch, 0, 0,
	{ { "since", "N", "begin with event number N, if the daemon still has it" } } },
{ "bootstrap", "make", "ENTRY...", "print a signed list of nodes with which new nodes begin",
	"ENTRY is NODE@ADDRESS:PORT, a node of the mesh, or ADDRESS:PORT, a node of Mainline. This node\n"
	"signs the list; nodes that trust its id take it: weft bootstrap add there.",
	"weft bootstrap make 192.0.2.1:6881 --title lab --days 30", .run = run_bootstrap_make, 1, 16,
	{ { "title", "TEXT", "what the list is, at most 64 bytes" },
	  { "days", "N", "until it expires; 90 if not given, at most 400" } } },
{ "bootstrap", "sign", "FILE|LINK", "sign the entries of a file, one a line, or of a list anew",
	"Of a list: for another time, under this node's id, with a higher serial.",
	"weft bootstrap sign entries.txt", .run = run_bootstrap_sign, 1, 1,
	{ { "title", "TEXT", "what the list is; of a list: as it was" },
	  { "days", "N", "until it expires; 90 if not given, at most 400" } } },
{ "bootstrap", "retire", "FILE|LINK [ENTRY...]", "print a newer list without some entries",
	"ENTRY as in the list, or its node or its address alone. Without ENTRY the new list has\n"
	"none: nodes that take it use no list of this issuer any more.",
	"weft bootstrap retire lab.list 192.0.2.1:6881", .run = run_bootstrap_retire, 1, 16,
	{ { "title", "TEXT", "what the list is; else as it was" },
	  { "days", "N", "until it expires; 90 if not given, at most 400" } } },
{ "bootstrap", "add", "FILE|LINK", "keep a list, and begin with its nodes",
	"While this node has no session it dials nodes of its lists; their addresses are ways into the\n"
	"DHT, too. A newer list of the same issuer takes the place of the one that is kept.",
	"weft bootstrap add lab.list --trust ybn...", .run = run_bootstrap_add, 1, 1,
	{ { "trust", "NODE", "the whole id of the issuer, where no list of it is kept yet" } } },
{ "bootstrap", "list", "", "list what is kept of each issuer", NULL,
	"weft bootstrap list", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListBootstraps", .print = print_bootstrap_list } },
{ "bootstrap", "remove", "ISSUER", "forget the list of an issuer, and that it is trusted", NULL,
	"weft bootstrap remove ybn...", NULL, 1, 1, { { 0 } },
	.call = { .method = "RemoveBootstrap", .takes = {"issuer"}, .member = "bootstrap", .fields = api_view_bootstrap_show } },
{ "bootstrap", "check", "[FILE|LINK]", "dial every entry, and show which answers with its key",
	"Of one list, or of all that are kept. An entry that does not answer as it should makes\n"
	"the command end with 1.",
	"weft bootstrap check", .run = run_bootstrap_check, 0, 1, { { 0 } } },
{ "ban", "add", "WHO", "keep an address, a prefix or a node out",
	"WHO is an address, a prefix like 192.0.2.0/24, or a node's id. Its datagrams are\n"
	"dropped, in the driver where XDP is attached, and its sessions are closed and\n"
	"refused. Ends by itself with --for, else only by weft ban remove.",
	"weft ban add 192.0.2.0/24 --for 12h --reason 'port scans'", .run = run_ban_add, 1, 1,
	{ { "for", "DURATION", "how long, like 90s, 10m, 12h, 7d; default: until removed" },
	  { "reason", "TEXT", "why, for who reads the list" } } },
{ "ban", "list", "", "list who is kept out", NULL, "weft ban list", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListBans", .member = "bans", .columns = api_view_ban_list,
	  .empty = "nobody is banned" } },
{ "ban", "remove", "WHO", "let in again",
	"WHO as weft ban list shows it.",
	"weft ban remove 192.0.2.0/24", NULL, 1, 1, { { 0 } },
	.call = { .method = "RemoveBan", .takes = {"target"}, .member = "ban", .fields = api_view_ban_removed } },
{ "drops", "", "", "show what was dropped, and why",
	"By source: who was dropped most in the last 24 hours, an IPv4 address or an IPv6\n"
	"/64; who may not administer sees a name that stands for it until a restart.",
	"weft drops --by source", .run = run_drops, 0, 0,
	{ { "by", "WHAT", "reason (default) or source" } } },
{ "why", "", "WHO", "show what happened to a peer or an address, and which rule it was",
	"WHO is a node's id, an address or a prefix. Of the last 24 hours: bans, sessions\n"
	"opened and closed with the reason, other keys that answered, and drops.",
	"weft why 192.0.2.1", NULL, 1, 1, { { 0 } },
	.call = { .method = "ShowWhy", .takes = {"who"}, .print = print_why } },
{ "policy", "show", "", "show every limit: in force, how near, how often it refused, where",
	"Rates of unvalidated sources in the XDP program and at the sockets, what moves the mode, and\n"
	"the node's tables, each with the setting that makes it.",
	"weft policy show", .run = run_policy_show, 0, 0, { { 0 } } },
{ "policy", "test", "SETTING=VALUE...", "say whom other limits would have refused in the last day",
	"Nothing is changed. Tried are rates and bursts of unvalidated sources in [limits] of\n"
	"weft.conf(5), xdp.flood_above and quic.retry_above, against those in force, on a\n"
	"record of who sent how much each second. How much may be wrong is said.",
	"weft policy test limits.krpc_rate=50 limits.krpc_burst=100 --since 1h", .run = run_policy_test, 1, 16,
	{ { "since", "TIME", "how far back: 10m, 1h, 1d (default)" } } },
{ "limits", "list", "", "show the limits of what is sent and fetched, and how full they are", NULL,
	"weft limits list", NULL, 0, 0, { { 0 } },
	.call = { .method = "ListTrafficLimits", .print = print_limits_list } },
{ "limits", "set", "NAME VALUE", "set one of them, at once and over restarts",
	"NAME is one of weft limits list. VALUE is a rate such as 10mbit, 500kbit or 125000B,\n"
	"a number of peers, a timetable as \"mon-fri 08:00-18:00 2MB/s; sat,sun 22:00-06:00 none\",\n"
	"bytes of a month as 500G, or none.",
	"weft limits set upload 10mbit", NULL, 2, 2, { { 0 } },
	.call = { .method = "SetTrafficLimit", .takes = {"name", "value"}, .print = print_limits_set, .is_setting = true } },
{ "limits", "reset", "NAME", "go back to what is configured", NULL,
	"weft limits reset upload", NULL, 1, 1, { { 0 } },
	.call = { .method = "SetTrafficLimit", .takes = {"name"}, .print = print_limits_set, .is_setting = true } },
{ "limits", "show", "", "show every limit and what is used of it", NULL,
	"weft limits show", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowLimits", .print = print_limits_show } },
{ "config", "show", "", "show every setting and where it comes from", NULL,
	"weft config show", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowConfig", .member = "settings", .columns = api_view_setting_list,
	  .empty = "no settings" } },
{ "memory", "show", "", "show memory planned and used", NULL,
	"weft memory show", NULL, 0, 0, { { 0 } },
	.call = { .method = "ShowMemory", .print = print_memory_show } },
{ "gc", "plan", "", "show what nothing refers to any more", NULL,
	"weft gc plan", .run = run_gc_plan, 0, 0, { { 0 } } },
{ "gc", "run", "", "delete what nothing refers to any more", NULL,
	"weft gc run", .run = run_gc_run, 0, 0, { { 0 } } },
{ "store", "check", "", "verify what the node has stored",
	"Ends with 7 when something is bad and was not repaired.\n"
	"With --files it reads the files of all shares and gets instead. A bad one of a get is\n"
	"fetched again, one of a share is not served any more.",
	"weft store check --files", .run = run_store_check, 0, 0,
	{ { "repair", NULL, "drop or rebuild what can be derived" },
	  { "files", NULL, "read all files and compare them with their hashes" } } },
{ "store", "salvage", "", "keep all that is sound of a damaged store; weftd must not run",
	"Makes new databases of the rows whose checks match and puts them in the place of the\n"
	"damaged ones, which stay beside them as db.old1. Says what it left out.",
	"weft store salvage", .run = run_store_salvage, 0, 0,
	{ { "state", "DIR", "the state folder; default: what weftd has" },
	  { "config", "FILE", "weftd's configuration" } } },
{ "backup", "create", "FILE", "write the node's keys and settings into a sealed file",
	"Keys of the node, its shares and communities; heads seen, follows, bans, services and\n"
	"settings, as of one moment; no content. The daemon writes it and goes on meanwhile.\n"
	"The passphrase is asked for. --whole copies all that is stored into a folder, unsealed.",
	"weft backup create /var/lib/weft/node.backup", .run = run_backup_create, 1, 1,
	{ { "passphrase-file", "FILE", "its first line is the passphrase" },
	  { "passphrase-fd", "FD", "the same of an open descriptor" },
	  { "whole", NULL, "a folder with all that is stored, and the key, as they lie" } } },
{ "backup", "restore", "FILE", "make a new state folder of a backup; weftd must not run",
	"Refuses a folder that is in use, and warns when the old node still answers. Of a folder\n"
	"made by --whole: put it in the place of what is stored, which stays as db.old1.",
	"weft backup restore /media/usb/node.backup", .run = run_backup_restore, 1, 1,
	{ { "passphrase-file", "FILE", "its first line is the passphrase" },
	  { "passphrase-fd", "FD", "the same of an open descriptor" },
	  { "state", "DIR", "the state folder; default: what weftd has" },
	  { "config", "FILE", "weftd's configuration" } } },
{ "daemon", "reload", "", "read the configuration again, as SIGHUP does", NULL,
	"weft daemon reload", NULL, 0, 0, { { 0 } },
	.call = { .method = "Reload", .print = print_daemon_reload } },
{ "daemon", "stop", "", "drain and end the daemon, as SIGTERM does", NULL,
	"weft daemon stop", NULL, 0, 0, { { 0 } },
	.call = { .method = "Shutdown",
	  .done = "The daemon is draining and will end." } },
{ "version", "", "", "print the versions of weft and of the daemon",
	"Without a daemon it prints its own, and ends with 0 all the same.",
	"weft version", .run = run_version, 0, 0, { { 0 } } },
{ "help", "", "[OBJECT [VERB]]", "print help, about one command or all", NULL,
	"weft help share add", .run = run_help, 0, 2, { { 0 } } },
{ "completion", "bash", "", "print a completion script for bash", NULL,
	"source <(weft completion bash)", .run = run_completion, 0, 0, { { 0 } } },
{ NULL },
};
/* clang-format on */

const struct command *command_next(const struct command *before)
{
	const struct command *next = before ? before + 1 : commands_of_content;

	while (!next->object && next->table)
		next = next->table;
	return next->object ? next : NULL;
}

const struct command_option global_options[] = {
	{"socket", "PATH", "control socket of the daemon; also -s PATH"},
	{"json", NULL, "print JSON"},
	{"timeout", "SECONDS", "for the daemon to answer; default 30"},
	{"help", NULL, "print help, also for one command; also -h"},
	{"version", NULL, "print the version"},
};
const unsigned global_option_cnt = sizeof(global_options) / sizeof(global_options[0]);

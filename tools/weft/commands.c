/* SPDX-License-Identifier: Apache-2.0 */
/* Every command, once. */
#include "command.h"

/* clang-format off */
const struct command commands[] = {
{ "share", "add", "DIR", "share a folder or a file, in place",
	"Prints the link alone when its output is piped. Nothing is copied: the files\n"
	"stay where they are and are hashed again when they change. Ctrl-C stops the\n"
	"import; what was hashed is remembered.",
	"weft share add /usr/share/doc", run_share_add, 1, 1,
	{ { "title", "TEXT", "name shown to those who get it; default: the folder's" } } },
{ "share", "list", "", "list shares, and folders being imported", NULL,
	"weft share list", run_share_list, 0, 0, { { 0 } } },
{ "share", "remove", "LINK|ID", "stop sharing; the files stay where they are", NULL,
	"weft share remove 'mesh:...'", run_share_remove, 1, 1, { { 0 } } },
{ "share", "cancel", "ID", "stop an import that is under way", NULL,
	"weft share cancel 1", run_share_cancel, 1, 1, { { 0 } } },
{ "get", "", "LINK", "fetch what a link names, every byte verified",
	"The get belongs to the daemon: it goes on when this command ends or the daemon\n"
	"restarts, from what is verified on disk. Ctrl-C leaves it running and says how\n"
	"to watch or cancel it.",
	"weft get 'mesh:...' --to ~/Downloads", run_get, 1, 1,
	{ { "to", "DIR", "folder to fetch into, made if missing (needed)" },
	  { "range", "OFF-END", "only these bytes of a one-file link; also OFF+LEN, units K M G" },
	  { "replace", NULL, "overwrite files that exist and differ" },
	  { "detach", NULL, "do not wait; print the get's number" } } },
{ "get", "list", "", "list gets", NULL, "weft get list", run_get_list, 0, 0, { { 0 } } },
{ "get", "watch", "ID", "follow a get until it ends", NULL,
	"weft get watch 1", run_get_watch, 1, 1, { { 0 } } },
{ "get", "cancel", "ID", "stop a get and remove what is not whole", NULL,
	"weft get cancel 1", run_get_cancel, 1, 1, { { 0 } } },
{ "get", "resume", "ID", "start a stopped get again, and follow it", NULL,
	"weft get resume 1", run_get_resume, 1, 1,
	{ { "detach", NULL, "do not wait" } } },
{ "status", "", "", "show how the node is", NULL, "weft status", run_status, 0, 0, { { 0 } } },
{ "node", "id", "", "print this node's id", NULL, "weft node id", run_node_id, 0, 0, { { 0 } } },
{ "top", "", "", "show who makes the node work, again and again, until Ctrl-C",
	"Sessions by what they carry, workers, devices, gets that run, drops, mode, memory.\n"
	"Piped it prints once; --json prints a line for each interval.",
	"weft top --interval 5s", run_top, 0, 0,
	{ { "interval", "TIME", "between two looks: 1s (default), 5s, 1m" },
	  { "once", NULL, "print once and end" } } },
{ "peer", "list", "", "list known peers, connected ones first", NULL,
	"weft peer list", run_peer_list, 0, 0, { { 0 } } },
{ "peer", "show", "NODE", "show one peer",
	"NODE may be the first letters of an id, 8 or more.",
	"weft peer show yqbk5n3t", run_peer_show, 1, 1, { { 0 } } },
{ "peer", "connect", "NODE [ADDR:PORT...]", "open a session with a peer",
	"NODE may be the first letters of a known peer's id, 8 or more; then ADDR:PORT is\n"
	"not needed either. --timeout, here 10 seconds by default, is for the peer to answer.",
	"weft peer connect NODE 192.0.2.1:7000", run_peer_connect, 1, 9, { { 0 } } },
{ "peer", "ping", "NODE", "measure round trips to a connected peer",
	"NODE may be the first letters of a known peer's id, 8 or more. Ends with 6 when\n"
	"nothing was answered.",
	"weft peer ping yqbk5n3t --count 10", run_peer_ping, 1, 1,
	{ { "count", "N", "how many; default 4" } } },
{ "check", "", "NODE", "say how a node is found and whether it answers, step by step",
	"Every way is gone through, also those that an open session makes needless: what\n"
	"earlier sessions left, the DHT, relays of records; then what they said is dialled.\n"
	"Ends with 1 when a step failed that nothing made up for, and says which.",
	"weft check yqbk5n3t", run_check, 1, 1, { { 0 } } },
{ "xdp", "plan", "DEVICE", "say what attaching XDP to a device would do",
	"Nothing is done. It says the mode, the queues, the memory, a program that is\n"
	"there already, what stays untouched, and what to beware of.",
	"weft xdp plan eth0", run_xdp_plan, 1, 1,
	{ { "mode", "MODE", "auto, native or generic" } } },
{ "xdp", "attach", "DEVICE", "filter, answer and receive in front of the kernel",
	"Sessions go on. With --confirm it is detached by itself after that time unless\n"
	"weft xdp keep comes first: for machines that are reached through the device.",
	"weft xdp attach eth0 --confirm 60s", run_xdp_attach, 1, 1,
	{ { "mode", "MODE", "auto, native (in the driver) or generic (behind it)" },
	  { "send", "HOW", "auto, udp or af_xdp" },
	  { "confirm", "TIME", "detach after TIME (60s, 5m) unless kept" } } },
{ "xdp", "keep", "DEVICE", "keep a device attached that was to be confirmed", NULL,
	"weft xdp keep eth0", run_xdp_keep, 1, 1, { { 0 } } },
{ "xdp", "detach", "DEVICE", "leave a device to the kernel again; sessions go on", NULL,
	"weft xdp detach eth0", run_xdp_detach, 1, 1, { { 0 } } },
{ "xdp", "status", "", "show attached devices, the mode and who may attach",
	"On a terminal also which worker serves which queue; --json has that and more.",
	"weft xdp status", run_xdp_status, 0, 0, { { 0 } } },
{ "xdp", "mode", "MODE", "set how strangers are met: auto, normal, pressured, flood",
	"pressured makes them prove their address first, flood also cuts their rates.\n"
	"auto lets the mode follow the load again.",
	"weft xdp mode auto", run_xdp_mode, 1, 1, { { 0 } } },
{ "event", "watch", "", "print events as they happen, until Ctrl-C", NULL,
	"weft event watch --since 1", run_event_watch, 0, 0,
	{ { "since", "N", "begin with event number N, if the daemon still has it" } } },
{ "ban", "add", "WHO", "keep an address, a prefix or a node out",
	"WHO is an address, a prefix like 192.0.2.0/24, or a node's id. Its datagrams are\n"
	"dropped, in the driver where XDP is attached, and its sessions are closed and\n"
	"refused. Ends by itself with --for, else only by weft ban remove.",
	"weft ban add 192.0.2.0/24 --for 12h --reason 'port scans'", run_ban_add, 1, 1,
	{ { "for", "DURATION", "how long, like 90s, 10m, 12h, 7d; default: until removed" },
	  { "reason", "TEXT", "why, for who reads the list" } } },
{ "ban", "list", "", "list who is kept out", NULL, "weft ban list", run_ban_list, 0, 0, { { 0 } } },
{ "ban", "remove", "WHO", "let in again",
	"WHO as weft ban list shows it.",
	"weft ban remove 192.0.2.0/24", run_ban_remove, 1, 1, { { 0 } } },
{ "drops", "", "", "show what was dropped, and why",
	"By source: who was dropped most in the last 24 hours, an IPv4 address or an IPv6\n"
	"/64; who may not administer sees a name that stands for it until a restart.",
	"weft drops --by source", run_drops, 0, 0,
	{ { "by", "WHAT", "reason (default) or source" } } },
{ "why", "", "WHO", "show what happened to a peer or an address, and which rule it was",
	"WHO is a node's id, an address or a prefix. Of the last 24 hours: bans, sessions\n"
	"opened and closed with the reason, other keys that answered, and drops.",
	"weft why 192.0.2.1", run_why, 1, 1, { { 0 } } },
{ "policy", "show", "", "show every limit: in force, how near, how often it refused, where",
	"Rates of strangers in the XDP program and at the sockets, what moves the mode, and\n"
	"the node's tables, each with the setting that makes it.",
	"weft policy show", run_policy_show, 0, 0, { { 0 } } },
{ "policy", "test", "SETTING=VALUE...", "say whom other limits would have refused in the last day",
	"Nothing is changed. Tried are rates and bursts of strangers in [limits] of\n"
	"weft.conf(5), xdp.flood_above and quic.retry_above, against those in force, on a\n"
	"record of who sent how much each second. How much may be wrong is said.",
	"weft policy test limits.krpc_rate=50 limits.krpc_burst=100 --since 1h", run_policy_test, 1, 16,
	{ { "since", "TIME", "how far back: 10m, 1h, 1d (default)" } } },
{ "limits", "show", "", "show every limit and what is used of it", NULL,
	"weft limits show", run_limits_show, 0, 0, { { 0 } } },
{ "config", "show", "", "show every setting and where it comes from", NULL,
	"weft config show", run_config_show, 0, 0, { { 0 } } },
{ "memory", "show", "", "show memory planned and used", NULL,
	"weft memory show", run_memory_show, 0, 0, { { 0 } } },
{ "gc", "plan", "", "show what nothing refers to any more", NULL,
	"weft gc plan", run_gc_plan, 0, 0, { { 0 } } },
{ "gc", "run", "", "delete what nothing refers to any more", NULL,
	"weft gc run", run_gc_run, 0, 0, { { 0 } } },
{ "store", "check", "", "verify what the node has stored",
	"Ends with 7 when something is bad and was not repaired.",
	"weft store check --repair", run_store_check, 0, 0,
	{ { "repair", NULL, "drop or rebuild what can be derived" } } },
{ "daemon", "reload", "", "read the configuration again, as SIGHUP does", NULL,
	"weft daemon reload", run_daemon_reload, 0, 0, { { 0 } } },
{ "daemon", "stop", "", "drain and end the daemon, as SIGTERM does", NULL,
	"weft daemon stop", run_daemon_stop, 0, 0, { { 0 } } },
{ "help", "", "[OBJECT [VERB]]", "print help, about one command or all", NULL,
	"weft help share add", run_help, 0, 2, { { 0 } } },
{ "completion", "bash", "", "print a completion script for bash", NULL,
	"source <(weft completion bash)", run_completion, 0, 0, { { 0 } } },
};
/* clang-format on */

const unsigned command_cnt = sizeof(commands) / sizeof(commands[0]);

const struct command_option global_options[] = {
	{"socket", "PATH", "control socket of the daemon; also -s PATH"},
	{"json", NULL, "print JSON"},
	{"timeout", "SECONDS", "for the daemon to answer; default 30"},
	{"help", NULL, "print help, also for one command; also -h"},
	{"version", NULL, "print the version"},
};
const unsigned global_option_cnt = sizeof(global_options) / sizeof(global_options[0]);

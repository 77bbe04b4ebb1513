/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of weft.conf, once: what reads it, prints it, checks it and
 * documents it is made from this table. Defaults are not here: they are
 * the modules' own (<module>_config_defaults) and config.c's.
 */
#include "node/config/config_table.h"

#include "base/clock.h"
#include "base/log.h"
#include "content/pace.h"

#define FIELD(field) offsetof(struct node_config, field), sizeof(((struct node_config *)0)->field)
#define KIB	     1024ull
#define MIB	     (1024 * KIB)
#define GIB	     (1024 * MIB)
#define TIB	     (1024 * GIB)
#define DAY_NS	     (86400 * NS_PER_S)

#define TEXT(s, k, t, field, docs)                                                                 \
	{s,    k,     t,   FIELD(field), 0, 0, sizeof(((struct node_config *)0)->field) - 1,       \
	 NULL, false, docs}
#define NUMBER(s, k, t, field, low, high, docs)                                                    \
	{s, k, t, FIELD(field), 0, low, high, NULL, false, docs}
/* LIVE: a reload applies it, for what begins afterwards; the module's configure takes the field. */
#define LIVE(s, k, t, field, low, high, docs)                                                      \
	{s, k, t, FIELD(field), 0, low, high, NULL, true, docs}
#define LIMIT(k, field, low, docs)                                                                 \
	LIVE("limits", k, CONFIG_COUNT, fastpath.limits.field, low, LIMITS_RATE_MAX, docs)
#define ADDRS(s, k, field, field_cnt, low, docs)                                                   \
	{s,                                                                                        \
	 k,                                                                                        \
	 CONFIG_ADDRS,                                                                             \
	 FIELD(field),                                                                             \
	 offsetof(struct node_config, field_cnt),                                                  \
	 low,                                                                                      \
	 CONFIG_ADDRS_MAX,                                                                         \
	 NULL,                                                                                     \
	 false,                                                                                    \
	 docs}

/* A row of service/limits.def: what its unit is read as, how its sentence begins, when it applies. */
#define TYPE_COUNT	    CONFIG_COUNT
#define TYPE_BYTES	    CONFIG_SIZE
#define TYPE_DURATION	    CONFIG_DURATION
#define TYPE_CALLS_PER_MIN  CONFIG_COUNT
#define TYPE_UNITS	    CONFIG_COUNT
#define TYPE_UNITS_PER_MIN  CONFIG_COUNT
#define TYPE_PER_MIN	    CONFIG_COUNT
#define BEGIN_COUNT	    "How many "
#define BEGIN_BYTES	    "Bytes "
#define BEGIN_DURATION	    "Time "
#define BEGIN_CALLS_PER_MIN "Calls a minute "
#define BEGIN_UNITS	    "Units "
#define BEGIN_UNITS_PER_MIN "Units a minute "
#define BEGIN_PER_MIN	    "A minute, so many "
#define IS_LIVE		    true
#define IS_FIXED	    false
#define SERVICE_LIMIT(field, key, value, low, high, unit, change, text)                            \
	{"service",   key,                                                                         \
	 TYPE_##unit, FIELD(fabric.service.limits.field),                                          \
	 0,	      low,                                                                         \
	 high,	      NULL,                                                                        \
	 IS_##change, BEGIN_##unit text "."},

/* clang-format off */
const struct config_key config_keys[] = {
TEXT("node", "state", CONFIG_PATH, state_dir,
	"Folder that holds all this node remembers. One daemon at a time uses it."),
ADDRS("node", "listen", udp.listen, udp.listen_cnt, 1,
	"UDP addresses to listen on: ADDRESS:PORT or [ADDRESS]:PORT. Port 0 lets the kernel choose."),
ADDRS("node", "advertise", advertise, advertise_cnt, 0,
	"Addresses that links and greetings carry. Empty: those listened on, and the interfaces' own."),
TEXT("node", "key_file", CONFIG_PATH, key_file,
	"The node's key. Empty: the credential node.key, else node.key in the state folder, made at first start."),
TEXT("node", "passphrase_file", CONFIG_PATH, passphrase_file,
	"First line of this file seals the key file. Empty: the credential node.passphrase, else not sealed."),
NUMBER("node", "workers", CONFIG_COUNT, worker_cnt, 1, 64,
	"Threads that carry packets and serve content, each with tables of its own. The first does all else, too."),
NUMBER("node", "job_threads", CONFIG_COUNT, job_threads, 1, 256,
	"Threads of each worker that wait for disks."),
NUMBER("node", "job_cap", CONFIG_COUNT, job_cap, 16, 65536,
	"Disk jobs in flight, at most."),
LIVE("node", "drain_timeout", CONFIG_DURATION, drain_timeout_ns, 0, DAY_NS,
	"How long a stopping daemon waits for what is in flight."),
{ "log", "level", CONFIG_CHOICE, FIELD(log_level), 0, LOG_ERROR, LOG_DEBUG,
	"error warning notice info debug", true,
	"Least important kind of line that is logged." },

NUMBER("udp", "receive_buffer", CONFIG_SIZE, udp.rx_buffer_len, 64 * KIB, GIB,
	"Kernel buffer of the receiving socket; the kernel's own limit may make it less."),
NUMBER("udp", "send_buffer", CONFIG_SIZE, udp.tx_buffer_len, 64 * KIB, GIB,
	"Kernel buffer of the sending socket."),
NUMBER("udp", "io_uring", CONFIG_BOOL_NOT, udp.refuse_io_uring, 0, 1,
	"Use io_uring where the kernel allows it; else epoll."),

TEXT("xdp", "interfaces", CONFIG_NAME, fastpath.interfaces,
	"Devices to attach at start, apart by commas. Empty: none; weft xdp attach does it while running."),
{ "xdp", "mode", CONFIG_CHOICE, FIELD(fastpath.xdp.mode), 0, XDP_AUTO, XDP_OFF,
	"auto native generic off", false,
	"native runs in the driver, generic behind it; auto takes the first that works, off attaches nothing." },
{ "xdp", "send", CONFIG_CHOICE, FIELD(fastpath.xdp.send), 0, XDP_SEND_AUTO, XDP_SEND_AF_XDP,
	"auto udp af_xdp", false,
	"Send by the kernel's sockets or by AF_XDP; auto: by AF_XDP where the driver needs no copy." },
NUMBER("xdp", "queues", CONFIG_COUNT, fastpath.xdp.queue_cnt, 0, XDP_QUEUE_MAX,
	"Receive queues of a device to serve; 0: all. The others come by the kernel's socket."),
NUMBER("xdp", "frames", CONFIG_COUNT, fastpath.xdp.frame_cnt, 256, 32768,
	"Frames of 2K, or 4K for a large MTU, that one queue receives into; a power of two."),
NUMBER("xdp", "validated_cap", CONFIG_COUNT, fastpath.xdp.validated_cap, 1024, 10000000,
	"Proven addresses that the program remembers; strangers find no room when it is full."),
LIVE("xdp", "flood_above", CONFIG_COUNT, fastpath.flood_above, 1, 100000000,
	"Datagrams of strangers per second beyond which they get a fraction of their rates."),
NUMBER("xdp", "keep_privilege", CONFIG_BOOL, fastpath.keeps_privilege, 0, 1,
	"Keep CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW when the interfaces are attached."),

LIMIT("initial_rate", classes[WEFT_CLASS_INITIAL].per_s, 1,
	"Initials (new connections) of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("initial_burst", classes[WEFT_CLASS_INITIAL].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("new_path_rate", classes[WEFT_CLASS_NEW_PATH].per_s, 1,
	"Datagrams with a connection id of ours from a path that is not proved yet of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("new_path_burst", classes[WEFT_CLASS_NEW_PATH].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("krpc_rate", classes[WEFT_CLASS_KRPC].per_s, 1,
	"DHT datagrams of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("krpc_burst", classes[WEFT_CLASS_KRPC].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("stun_rate", classes[WEFT_CLASS_STUN].per_s, 1,
	"STUN requests of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("stun_burst", classes[WEFT_CLASS_STUN].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("probe_rate", classes[WEFT_CLASS_PROBE].per_s, 1,
	"Path probes of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("probe_burst", classes[WEFT_CLASS_PROBE].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("answer_rate", classes[WEFT_CLASS_ANSWER].per_s, 1,
	"Answers without state (Retry, version negotiation) of one address not proven, per second and CPU; a network of 256 gets 4 times as much."),
LIMIT("answer_burst", classes[WEFT_CLASS_ANSWER].burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("all_answers_rate", all_answers.per_s, 1,
	"Answers without state to all addresses together, per second and CPU."),
LIMIT("all_answers_burst", all_answers.burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),
LIMIT("proven_rate", proven.per_s, 1,
	"Datagrams of one proven address beside those of its session, per second."),
LIMIT("proven_burst", proven.burst, LIMITS_BURST_MIN,
	"How many of these at once after a silence."),

NUMBER("quic", "conn_cap", CONFIG_COUNT, quic.conn_cap, 1, 1000000,
	"Connections in all."),
NUMBER("quic", "conn_per_prefix_cap", CONFIG_COUNT, quic.conn_per_prefix_cap, 1, 1000000,
	"Connections of one address (IPv4) or /64 (IPv6) whose key is not proved yet."),
NUMBER("quic", "conn_per_key_cap", CONFIG_COUNT, quic.conn_per_key_cap, 1, 1000000,
	"Connections of one peer."),
LIVE("quic", "known_reserve", CONFIG_COUNT, quic.known_reserve_percent, 0, 90,
	"Percent of conn_cap that strangers never get: for peers that were here an hour ago or earlier."),
LIVE("quic", "stream_per_conn_cap", CONFIG_COUNT, quic.stream_per_conn_cap, 1, 65536,
	"Streams a peer may have open on one connection."),
NUMBER("quic", "stream_cap", CONFIG_COUNT, quic.stream_cap, 1, 10000000,
	"Streams in all."),
LIVE("quic", "retry_above", CONFIG_COUNT, quic.retry_above_cnt, 0, 1000000,
	"Unproven handshakes beyond which an address has to prove itself first (Retry)."),
LIVE("quic", "handshake_timeout", CONFIG_DURATION, quic.handshake_timeout_ns, NS_PER_S, DAY_NS,
	"A handshake that takes longer is dropped."),
LIVE("quic", "idle_timeout", CONFIG_DURATION, quic.idle_timeout_ns, NS_PER_S, DAY_NS,
	"A silent connection is dropped after this."),
LIVE("quic", "keepalive", CONFIG_DURATION, quic.keepalive_ns, 0, DAY_NS,
	"Silence after which a connection in use is probed; 0: never."),
LIVE("quic", "window_min", CONFIG_SIZE, quic.window_len_min, 16 * KIB, GIB,
	"Receive window of a connection at first, half of it for one stream; less while the heap fills."),
LIVE("quic", "window_max", CONFIG_SIZE, quic.window_len_max, 16 * KIB, 4 * GIB,
	"Receive window that a fast path may grow it to."),
NUMBER("quic", "heap", CONFIG_SIZE, quic.heap_cap, MIB, TIB,
	"Memory for all connections' protocol state and data out of order. Half is shared out;"
	" where the rest is used up, the connection that holds most ends."),
{ "quic", "congestion", CONFIG_CHOICE, FIELD(quic.congestion), 0, QUIC_CUBIC, QUIC_BBR,
	"cubic bbr", true, "Congestion control." },
LIVE("quic", "pmtud", CONFIG_BOOL, quic.is_pmtud_on, 0, 1,
	"Look for a larger path MTU."),

NUMBER("mesh", "session_cap", CONFIG_COUNT, mesh.session_cap, 1, 1000000,
	"Sessions with peers."),
NUMBER("mesh", "request_cap", CONFIG_COUNT, mesh.request_cap, 1, 10000000,
	"Own requests in flight."),
LIVE("mesh", "request_per_session_cap", CONFIG_COUNT, mesh.request_per_session_cap, 1, 65536,
	"Own requests in flight to one peer."),
NUMBER("mesh", "incoming_cap", CONFIG_COUNT, mesh.incoming_cap, 1, 10000000,
	"Requests of peers in hand."),
LIVE("mesh", "incoming_per_session_cap", CONFIG_COUNT, mesh.incoming_per_session_cap, 1, 65536,
	"Requests of one peer in hand."),
NUMBER("mesh", "stream_cap", CONFIG_COUNT, mesh.stream_cap, 1, 1000000,
	"Own streams of services open; and as many of peers."),
LIVE("mesh", "stream_per_session_cap", CONFIG_COUNT, mesh.stream_per_session_cap, 1, 65536,
	"Own streams of services in use with one peer; and as many of its."),
NUMBER("mesh", "peer_cap", CONFIG_COUNT, mesh.peer_cap, 1, 10000000,
	"Peers remembered."),
LIVE("mesh", "dial_stagger", CONFIG_DURATION, mesh.dial_stagger_ns, 0, 60 * NS_PER_S,
	"Between dialling two addresses of one peer."),
LIVE("mesh", "skew_max", CONFIG_SECONDS, mesh.skew_max_s, 1, 100 * 365 * 86400ull,
	"Difference of clocks that is reported."),

NUMBER("dht", "enabled", CONFIG_BOOL, mainline.is_on, 0, 1,
	"Be a node of the Mainline DHT: nodes are found by their keys, and others are answered."),
NUMBER("dht", "read_only", CONFIG_BOOL, mainline.dht.is_read_only, 0, 1,
	"Ask others and answer nobody (BEP 43): for machines whose address changes or is paid for."),
NUMBER("dht", "only", CONFIG_BOOL, mainline.is_only, 0, 1,
	"Look nodes up on the DHT and nowhere else: no relay of records, no signaling."),
TEXT("dht", "bootstrap", CONFIG_NAME, mainline.bootstrap,
	"Nodes to begin with, HOST:PORT, separated by commas. Once others were met they are asked first."),
{ "dht", "publish", CONFIG_CHOICE, FIELD(publish.policy.publish), 0, PKARR_OFF, PKARR_DIRECT,
	"off relay-only direct", false,
	"What everybody may learn by this node's key: nothing, its relays, or its own addresses, too." },
NUMBER("dht", "private", CONFIG_BOOL, publish.policy.allows_private, 0, 1,
	"Publish and believe addresses of private networks, too: for a DHT of one's own."),
NUMBER("dht", "item_cap", CONFIG_COUNT, mainline.dht.item_cap, 16, 10000000,
	"Items kept for others (BEP 44)."),
NUMBER("dht", "item_subnet_max", CONFIG_COUNT, mainline.dht.item_subnet_max, 1, 10000000,
	"Of these, put from one /24 (IPv4) or /64 (IPv6)."),
NUMBER("dht", "peer_cap", CONFIG_COUNT, mainline.dht.peer_cap, 16, 10000000,
	"Peers kept for others, of all swarms (BEP 5)."),
NUMBER("dht", "swarm_peer_max", CONFIG_COUNT, mainline.dht.swarm_peer_max, 1, 1000000,
	"Of these, in one swarm."),
NUMBER("dht", "peer_subnet_max", CONFIG_COUNT, mainline.dht.peer_subnet_max, 1, 1000000,
	"Of these, announced from one /24 or /64."),
NUMBER("dht", "query_cap", CONFIG_COUNT, mainline.dht.query_cap, 16, 65536,
	"Own queries that wait for a reply."),
NUMBER("dht", "search_cap", CONFIG_COUNT, mainline.dht.search_cap, 4, 4096,
	"Own searches at a time."),
NUMBER("dht", "own_cap", CONFIG_COUNT, mainline.dht.own_cap, 1, 65536,
	"Own items and announces that are put again every hour."),
NUMBER("dht", "destinations_per_s", CONFIG_COUNT, mainline.dht.destinations_per_s, 1, 100000,
	"Addresses per second that are sent to for the first time in a while."),
NUMBER("dht", "stranger_bytes_per_s", CONFIG_SIZE, mainline.dht.stranger_bytes_per_s, KIB, GIB,
	"Answers in all to addresses that have proved nothing."),

TEXT("pkarr", "relays", CONFIG_NAME, pkarr_client.relays,
	"Relays of address records, URLs separated by commas, four at most. Keys are looked for there, too, and the node's own record is put there."),
TEXT("pkarr", "ca_file", CONFIG_PATH, pkarr_client.ca_file,
	"Authorities, in PEM, that vouch for the relays' certificates. Empty: the machine's own."),

{ "overlay", "serve", CONFIG_CHOICE, FIELD(fabric.overlay.serve), 0, OVERLAY_SERVE_AUTO, OVERLAY_SERVE_OFF,
	"auto on off", true,
	"Keep values for others; auto: once others can be seen to dial this node." },
NUMBER("overlay", "value_cap", CONFIG_COUNT, fabric.overlay.value_cap, 16, 10000000,
	"Values kept for others, at most."),
NUMBER("overlay", "value_memory", CONFIG_SIZE, fabric.overlay.value_memory_len, MIB, TIB,
	"Bytes of them, at most."),
NUMBER("overlay", "subnet_max", CONFIG_COUNT, fabric.overlay.subnet_max, 1, 10000000,
	"Values kept from one network: IPv4 /24, IPv6 /64."),
NUMBER("overlay", "run_cap", CONFIG_COUNT, fabric.overlay.run_cap, 4, 4096,
	"Searches and puts of this node at once."),
NUMBER("overlay", "query_cap", CONFIG_COUNT, fabric.overlay.query_cap, 16, 65536,
	"Requests of them at once."),
NUMBER("overlay", "rendezvous", CONFIG_BOOL, fabric.has_rendezvous, 0, 1,
	"Find other nodes on the Mainline DHT while there are fewer than three, and be found there once this one keeps values. All the world can read there which addresses are nodes. Needs dht.enabled."),
LIVE("overlay", "requests_per_minute", CONFIG_COUNT, fabric.overlay.requests_per_min, 1, 1000000,
	"Requests of one peer that are answered."),

NUMBER("service", "enabled", CONFIG_BOOL, fabric.is_on, 0, 1,
	"Offer and call services, and take part in the overlay in which they are found."),
TEXT("service", "builtin", CONFIG_NAME, fabric.builtin_names,
	"Built-in services that are offered: echo, pod-chat, shadow-index, mesh-stats; apart by blanks."),
#include "service/limits.def"
{ "service", "calls_of", CONFIG_NAME, FIELD(fabric.service.calls), 0, 0, SERVICE_NAMED_CAP - 1, NULL, true,
	"Calls a minute of one peer to services by name, as mesh-stats:3 echo:1000, whatever they say themselves."},
{ "service", "timeouts_of", CONFIG_NAME, FIELD(fabric.service.timeouts), 0, 0, SERVICE_NAMED_CAP - 1, NULL, true,
	"Seconds that calls of this node to services by name wait, as mesh-stats:5."},
NUMBER("service", "known", CONFIG_COUNT, fabric.directory.entry_cap, 16, 1000000,
	"Services of others that are remembered."),
LIVE("service", "life", CONFIG_SECONDS, fabric.publisher.ttl_s, 60, 3600,
	"How long a published descriptor is valid; it is renewed at half of that."),
NUMBER("service", "judged", CONFIG_COUNT, fabric.conduct_peer_cap, 16, 10000000,
	"Peers whose conduct is remembered."),
NUMBER("service", "programs", CONFIG_COUNT, fabric.provider.offer_cap, 1, 4096,
	"Services of local programs."),
NUMBER("service", "program_calls", CONFIG_COUNT, fabric.provider.active_cap, 1, 65536,
	"Calls and streams in the hands of local programs, of all services together."),
NUMBER("service", "processes", CONFIG_COUNT, fabric.provider.process_cap, 1, 4096,
	"Of them, processes that were started for one call each."),
NUMBER("service", "idle_connections", CONFIG_COUNT, fabric.provider.idle_cap, 0, 4096,
	"Connections to local HTTP servers that are kept for later."),
NUMBER("service", "program_memory", CONFIG_SIZE, fabric.provider.memory_len, MIB, 16 * GIB,
	"Bytes on their way to and from local programs."),
NUMBER("service", "health", CONFIG_DURATION, fabric.provider.health_ns, 100 * NS_PER_MS, DAY_NS,
	"Time between two looks at whether a local program answers."),
NUMBER("service", "program_timeout", CONFIG_DURATION, fabric.provider.timeout_ns, 100 * NS_PER_MS, 3600 * NS_PER_S,
	"How long a local program may take for a call, unless its service says otherwise."),
NUMBER("service", "program_stall", CONFIG_DURATION, fabric.provider.stall_ns, NS_PER_S, DAY_NS,
	"A stream to a local program on which no byte moves is ended after this."),
NUMBER("service", "pods", CONFIG_COUNT, fabric.builtin.pod_cnt, 1, 100000,
	"Pods of pod-chat."),
NUMBER("service", "pod_messages", CONFIG_COUNT, fabric.builtin.pod_message_cnt, 1, 1000000,
	"Messages that are kept of each pod."),
NUMBER("service", "pod_days", CONFIG_COUNT, fabric.builtin.pod_days, 0, 3650,
	"Days for which they are kept, unless the pod says otherwise; 0: in memory only."),
NUMBER("service", "tracks", CONFIG_COUNT, fabric.builtin.track_cnt, 1, 10000000,
	"Registrations in the shadow index."),

NUMBER("gateway", "enabled", CONFIG_BOOL, web.gateway.is_on, 0, 1,
	"Serve HTTP: /healthz, /readyz, /metrics, /events, /api/v1, and what else this section turns on."),
TEXT("gateway", "listen", CONFIG_NAME, web.listen,
	"TCP address to listen on: ADDRESS:PORT or [ADDRESS]:PORT. It speaks no TLS; a proxy in front of it does."),
NUMBER("gateway", "expose", CONFIG_BOOL, web.is_exposed, 0, 1,
	"Listen where other machines can reach it: whoever has the token acts as this node. Needs token_file."),
TEXT("gateway", "hosts", CONFIG_NAME, web.hosts,
	"Values of the field Host that are answered beside those of listen, HOST or HOST:PORT, separated by commas."),
TEXT("gateway", "origins", CONFIG_NAME, web.origins,
	"Origins whose pages may ask beside those of the hosts, SCHEME://HOST:PORT, separated by commas."),
TEXT("gateway", "token_file", CONFIG_PATH, web.token_file,
	"File whose first line is the token that programs show. Empty: gateway.token in the state folder, made at first start."),
{ "gateway", "token", CONFIG_CHOICE, FIELD(web.token_use), 0, WEB_TOKEN_FOR_WRITES, WEB_TOKEN_ALWAYS,
	"writes always", false,
	"Whether GET of services and figures needs the token, too. Off loopback, and when a page of another site asks, it always does." },
{ "gateway", "role", CONFIG_CHOICE, FIELD(web.role), 0, CONTROL_VIEW, CONTROL_ADMIN,
	"view operate admin", false,
	"Which methods of /api/v1 the token opens." },
NUMBER("gateway", "mesh", CONFIG_BOOL, web.serves_mesh, 0, 1,
	"Serve services of the mesh under /mesh/. Needs services."),
TEXT("gateway", "services", CONFIG_NAME, web.services,
	"Names of services that may be called, separated by commas; NAME/METHOD allows one method alone."),
NUMBER("gateway", "body_max", CONFIG_SIZE, web.body_len_max, KIB, GIB,
	"Longest body that goes to a service, and longest message of a WebSocket. A call has at most 1M."),
NUMBER("gateway", "timeout", CONFIG_DURATION, web.timeout_ns, NS_PER_S, DAY_NS,
	"How long a service may take until its answer begins."),
NUMBER("gateway", "mesh_rate", CONFIG_COUNT, web.gateway.busy_rate_per_min, 0, 10000000,
	"Requests per minute of one address or /64 under /mesh/, /api/ and /events. 0: any number."),
NUMBER("gateway", "mesh_burst", CONFIG_COUNT, web.gateway.busy_burst, 1, 1000000,
	"Of these, how many it may save up."),
NUMBER("gateway", "pkarr", CONFIG_BOOL, web.serves_pkarr, 0, 1,
	"Be a pkarr relay: the DHT's address records for those who speak only HTTP."),
NUMBER("gateway", "pkarr_cache", CONFIG_COUNT, web.pkarr_cache_cap, 1, 1000000,
	"Records that the relay remembers."),
NUMBER("gateway", "rate", CONFIG_COUNT, web.gateway.request_rate_per_s, 0, 1000000,
	"Requests per second of one address or /64 to everything else. 0: any number."),
NUMBER("gateway", "burst", CONFIG_COUNT, web.gateway.request_burst, 1, 1000000,
	"Of these, how many it may save up."),
NUMBER("gateway", "connections", CONFIG_COUNT, web.gateway.conn_cap, 1, 4096,
	"Connections in all."),
NUMBER("gateway", "connections_per_address", CONFIG_COUNT, web.gateway.conn_addr_max, 1, 4096,
	"Of these, from one address (IPv4) or /64 (IPv6)."),
NUMBER("gateway", "sockets", CONFIG_COUNT, web.gateway.socket_cap, 0, 4096,
	"Of these, WebSockets."),
NUMBER("gateway", "memory", CONFIG_SIZE, web.gateway.memory_cap, MIB, 64 * GIB,
	"Memory for bodies that are collected and for what waits to be sent."),

TEXT("signaling", "url", CONFIG_NAME, signaling.url,
	"Endpoint, ws:// or wss://, that is asked last for a node's address, and told this node's own. Empty: none."),
TEXT("signaling", "ca_file", CONFIG_PATH, signaling.ca_file,
	"Authorities, in PEM, that vouch for its certificate. Empty: the machine's own."),

NUMBER("content", "import_threads", CONFIG_COUNT, content.import_threads, 1, 256,
	"Threads that hash what is being shared."),
LIVE("content", "share_cap", CONFIG_COUNT, content.share_cap, 1, 1000000,
	"Shares."),
NUMBER("content", "get_cap", CONFIG_COUNT, content.get_cap, 1, 1000000,
	"Gets remembered."),
LIVE("content", "get_active_cap", CONFIG_COUNT, content.get_active_cap, 1, 65536,
	"Gets that run at once."),
NUMBER("content", "chunks_in_flight", CONFIG_COUNT, content.chunks_in_flight, 1, 65536,
	"Chunks one get asks for at once."),
NUMBER("content", "chunk_buffers", CONFIG_COUNT, content.chunk_buffer_cnt, 4, 1000000,
	"Buffers of 256K for chunks on their way in or out."),
LIVE("content", "request_timeout", CONFIG_DURATION, content.request_timeout_ns, NS_PER_S, DAY_NS,
	"For an answer of a peer, dialling included, and again for every 256K of it."),
LIVE("content", "stall", CONFIG_DURATION, content.stall_ns, NS_PER_S, DAY_NS,
	"A transfer without a byte for so long is given up."),
LIVE("content", "item_cap", CONFIG_COUNT, content.item_cap, 1, 1000000,
	"Files of one collection."),

NUMBER("sharing", "enabled", CONFIG_BOOL, sharing.is_on, 0, 1,
	"Shares with revisions: publishing, following, searching and announcing them, communities, the LAN."),
LIVE("sharing", "upload", CONFIG_RATE, content.limits[CONTENT_LIMIT_UPLOAD], 0, PACE_MAX,
	"Bytes of files sent in a second, to all peers that are not free of charge (zones); 0: no limit. weft limits set is stronger."),
LIVE("sharing", "download", CONFIG_RATE, content.limits[CONTENT_LIMIT_DOWNLOAD], 0, PACE_MAX,
	"Bytes of files asked for in a second; 0: no limit."),
LIVE("sharing", "upload_peer", CONFIG_RATE, content.limits[CONTENT_LIMIT_UPLOAD_PEER], 0, PACE_MAX,
	"Bytes of files sent in a second to each peer; 0: no limit."),
LIVE("sharing", "download_peer", CONFIG_RATE, content.limits[CONTENT_LIMIT_DOWNLOAD_PEER], 0, PACE_MAX,
	"Bytes of files asked of each peer in a second; 0: no limit."),
LIVE("sharing", "upload_slots", CONFIG_COUNT, content.limits[CONTENT_LIMIT_UPLOAD_SLOTS], 0, CONTENT_SLOTS_MAX,
	"Peers that each worker serves at a time; 0: as many as it can, 1024."),
{ "sharing", "zones", CONFIG_NAME, FIELD(content.zones), 0, 0, ZONES_TEXT_CAP - 1, NULL, true,
	"What traffic with networks costs, as 10.0.0.0/8=0 2001:db8::/32=0 192.0.2.0/24=50; others cost 10. Of 0 is free, and takes nothing of upload and download; of others the cheaper comes first." },
{ "sharing", "announce", CONFIG_CHOICE, FIELD(sharing.announce.scope), 0, ANNOUNCE_OFF, ANNOUNCE_ALL,
	"off public all", true,
	"Tell the overlay what this node has. public: collections and shares by their id, and the files of public shares by their content; all: the files of collections, too." },
LIVE("sharing", "announces_per_minute", CONFIG_COUNT, sharing.announce.puts_per_min, 1, 60000,
	"Announcements that are put into the overlay."),
NUMBER("sharing", "announce_cap", CONFIG_COUNT, sharing.announce.manifest_cap, 16, 1000000,
	"Collections and shares that are announced."),
NUMBER("sharing", "find_cap", CONFIG_COUNT, sharing.announce.search_cap, 4, 65536,
	"Searches for who has something at once."),
NUMBER("sharing", "find_memory", CONFIG_SIZE, sharing.announce.set_memory_len, MIB, TIB,
	"Bytes of what others announced that are kept for further searches."),
LIVE("sharing", "follow_cap", CONFIG_COUNT, sharing.follow.follow_cap, 1, 10000,
	"Shares of others that are followed."),
LIVE("sharing", "sync_cap", CONFIG_COUNT, sharing.follow.sync_cap, 1, 1000,
	"Followed shares that are asked for and fetched at once."),
LIVE("sharing", "sync_interval", CONFIG_DURATION, sharing.follow.interval_ns, 10 * NS_PER_S, DAY_NS,
	"How often a followed share is asked for. After a failure it is asked for sooner."),
LIVE("sharing", "sync_timeout", CONFIG_DURATION, sharing.follow.timeout_ns, NS_PER_S, DAY_NS,
	"For an answer of a node that a link names, dialling included."),

NUMBER("store", "map", CONFIG_SIZE, store.map_len, MIB, 16 * TIB,
	"Address space for the database at first."),
NUMBER("store", "map_max", CONFIG_SIZE, store.map_len_max, MIB, 16 * TIB,
	"Largest size of the database."),
NUMBER("store", "segment_max", CONFIG_SIZE, store.segment_len_max, MIB, TIB,
	"Size at which a file of stored content is closed and the next one begun."),
NUMBER("store", "reader_cap", CONFIG_COUNT, store.reader_cap, 4, 4096,
	"Snapshots open at once."),
NUMBER("store", "batch_cap", CONFIG_COUNT, store.batch_cap, 1, 1000000,
	"Writes waiting for the disk."),

TEXT("control", "path", CONFIG_PATH, control_path,
	"Socket that weft(1) and varlinkctl(1) speak to."),
NUMBER("control", "client_cap", CONFIG_COUNT, control.client_cap, 1, 100000,
	"Clients connected at once."),
LIVE("control", "request_max", CONFIG_SIZE, control.request_len_max, KIB, 16 * MIB,
	"Length of a request."),
LIVE("control", "output_max", CONFIG_SIZE, control.output_len_max, 4 * KIB, GIB,
	"Replies waiting for one client beyond which it is dropped."),
LIVE("control", "request_rate", CONFIG_COUNT, control.request_rate_per_s, 1, 1000000,
	"Requests per second of one client."),
TEXT("control", "operate_group", CONFIG_NAME, operate_group,
	"Group whose members may share and get with the daemon's rights over files. Empty: none."),
TEXT("control", "view_group", CONFIG_NAME, view_group,
	"Group whose members may look. Empty: none."),
NUMBER("control", "event_cap", CONFIG_COUNT, control.event_cap, 1, 1000000,
	"Events kept for those who watch late."),
};
/* clang-format on */

const unsigned config_key_cnt = sizeof(config_keys) / sizeof(config_keys[0]);

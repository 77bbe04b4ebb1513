/* SPDX-License-Identifier: Apache-2.0 */
/* pktgen: the command line. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"
#include "weft/cid.h"

#define NS_PER_S	    1000000000ULL
#define DEFAULT_PORT	    7000
#define DEFAULT_SOURCE_PORT 1024
#define DEFAULT_ID_CNT	    1024
#define DEFAULT_BATCH	    64
#define BATCH_MAX	    256 /* the kernel's */
#define PAYLOAD_CAP	    FRAME_LEN_MAX
#define SOURCE_CNT_MAX	    (1u << 24)
#define PORT_CNT_MAX	    (65536 - DEFAULT_SOURCE_PORT)

static const char help[] =
	"Usage: pktgen send DEVICE --mac MAC --to ADDRESS [OPTIONS]\n"
	"       pktgen sink DEVICE [--seconds N] [--generic] [--quiet]\n"
	"\n"
	"send makes frames in the kernel and hands them to the driver of DEVICE, a million or "
	"more\n"
	"a second from one core. Into a veth they go only while its other end has an XDP program,\n"
	"pktgen's sink or any. sink counts what DEVICE receives and drops it before the stack.\n"
	"Both print one JSON object when they end (Ctrl-C, --count, --seconds). Send only into\n"
	"networks that are yours: most of this looks like an attack.\n"
	"\n"
	"      --to ADDRESS      IPv4 or IPv6 address the datagrams go to\n"
	"      --port N          and its port (7000)\n"
	"      --mac MAC         link-layer address of the receiver: ip link show, over there\n"
	"      --kind KIND       what they are (junk):\n"
	"                          initial      QUIC Initials whose payload is noise, 1,200 bytes\n"
	"                          short-junk   QUIC short headers with ids of noise\n"
	"                          short-valid  the same with ids made under --key\n"
	"                          krpc         DHT pings\n"
	"                          find-node    DHT find_node, targets of noise\n"
	"                          get-peers    DHT get_peers, info-hashes of noise\n"
	"                          junk         no protocol that weft speaks\n"
	"      --payload HEX     this datagram again and again, instead of a kind\n"
	"      --heads FILE      the first 16 bytes of --payload: 16 a flow, each flow from its "
	"port\n"
	"      --size N          bytes of UDP payload\n"
	"      --sources N       from how many addresses (1), upwards of --from\n"
	"      --from ADDRESS    the first of them (198.18.0.0; 2001:2::, each in its own /64)\n"
	"      --ports N         from how many ports of each (1), upwards of 1024\n"
	"      --key HEX         32 digits, a connection-id key of the receiver; --generation N "
	"(1)\n"
	"      --ids N           how many different valid ids (1024, at most 65536)\n"
	"      --rate N          frames per second (as many as it can); takes a whole core even "
	"so\n"
	"      --count N         frames to send\n"
	"      --seconds N       for how long\n"
	"      --batch N         frames per turn of the kernel (64, at most 256)\n"
	"      --generic         sink: for a driver without native XDP\n"
	"      --quiet           sink: no line per second on stderr\n"
	"\n"
	"  pktgen sink veth1 &\n"
	"  pktgen send veth0 --mac 02:00:00:00:00:01 --to 10.77.0.2 --kind initial --sources "
	"1000000\n";

enum option_code {
	OPT_TO = 1000,
	OPT_PORT,
	OPT_MAC,
	OPT_KIND,
	OPT_PAYLOAD,
	OPT_HEADS,
	OPT_SIZE,
	OPT_SOURCES,
	OPT_FROM,
	OPT_PORTS,
	OPT_KEY,
	OPT_GENERATION,
	OPT_IDS,
	OPT_RATE,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_BATCH,
	OPT_GENERIC,
	OPT_QUIET,
	OPT_HELP,
};

static const struct option options[] = {
	{"to", required_argument, NULL, OPT_TO},
	{"port", required_argument, NULL, OPT_PORT},
	{"mac", required_argument, NULL, OPT_MAC},
	{"kind", required_argument, NULL, OPT_KIND},
	{"payload", required_argument, NULL, OPT_PAYLOAD},
	{"heads", required_argument, NULL, OPT_HEADS},
	{"size", required_argument, NULL, OPT_SIZE},
	{"sources", required_argument, NULL, OPT_SOURCES},
	{"from", required_argument, NULL, OPT_FROM},
	{"ports", required_argument, NULL, OPT_PORTS},
	{"key", required_argument, NULL, OPT_KEY},
	{"generation", required_argument, NULL, OPT_GENERATION},
	{"ids", required_argument, NULL, OPT_IDS},
	{"rate", required_argument, NULL, OPT_RATE},
	{"count", required_argument, NULL, OPT_COUNT},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"batch", required_argument, NULL, OPT_BATCH},
	{"generic", no_argument, NULL, OPT_GENERIC},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

static const char *const kind_names[KIND_CNT] = {
	[KIND_INITIAL] = "initial",
	[KIND_SHORT_JUNK] = "short-junk",
	[KIND_SHORT_VALID] = "short-valid",
	[KIND_KRPC] = "krpc",
	[KIND_FIND_NODE] = "find-node",
	[KIND_GET_PEERS] = "get-peers",
	[KIND_JUNK] = "junk",
	[KIND_GIVEN] = NULL,
};

static volatile sig_atomic_t stopped;

/* What the command line said. */
struct args {
	struct frame_request frame;
	struct send_request send;
	struct sink_request sink;
	bool has_to, has_mac, has_key;
	const char *from, *heads;
	struct weft_cid_keys keys;
	__u64 key[2];
	uint32_t generation;
	uint8_t payload[PAYLOAD_CAP];
};

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

void stop_on_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

bool stop_wanted(void)
{
	return stopped;
}

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "pktgen: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\npktgen --help tells more\n");
	va_end(args);
	exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *rest;

	errno = 0;
	value = strtoull(text, &rest, 10);
	if (errno || rest == text || *rest || text[0] == '-' || value < min || value > max)
		refuse("--%s %s: a number from %llu to %llu is wanted", name, text,
		       (unsigned long long)min, (unsigned long long)max);
	return value;
}

static double seconds(const char *text)
{
	char *rest;
	double value = strtod(text, &rest);

	if (rest == text || *rest || !(value > 0 && value <= 1e6))
		refuse("--seconds %s: a number above 0 is wanted", text);
	return value;
}

static bool parse_address(const char *text, uint8_t out[16], bool *out_is_ipv6)
{
	if (inet_pton(AF_INET, text, out) == 1)
		*out_is_ipv6 = false;
	else if (inet_pton(AF_INET6, text, out) == 1)
		*out_is_ipv6 = true;
	else
		return false;
	return true;
}

/* Hex digits with or without colons, exactly len bytes. */
static bool parse_hex(const char *text, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned value;
		int used = 0;

		if (i > 0 && *text == ':')
			text++;
		if (sscanf(text, "%2x%n", &value, &used) != 1 || used != 2)
			return false;
		out[i] = (uint8_t)value;
		text += 2;
	}
	return *text == '\0';
}

static enum kind kind_named(const char *name)
{
	for (int i = 0; i < KIND_CNT; i++) {
		if (kind_names[i] && strcmp(name, kind_names[i]) == 0)
			return (enum kind)i;
	}
	refuse("--kind %s: the kinds are initial, short-junk, short-valid, krpc, find-node, "
	       "get-peers and junk",
	       name);
}

static void take_payload(struct args *args, const char *value)
{
	size_t len = strlen(value) / 2;

	if (!len || len > sizeof(args->payload) || !parse_hex(value, args->payload, len))
		refuse("--payload: 1 to %zu bytes in hexadecimal are wanted",
		       sizeof(args->payload));
	args->frame.kind = KIND_GIVEN;
	args->frame.given = args->payload;
	args->frame.payload_len = len;
}

static void take_option(struct args *args, int which, const char *name, const char *value)
{
	struct send_request *send = &args->send;

	switch (which) {
	case OPT_TO:
		args->has_to = parse_address(value, args->frame.dst, &args->frame.is_ipv6);
		if (!args->has_to)
			refuse("--to %s: an IPv4 or IPv6 address is wanted", value);
		break;
	case OPT_PORT:
		args->frame.dst_port = (uint16_t)number(name, value, 1, 65535);
		break;
	case OPT_MAC:
		args->has_mac = parse_hex(value, args->frame.dst_mac, 6);
		if (!args->has_mac)
			refuse("--mac %s: six bytes as 02:00:00:00:00:01 are wanted", value);
		break;
	case OPT_KIND:
		args->frame.kind = kind_named(value);
		break;
	case OPT_PAYLOAD:
		take_payload(args, value);
		break;
	case OPT_HEADS:
		args->heads = value;
		break;
	case OPT_SIZE:
		args->frame.payload_len = number(name, value, 1, FRAME_LEN_MAX);
		break;
	case OPT_SOURCES:
		send->config.source_cnt = (uint32_t)number(name, value, 1, SOURCE_CNT_MAX);
		break;
	case OPT_FROM:
		args->from = value;
		break;
	case OPT_PORTS:
		send->config.port_cnt = (uint32_t)number(name, value, 1, PORT_CNT_MAX);
		break;
	case OPT_KEY:
		args->has_key = parse_hex(value, (uint8_t *)args->key, sizeof(args->key));
		if (!args->has_key)
			refuse("--key: 32 hexadecimal digits are wanted");
		break;
	case OPT_GENERATION:
		args->generation = (uint32_t)number(name, value, 0, 255);
		break;
	case OPT_IDS:
		send->config.id_cnt = (uint32_t)number(name, value, 1, PKTGEN_ID_CNT_MAX);
		break;
	case OPT_RATE:
		send->config.gap_ns = NS_PER_S / number(name, value, 1, NS_PER_S);
		break;
	case OPT_COUNT:
		send->cnt = send->config.cnt = number(name, value, 1, UINT64_MAX);
		break;
	case OPT_SECONDS:
		send->seconds = args->sink.seconds = seconds(value);
		break;
	case OPT_BATCH:
		send->batch = (uint32_t)number(name, value, 1, BATCH_MAX);
		break;
	case OPT_GENERIC:
		args->sink.is_generic = true;
		break;
	case OPT_QUIET:
		args->sink.is_quiet = true;
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	default:
		refuse("that is no option");
	}
}

static void fill_size(struct args *args)
{
	size_t min = frame_payload_len_min(args->frame.kind);
	size_t max = frame_payload_len_max(args->frame.is_ipv6);

	if (!args->frame.payload_len)
		args->frame.payload_len = frame_payload_len(args->frame.kind);
	if (args->frame.payload_len < min || args->frame.payload_len > max)
		refuse("--size %zu: %s takes %zu to %zu bytes", args->frame.payload_len,
		       kind_names[args->frame.kind], min, max);
}

static void fill_sources(struct args *args)
{
	const char *from = args->from		 ? args->from
			   : args->frame.is_ipv6 ? "2001:2::"
						 : "198.18.0.0";
	bool is_ipv6;

	if (!parse_address(from, args->send.config.source, &is_ipv6) ||
	    is_ipv6 != args->frame.is_ipv6)
		refuse("--from %s: an address of the family of --to is wanted", from);
}

/* Ids of worker 0, the same in every run. */
static struct pktgen_id *make_ids(struct args *args)
{
	uint32_t cnt = args->send.config.id_cnt;
	struct pktgen_id *ids = calloc(cnt, sizeof(*ids));

	if (!ids)
		refuse("no memory for %u ids", cnt);
	args->keys.current_generation = (args->generation - 1) & 0xff;
	weft_cid_keys_rotate(&args->keys, args->key);
	for (uint32_t i = 0; i < cnt; i++) {
		uint8_t noise[WEFT_CID_RANDOM_LEN];

		memcpy(noise, &i, sizeof(i));
		memset(noise + sizeof(i), 0x5a, sizeof(noise) - sizeof(i));
		weft_cid_write(&args->keys, 0, noise, ids[i].bytes);
	}
	return ids;
}

/* The heads of flows, one for each port. */
static struct pktgen_id *read_heads(struct args *args)
{
	struct pktgen_config *config = &args->send.config;
	struct pktgen_id *heads = calloc(PKTGEN_ID_CNT_MAX, sizeof(*heads));
	FILE *file = fopen(args->heads, "rb");
	size_t cnt = heads && file ? fread(heads, sizeof(*heads), PKTGEN_ID_CNT_MAX, file) : 0;

	if (!cnt || cnt > PORT_CNT_MAX)
		refuse("--heads %s: 1 to %d times 16 bytes are wanted", args->heads, PORT_CNT_MAX);
	if (args->frame.kind != KIND_GIVEN || args->frame.payload_len < PKTGEN_ID_LEN)
		refuse("--heads: a --payload of 16 bytes and more is wanted");
	fclose(file);
	memset(args->payload, 0, PKTGEN_ID_LEN);
	config->id_cnt = config->port_cnt = (uint32_t)cnt;
	config->is_paired = true;
	return heads;
}

static int run_send(struct args *args)
{
	struct pktgen_id *ids = NULL;
	int code;

	if (!args->has_to || !args->has_mac)
		refuse("send: --to and --mac are wanted");
	if (args->frame.kind == KIND_SHORT_VALID && !args->has_key)
		refuse("--kind short-valid: --key is wanted");
	fill_size(args);
	fill_sources(args);
	if (args->frame.kind == KIND_SHORT_VALID)
		args->send.ids = ids = make_ids(args);
	else if (args->heads)
		args->send.ids = ids = read_heads(args);
	else
		args->send.config.id_cnt = 0;
	memcpy(args->frame.src_mac, (uint8_t[]){0x02, 0, 0, 0, 0, 0x99}, 6);
	frame_write(&args->frame, &args->send.frame, &args->send.config);
	if (args->heads)
		args->send.config.id_len = PKTGEN_ID_LEN;
	code = send_run(&args->send);
	free(ids);
	return code;
}

int main(int argc, char **argv)
{
	struct args args = {
		.frame = {.kind = KIND_JUNK, .dst_port = DEFAULT_PORT},
		.send = {.batch = DEFAULT_BATCH,
			 .config = {.source_cnt = 1,
				    .port_cnt = 1,
				    .source_port = DEFAULT_SOURCE_PORT,
				    .id_cnt = DEFAULT_ID_CNT}},
		.generation = 1,
	};
	const char *verb, *device;
	int which, at = 0;

	while ((which = getopt_long(argc, argv, "", options, &at)) != -1)
		take_option(&args, which, which == '?' ? "" : options[at].name, optarg);
	if (argc - optind != 2)
		refuse("a verb and a device are wanted: pktgen send veth0 ..., pktgen sink veth1");
	verb = argv[optind];
	device = argv[optind + 1];
	args.send.device = args.sink.device = device;
	args.send.ifindex = args.sink.ifindex = if_nametoindex(device);
	if (!args.send.ifindex)
		refuse("%s: %s", device, strerror(errno));
	stop_on_signals();
	if (strcmp(verb, "send") == 0)
		return run_send(&args);
	if (strcmp(verb, "sink") == 0)
		return sink_run(&args.sink);
	refuse("%s is no verb; they are send and sink", verb);
}

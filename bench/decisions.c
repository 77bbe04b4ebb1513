/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each decision of the XDP program costs by itself: BPF_PROG_TEST_RUN
 * of one frame again and again, less that of a program that only returns.
 * Caches are warm and the clock is the test's, so these are the least it can
 * be; `bench/filter` has traffic. An answer changes its frame and is run once
 * at a time, as is what it is compared with. Root, prints median of ROUNDS.
 * BARRIERS=1: as it is where the loader has no CAP_PERFMON.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/program.h"
#include "net/ingress/krpc_table_writer.h"
#include "support/barriers.h"
#include "weft/reason.h"

#define ROUNDS	15
#define REPEAT	200000
#define ANSWERS 2001
#define WALL_S	1700000000ull
#define NOW_NS	(1000 * 1000000000ull)
#define NOW_S	((uint32_t)(WALL_S + 1000))
#define PORT	7000
#define QUIC_V2 0x6b3343cf

enum kind { LONG, SHORT, DHT, REPLY, STRAY, QUESTION, RELAYED };

struct row {
	const char *step;
	enum weft_reason want;
	struct packet packet; /* source, local and payload are filled in */
	const char *source;   /* NULL: 192.0.2.1 */
	enum kind kind;
	struct payload_long spec;
	enum payload_id id;
	enum weft_mode mode;
	bool is_validated, is_limited, is_unlisted, is_answer;
	size_t len; /* of SHORT */
};

#define TOKEN(...)                                                                                 \
	.kind = LONG, .spec = {.dcid = PAYLOAD_ID_RETRY, .token = {WEFT_TOKEN_RETRY, __VA_ARGS__}}

static const struct row rows[] = {
	/* clang-format off */
	{ "1", WEFT_REASON_NOT_IP, .packet = { .ethertype = 0x0806 } },
	{ "1", WEFT_REASON_NOT_UDP, .packet = { .protocol = 6 } },
	{ "2", WEFT_REASON_OTHER_PORT, .is_unlisted = 1 },
	{ "2a", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[]){2, 0, 0, 0, 0, 9} } },
	{ "3", WEFT_REASON_BAD_LENGTH, .packet = { .ip_len_excess = 1 } },
	{ "3a", WEFT_REASON_BAD_SUM, .packet = { .is_ip_sum_wrong = 1 } },
	{ "4", WEFT_REASON_BAD_SOURCE, .source = "127.0.0.1" },
	{ "6", WEFT_REASON_NO_PROTOCOL, .kind = SHORT, .len = 20 },
	{ "7", WEFT_REASON_BAD_ID, .kind = SHORT, .len = 100 },
	{ "7a", WEFT_REASON_MAYBE_RESET, .kind = SHORT, .len = 50, .is_validated = 1 },
	{ "7b", WEFT_REASON_SESSION, .kind = SHORT, .len = 100, .id = PAYLOAD_ID_OURS, .is_validated = 1 },
	{ "7c", WEFT_REASON_NEW_PATH, .kind = SHORT, .len = 100, .id = PAYLOAD_ID_OURS },
	{ "7c", WEFT_REASON_REPLAYED_ID, .kind = SHORT, .len = 100, .id = PAYLOAD_ID_OURS, .is_limited = 1 },
	{ "8", WEFT_REASON_SMALL_VERSION, .spec = { .version = QUIC_V2, .len = 1199 } },
	{ "8", WEFT_REASON_ANSWER_LIMIT, .spec = { .version = QUIC_V2 }, .is_limited = 1 },
	{ "8", WEFT_REASON_VERSION_SENT, .spec = { .version = QUIC_V2 }, .is_answer = 1 },
	{ "9", WEFT_REASON_BAD_INITIAL, .spec = { .dcid_len = 7 } },
	{ "9a", WEFT_REASON_BAD_TOKEN, TOKEN(.issued_s = NOW_S - 1, .flip = 200) },
	{ "9a", WEFT_REASON_LATE_TOKEN, TOKEN(.issued_s = NOW_S - 1000) },
	{ "9a", WEFT_REASON_RETRIED, TOKEN(.issued_s = NOW_S - 1) },
	{ "9c", WEFT_REASON_INITIAL, .spec = { .len = 1200 } },
	{ "9d", WEFT_REASON_RETRY_SENT, .spec = { .len = 1200 }, .mode = WEFT_MODE_PRESSURED, .is_answer = 1 },
	{ "9d", WEFT_REASON_ANSWER_LIMIT, .spec = { .len = 1200 }, .mode = WEFT_MODE_PRESSURED, .is_limited = 1 },
	{ "11", WEFT_REASON_SMALL_INITIAL, .spec = { .len = 1199 } },
	{ "12", WEFT_REASON_KRPC_REPLY, .kind = REPLY },
	{ "12a", WEFT_REASON_KRPC, .kind = DHT },
	{ "12a", WEFT_REASON_KRPC_LIMIT, .kind = DHT, .is_limited = 1 },
	{ "12a", WEFT_REASON_KRPC_LIMIT, .kind = STRAY, .is_limited = 1 },
	{ "12b", WEFT_REASON_BAD_SUM, .kind = QUESTION, .packet = { .udp_sum = PACKET_SUM_WRONG } },
	{ "12b", WEFT_REASON_KRPC_SENT, .kind = QUESTION, .is_answer = 1 },
	{ "13", WEFT_REASON_RELAY_TAG, .kind = RELAYED, .is_limited = 1 },
	{ "13", WEFT_REASON_RELAYED, .kind = RELAYED },
	/* clang-format on */
};

static struct program program;
static struct payload_keys keys;

static const struct weft_krpc_reply_keys reply_keys = {.keys = {{1, 2}, {3, 4}}};

/* Lists of eight nodes, whatever is asked for. */
static void nodes_publish(void)
{
	static const uint8_t compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX] = {1};
	static const uint64_t token_key[2] = {7, 8};

	for (unsigned bucket = 0; bucket < WEFT_KRPC_BUCKET_CNT; bucket++)
		net_krpc_tables_set_nodes(&program.krpc, WEFT_KRPC_IPV4, bucket, compact,
					  WEFT_KRPC_NODE_CNT_MAX);
	net_krpc_tables_set_token_key(&program.krpc, token_key);
	net_krpc_tables_set_id(&program.krpc, WEFT_KRPC_IPV4,
			       (const uint8_t *)"an IPv4 id of 20 by.");
}

#define RELAY_FLOW  5
#define RELAY_SALT  0x1234
#define RELAY_GRANT 3
#define RELAY_INNER 184
#define RELAY_LEN   (WEFT_RELAY_LABEL_LEN + RELAY_INNER)
#define LOOPBACK    1 /* the device of a run */

static const struct weft_relay_keys relay_keys = {
	.slots = {{.key = {7, 99}, .generation = 0, .is_set = 1}}};

static struct weft_relay_label relay_label(void)
{
	struct weft_relay_label label;

	if (!weft_relay_label_make(&relay_keys, 0, weft_relay_place(0, 2, RELAY_FLOW, RELAY_SALT),
				   &label))
		label.head = label.tag = 0;
	return label;
}

/*
 * A flow whose second leg is the first one turned round, so what leaves is
 * what came, and can be run again. It has a grant, and rates that are never met.
 */
static void relay_set(const struct packet *packet)
{
	const struct weft_relay_rate rate = weft_relay_rate(100000000000ull, 1ull << 40);
	const struct weft_relay_link link = {.to = packet_device().mac,
					     .from = packet_device().mac ^ 3ull << 40,
					     .ifindex = LOOPBACK};
	const uint32_t device = LOOPBACK, only = 0;
	struct weft_relay_flow *flow = &program.relay.flows[RELAY_FLOW];

	*flow = (struct weft_relay_flow){
		.salt = RELAY_SALT,
		.state = WEFT_RELAY_OPEN,
		.mtu = 1250,
		.grant = RELAY_GRANT,
		.rate = rate,
		.legs = {{.remote = packet->source},
			 {.remote = packet->local,
			  .local = packet->source,
			  .label = relay_label(),
			  .link = link,
			  .heard_ns = NOW_NS}},
	};
	program.relay.grants[RELAY_GRANT] =
		(struct weft_relay_grant){.rate = rate, .volume_left = INT64_MAX};
	program_put(&program, "weft_relay_keys", &only, &relay_keys);
	program_put(&program, "weft_relay_devices", &device, &device);
}

static size_t relay_write(bool is_forged, uint8_t *payload)
{
	const struct weft_relay_label label = relay_label();

	memset(payload, 0x40, RELAY_LEN);
	memcpy(payload, &label, WEFT_RELAY_LABEL_LEN);
	payload[8] ^= is_forged;
	return RELAY_LEN;
}

static void state_set(const struct row *row, const struct packet *packet)
{
	/* Credit without end, or none. */
	const struct weft_bucket_rate rate = {row->is_limited ? 2 : 0, 1};
	struct weft_config config = {.wall_offset_ns = WALL_S * 1000000000,
				     .mode = row->mode,
				     .salt = {1, 2, 3},
				     .validated = {0, 1},
				     .samples = {10000000, 100000000},
				     .token_life_ns = 60000000000};
	const struct weft_session entry = {.expires_ns = UINT64_MAX};
	const struct weft_device device = packet_device();
	struct weft_locals locals = {0};
	const uint32_t only = 0;

	for (unsigned i = 0; i < WEFT_TOTAL_CNT; i++)
		config.totals[i] = (struct weft_bucket_rate){0, 1};
	for (unsigned i = 0; i < WEFT_ANSWERS_CNT; i++)
		config.answers[i] = rate;
	for (unsigned i = 0; i < WEFT_CLASS_ALL_CNT; i++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[i][level] = rate;
	if (!row->is_unlisted)
		weft_locals_put(&locals, &packet->local);
	program_clear(&program);
	program_set_now(&program, NOW_NS);
	program_put(&program, "weft_config", &only, &config);
	program_put(&program, "weft_locals", &only, &locals);
	program_put(&program, "weft_device", &only, &device);
	net_krpc_tables_set_reply_keys(&program.krpc, &reply_keys);
	nodes_publish();
	program_put(&program, "weft_cid_keys", &only, &keys.cid);
	program_put(&program, "weft_token_keys", &only, &keys.token);
	if (row->kind == RELAYED)
		relay_set(packet);
	if (row->is_validated)
		program_put(&program, "weft_sessions", &packet->source, &entry);
}

/* What is no question in its usual form, a reply that was asked for or not, and a get_peers. */
static size_t krpc_write(const struct row *row, const struct packet *packet, uint8_t *payload)
{
	static const uint8_t hash[WEFT_KRPC_ID_LEN] = "0123456789abcdefghi";
	const struct payload_krpc question = {
		.kind = WEFT_KRPC_GET_PEERS, .target = hash, .is_read_only = true};
	struct payload_krpc_reply reply = {
		.transaction = weft_krpc_transaction(reply_keys.keys[0], &packet->source, 1)};

	if (row->kind == QUESTION)
		return payload_write_krpc(&question, payload);
	if (row->kind == DHT)
		return (size_t)snprintf((char *)payload, PAYLOAD_LEN_MAX,
					"d1:ad2:id20:abcdefghij01234567899:");
	reply.transaction ^= row->kind == STRAY;
	return payload_write_krpc_reply(&reply, payload);
}

static size_t frame_write(const struct row *row, struct packet *packet, uint8_t *frame)
{
	static uint8_t payload[PAYLOAD_LEN_MAX];
	struct payload_long spec = row->spec;

	*packet = row->packet;
	packet->source = packet_endpoint(row->source ? row->source : "192.0.2.1", 4242);
	packet->local = packet_endpoint("10.0.0.1", PORT);
	packet->payload = payload;
	spec.token.client = packet->source;
	if (row->kind == LONG)
		packet->payload_len = payload_write_long(&keys, &spec, payload);
	else if (row->kind == SHORT)
		packet->payload_len = payload_write_short(&keys, row->id, row->len, payload);
	else if (row->kind == RELAYED)
		packet->payload_len = relay_write(row->is_limited, payload);
	else
		packet->payload_len = krpc_write(row, packet, payload);
	return packet_write(packet, frame);
}

/* ns of one run, by the kernel's clock. */
static double run_ns(int fd, const uint8_t *frame, size_t len, int repeat)
{
	uint8_t out[2048];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &opts) < 0) {
		perror("decisions: BPF_PROG_TEST_RUN");
		exit(1);
	}
	return opts.duration;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Medians of both and what is between them; interleaved, for the machine is not alone. */
static double above_ns(int fd, int base_fd, const struct row *row, const uint8_t *frame, size_t len)
{
	static double ours[ANSWERS], base[ANSWERS];
	unsigned cnt = row->is_answer ? ANSWERS : ROUNDS;
	int repeat = row->is_answer ? 1 : REPEAT;

	for (unsigned i = 0; i < cnt; i++) {
		ours[i] = run_ns(fd, frame, len, repeat);
		base[i] = run_ns(base_fd, frame, len, repeat);
	}
	qsort(ours, cnt, sizeof(ours[0]), by_value);
	qsort(base, cnt, sizeof(base[0]), by_value);
	return ours[cnt / 2] - base[cnt / 2];
}

/* r0 = XDP_DROP; exit */
static int base_load(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "bare_drop", "GPL", insns, 2, NULL);
}

int main(void)
{
	const char *why;
	int base_fd;

	if (getenv("BARRIERS"))
		barriers_ask_for();
	why = program_open(&program, 65536);
	base_fd = base_load();
	if (why || base_fd < 0) {
		fprintf(stderr, "decisions: %s\n", why ? why : "no BPF program can be loaded");
		return 1;
	}
	payload_keys_init(&keys, NOW_S);
	printf("ns above a bare XDP_DROP, warm; step of docs/fast-path.md, reason:\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint8_t frame[PACKET_LEN_MAX];
		struct packet packet;
		size_t len = frame_write(row, &packet, frame);
		double ns;

		state_set(row, &packet);
		ns = above_ns(program.fd, base_fd, row, frame, len);
		if (!program_count(&program, row->want)) {
			fprintf(stderr, "decisions: step %s did not end in %s\n", row->step,
				weft_reason_word(row->want));
			return 1;
		}
		printf("  %-3s %-15s %6.0f\n", row->step, weft_reason_word(row->want), ns);
	}
	program_close(&program);
	return 0;
}

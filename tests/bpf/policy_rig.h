/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_POLICY_RIG_H
#define WEFT_TESTS_POLICY_RIG_H

#include <linux/bpf.h>

#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "weft/frame.h"

/* Frames and the state that they meet, as a row describes both; program and native build judge each. */

#define NOW_NS	  (1000 * 1000000000ull)
#define NOW_S	  ((uint32_t)(PARITY_RIG_WALL_S + 1000))
#define PORT	  7000
#define PEER_PORT 4242

static struct parity_rig rig;
static struct payload_keys keys;
static struct weft_endpoint v4, v6, local_v4, local_v6;

enum kind { LONG, SHORT, BYTES };

struct row {
	const char *name;
	enum weft_reason want;
	/* The frame. */
	struct packet packet; /* source, local and payload are filled in */
	bool is_ipv6;
	bool is_from_local; /* the source has the address of local */
	enum kind kind;
	struct payload_long spec; /* LONG */
	enum payload_id id;	  /* SHORT */
	const char *bytes;	  /* BYTES: the first of them */
	size_t bytes_len, len;	  /* and of SHORT: the datagram's length */
	/* What it meets. */
	enum weft_mode mode;
	bool is_validated;
	bool was_validated; /* and that has expired */
	bool has_retried;   /* it showed a Retry's token */
	bool is_limited;    /* unvalidated sources have no credit, nor does this proven address */
	bool no_answers;    /* no answer to any source has any */
	bool is_unlisted;   /* no address is ours */
	bool is_loopback;   /* the device */
};

#define INITIAL(...)  .kind = LONG, .spec = {__VA_ARGS__}
#define STUN	      "\0\1\0\0\x21\x12\xa4\x42"
#define KRPC	      "d1:ad2:id20:"
#define OTHER_VERSION 0x6b3343cf /* QUIC v2 */

static inline void policy_open(void)
{
	const char *why = parity_rig_open(&rig);

	v4 = packet_endpoint("192.0.2.1", PEER_PORT);
	v6 = packet_endpoint("2001:db8:1:2::3", PEER_PORT);
	local_v4 = packet_endpoint("10.0.0.1", PORT);
	local_v6 = packet_endpoint("2001:db8::1", PORT);
	payload_keys_init(&keys, NOW_S);
	if (why)
		printf("# the native program alone: %s\n", why);
}

static inline void set_state(const struct row *row, const struct weft_endpoint *source)
{
	static const struct weft_bucket_rate never = {.cost_ns = 2, .credit_max_ns = 1};
	struct weft_device device = packet_device();
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};

	if (row->is_loopback)
		device = (struct weft_device){.is_loopback = 1};
	config.mode = row->mode;
	for (unsigned class = 0; row->is_limited && class < WEFT_CLASS_ALL_CNT; class ++)
		config.rates[class][0] = never;
	if (row->is_limited)
		config.validated = never;
	if (row->no_answers)
		config.answers[WEFT_ANSWERS_RETRY] = config.answers[WEFT_ANSWERS_VERSION] =
			config.totals[WEFT_TOTAL_KRPC] = config.totals[WEFT_TOTAL_KRPC_BYTES] =
				never;
	if (!row->is_unlisted) {
		weft_locals_put(&locals, &local_v4);
		weft_locals_put(&locals, &local_v6);
	}
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_device(&rig, &device);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_cid_keys(&rig, &keys.cid);
	parity_rig_set_token_keys(&rig, &keys.token);
	parity_rig_set_now(&rig, NOW_NS);
	if (row->is_validated || row->was_validated)
		parity_rig_put_session(&rig, source, row->is_validated ? NOW_NS + 1 : NOW_NS);
	if (row->has_retried)
		parity_rig_prove(&rig, source);
}

static inline size_t write_frame(const struct row *row, struct packet *packet, uint8_t *frame)
{
	static uint8_t payload[PAYLOAD_LEN_MAX];

	*packet = row->packet;
	packet->source = row->is_ipv6 ? v6 : v4;
	packet->local = row->is_ipv6 ? local_v6 : local_v4;
	if (row->is_from_local) {
		packet->source = packet->local;
		packet->source.port_be ^= 1;
	}
	packet->payload = payload;
	packet->payload_len = row->len;
	if (row->kind == LONG)
		packet->payload_len = payload_write_long(&keys, &row->spec, payload);
	else if (row->kind == SHORT)
		packet->payload_len = payload_write_short(&keys, row->id, row->len, payload);
	else {
		memset(payload, 0, sizeof(payload));
		memcpy(payload, row->bytes, row->bytes_len);
	}
	return packet_write(packet, frame);
}

#endif

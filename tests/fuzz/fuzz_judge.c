/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy over a whole frame, as a device has it: byte 0 chooses the
 * mode and the state of the source, the frame follows. An admitted frame
 * must be for this node. An answered frame must be larger than the answer,
 * or a DHT query of at least a fifth of it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/memory/arena.h"
#include "net/ingress/krpc_table_writer.h"
#include "net/ingress/ingress_policy.h"
#include "weft/relay_headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Both networks' ids and buckets live, of eight nodes each. */
static void publish(struct weft_krpc_tables *krpc)
{
	static struct weft_krpc_self selves[WEFT_KRPC_FAMILY_CNT];
	static struct weft_krpc_bucket buckets[WEFT_KRPC_BUCKETS_CNT];
	static __u64 held[WEFT_KRPC_HELD_WORD_CNT];
	static struct weft_krpc_reply_keys reply_keys = {.keys = {{1, 2}, {3, 4}}};
	static const uint8_t compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX];
	static const uint8_t id[WEFT_KRPC_ID_LEN];
	const uint64_t key[2] = {1, 2};

	*krpc = (struct weft_krpc_tables){selves, buckets, held, &reply_keys};
	for (unsigned i = 0; i < WEFT_KRPC_BUCKETS_CNT; i++)
		net_krpc_tables_set_nodes(krpc, i / WEFT_KRPC_BUCKET_CNT, i % WEFT_KRPC_BUCKET_CNT,
					  compact, WEFT_KRPC_NODE_CNT_MAX);
	net_krpc_tables_set_token_key(krpc, key);
	net_krpc_tables_set_id(krpc, WEFT_KRPC_IPV4, id);
	net_krpc_tables_set_id(krpc, WEFT_KRPC_IPV6, id);
}

static size_t answer_len(const struct weft_tables *tables, const struct weft_endpoint *asker)
{
	const struct weft_krpc_query *query = &tables->krpc_query;
	const struct weft_krpc_self *near = &tables->krpc.selves[query->family];
	unsigned bucket = weft_krpc_bucket(weft_krpc_live_id(near), &query->target);
	struct weft_krpc_draft draft;

	weft_krpc_answer_write(
		query, asker, weft_krpc_live_id(&tables->krpc.selves[weft_krpc_family_of(asker)]),
		weft_krpc_has_nodes(query)
			? weft_krpc_live_nodes(&tables->krpc.buckets[weft_krpc_bucket_idx(
				  query->family, bucket)])
			: NULL,
		0, &draft);
	return draft.len;
}

/* One flow, index 0 of hour 0, between two peers; any label under a zero key finds it. */
static void open_flow(struct weft_relay_tables *relay)
{
	static struct weft_relay_keys keys = {.slots = {{.is_set = 1}}};
	static struct weft_relay_flow flow = {.state = WEFT_RELAY_OPEN, .grant = 1, .mtu = 1300};
	static struct weft_relay_grant grants[WEFT_RELAY_GRANT_CNT];
	const uint8_t first[4] = {198, 51, 100, 7}, second[16] = {0x20, 1, 0xd, 0xb8};

	weft_endpoint_set_ipv4(&flow.legs[0].remote, first);
	weft_endpoint_set_ipv6(&flow.legs[1].remote, second);
	flow.legs[0].remote.port_be = flow.legs[1].remote.port_be = htons(7);
	flow.legs[1].link.ifindex = 1;
	grants[1].volume_left = INT64_MAX;
	*relay = (struct weft_relay_tables){&keys, &flow, grants, 1};
}

static struct weft_tables *tables_new(void)
{
	static struct weft_tables tables;
	static struct arena arena;
	const struct demux_tables_params params = {.ban_cap = 4, .session_cap = 16};
	const uint8_t ipv4[4] = {10, 0, 0, 1};
	struct weft_endpoint local = {.port_be = htons(7000)};
	const __u64 key[2] = {1, 2};

	if (arena.start)
		return &tables;
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(&tables, &arena, &params) < 0)
		abort();
	weft_endpoint_set_ipv4(&local, ipv4);
	if (!weft_locals_put(&tables.locals, &local))
		abort();
	weft_cid_keys_rotate(&tables.cid_keys, key);
	for (uint32_t day = 0; day < WEFT_TOKEN_KEY_CNT; day++)
		weft_token_keys_set(&tables.token_keys, day, key);
	publish(&tables.krpc);
	open_flow(&tables.relay);
	tables.relay_ifindex = 1;
	tables.relay_devices = 2;
	tables.config.token_life_ns = 1;
	tables.now_ns = 1;
	return &tables;
}

/* What a forwarded frame is made into is one for the other leg, and no longer than 20 bytes more. */
static void check_draft(const struct weft_frame *frame, struct weft_relay_way *way)
{
	uint8_t draft[WEFT_RELAY_DRAFT_LEN];
	size_t begin = weft_relay_draft(frame, way, weft_relay_patched_sum(frame, way), draft);
	struct weft_view view = {draft + begin, draft + sizeof(draft)};
	struct weft_frame made;
	enum weft_reason reason;

	if (begin > sizeof(draft) || !weft_frame_parse(&view, &made, &reason) ||
	    !made.is_header_good || !weft_endpoint_equal(&made.local, &way->out.remote) ||
	    made.payload_len != frame->payload_len || made.ecn != frame->ecn ||
	    made.said_len > frame->said_len + WEFT_IPV6_LEN - WEFT_IPV4_LEN + 8)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_tables *tables = tables_new();
	struct weft_facts facts = {.now_ns = 0};
	struct weft_view view, payload;
	struct weft_frame frame;
	enum weft_reason reason;

	if (len < 1)
		return 0;
	view = payload = (struct weft_view){data + 1, data + len};
	tables->config.mode = data[0] % WEFT_MODE_CNT;
	tables->now_ns += 1000000;
	tables->frame_len = (uint32_t)(len - 1);
	if (weft_frame_parse(&payload, &frame, &reason))
		tables->payload = payload.data;
	tables->relay_frame = &frame;
	reason = weft_policy_judge_frame(tables, &view, &frame, &facts);
	if (reason >= WEFT_REASON_CNT)
		abort();
	if (weft_verdict(reason) >= WEFT_DELIVER &&
	    (view.data + facts.len > view.end || facts.len < WEFT_CLASSIFY_LEN))
		abort();
	if (weft_verdict(reason) == WEFT_ANSWER_KRPC) {
		if (answer_len(tables, &facts.source) > (size_t)WEFT_KRPC_GAIN_MAX * facts.len)
			abort();
	} else if (weft_verdict(reason) == WEFT_ANSWER_STUN) {
		if (facts.len != WEFT_STUN_LEN_MIN || !weft_stun_is_plain(view.data))
			abort();
	} else if (weft_verdict(reason) == WEFT_ANSWER_RELAY) {
		if (facts.len < WEFT_RELAY_LEN_MIN)
			abort();
	} else if (weft_verdict(reason) == WEFT_FORWARD) {
		check_draft(&frame, &tables->relay_way);
	} else if (weft_verdict(reason) > WEFT_DELIVER && facts.len < WEFT_INITIAL_LEN_MIN) {
		abort();
	}
	if (weft_verdict(reason) == WEFT_ANSWER_RETRY &&
	    (facts.dcid.len < WEFT_TOKEN_ID_MIN || facts.dcid.len > WEFT_ID_LEN_MAX ||
	     facts.scid.len > WEFT_ID_LEN_MAX))
		abort();
	return 0;
}

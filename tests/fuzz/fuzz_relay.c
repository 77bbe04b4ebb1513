/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relayed datagram by a socket, over flows of whose rows bytes of the
 * input are a part. A forwarded one has a right tag, came from its leg,
 * fits the flow and is paid for. Whatever else happens, no credit is made
 * out of nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "net/ingress/ingress_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FLOW_CNT 4

static struct weft_relay_keys keys;
static struct weft_relay_flow flows[FLOW_CNT];
static struct weft_relay_grant grants[WEFT_RELAY_GRANT_CNT];

static struct weft_tables *tables_new(void)
{
	static struct weft_tables tables;
	static struct arena arena;
	const struct demux_tables_params params = {.ban_cap = 4, .session_cap = 16};

	if (arena.start)
		return &tables;
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(&tables, &arena, &params) < 0)
		abort();
	tables.relay = (struct weft_relay_tables){&keys, flows, grants, FLOW_CNT};
	keys.slots[1] = (struct weft_siphash_key){.key = {1, 2}, .generation = 1, .is_set = 1};
	return &tables;
}

/* Byte 0: state, sender, what is left; byte 1: salt; byte 2: MTU. */
static void flows_set(const uint8_t *head, struct weft_endpoint ends[2])
{
	for (unsigned leg = 0; leg < 2; leg++)
		ends[leg] = (struct weft_endpoint){.addr = {0x20, 1, (uint8_t)leg}, .port_be = 7};
	for (unsigned i = 0; i < FLOW_CNT; i++) {
		flows[i] = (struct weft_relay_flow){
			.version = head[0] >> 7,
			.state = head[0] & 1,
			.salt = head[1],
			.mtu = (__u16)(head[2] * 8),
			.grant = head[0] >> 1 & 1,
			.rate = weft_relay_rate(head[0] & 4 ? 1000 : 0, 3000),
			.legs = {{.remote = ends[0]}, {.remote = ends[1]}},
		};
		if (head[0] & 8)
			flows[i].legs[1].remote.port_be = 0;
	}
	grants[1].volume_left = head[2] * 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_tables *tables = tables_new();
	struct weft_endpoint ends[2], third = {.addr = {0x20, 2}, .port_be = 7};
	struct weft_facts facts = {.now_ns = 1000000000000ull};
	struct weft_view view;
	struct weft_relay_label *label = &tables->relay_way.label;
	__s64 left;
	enum weft_reason reason;
	uint8_t payload[4096] = {0};

	if (len < 3 + WEFT_CLASSIFY_LEN || len - 3 > sizeof(payload))
		return 0;
	flows_set(data, ends);
	facts.source = data[0] & 32 ? third : ends[data[0] >> 4 & 1];
	facts.len = (__u32)(len - 3);
	memcpy(payload, data + 3, len - 3);
	/* Half of all inputs have a right tag: no fuzzer finds one. */
	if (data[0] & 64 && facts.len >= WEFT_RELAY_LABEL_LEN) {
		uint64_t tag = weft_siphash_word(
			keys.slots[1].key,
			weft_relay_head_of_kind(weft_load_le64(payload), WEFT_RELAY_TO_RELAY));

		memcpy(payload + 8, &tag, sizeof(tag));
	}
	left = grants[1].volume_left;
	view = (struct weft_view){payload, payload + facts.len};
	tables->now_ns = facts.now_ns;
	tables->payload = payload;
	reason = weft_policy_judge(tables, &view, &facts);
	if (reason >= WEFT_REASON_CNT || grants[1].volume_left > left || grants[1].volume_left < 0)
		abort();
	if (reason == WEFT_REASON_RELAYED) {
		const struct weft_relay_flow *flow = &flows[weft_relay_index(label->head)];
		unsigned leg = weft_relay_leg(label->head);

		if (!weft_relay_is_ours(&keys, label) || flow->state != WEFT_RELAY_OPEN ||
		    !weft_endpoint_equal(&facts.source, &flow->legs[leg].remote) ||
		    facts.len - WEFT_RELAY_LABEL_LEN > flow->mtu || flow->packets[leg] != 1 ||
		    (flow->grant && left - grants[1].volume_left != (__s64)flow->bytes[leg]))
			abort();
	} else if (grants[1].volume_left != left) {
		abort();
	}
	return 0;
}

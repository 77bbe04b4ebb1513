/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy over a whole frame, as a device has it: byte 0 chooses mode
 * and what is known of the source, the frame follows. What leaves alive
 * must be for us, and whatever is answered must be larger than the answer.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/arena.h"
#include "demux/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct weft_tables *tables_new(void)
{
	static struct weft_tables tables;
	static struct arena arena;
	const struct demux_tables_params params = {.ban_cap = 4, .validated_cap = 16};
	const uint8_t ipv4[4] = {10, 0, 0, 1};
	struct weft_endpoint local = {.port_be = htons(7000)};
	const __u64 key[2] = {1, 2};

	if (arena.start)
		return &tables;
	if (arena_open(&arena, demux_tables_footprint(&params)) < 0 ||
	    demux_tables_init(&tables, &arena, &params) < 0)
		abort();
	weft_endpoint_set_ipv4(&local, ipv4);
	if (!weft_locals_put(&tables.locals, &local))
		abort();
	weft_cid_keys_rotate(&tables.cid_keys, key);
	for (uint32_t day = 0; day < WEFT_TOKEN_KEY_CNT; day++)
		weft_token_keys_set(&tables.token_keys, day, key);
	tables.config.token_life_ns = 1;
	tables.now_ns = 1;
	return &tables;
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
	reason = weft_policy_judge_frame(tables, &view, &frame, &facts);
	if (reason >= WEFT_REASON_CNT)
		abort();
	if (weft_verdict(reason) >= WEFT_DELIVER &&
	    (view.data + facts.len > view.end || facts.len < WEFT_CLASSIFY_LEN))
		abort();
	if (weft_verdict(reason) > WEFT_DELIVER && facts.len < WEFT_INITIAL_LEN_MIN)
		abort();
	if (weft_verdict(reason) == WEFT_ANSWER_RETRY &&
	    (facts.dcid.len < WEFT_TOKEN_ID_MIN || facts.dcid.len > WEFT_ID_LEN_MAX ||
	     facts.scid.len > WEFT_ID_LEN_MAX))
		abort();
	return 0;
}

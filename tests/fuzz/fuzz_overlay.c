/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of 100, 101 and 200 to 202, and a value's record on the disk. */
#include <string.h>

#include "base/assert.h"
#include "overlay/overlay_persist.h"
#include "overlay/overlay_message.h"
#include "mesh/peers/pex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t bytes[OVERLAY_VALUES_LEN_MAX];

static void check_find(const uint8_t *data, size_t len, size_t target_len)
{
	struct overlay_find find, again;
	struct writer w = writer_of(bytes, OVERLAY_FIND_LEN_MAX);

	if (overlay_find_parse(data, len, target_len, &find) < 0)
		return;
	overlay_find_write(&w, &find, target_len);
	weft_assert(!w.bad);
	weft_assert(overlay_find_parse(bytes, writer_len(&w), target_len, &again) == 0);
	weft_assert(memcmp(find.target, again.target, target_len) == 0);
	weft_assert(find.is_serving == again.is_serving && !find.after == !again.after);
}

static void check_store(const uint8_t *data, size_t len)
{
	struct overlay_store store, again;
	struct writer w = writer_of(bytes, OVERLAY_STORE_LEN_MAX);

	if (overlay_store_parse(data, len, &store) < 0)
		return;
	overlay_store_write(&w, &store);
	weft_assert(!w.bad);
	weft_assert(overlay_store_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(store.value_len == again.value_len && store.ttl_s == again.ttl_s);
	weft_assert(memcmp(store.value, again.value, store.value_len) == 0);
}

static void check_stored(uint64_t stored_s)
{
	struct writer w = writer_of(bytes, OVERLAY_STORED_LEN_MAX);
	uint64_t again_s;

	overlay_stored_write(&w, stored_s);
	weft_assert(overlay_stored_parse(bytes, writer_len(&w), &again_s) == 0);
	weft_assert(stored_s == again_s);
}

static void check_found(const uint8_t *data, size_t len)
{
	static struct overlay_found found, again;
	struct writer w = writer_of(bytes, OVERLAY_VALUES_LEN_MAX);

	if (overlay_found_parse(data, len, &found) < 0)
		return;
	overlay_found_write(&w, &found, found.value_cnt || found.next);
	weft_assert(!w.bad);
	weft_assert(overlay_found_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(found.node_cnt == again.node_cnt && found.value_cnt == again.value_cnt);
	weft_assert(!found.next == !again.next);
}

static void check_offer(const uint8_t *data, size_t len)
{
	static struct mesh_pex_node nodes[MESH_PEX_OFFER_MAX], again[MESH_PEX_OFFER_MAX];
	struct writer w = writer_of(bytes, MESH_PEX_OFFER_LEN_MAX);
	int cnt = mesh_pex_offer_parse(data, len, nodes);

	if (cnt < 0)
		return;
	mesh_pex_offer_write(&w, nodes, (unsigned)cnt);
	weft_assert(!w.bad);
	weft_assert(mesh_pex_offer_parse(bytes, writer_len(&w), again) == cnt);
	for (int i = 0; i < cnt; i++)
		weft_assert(nodes[i].caps == again[i].caps && nodes[i].age_s == again[i].age_s &&
			    nodes[i].addr_cnt == again[i].addr_cnt);
}

/* What is left after the key, as the database gives it. */
static void check_record(const uint8_t *data, size_t len)
{
	const size_t key_len = OVERLAY_KEY_LEN + 1 + OVERLAY_WRITER_LEN;
	struct overlay_record record;

	if (len < key_len ||
	    overlay_record_parse(data, key_len, data + key_len, len - key_len, &record) < 0)
		return;
	weft_assert(record.value + record.value_len == data + len);
	weft_assert(record.value[0] == record.tag);
}

/* What is accepted is written as something that parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t stored_s;
	unsigned wanted_cnt;

	check_find(data, len, KAD_ID_LEN);
	check_find(data, len, OVERLAY_KEY_LEN);
	check_store(data, len);
	check_found(data, len);
	check_offer(data, len);
	check_record(data, len);
	if (overlay_stored_parse(data, len, &stored_s) == 0)
		check_stored(stored_s);
	if (mesh_pex_request_parse(data, len, &wanted_cnt) == 0)
		weft_assert(wanted_cnt >= 1 && wanted_cnt <= MESH_PEX_OFFER_MAX);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Values on the disk: what is written, what is answered when, what comes back. */
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "crypto/sha256.h"
#include "overlay/overlay_persist.h"
#include "store/store.h"
#include "support/check.h"
#include "support/overlay_lab.h"
#include "support/scratch.h"

static struct overlay_lab lab;
static struct overlay_lab_node *server, *asker;
static struct overlay_lab_result result;
static char dir[SCRATCH_CAP];
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static struct store *store_make(void)
{
	struct store_config config;
	struct store *store;

	store_config_defaults(&config);
	config.dir = dir;
	config.is_inline = true;
	if (store_open(&config, &store) < 0)
		abort();
	return store;
}

static void begin(void)
{
	scratch_make(dir);
	overlay_lab_init(&lab, 9, 8, &calm);
	server = overlay_lab_add(&lab);
	server->store = store_make();
	overlay_lab_start(server, NULL);
	asker = overlay_lab_add(&lab);
	asker->config.serve = OVERLAY_SERVE_OFF;
	overlay_lab_start(asker, server);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
}

static void end(void)
{
	overlay_lab_stop(server);
	store_close(server->store);
	overlay_lab_fini(&lab);
	scratch_remove(dir);
}

static struct overlay_lab_value value_of(uint8_t writer, uint64_t seq)
{
	return (struct overlay_lab_value){.writer = writer,
					  .seq = seq,
					  .created_s = mesh_lab_wall_s(&lab.mesh),
					  .expires_s = mesh_lab_wall_s(&lab.mesh) + 3600};
}

/* Puts, with the store's thread played until the put has ended. */
static bool put(const char *name, const struct overlay_lab_value *value)
{
	if (overlay_lab_begin_put(asker, name, value, &result) < 0)
		return false;
	for (unsigned i = 0; i < 1000 && !result.is_done; i++) {
		(void)overlay_lab_run(&lab, 10 * NS_PER_MS, NULL, NULL);
		(void)store_reap(server->store);
	}
	return result.is_done;
}

static void restart(bool is_crash)
{
	if (is_crash)
		store_freeze(server->store); /* what is under way is never written */
	overlay_lab_stop(server);
	if (is_crash)
		store_crash(server->store);
	else
		store_close(server->store);
	server->store = store_make();
	overlay_lab_start(server, NULL);
	(void)overlay_lab_run(&lab, 10 * NS_PER_S, NULL, NULL);
}

static void test_store_is_answered_when_it_is_durable(void)
{
	struct overlay_lab_value value;
	struct store_stats stats;

	begin();
	value = value_of(1, 1);
	CHECK_EQ(overlay_lab_begin_put(asker, "lab:a", &value, &result), 0);
	(void)overlay_lab_run(&lab, 2 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 1);
	CHECK(!result.is_done); /* no node has written it yet */
	(void)store_reap(server->store);
	server->mesh->due_ns = 0; /* as its loop would turn it */
	(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	CHECK(result.is_done);
	CHECK_EQ(result.result.stored_cnt, 1);
	store_stats(server->store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_OVERLAY], 1);
	end();
}

static void test_acknowledged_survives_a_crash(void)
{
	struct overlay_lab_value value;

	begin();
	for (uint8_t i = 1; i <= 2; i++) {
		value = value_of(i, i);
		CHECK(put("lab:a", &value));
		CHECK_EQ(result.result.stored_cnt, 1);
	}
	value = value_of(1, 7); /* another of the first writer */
	CHECK(put("lab:a", &value));
	value = value_of(9, 9); /* not acknowledged */
	CHECK_EQ(overlay_lab_begin_put(asker, "lab:b", &value, &result), 0);
	(void)overlay_lab_run(&lab, 2 * NS_PER_S, NULL, NULL);
	CHECK(!result.is_done);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 3);
	asker->seam.ops->cancel(result.run);
	restart(true);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 2);
	CHECK_EQ(overlay_lab_get(&lab, asker, "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 2);
	CHECK_EQ(result.claims[0].seq, 7);
	CHECK_EQ(result.claims[1].seq, 2);
	end();
}

static void test_what_has_expired_is_not_read_back(void)
{
	struct overlay_lab_value value;
	struct store_stats stats;

	begin();
	value = value_of(1, 1);
	value.expires_s = mesh_lab_wall_s(&lab.mesh) + 60;
	CHECK(put("lab:a", &value));
	value = value_of(2, 1);
	CHECK(put("lab:a", &value));
	(void)overlay_lab_run(&lab, 61 * NS_PER_S, NULL, NULL);
	store_flush(server->store);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 1);
	store_stats(server->store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_OVERLAY], 1); /* it left the disk with the memory */
	overlay_lab_stop(server);
	lab.mesh.now_ns += 3600 * NS_PER_S;
	net_mem_net_advance(lab.mesh.mem, lab.mesh.now_ns);
	overlay_lab_start(server, NULL);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 0);
	(void)overlay_lab_run(&lab, NS_PER_S, NULL, NULL);
	store_flush(server->store);
	store_stats(server->store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_OVERLAY], 0);
	end();
}

/* Rewrites the one record there is with one byte changed, counted from its end. */
static void damage(size_t at_from_end)
{
	struct store_batch *batch = store_batch_new(server->store);
	struct store_iter iter = store_iter_fresh(server->store, STORE_OVERLAY, STORE_ALL);
	struct store_item item;
	uint8_t bytes[1024];

	while (store_iter_next(&iter, &item)) {
		memcpy(bytes, item.value, item.value_len);
		bytes[item.value_len - at_from_end] ^= 1;
		store_batch_put(batch, STORE_OVERLAY, store_key(item.key, item.key_len), bytes,
				item.value_len);
	}
	CHECK_EQ(store_iter_end(&iter), 0);
	CHECK_EQ(store_submit(server->store, batch, NULL, NULL), 0);
	store_flush(server->store);
}

static void test_damaged_value_is_not_returned(void)
{
	struct overlay_lab_value value;

	begin();
	value = value_of(1, 1);
	CHECK(put("lab:a", &value));
	damage(1);
	restart(false);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 1);
	CHECK_EQ(overlay_lab_get(&lab, asker, "lab:a", &result), 0);
	CHECK_EQ(result.value_cnt, 0);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_STORED_DAMAGED), 1);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 0);
	end();
}

/* A batch that cannot be written is reported to its waiters, and the value can be stored again. */
static void test_failed_disk_is_no_acknowledgement(void)
{
	struct overlay_lab_value value;

	begin();
	store_freeze(server->store);
	value = value_of(1, 1);
	CHECK(put("lab:a", &value));
	CHECK_EQ(result.result.stored_cnt, 0);
	CHECK_EQ(result.result.refused_cnt, 1);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_NOT_STORED), 1);
	end();
}

static void test_record_cut_anywhere_is_malformed(void)
{
	uint8_t key[65], bytes[256];
	struct overlay_record record;
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t head_len;

	memset(key, 7, sizeof(key));
	writer_u8(&w, 1);
	for (unsigned i = 1; i <= 4; i++)
		writer_be64(&w, i);
	writer_u8(&w, ADDR_IPV4);
	memset(writer_reserve(&w, 16), 0, 16);
	writer_be16(&w, 7000);
	writer_be16(&w, 5);
	writer_bytes(&w, "lab:a", 5);
	head_len = writer_len(&w);
	writer_bytes(&w, "\x07value", 6);
	CHECK_EQ(overlay_record_parse(key, 65, bytes, writer_len(&w), &record), 0);
	CHECK_EQ(record.until_s, 1);
	CHECK_EQ(record.claim.seq, 2);
	CHECK_EQ(record.claim.created_s, 3);
	CHECK_EQ(record.claim.expires_s, 4);
	CHECK_EQ(record.source.port, 7000);
	CHECK_EQ(record.value_len, 6);
	for (size_t len = 0; len <= head_len; len++)
		CHECK_EQ(overlay_record_parse(key, 65, bytes, len, &record), WEFT_EMALFORMED);
	CHECK_EQ(overlay_record_parse(key, 64, bytes, writer_len(&w), &record), WEFT_EMALFORMED);
	key[32] = 8; /* under another tag than the value's */
	CHECK_EQ(overlay_record_parse(key, 65, bytes, writer_len(&w), &record), WEFT_EMALFORMED);
	key[32] = 7;
	bytes[33] = 5; /* no family */
	CHECK_EQ(overlay_record_parse(key, 65, bytes, writer_len(&w), &record), WEFT_EMALFORMED);
	bytes[33] = ADDR_IPV4;
	bytes[0] = 2;
	CHECK_EQ(overlay_record_parse(key, 65, bytes, writer_len(&w), &record), WEFT_ENEWER);
}

int main(void)
{
	RUN(test_store_is_answered_when_it_is_durable);
	RUN(test_acknowledged_survives_a_crash);
	RUN(test_what_has_expired_is_not_read_back);
	RUN(test_damaged_value_is_not_returned);
	RUN(test_failed_disk_is_no_acknowledgement);
	RUN(test_record_cut_anywhere_is_malformed);
	return check_done();
}

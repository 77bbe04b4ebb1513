/* SPDX-License-Identifier: Apache-2.0 */
/* The list of bans over a store, and the gate that enforces it. */
#include "firewall/ban_list.h"
#include "firewall/ban_room.h"

#include "base/byte_cursor.h"
#include "base/dgram.h"
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"

#define WALL_S 1000000
#define NOW_NS (5000 * 1000000000ull)
#define S      1000000000ull

struct bench {
	char dir[SCRATCH_CAP];
	struct store *store;
	struct ban_list *list;
	struct ingress *ingress;
	unsigned done_cnt;
	int done_err;
	unsigned told_cnt;
	uint64_t told_weight;
};

static bool bench_open(struct bench *bench, uint64_t wall_s)
{
	struct store_config config;

	store_config_defaults(&config);
	config.dir = bench->dir;
	config.is_inline = true;
	return store_open(&config, &bench->store) == 0 &&
	       firewall_ban_list_open(bench->store, wall_s, &bench->list) == 0;
}

static void on_sample(void *ctx, const struct weft_sample *sample)
{
	struct bench *bench = ctx;

	bench->told_cnt++;
	bench->told_weight += sample->weight;
}

static bool bench_make(struct bench *bench)
{
	const struct ingress_params ingress = {
		.secret = {1, 2}, .session_cap = 1, .on_sample = on_sample, .ctx = bench};

	memset(bench, 0, sizeof(*bench));
	scratch_make(bench->dir);
	return firewall_ingress_new(&ingress, &bench->ingress) == 0 && bench_open(bench, WALL_S);
}

/* Closes as kill -9 would and opens again. */
static bool bench_crash(struct bench *bench, uint64_t wall_s)
{
	firewall_ban_list_free(bench->list);
	store_crash(bench->store);
	return bench_open(bench, wall_s);
}

static void bench_remove(struct bench *bench)
{
	firewall_ingress_free(bench->ingress);
	firewall_ban_list_free(bench->list);
	store_close(bench->store);
	scratch_remove(bench->dir);
}

static void on_done(void *arg, int err)
{
	struct bench *bench = arg;

	bench->done_cnt++;
	bench->done_err = err;
}

static struct ban ban_of(const char *text, uint64_t expires_s)
{
	struct ban ban = {.added_s = WALL_S, .expires_s = expires_s, .reason = "a reason"};

	if (firewall_ban_target_parse(text, &ban.target) < 0) {
		ban.target.kind = BAN_KEY;
		memset(ban.target.key, text[0], sizeof(ban.target.key));
	}
	return ban;
}

static int ban_put(struct bench *bench, const char *text, uint64_t expires_s)
{
	const struct ban ban = ban_of(text, expires_s);
	int err = firewall_ban_list_put(bench->list, &ban, on_done, bench);

	store_flush(bench->store);
	return err;
}

static const struct ban *lookup(const struct bench *bench, const char *text)
{
	const struct ban ban = ban_of(text, 0);

	return firewall_ban_list_lookup(bench->list, &ban.target);
}

static void enforce(struct bench *bench, uint64_t wall_s, uint64_t now_ns)
{
	firewall_ingress_take(bench->ingress, firewall_ban_list_copy(bench->list, wall_s, now_ns));
	firewall_ingress_turn(bench->ingress, now_ns);
}

static bool drops(struct bench *bench, const char *from)
{
	uint8_t data[50] = "d1:ad2:id20:"; /* from any other source it is let in */
	struct dgram dgram = {.data = data, .len = sizeof(data)};

	if (addr_parse(from, &dgram.remote) < 0)
		return false;
	(void)net_ingress_judge_dgram(firewall_ingress_judge(bench->ingress), &dgram);
	return dgram.judged.verdict == WEFT_DROP;
}

static bool refuses(struct bench *bench, char key, const char *from)
{
	uint8_t bytes[BAN_KEY_LEN];
	struct addr addr = {0};

	memset(bytes, key, sizeof(bytes));
	if (from && addr_parse(from, &addr) < 0)
		return false;
	return firewall_ingress_refuses(bench->ingress, bytes, &addr);
}

static void test_an_acknowledged_ban_survives_a_crash(void)
{
	struct bench bench;
	struct ban ban;

	CHECK(bench_make(&bench));
	CHECK_EQ(ban_put(&bench, "192.0.2.0/24", 0), 0);
	CHECK_EQ(ban_put(&bench, "key", WALL_S + 100), 0);
	CHECK_EQ(bench.done_cnt, 2);
	CHECK_EQ(bench.done_err, 0);
	ban = ban_of("2001:db8::/48", 0);
	CHECK_EQ(firewall_ban_list_put(bench.list, &ban, on_done, &bench), 0);
	CHECK_EQ(bench.done_cnt, 2); /* not told yet, so it may be lost */
	CHECK(bench_crash(&bench, WALL_S + 1));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), 2);
	CHECK_STR(lookup(&bench, "192.0.2.0/24")->reason, "a reason");
	CHECK_EQ(lookup(&bench, "key")->expires_s, WALL_S + 100);
	bench_remove(&bench);
}

static void test_a_removed_ban_does_not_come_back(void)
{
	struct bench bench;
	struct ban ban = ban_of("192.0.2.1", 0);

	CHECK(bench_make(&bench));
	CHECK_EQ(firewall_ban_list_delete(bench.list, &ban.target, on_done, &bench), WEFT_EABSENT);
	CHECK_EQ(ban_put(&bench, "192.0.2.1", 0), 0);
	CHECK_EQ(firewall_ban_list_delete(bench.list, &ban.target, on_done, &bench), 0);
	store_flush(bench.store);
	CHECK_EQ(bench.done_cnt, 2);
	CHECK(bench_crash(&bench, WALL_S));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), 0);
	bench_remove(&bench);
}

static void test_a_ban_that_the_store_refuses_is_taken_back(void)
{
	struct bench bench;
	struct ban ban = ban_of("192.0.2.1", 0);

	CHECK(bench_make(&bench));
	CHECK_EQ(ban_put(&bench, "192.0.2.2", 0), 0);
	store_freeze(bench.store);
	CHECK_EQ(firewall_ban_list_put(bench.list, &ban, on_done, &bench), 0);
	CHECK(lookup(&bench, "192.0.2.1"));
	store_flush(bench.store);
	CHECK(bench.done_err < 0);
	CHECK(!lookup(&bench, "192.0.2.1"));
	ban = ban_of("192.0.2.2", 0);
	CHECK_EQ(firewall_ban_list_delete(bench.list, &ban.target, on_done, &bench), 0);
	CHECK(!lookup(&bench, "192.0.2.2"));
	store_flush(bench.store);
	CHECK(lookup(&bench, "192.0.2.2"));
	bench_remove(&bench);
}

/* Earlier versions had bans of connection ids alone, which keep nothing out today. */
static void test_a_stored_ban_of_ids_is_dropped(void)
{
	static const char record[] = "\xa5\0\1\1\5\2\0\3\x61x\4\1";
	const struct ban ban = ban_of("192.0.2.1", 0);
	struct store_batch *batch;
	struct store_snapshot *snapshot;
	struct bench bench;
	uint8_t id[BAN_ID_LEN];
	const void *value;
	size_t len;

	CHECK(bench_make(&bench));
	batch = store_batch_new(bench.store);
	firewall_ban_target_id(&ban.target, id);
	store_batch_put(batch, STORE_BANS, store_key(id, sizeof(id)), record, sizeof(record) - 1);
	CHECK_EQ(store_submit(bench.store, batch, NULL, NULL), 0);
	store_flush(bench.store);
	CHECK(bench_crash(&bench, WALL_S));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), 0);
	store_flush(bench.store);
	CHECK_EQ(store_snapshot_open(bench.store, &snapshot), 0);
	CHECK_EQ(store_get(snapshot, STORE_BANS, store_key(id, sizeof(id)), &value, &len),
		 WEFT_EABSENT);
	store_snapshot_close(snapshot);
	bench_remove(&bench);
}

static void count_end(void *arg, const struct ban *ban)
{
	(void)ban;
	++*(unsigned *)arg;
}

static void test_bans_end_by_themselves_to_the_second(void)
{
	struct bench bench;
	unsigned told = 0;

	CHECK(bench_make(&bench));
	CHECK_EQ(firewall_ban_list_next_s(bench.list), UINT64_MAX);
	CHECK_EQ(ban_put(&bench, "192.0.2.1", WALL_S + 10), 0);
	CHECK_EQ(ban_put(&bench, "192.0.2.2", WALL_S + 11), 0);
	CHECK_EQ(ban_put(&bench, "192.0.2.3", 0), 0);
	CHECK_EQ(firewall_ban_list_next_s(bench.list), WALL_S + 10);
	CHECK_EQ(firewall_ban_list_expire(bench.list, WALL_S + 9, count_end, &told), 0);
	CHECK_EQ(firewall_ban_list_expire(bench.list, WALL_S + 10, count_end, &told), 1);
	CHECK_EQ(told, 1);
	CHECK(!lookup(&bench, "192.0.2.1"));
	store_flush(bench.store);
	/* One ended while the daemon was down. */
	CHECK(bench_crash(&bench, WALL_S + 11));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), 1);
	store_flush(bench.store);
	CHECK(bench_crash(&bench, WALL_S));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), 1);
	bench_remove(&bench);
}

static void test_one_more_than_fits_is_refused(void)
{
	struct bench bench;
	char text[32];

	CHECK(bench_make(&bench));
	for (unsigned i = 0; i < BAN_LIST_CAP; i++) {
		const struct ban ban = {
			.target = {.kind = BAN_KEY,
				   .key = {[0] = (uint8_t)i, [1] = (uint8_t)(i >> 8)}}};

		snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
		if (i % 2) {
			CHECK_EQ(firewall_ban_list_put(bench.list, &ban, on_done, &bench), 0);
			if (i % 512 == 511)
				store_flush(bench.store);
		} else {
			const struct ban addr = ban_of(text, 0);

			CHECK_EQ(firewall_ban_list_put(bench.list, &addr, on_done, &bench), 0);
		}
	}
	store_flush(bench.store);
	CHECK_EQ(firewall_ban_list_cnt(bench.list), BAN_LIST_CAP);
	CHECK_EQ(ban_put(&bench, "192.0.2.1", 0), WEFT_EFULL);
	CHECK_EQ(ban_put(&bench, "10.0.0.0", 5), 0); /* that is one of them */
	enforce(&bench, 4, NOW_NS);
	CHECK(drops(&bench, "10.0.63.254:1"));
	CHECK(!drops(&bench, "10.0.63.255:1"));
	bench_remove(&bench);
}

/* A list without some of its bans would let in what was kept out: weftd must not start with it. */
static void test_a_store_of_more_bans_than_fit_does_not_open(void)
{
	static const uint64_t many = BAN_LIST_CAP + 1;
	struct store_batch *batch = NULL;
	struct bench bench;
	uint8_t record[256], id[BAN_ID_LEN];

	CHECK(bench_make(&bench));
	for (uint64_t i = 0; i < many; i++) {
		struct ban ban = ban_of("key", 0);
		struct writer w = writer_of(record, sizeof(record));

		ban.target.key[0] = (uint8_t)i;
		ban.target.key[1] = (uint8_t)(i >> 8);
		firewall_ban_target_id(&ban.target, id);
		firewall_ban_record_write(&w, &ban);
		if (!batch)
			batch = store_batch_new(bench.store);
		store_batch_put(batch, STORE_BANS, store_key(id, sizeof(id)), record,
				writer_len(&w));
		if (i % 512 != 511 && i + 1 != many)
			continue;
		CHECK_EQ(store_submit(bench.store, batch, NULL, NULL), 0);
		store_flush(bench.store);
		batch = NULL;
	}
	firewall_ban_list_free(bench.list);
	bench.list = NULL;
	CHECK_EQ(firewall_ban_list_open(bench.store, WALL_S, &bench.list), WEFT_EFULL);
	CHECK(!bench.list);
	bench_remove(&bench);
}

static void test_the_ingress_drops_what_is_banned_until_the_ban_ends(void)
{
	struct bench bench;

	CHECK(bench_make(&bench));
	CHECK(!drops(&bench, "192.0.2.1:1"));
	CHECK_EQ(ban_put(&bench, "192.0.2.0/24", WALL_S + 10), 0);
	CHECK_EQ(ban_put(&bench, "2001:db8::/48", 0), 0);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(drops(&bench, "192.0.2.1:1"));
	CHECK(drops(&bench, "[2001:db8::77]:9"));
	CHECK(!drops(&bench, "192.0.3.1:1"));
	CHECK(!drops(&bench, "[2001:db8:1::77]:9"));
	CHECK_EQ(firewall_ingress_counters(bench.ingress)[WEFT_REASON_BANNED].packet_cnt, 2);
	CHECK_EQ(firewall_ingress_counters(bench.ingress)[WEFT_REASON_BANNED].byte_cnt, 100);
	CHECK(bench.told_cnt > 0);
	firewall_ingress_turn(bench.ingress, NOW_NS + 10 * S - 1);
	CHECK(drops(&bench, "192.0.2.1:1"));
	firewall_ingress_turn(bench.ingress, NOW_NS + 10 * S);
	CHECK(!drops(&bench, "192.0.2.1:1"));
	CHECK(drops(&bench, "[2001:db8::77]:9"));
	bench_remove(&bench);
}

static void test_the_ingress_refuses_keys_and_addresses(void)
{
	struct bench bench;
	struct ban ban = ban_of("key", 0);

	CHECK(bench_make(&bench));
	CHECK_EQ(ban_put(&bench, "key", WALL_S + 10), 0);
	CHECK_EQ(ban_put(&bench, "192.0.2.1", 0), 0);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(refuses(&bench, 'k', NULL));
	CHECK(refuses(&bench, 'k', "198.51.100.1:1"));
	CHECK(!refuses(&bench, 'l', "198.51.100.1:1"));
	CHECK(!refuses(&bench, 'l', NULL));
	CHECK(refuses(&bench, 'l', "192.0.2.1:1"));
	firewall_ingress_turn(bench.ingress, NOW_NS + 10 * S);
	CHECK(!refuses(&bench, 'k', NULL));
	CHECK_EQ(firewall_ban_list_delete(bench.list, &ban.target, on_done, &bench), 0);
	CHECK_EQ(ban_put(&bench, "m", 0), 0);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(!refuses(&bench, 'k', NULL));
	CHECK(refuses(&bench, 'm', NULL));
	/* What is gone from the list is gone from the gate. */
	ban = ban_of("192.0.2.1", 0);
	CHECK_EQ(firewall_ban_list_delete(bench.list, &ban.target, on_done, &bench), 0);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(!refuses(&bench, 'l', "192.0.2.1:1"));
	bench_remove(&bench);
}

static void test_the_longest_prefix_names_the_ban(void)
{
	struct bench bench;
	struct addr addr;

	CHECK(bench_make(&bench));
	CHECK_EQ(ban_put(&bench, "192.0.0.0/16", 0), 0);
	CHECK_EQ(ban_put(&bench, "192.0.2.0/24", 0), 0);
	CHECK_EQ(addr_parse("192.0.2.9:1", &addr), 0);
	CHECK_EQ(firewall_ban_list_match(bench.list, &addr)->target.prefix_len, 24);
	CHECK_EQ(addr_parse("192.0.3.9:1", &addr), 0);
	CHECK_EQ(firewall_ban_list_match(bench.list, &addr)->target.prefix_len, 16);
	CHECK_EQ(addr_parse("192.1.3.9:1", &addr), 0);
	CHECK(!firewall_ban_list_match(bench.list, &addr));
	bench_remove(&bench);
}

/* A ban of key number n, which the node made, of an offender at from. */
static struct ban automatic(unsigned n, const char *from, uint64_t expires_s)
{
	struct ban ban = {.target.kind = BAN_KEY,
			  .added_s = WALL_S,
			  .expires_s = expires_s,
			  .is_automatic = true,
			  .cause = n + 1};

	memcpy(ban.target.key, &n, sizeof(n));
	if (addr_parse(from, &ban.source) < 0)
		abort();
	return ban;
}

static const struct ban *automatic_lookup(const struct bench *bench, unsigned n)
{
	const struct ban ban = automatic(n, "192.0.2.1:1", 0);

	return firewall_ban_list_lookup(bench->list, &ban.target);
}

/* As bans.c does it. */
static void put_in_place(struct bench *bench, const struct ban *ban)
{
	if (firewall_ban_list_auto_cnt(bench->list) == BAN_LIST_AUTO_CAP) {
		CHECK_EQ(firewall_ban_list_put(bench->list, ban, on_done, bench), WEFT_EFULL);
		firewall_ban_list_drop(bench->list,
				       &firewall_ban_room_victim(bench->list, ban)->target);
	}
	CHECK_EQ(firewall_ban_list_put(bench->list, ban, on_done, bench), 0);
	store_flush(bench->store);
}

static void test_an_attackers_bans_push_out_his_own(void)
{
	struct bench bench;
	struct ban ban;
	char from[32];

	CHECK(bench_make(&bench));
	CHECK_EQ(ban_put(&bench, "198.51.100.1", 0), 0);
	CHECK_EQ(ban_put(&bench, "o", WALL_S + 1), 0); /* an operator's, the first to end */
	for (unsigned i = 0; i < 40; i++) {
		snprintf(from, sizeof(from), "10.%u.0.1:1", i);
		ban = automatic(1000000 + i, from, WALL_S + 60);
		put_in_place(&bench, &ban);
	}
	/* One host of many keys, then a whole network of it. */
	for (unsigned i = 0; i < BAN_LIST_AUTO_CAP + 200; i++) {
		snprintf(from, sizeof(from), "203.0.113.%u:1", i < 900 ? 7 : i % 250);
		ban = automatic(i, from, WALL_S + 3600);
		put_in_place(&bench, &ban);
	}
	CHECK_EQ(firewall_ban_list_auto_cnt(bench.list), BAN_LIST_AUTO_CAP);
	for (unsigned i = 0; i < 40; i++)
		CHECK(automatic_lookup(&bench, 1000000 + i));
	CHECK(automatic_lookup(&bench, BAN_LIST_AUTO_CAP + 199));
	CHECK(lookup(&bench, "198.51.100.1"));
	CHECK(lookup(&bench, "o"));
	/* What was pushed out does not come back. */
	CHECK(bench_crash(&bench, WALL_S));
	CHECK_EQ(firewall_ban_list_cnt(bench.list), BAN_LIST_AUTO_CAP + 2);
	bench_remove(&bench);
}

static void test_a_limited_address_is_not_kept_out(void)
{
	struct bench bench;
	struct addr addr;
	struct ban ban = ban_of("192.0.2.1", WALL_S + 10);

	CHECK(bench_make(&bench));
	CHECK_EQ(addr_parse("192.0.2.1:5", &addr), 0);
	ban.is_automatic = ban.is_limit = true;
	CHECK_EQ(firewall_ban_list_put(bench.list, &ban, on_done, &bench), 0);
	store_flush(bench.store);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(firewall_ingress_limits(bench.ingress, &addr));
	CHECK(!drops(&bench, "192.0.2.1:5"));
	CHECK(!refuses(&bench, 'k', "192.0.2.1:5"));
	CHECK(firewall_ban_list_match(bench.list, &addr)->is_limit);
	/* A ban says more, however short its prefix. */
	CHECK_EQ(ban_put(&bench, "192.0.0.0/16", 0), 0);
	CHECK(!firewall_ban_list_match(bench.list, &addr)->is_limit);
	enforce(&bench, WALL_S, NOW_NS);
	CHECK(drops(&bench, "192.0.2.1:5"));
	firewall_ingress_turn(bench.ingress, NOW_NS + 10 * S);
	CHECK(!firewall_ingress_limits(bench.ingress, &addr));
	firewall_ingress_turn(bench.ingress, NOW_NS);
	addr.ip[3] = 2;
	CHECK(!firewall_ingress_limits(bench.ingress, &addr));
	firewall_ban_list_drop(bench.list, &ban.target);
	enforce(&bench, WALL_S, NOW_NS);
	addr.ip[3] = 1;
	CHECK(!firewall_ingress_limits(bench.ingress, &addr));
	bench_remove(&bench);
}

int main(void)
{
	RUN(test_an_acknowledged_ban_survives_a_crash);
	RUN(test_a_removed_ban_does_not_come_back);
	RUN(test_a_ban_that_the_store_refuses_is_taken_back);
	RUN(test_a_stored_ban_of_ids_is_dropped);
	RUN(test_bans_end_by_themselves_to_the_second);
	RUN(test_one_more_than_fits_is_refused);
	RUN(test_a_store_of_more_bans_than_fit_does_not_open);
	RUN(test_the_ingress_drops_what_is_banned_until_the_ban_ends);
	RUN(test_the_ingress_refuses_keys_and_addresses);
	RUN(test_the_longest_prefix_names_the_ban);
	RUN(test_an_attackers_bans_push_out_his_own);
	RUN(test_a_limited_address_is_not_kept_out);
	return check_done();
}

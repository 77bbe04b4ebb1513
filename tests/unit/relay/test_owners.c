/* SPDX-License-Identifier: Apache-2.0 */
/* What a key, and a network of unknown keys, has in a day without a grant. */
#include <stdlib.h>
#include <string.h>

#include "support/check.h"
#include "support/relay_rig.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define SECOND	1000000000ull
#define OPENS	1024u /* of a key a day, by default */
#define NETWORK 16u   /* keys' worth of a network, by default */
#define MIB	1048576ull
#define STEP	65u /* opens that are leased at once */

static struct relay_rig rig;
static char dir[SCRATCH_CAP];
static struct store *store;

static struct relay_flow_terms terms_of(const uint8_t *key, const struct addr *addr)
{
	return (struct relay_flow_terms){
		.owner = key, .addr = addr, .class = FAIR_UNKNOWN, .mtu = RELAY_RIG_MTU};
}

/* As relay_flow_open; the flow is closed again, so that three are never open. */
static int open_close(unsigned owner, unsigned network, enum fair_class class)
{
	const uint8_t key[RELAY_KEY_LEN] = {(uint8_t)owner, (uint8_t)(owner >> 8), 1};
	const struct addr addr = relay_rig_addr(network, owner & 0xff);
	struct relay_flow_terms terms = terms_of(key, &addr);
	struct relay_flow_id id;
	int err;

	terms.class = class;
	err = relay_flow_open(rig.relay, &terms, &id);
	if (err == 0)
		relay_flow_close(rig.relay, id);
	return err;
}

static unsigned opened(unsigned owner, unsigned network, enum fair_class class, unsigned most)
{
	unsigned cnt = 0;

	while (cnt < most && open_close(owner, network, class) == 0)
		cnt++;
	return cnt;
}

static void test_a_key_opens_so_many_flows_a_day_and_not_one_more(void)
{
	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	CHECK_EQ(relay_stats(rig.relay)->spent_cnt, 2);
	/* From elsewhere it is the same key; another key is another. */
	CHECK_EQ(open_close(1, 2, FAIR_UNKNOWN), WEFT_EBUSY);
	CHECK_EQ(open_close(2, 1, FAIR_UNKNOWN), 0);
	/* What was refused costs nothing: the next day has as many. */
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	relay_rig_end(&rig);
}

static void test_the_day_is_that_of_utc(void)
{
	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(relay_day_left_s(rig.relay), 16 * 3600); /* it is 08:00 */
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS), OPENS);
	rig.wall_s += 16 * 3600 - 2;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(relay_day_left_s(rig.relay), 1);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), 0);
	/* A clock that is put back gives no second day. */
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS), OPENS - 1);
	rig.wall_s -= RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

/* Keys are free: a host that takes a new one for each flow has what sixteen keys have. */
static void test_unknown_keys_of_a_network_share_a_bound(void)
{
	unsigned cnt = 0;

	relay_rig_begin(&rig, NULL, 0);
	while (cnt <= NETWORK * OPENS && open_close(cnt, 1, FAIR_UNKNOWN) == 0)
		cnt++;
	CHECK_EQ(cnt, NETWORK * OPENS);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	/* Neither another network nor a key of there that is known here pays for it. */
	CHECK_EQ(open_close(60001, 2, FAIR_UNKNOWN), 0);
	CHECK_EQ(opened(60002, 1, FAIR_KNOWN, OPENS + 1), OPENS);
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), 0);
	relay_rig_end(&rig);
}

/* More keys than rows: the longest idle go, but no network does, whatever keys come. */
static void test_a_flood_of_keys_does_not_forget_a_network(void)
{
	unsigned cnt;

	relay_rig_begin(&rig, NULL, 64);
	for (cnt = 0; cnt < NETWORK * OPENS; cnt++)
		CHECK_EQ(open_close(cnt, 1, FAIR_UNKNOWN), 0);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(open_close(20000 + i, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(open_close(30000 + i, 2, FAIR_UNKNOWN), 0);
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

static void test_a_grant_is_not_charged(void)
{
	struct relay_flow_id id;
	unsigned grant;

	relay_rig_begin(&rig, NULL, 0);
	grant = relay_rig_grant(&rig, 1, 0, 0);
	CHECK_EQ(opened(1, 0, FAIR_UNKNOWN, OPENS), OPENS);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(relay_rig_open(&rig, 1, grant, &id), 0);
		relay_flow_close(rig.relay, id);
	}
	CHECK_EQ(open_close(1, 0, FAIR_UNKNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

/* --- volume --- */

/* A flow whose legs are known, of content or control. */
static struct relay_flow_id open_of(unsigned owner, unsigned network, enum relay_class traffic)
{
	const uint8_t key[RELAY_KEY_LEN] = {(uint8_t)owner, (uint8_t)(owner >> 8), 1};
	const struct addr addr = relay_rig_addr(network, owner & 0xff);
	const struct addr first = relay_rig_addr(1, 1), second = relay_rig_addr(2, 1);
	struct relay_flow_terms terms = terms_of(key, &addr);
	struct relay_flow_id id = {0};

	terms.traffic = traffic;
	if (relay_flow_open(rig.relay, &terms, &id) < 0 ||
	    relay_flow_set_leg(rig.relay, id, 0, &first, &rig.own) < 0 ||
	    relay_flow_set_leg(rig.relay, id, 1, &second, &rig.own) < 0)
		abort();
	return id;
}

/* As the tables count it: what a datagram adds, without waiting for the rate to let it pass. */
static void carry(struct relay_flow_id id, uint64_t len)
{
	struct weft_relay_flow *row = &relay_tables(rig.relay)->flows[id.idx];

	row->bytes[0] += len;
	row->packets[0]++;
	relay_rig_pass(&rig, 5 * SECOND);
}

static bool is_slow(struct relay_flow_id id)
{
	struct relay_flow_view view;

	if (relay_flow_read(rig.relay, id, &view) < 0)
		abort();
	return view.is_slow;
}

static void test_content_has_four_mib_a_day_apart_from_control(void)
{
	struct relay_flow_id content, control;

	relay_rig_begin(&rig, NULL, 0);
	content = open_of(1, 1, RELAY_CONTENT);
	control = open_of(1, 1, RELAY_CONTROL);
	carry(content, 4 * MIB);
	CHECK(!is_slow(content));
	carry(content, 1);
	CHECK(is_slow(content) && !is_slow(control));
	carry(control, 16 * MIB);
	CHECK(!is_slow(control));
	carry(control, 1);
	CHECK(is_slow(control));
	/* Another flow of the day begins slow; it is opened all the same. */
	CHECK(is_slow(open_of(1, 1, RELAY_CONTENT)));
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, 5 * SECOND);
	CHECK(!is_slow(content) && !is_slow(control));
	relay_rig_end(&rig);
}

static void test_a_network_has_the_volume_of_sixteen_keys(void)
{
	struct relay_flow_id flows[NETWORK], other;

	relay_rig_begin(&rig, NULL, 0);
	for (unsigned i = 0; i < NETWORK; i++) {
		flows[i] = open_of(i, 1, RELAY_CONTROL);
		carry(flows[i], 16 * MIB);
		CHECK(!is_slow(flows[i]));
	}
	other = open_of(500, 2, RELAY_CONTROL);
	/* One byte of a key that has used nothing. */
	flows[0] = open_of(100, 1, RELAY_CONTROL);
	CHECK(!is_slow(flows[0]));
	carry(flows[0], 1);
	CHECK(is_slow(flows[0]) && is_slow(flows[1]) && !is_slow(other));
	CHECK(!is_slow(open_of(101, 1, RELAY_CONTENT)));
	relay_rig_end(&rig);
}

static void test_the_day_of_an_owner_is_shown(void)
{
	struct relay_flow_view view;
	struct relay_flow_id id;

	relay_rig_begin(&rig, NULL, 0);
	CHECK_EQ(opened(1, 0, FAIR_UNKNOWN, 5), 5);
	CHECK_EQ(relay_rig_open(&rig, 1, RELAY_NO_GRANT, &id), 0);
	CHECK_EQ(relay_flow_read(rig.relay, id, &view), 0);
	CHECK_EQ(view.opened_today, 6);
	relay_rig_end(&rig);
}

/* --- over a restart --- */

static void begin(uint32_t flow_cap)
{
	scratch_make(dir);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, flow_cap);
}

static void end(void)
{
	relay_rig_end(&rig);
	store_close(store);
	scratch_remove(dir);
}

static void stop_and_restart(uint32_t flow_cap)
{
	relay_rig_end(&rig);
	store_close(store);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, flow_cap);
}

/* kill -9: nothing that was not durable is left, and nothing is settled. */
static void crash_and_restart(void)
{
	store_freeze(store);
	relay_rig_end(&rig);
	store_crash(store);
	store = scratch_store(dir, true);
	relay_rig_begin(&rig, store, 0);
}

static unsigned stored_cnt(void)
{
	struct store_iter iter = store_iter_fresh(store, STORE_META, store_key("relay-day:", 10));
	struct store_item item;
	unsigned cnt = 0;

	while (store_iter_next(&iter, &item) && item.key_len > 10 &&
	       memcmp(item.key, "relay-day:", 10) == 0)
		cnt++;
	return store_iter_end(&iter) == 0 ? cnt : UINT32_MAX;
}

static void test_a_clean_restart_gives_what_was_left_of_the_day(void)
{
	struct relay_flow_id id;

	begin(0);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, 1000), 1000);
	id = open_of(2, 2, RELAY_CONTENT);
	carry(id, 4 * MIB + 1);
	CHECK(is_slow(id));
	stop_and_restart(0);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS), OPENS - 1000);
	CHECK(is_slow(open_of(2, 2, RELAY_CONTENT)));
	CHECK(!is_slow(open_of(3, 2, RELAY_CONTENT)));
	stop_and_restart(0);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	/* The next day is new, whatever is stored. */
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	end();
}

/* At whatever count: a crash gives none that were stored, and takes a lease and a half at most. */
static void test_a_crash_gives_no_second_day_and_takes_an_eighth_at_most(void)
{
	for (unsigned cnt = 1; cnt <= OPENS; cnt = cnt * 3 + 7) {
		unsigned left;

		begin(0);
		CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, cnt), cnt);
		relay_rig_pass(&rig, 2 * SECOND);
		crash_and_restart();
		left = opened(1, 1, FAIR_UNKNOWN, OPENS + 1);
		CHECK(left <= OPENS - cnt);
		CHECK(left + cnt + STEP + STEP / 2 >= OPENS);
		end();
	}
}

static void test_a_crash_gives_no_second_volume(void)
{
	struct relay_flow_id id;

	begin(0);
	id = open_of(1, 1, RELAY_CONTROL);
	carry(id, 16 * MIB);
	relay_rig_pass(&rig, 2 * SECOND);
	crash_and_restart();
	id = open_of(1, 1, RELAY_CONTROL);
	CHECK(!is_slow(id));
	carry(id, 1);
	CHECK(is_slow(id));
	relay_rig_pass(&rig, 2 * SECOND);
	crash_and_restart();
	CHECK(is_slow(open_of(1, 1, RELAY_CONTROL)));
	end();
}

static void test_a_network_has_no_second_day_after_a_crash(void)
{
	unsigned cnt = 0;

	begin(0);
	while (open_close(cnt, 1, FAIR_UNKNOWN) == 0)
		cnt++;
	CHECK_EQ(cnt, NETWORK * OPENS);
	relay_rig_pass(&rig, 2 * SECOND);
	crash_and_restart();
	CHECK_EQ(open_close(60001, 1, FAIR_UNKNOWN), WEFT_EBUSY);
	CHECK_EQ(open_close(60001, 2, FAIR_UNKNOWN), 0);
	end();
}

/* There are no more rows than places, and none of a day that is over. */
static void test_what_is_stored_is_bounded_and_goes_with_the_day(void)
{
	begin(64);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_EQ(open_close(i, i & 0xff, FAIR_UNKNOWN), 0);
		relay_rig_pass(&rig, SECOND / 5);
	}
	relay_rig_pass(&rig, 2 * SECOND);
	CHECK_EQ(stored_cnt(), 2 * 64);
	rig.wall_s += RELAY_DAY_S;
	relay_rig_pass(&rig, 61 * SECOND);
	CHECK_EQ(stored_cnt(), 0);
	end();
}

static void test_rows_of_the_day_before_go_at_the_start(void)
{
	begin(0);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), 0);
	rig.wall_s -= RELAY_DAY_S;
	relay_rig_pass(&rig, SECOND);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), 0);
	CHECK_EQ(open_close(2, 1, FAIR_UNKNOWN), 0);
	stop_and_restart(0);
	CHECK_EQ(stored_cnt(), 3);
	relay_rig_pass(&rig, 2 * SECOND);
	/* Key 1 and the network began at the later day, and went on with it. */
	CHECK_EQ(stored_cnt(), 2);
	end();
}

static void test_a_smaller_table_drops_rows_without_a_place(void)
{
	begin(128);
	for (unsigned i = 0; i < 128; i++)
		CHECK_EQ(open_close(i, i, FAIR_UNKNOWN), 0);
	stop_and_restart(64);
	relay_rig_pass(&rig, 2 * SECOND);
	CHECK_EQ(stored_cnt(), 2 * 64);
	for (unsigned i = 0; i < 128; i++)
		CHECK_EQ(open_close(i, i, FAIR_UNKNOWN), 0);
	end();
}

static void test_a_row_that_is_no_day_is_dropped(void)
{
	static const char *const keys[] = {"relay-day:0:00000001", "relay-day:0:0000000x",
					   "relay-day:0:ffffffff", "relay-day:0:0"};
	struct store_batch *batch;

	begin(0);
	batch = store_batch_new(store);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		store_batch_put(batch, STORE_META, store_key(keys[i], strlen(keys[i])), "\x81", 1);
	CHECK_EQ(store_submit(store, batch, NULL, NULL), 0);
	stop_and_restart(0);
	relay_rig_pass(&rig, 2 * SECOND);
	CHECK_EQ(stored_cnt(), 0);
	CHECK_EQ(opened(1, 1, FAIR_UNKNOWN, OPENS + 1), OPENS);
	end();
}

static void test_a_day_that_cannot_be_stored_is_counted(void)
{
	begin(0);
	CHECK_EQ(open_close(1, 1, FAIR_UNKNOWN), 0);
	store_freeze(store);
	relay_rig_pass(&rig, 4 * SECOND);
	CHECK(relay_stats(rig.relay)->unsaved_cnt >= 4);
	end();
}

/* Keys are free, and each of these has a flow; a known key pays for no network. */
static void test_keys_that_come_and_go_do_not_make_a_spent_one_new(void)
{
	relay_rig_begin(&rig, NULL, 64);
	CHECK_EQ(opened(50000, 0, FAIR_KNOWN, OPENS), OPENS);
	for (unsigned i = 0; i < 10000; i++)
		CHECK_EQ(open_close(i, i & 0xff, FAIR_UNKNOWN), 0);
	CHECK_EQ(open_close(50000, 0, FAIR_KNOWN), WEFT_EBUSY);
	relay_rig_end(&rig);
}

int main(void)
{
	RUN(test_a_key_opens_so_many_flows_a_day_and_not_one_more);
	RUN(test_the_day_is_that_of_utc);
	RUN(test_unknown_keys_of_a_network_share_a_bound);
	RUN(test_a_flood_of_keys_does_not_forget_a_network);
	RUN(test_a_grant_is_not_charged);
	RUN(test_content_has_four_mib_a_day_apart_from_control);
	RUN(test_a_network_has_the_volume_of_sixteen_keys);
	RUN(test_the_day_of_an_owner_is_shown);
	RUN(test_a_clean_restart_gives_what_was_left_of_the_day);
	RUN(test_a_crash_gives_no_second_day_and_takes_an_eighth_at_most);
	RUN(test_a_crash_gives_no_second_volume);
	RUN(test_a_network_has_no_second_day_after_a_crash);
	RUN(test_what_is_stored_is_bounded_and_goes_with_the_day);
	RUN(test_rows_of_the_day_before_go_at_the_start);
	RUN(test_a_smaller_table_drops_rows_without_a_place);
	RUN(test_a_row_that_is_no_day_is_dropped);
	RUN(test_a_day_that_cannot_be_stored_is_counted);
	RUN(test_keys_that_come_and_go_do_not_make_a_spent_one_new);
	return check_done();
}

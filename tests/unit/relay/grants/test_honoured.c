/* SPDX-License-Identifier: Apache-2.0 */
/* Which grants a relay honours, and how their rows end. */
#include "relay/grants/honoured.h"

#include "crypto/node_key.h"
#include "support/check.h"
#include "support/relay_rig.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "store/store.h"

#define NOW_S RELAY_RIG_WALL_S

static struct relay_rig rig;
static struct relay_honoured *honoured;
static struct node_key *operator_key, *other_key;
static const uint8_t user[32] = {0x21}, friend[32] = {0x22}, own[32] = {0x23};
static uint8_t shown[RELAY_SHOWN_LEN_MAX];
static int revoked_err;
static unsigned revoked_cnt;

static struct node_key *key_of(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number, 9};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static void begin_with(struct store *store)
{
	struct relay_honoured_params params = {.own_key = own};

	relay_rig_begin(&rig, store, 0);
	operator_key = operator_key ?: key_of(1);
	other_key = other_key ?: key_of(2);
	revoked_err = 1;
	revoked_cnt = 0;
	params.relay = rig.relay;
	params.operator_key = node_key_public(operator_key);
	params.store = store;
	if (relay_honoured_new(&params, &honoured) < 0)
		abort();
}

static void end(void)
{
	relay_honoured_free(honoured);
	relay_rig_end(&rig);
}

static struct relay_grant_record grant_of(uint64_t serial)
{
	struct relay_grant_record grant = {.serial = serial,
					   .per_s = 100000,
					   .burst_len = 8192,
					   .flow_max = 2,
					   .not_before_s = NOW_S - 10,
					   .expires_s = NOW_S + 100};

	memcpy(grant.holder, user, sizeof(grant.holder));
	return grant;
}

static enum relay_grant_fault show_by(const struct node_key *key, struct relay_grant_record grant,
				      const uint8_t *by, unsigned *out_row)
{
	struct writer w = writer_of(shown, sizeof(shown));
	struct relay_showing showing = {.user = by, .bytes = shown};

	relay_grant_record_write(&w, key, &grant);
	showing.len = writer_len(&w);
	return relay_honoured_show(honoured, &showing, NOW_S, out_row);
}

static enum relay_grant_fault show(struct relay_grant_record grant, unsigned *out_row)
{
	return show_by(operator_key, grant, user, out_row);
}

static int flow_open(unsigned row, struct relay_flow_id *out_id)
{
	return relay_rig_open(&rig, 1, row, out_id);
}

static void on_revoked(void *arg, int err)
{
	(void)arg;
	revoked_err = err;
	revoked_cnt++;
}

static int revoke_by(const struct node_key *key, uint64_t list_serial, uint64_t serial)
{
	static uint8_t bytes[RELAY_REVOCATIONS_LEN_MAX];
	static struct relay_revocations list;
	struct writer w = writer_of(bytes, sizeof(bytes));

	list = (struct relay_revocations){.serial = list_serial, .made_s = NOW_S};
	if (relay_revocations_add(&list, serial) < 0)
		abort();
	relay_revocations_write(&w, key, &list);
	return relay_honoured_revoke(honoured, bytes, writer_len(&w), on_revoked, NULL);
}

static void test_a_grant_has_one_row_and_its_flows(void)
{
	struct relay_flow_id id;
	unsigned row = 0, again = 0;

	begin_with(NULL);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_FINE);
	CHECK(row > 0);
	CHECK_EQ(flow_open(row, &id), 0);
	CHECK_EQ(show(grant_of(7), &again), RELAY_GRANT_FINE);
	CHECK_EQ(again, row);
	CHECK_EQ(flow_open(row, &id), 0);
	CHECK_EQ(relay_grant_flow_cnt(rig.relay, row), 2);
	CHECK_EQ(show(grant_of(7), &again), RELAY_GRANT_FLOWS);
	CHECK_EQ(flow_open(row, &id), WEFT_EREFUSED);
	end();
}

static void test_a_closed_flow_makes_room_in_its_grant(void)
{
	struct relay_flow_id first, second;
	unsigned row = 0;

	begin_with(NULL);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_FINE);
	CHECK_EQ(flow_open(row, &first), 0);
	CHECK_EQ(flow_open(row, &second), 0);
	relay_flow_close(rig.relay, first);
	CHECK_EQ(relay_grant_flow_cnt(rig.relay, row), 1);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_FINE);
	CHECK_EQ(flow_open(row, &first), 0);
	end();
}

static void test_each_fault_is_named(void)
{
	struct relay_showing content = {.user = user, .bytes = shown, .is_content = true};
	struct relay_grant_record grant = grant_of(7);
	struct writer w;
	unsigned row = 0;

	begin_with(NULL);
	CHECK_EQ(show_by(other_key, grant, user, &row), RELAY_GRANT_OPERATOR);
	CHECK_EQ(show_by(operator_key, grant, friend, &row), RELAY_GRANT_HOLDER);
	grant.not_before_s = NOW_S + 1000;
	grant.expires_s = NOW_S + 2000;
	CHECK_EQ(show(grant, &row), RELAY_GRANT_EARLY);
	grant.not_before_s = NOW_S - 1000;
	grant.expires_s = NOW_S;
	CHECK_EQ(show(grant, &row), RELAY_GRANT_EXPIRED);
	grant = grant_of(7);
	grant.relay_cnt = 1;
	memset(grant.relays[0], 0x77, sizeof(grant.relays[0]));
	CHECK_EQ(show(grant, &row), RELAY_GRANT_RELAY);
	grant = grant_of(7);
	w = writer_of(shown, sizeof(shown));
	relay_grant_record_write(&w, operator_key, &grant);
	content.len = writer_len(&w);
	CHECK_EQ(relay_honoured_show(honoured, &content, NOW_S, &row), RELAY_GRANT_CONTENT);
	content.is_content = false;
	shown[content.len - 1] ^= 1;
	CHECK_EQ(relay_honoured_show(honoured, &content, NOW_S, &row), RELAY_GRANT_FORGED);
	content.len--;
	CHECK_EQ(relay_honoured_show(honoured, &content, NOW_S, &row), RELAY_GRANT_MALFORMED);
	CHECK_EQ(row, 0);
	CHECK_EQ(relay_stats(rig.relay)->grant_cnt, 0);
	end();
}

static void test_a_grant_that_expires_ends_its_flows(void)
{
	struct relay_flow_id id;
	unsigned row = 0;

	begin_with(NULL);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_FINE);
	CHECK_EQ(flow_open(row, &id), 0);
	relay_honoured_turn(honoured, NOW_S + 99);
	CHECK_EQ(rig.closed_cnt, 0);
	relay_honoured_turn(honoured, NOW_S + 100);
	CHECK_EQ(rig.closed_cnt, 1);
	CHECK_EQ(rig.closed_why, RELAY_CLOSED_GRANT);
	CHECK_EQ(flow_open(row, &id), WEFT_EABSENT);
	end();
}

static void test_a_revocation_ends_flows_and_refuses_the_grant(void)
{
	struct relay_flow_id id;
	unsigned row = 0, other = 0;

	begin_with(NULL);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_FINE);
	CHECK_EQ(show(grant_of(8), &other), RELAY_GRANT_FINE);
	CHECK_EQ(flow_open(row, &id), 0);
	CHECK_EQ(flow_open(other, &id), 0);
	CHECK_EQ(revoke_by(other_key, 1, 7), WEFT_EWRONGKEY);
	CHECK_EQ(rig.closed_cnt, 0);
	CHECK_EQ(revoke_by(operator_key, 2, 7), 0);
	CHECK_EQ(revoked_err, 0);
	CHECK_EQ(revoked_cnt, 1);
	CHECK_EQ(rig.closed_cnt, 1);
	CHECK_EQ(rig.closed_why, RELAY_CLOSED_GRANT);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_REVOKED);
	CHECK_EQ(show(grant_of(8), &row), RELAY_GRANT_FINE);
	/* An older list would let a revoked grant in again. */
	CHECK_EQ(revoke_by(operator_key, 2, 9), WEFT_EEXISTS);
	CHECK_EQ(revoke_by(operator_key, 1, 9), WEFT_EEXISTS);
	CHECK_EQ(relay_honoured_list(honoured)->serial, 2);
	end();
}

/* As many rows as the relay has: one more takes that of a grant without flows. */
static void test_a_full_table_gives_the_row_of_a_grant_without_flows(void)
{
	struct relay_flow_id id;
	unsigned row = 0, first = 0;

	begin_with(NULL);
	CHECK_EQ(show(grant_of(1), &first), RELAY_GRANT_FINE);
	CHECK_EQ(flow_open(first, &id), 0);
	for (uint64_t serial = 2; serial < WEFT_RELAY_GRANT_CNT; serial++)
		if (show(grant_of(serial), &row) != RELAY_GRANT_FINE)
			abort();
	CHECK_EQ(relay_stats(rig.relay)->grant_cnt, WEFT_RELAY_GRANT_CNT - 1);
	CHECK_EQ(show(grant_of(WEFT_RELAY_GRANT_CNT), &row), RELAY_GRANT_FINE);
	CHECK(row != first);
	CHECK_EQ(relay_grant_flow_cnt(rig.relay, first), 1);
	CHECK_EQ(relay_stats(rig.relay)->grant_cnt, WEFT_RELAY_GRANT_CNT - 1);
	end();
}

static void test_an_acknowledged_list_survives_a_crash(void)
{
	char dir[SCRATCH_CAP];
	struct store *store;
	unsigned row = 0;

	scratch_make(dir);
	store = scratch_store(dir, true);
	begin_with(store);
	CHECK_EQ(revoke_by(operator_key, 1, 7), 0);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_REVOKED);
	store_flush(store);
	CHECK_EQ(revoked_err, 0);
	CHECK_EQ(revoked_cnt, 1);
	store_freeze(store);
	end();
	store_crash(store);
	store = scratch_store(dir, true);
	begin_with(store);
	CHECK_EQ(relay_honoured_list(honoured)->serial, 1);
	CHECK_EQ(show(grant_of(7), &row), RELAY_GRANT_REVOKED);
	CHECK_EQ(show(grant_of(8), &row), RELAY_GRANT_FINE);
	end();
	store_close(store);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_a_grant_has_one_row_and_its_flows);
	RUN(test_a_closed_flow_makes_room_in_its_grant);
	RUN(test_each_fault_is_named);
	RUN(test_a_grant_that_expires_ends_its_flows);
	RUN(test_a_revocation_ends_flows_and_refuses_the_grant);
	RUN(test_a_full_table_gives_the_row_of_a_grant_without_flows);
	RUN(test_an_acknowledged_list_survives_a_crash);
	return check_done();
}

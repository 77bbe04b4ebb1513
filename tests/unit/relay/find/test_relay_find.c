/* SPDX-License-Identifier: Apache-2.0 */
/* One node that finds relays, with the overlay as a table in memory; its neighbours are scripted. */
#include "relay/find/relay_find.h"

#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "relay/find/list_message.h"
#include "relay/find/place_rule.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/mesh_lab.h"

#define MIN_NS (60 * NS_PER_S)

static struct mesh_lab lab;
static struct fake_overlay fake;
static struct random dice;
static struct relay_find *find;
static struct mesh *own, *asker;
static struct node_key *own_key;
static struct mesh_lab_ask ask;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static void expire(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	fake.wall_s = mesh_lab_wall_s(&lab);
	relay_find_turn(find, now_ns);
	fake_overlay_turn(&fake, now_ns);
}

static uint64_t next_ns(void *ctx)
{
	uint64_t at_ns = relay_find_next_ns(find);

	(void)ctx;
	return fake.runs && lab.now_ns + NS_PER_S < at_ns ? lab.now_ns + NS_PER_S : at_ns;
}

static struct node_key *key_of(uint8_t number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {number, 3};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static void begin_with(uint32_t wanted_cnt)
{
	struct relay_find_params params = {
		.neighbours = &mesh_lab_neighbours,
		.random = &dice,
		.wall_s = MESH_LAB_WALL_S,
	};

	random_init_seeded(&dice, 5);
	memset(&fake, 0, sizeof(fake));
	fake.keeper_cnt = 20;
	mesh_lab_init(&lab, 4, 64, &calm);
	own = mesh_lab_add(&lab);
	own_key = key_of(200);
	memcpy(own->key, node_key_public(own_key), MESH_KEY_LEN);
	asker = mesh_lab_add(&lab);
	mesh_lab_up(own);
	mesh_lab_up(asker);
	relay_find_config_defaults(&params.config);
	params.config.is_on = wanted_cnt > 0;
	params.config.wanted_cnt = wanted_cnt;
	params.key = own_key;
	params.mesh = mesh_lab_seam_of(own);
	params.overlay = fake_overlay_seam(&fake);
	params.now_ns = lab.now_ns;
	params.wall_s = mesh_lab_wall_s(&lab);
	fake.wall_s = params.wall_s;
	if (relay_find_new(&params, &find) < 0)
		abort();
	own->expire = expire;
	own->next_ns = next_ns;
}

static void end(void)
{
	relay_find_stop(find);
	mesh_lab_fini(&lab);
	relay_find_free(find);
	fake_overlay_fini(&fake);
	node_key_free(own_key);
}

static struct relay_find_stats stats(void)
{
	struct relay_find_stats got;

	relay_find_stats(find, &got);
	return got;
}

static void offer(struct addr addr)
{
	const struct relay_offer own_offer = {.addrs = {addr}, .addr_cnt = 1};

	relay_find_offer(find, &own_offer, lab.now_ns);
	own->due_ns = 0;
}

static void withdraw(void)
{
	relay_find_offer(find, &(struct relay_offer){0}, lab.now_ns);
}

/* Values under the names of hour. */
static unsigned stored_cnt(uint64_t hour)
{
	uint8_t name[RELAY_PLACE_NAME_LEN];
	unsigned cnt = 0;

	for (unsigned place = 0; place < RELAY_PLACES; place++) {
		relay_place_name(hour, place, name);
		for (size_t i = 0; i < fake.value_cnt; i++)
			cnt += fake.values[i].name_len == sizeof(name) &&
			       memcmp(fake.values[i].name, name, sizeof(name)) == 0;
	}
	return cnt;
}

static unsigned places_cnt(uint64_t hour)
{
	const uint8_t *key = node_key_public(own_key);

	return relay_place_of(key, hour, 0) == relay_place_of(key, hour, 1) ? 1 : 2;
}

static void test_a_relay_is_announced_each_hour_at_its_places(void)
{
	uint64_t hour;

	begin_with(0);
	hour = mesh_lab_wall_s(&lab) / RELAY_HOUR_S;
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	CHECK_EQ(fake.put_cnt, 0);
	offer(own->addr);
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	CHECK_EQ(stored_cnt(hour), places_cnt(hour));
	CHECK_EQ(stats().announced_cnt, 1);
	(void)mesh_lab_run(&lab, 2 * 66 * MIN_NS, NULL, NULL);
	CHECK_EQ(stored_cnt(hour + 1), places_cnt(hour + 1));
	CHECK_EQ(stored_cnt(hour + 2), places_cnt(hour + 2));
	CHECK_EQ(stats().announced_cnt, 3);
	withdraw();
	(void)mesh_lab_run(&lab, 66 * MIN_NS, NULL, NULL);
	CHECK_EQ(stats().announced_cnt, 3);
	end();
}

static void test_an_announcement_that_no_node_took_is_put_again(void)
{
	begin_with(0);
	fake.start_err = WEFT_EFULL;
	offer(own->addr);
	(void)mesh_lab_run(&lab, 90 * NS_PER_S, NULL, NULL);
	CHECK_EQ(stats().unannounced_cnt, 2);
	fake.start_err = 0;
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	CHECK_EQ(stats().announced_cnt, 1);
	end();
}

/* A relay of the overlay that is nowhere. */
static void announce(uint8_t number, struct addr addr)
{
	uint64_t hour = mesh_lab_wall_s(&lab) / RELAY_HOUR_S;
	struct node_key *key = key_of(number);
	struct relay_announcement announcement = {
		.addrs = {addr},
		.addr_cnt = 1,
		.caps = RELAY_ANNOUNCEMENT_CAP,
		.issued_s = mesh_lab_wall_s(&lab),
		.expires_s = mesh_lab_wall_s(&lab) + 7200,
	};
	uint8_t name[RELAY_PLACE_NAME_LEN], value[1 + RELAY_ANNOUNCEMENT_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	const struct overlay_seam overlay = fake_overlay_seam(&fake);
	struct overlay_put_params params = {.value = {name, sizeof(name), value, 0}};
	struct overlay_run *run;

	writer_u8(&w, RELAY_PLACE_TAG);
	relay_announcement_write(&w, key, &announcement);
	params.value.len = writer_len(&w);
	relay_place_name(hour, relay_place_of(node_key_public(key), hour, 0), name);
	if (overlay.ops->put(overlay.overlay, &params, lab.now_ns, &run) < 0)
		abort();
	overlay.ops->cancel(run);
	node_key_free(key);
}

static struct addr nowhere(uint8_t number)
{
	return (struct addr){.family = ADDR_IPV4, .ip = {9, 9, number, 1}, .port = 7000};
}

static void test_a_round_asks_sixteen_names_or_thirty_two(void)
{
	begin_with(2);
	(void)mesh_lab_run(&lab, 50 * NS_PER_S, NULL, NULL);
	CHECK_EQ(stats().lookup_cnt, 32);
	CHECK_EQ(fake.get_cnt, 32);
	end();

	begin_with(2);
	for (uint8_t i = 1; i <= 5; i++)
		announce(i, nowhere(i));
	(void)mesh_lab_run(&lab, 50 * NS_PER_S, NULL, NULL);
	CHECK_EQ(stats().lookup_cnt, 16);
	CHECK_EQ(stats().known_cnt, 5);
	CHECK_EQ(stats().live_cnt, 0);
	CHECK(stats().silent_cnt > 0);
	end();
}

static void test_rounds_become_rare_while_nothing_is_found(void)
{
	begin_with(2);
	(void)mesh_lab_run(&lab, 1440 * MIN_NS, NULL, NULL);
	/* 1, 2, 4, 8, 16, 32 and 60 minutes, then one an hour. */
	CHECK(stats().lookup_cnt / 32 >= 26 && stats().lookup_cnt / 32 <= 30);
	relay_find_hurry(find, lab.now_ns);
	fake.get_cnt = 0;
	own->due_ns = 0;
	(void)mesh_lab_run(&lab, 50 * NS_PER_S, NULL, NULL);
	CHECK_EQ(fake.get_cnt, 32);
	end();
}

static void ask_for_list(void)
{
	uint8_t bytes[RELAY_LIST_ASK_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_list_ask_write(&w, RELAY_LIST_MAX);
	mesh_lab_ask(asker, own, MESH_LIST_RELAYS, bytes, writer_len(&w), &ask);
}

static int list_len(void)
{
	struct relay_listed listed[RELAY_LIST_MAX];

	return ask.reply.err < 0
		       ? ask.reply.err
		       : relay_list_parse(ask.reply.payload, ask.reply.payload_len, listed);
}

static void test_the_seventh_request_of_a_minute_is_refused(void)
{
	begin_with(0);
	for (unsigned i = 0; i < 6; i++) {
		ask_for_list();
		CHECK_EQ(list_len(), 0);
	}
	ask_for_list();
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK(ask.reply.not_before_ns > 0);
	CHECK_EQ(stats().refused_cnt, 1);
	(void)mesh_lab_run(&lab, 2 * MIN_NS, NULL, NULL);
	ask_for_list();
	CHECK_EQ(list_len(), 0);
	mesh_lab_ask(asker, own, MESH_LIST_RELAYS, "", 0, &ask);
	CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
	end();
}

static void test_a_list_has_this_relay_and_those_that_served_it(void)
{
	begin_with(0);
	offer(own->addr);
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	ask_for_list();
	CHECK_EQ(list_len(), 1);
	withdraw();
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	ask_for_list();
	CHECK_EQ(list_len(), 0);
	end();

	begin_with(1);
	announce(1, nowhere(1));
	announce(2, nowhere(2));
	(void)mesh_lab_run(&lab, 5 * NS_PER_S, NULL, NULL);
	CHECK_EQ(stats().known_cnt, 2);
	ask_for_list();
	CHECK_EQ(list_len(), 0);
	relay_find_succeeded(find, relay_find_next(find, NULL)->announcement.key, NS_PER_MS,
			     lab.now_ns);
	(void)mesh_lab_run(&lab, 11 * NS_PER_S, NULL, NULL);
	ask_for_list();
	CHECK_EQ(list_len(), 1);
	end();
}

static void test_an_asker_on_the_internet_gets_no_private_relay(void)
{
	begin_with(0);
	offer((struct addr){.family = ADDR_IPV4, .ip = {192, 168, 0, 1}, .port = 7000});
	(void)mesh_lab_run(&lab, MIN_NS, NULL, NULL);
	ask_for_list();
	CHECK_EQ(list_len(), 0);
	end();
}

static void test_askers_that_do_not_read_share_four_lists(void)
{
	begin_with(0);
	own->is_unacknowledged = true;
	/* All get the list of their ten seconds; a fifth finds no place, and the fourth stands. */
	for (unsigned i = 0; i < 8; i++) {
		ask_for_list();
		CHECK_EQ(list_len(), 0);
		(void)mesh_lab_run(&lab, 21 * NS_PER_S, NULL, NULL);
	}
	CHECK_EQ(stats().answered_cnt, 8);
	CHECK_EQ(stats().refused_cnt, 0);
	mesh_lab_acknowledge(own);
	end();
}

static void test_best_draws_known_relays(void)
{
	struct relay_found found[4];
	struct relay_want want = {0};

	begin_with(1);
	CHECK_EQ(relay_find_best(find, &want, lab.now_ns, found, 4), 0);
	for (uint8_t i = 1; i <= 3; i++)
		announce(i, nowhere(i));
	(void)mesh_lab_run(&lab, 5 * NS_PER_S, NULL, NULL);
	CHECK_EQ(relay_find_best(find, &want, lab.now_ns, found, 4), 3);
	relay_find_failed(find, found[0].key, lab.now_ns);
	want.skip = &found[0].key;
	want.skip_cnt = 1;
	CHECK_EQ(relay_find_best(find, &want, lab.now_ns, found + 1, 3), 2);
	CHECK(memcmp(found[0].key, found[1].key, MESH_KEY_LEN) != 0);
	CHECK_EQ(found[1].addr_cnt, 1);
	CHECK_EQ(found[1].caps, RELAY_ANNOUNCEMENT_CAP);
	end();
}

int main(void)
{
	RUN(test_a_relay_is_announced_each_hour_at_its_places);
	RUN(test_an_announcement_that_no_node_took_is_put_again);
	RUN(test_a_round_asks_sixteen_names_or_thirty_two);
	RUN(test_rounds_become_rare_while_nothing_is_found);
	RUN(test_the_seventh_request_of_a_minute_is_refused);
	RUN(test_a_list_has_this_relay_and_those_that_served_it);
	RUN(test_an_asker_on_the_internet_gets_no_private_relay);
	RUN(test_askers_that_do_not_read_share_four_lists);
	RUN(test_best_draws_known_relays);
	return check_done();
}

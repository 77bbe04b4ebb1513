/* SPDX-License-Identifier: Apache-2.0 */
#include "service/directory/publisher.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "service/directory/service_id.h"
#include "service/directory/descriptor_rules.h"
#include "support/check.h"
#include "support/fake_overlay.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define WALL_S 1700000000ull

static struct {
	struct fake_overlay overlay;
	struct service_rules rules;
	struct arena arena;
	struct timer_wheel timers;
	struct service_publisher_params params;
	struct service_publisher *publisher;
	struct node_key *key;
	struct store *store;
	char dir[SCRATCH_CAP];
	uint64_t now_ns;
	int64_t wall_shift_s;
	struct service_descriptor descriptor; /* the last one that looked shows */
	uint8_t bytes[SERVICE_VALUE_LEN_MAX];
} rig;

static const struct service_metadata metadata[] = {{"kind", "http"}, {"about", "a room"}};
static const struct service_offering echo = {.name = "echo", .version = "1.2.0"};

static uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return WALL_S + (uint64_t)rig.wall_shift_s + rig.now_ns / NS_PER_S;
}

static void publisher_open(void)
{
	rig.params.now_ns = rig.now_ns;
	if (service_publisher_new(&rig.params, &rig.publisher) < 0)
		abort();
}

static void setup(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};
	struct overlay_seam overlay;

	memset(&rig, 0, sizeof(rig));
	timer_wheel_init(&rig.timers, 0);
	overlay = fake_overlay_seam(&rig.overlay);
	if (node_key_from_seed(seed, &rig.key) < 0 || arena_open(&rig.arena, ARENA_GROWS) < 0 ||
	    service_rules_init(&rig.rules, &rig.arena) < 0 ||
	    service_rules_add(&rig.rules, &overlay) < 0)
		abort();
	rig.overlay.wall_s = WALL_S;
	rig.params = (struct service_publisher_params){
		.overlay = overlay,
		.key = rig.key,
		.timers = &rig.timers,
		.wall_s = rig_wall_s,
	};
	service_publisher_config_defaults(&rig.params.config);
	publisher_open();
}

static void teardown(void)
{
	service_publisher_free(rig.publisher);
	fake_overlay_fini(&rig.overlay);
	arena_close(&rig.arena);
	node_key_free(rig.key);
}

static void pass(uint64_t ns)
{
	rig.now_ns += ns;
	rig.overlay.wall_s = rig_wall_s(NULL);
	for (unsigned i = 0; i < 4; i++) { /* each step of a round takes a turn */
		timer_wheel_expire(&rig.timers, rig.now_ns);
		if (rig.store)
			store_reap(rig.store);
		fake_overlay_turn(&rig.overlay, rig.now_ns);
	}
}

static void offer(const struct service_offering *offering)
{
	enum service_fault fault;

	if (service_publisher_offer(rig.publisher, offering, rig.now_ns, &fault) < 0)
		abort();
}

/* The n-th descriptor that lies under name; false: there are not so many. */
static bool look(const char *name, unsigned n)
{
	const struct fake_value *value = fake_overlay_find(&rig.overlay, name, n);

	if (!value)
		return false;
	memcpy(rig.bytes, value->bytes, value->len);
	return service_descriptor_verify(rig.bytes + 1, value->len - 1, rig_wall_s(NULL),
					 &rig.descriptor) == SERVICE_FINE;
}

static void test_first_publication_waits_until_a_node_comes(void)
{
	setup();
	offer(&echo);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	service_publisher_hurry(rig.publisher, rig.now_ns);
	pass(0);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	CHECK(look("svc:echo", 0));
	/* A later offer need not wait. */
	offer(&(struct service_offering){.name = "other", .version = "1.0.0"});
	pass(1);
	CHECK(look("svc:other", 0));
	/* A record that several hold is not put again for a newcomer. */
	service_publisher_hurry(rig.publisher, rig.now_ns);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	teardown();
}

static void test_what_one_node_holds_is_put_again_when_others_come(void)
{
	struct service_publisher_stats stats;

	setup();
	rig.overlay.keeper_cnt = 1;
	service_publisher_hurry(rig.publisher, rig.now_ns);
	for (unsigned i = 0; i < 21; i++) {
		char name[16];

		snprintf(name, sizeof(name), "service-%u", i);
		offer(&(struct service_offering){.name = name, .version = "1.0.0"});
	}
	pass(1);
	CHECK_EQ(rig.overlay.put_cnt, 40);
	/* But no more in a minute for that. */
	service_publisher_hurry(rig.publisher, rig.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 40);
	service_publisher_stats(rig.publisher, &stats);
	CHECK_EQ(stats.refused_cnt, 21); /* the 21st once, for it waits already */
	rig.overlay.keeper_cnt = 2;
	for (unsigned i = 0; i < 4; i++)
		pass(60 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 82);
	service_publisher_hurry(rig.publisher, rig.now_ns);
	pass(60 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 82);
	teardown();
}

static void test_first_publication_is_seconds_after_the_start(void)
{
	char name[SERVICE_VALUE_NAME_CAP];

	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS - 1);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	pass(1);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	CHECK(look("svc:echo", 0));
	CHECK_STR(rig.descriptor.version, "1.2.0");
	CHECK_EQ(rig.descriptor.created_s, rig_wall_s(NULL));
	CHECK_EQ(rig.descriptor.expires_s, rig_wall_s(NULL) + 3600);
	CHECK_MEM(rig.descriptor.owner, node_key_public(rig.key), NODE_KEY_LEN);
	service_value_id(rig.descriptor.id, name);
	CHECK(look(name, 0));
	CHECK_STR(rig.descriptor.name, "echo");
	/* A later offer need not wait. */
	offer(&(struct service_offering){.name = "other", .version = "1.0.0"});
	pass(1);
	CHECK(look("svc:other", 0));
	teardown();
}

static void test_it_is_renewed_at_half_its_life(void)
{
	uint64_t seq;

	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	seq = rig.descriptor.seq;
	pass(1799 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.seq > seq);
	CHECK_EQ(rig.descriptor.expires_s, rig_wall_s(NULL) + 3600);
	teardown();
}

static void test_a_clock_that_is_set_is_followed_by_a_descriptor_of_now(void)
{
	static const int64_t set_s[] = {-3600, 86400 * 365};

	for (unsigned i = 0; i < 2; i++) {
		setup();
		offer(&echo);
		pass(SERVICE_PUBLISH_FIRST_NS);
		service_publisher_set_wall(rig.publisher, rig.now_ns);
		pass(NS_PER_S);
		CHECK_EQ(rig.overlay.put_cnt, 2);
		rig.wall_shift_s = set_s[i];
		CHECK(!look("svc:echo", 0));
		service_publisher_set_wall(rig.publisher, rig.now_ns);
		pass(NS_PER_S);
		CHECK_EQ(rig.overlay.put_cnt, 4);
		CHECK(look("svc:echo", 0));
		CHECK_EQ(rig.descriptor.created_s, rig_wall_s(NULL));
		teardown();
	}
}

static void test_a_change_is_signed_anew_and_no_change_is_not(void)
{
	struct service_offering changed = echo;
	uint64_t seq;

	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	seq = rig.descriptor.seq;
	offer(&echo);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	changed.metadata = metadata;
	changed.metadata_cnt = 2;
	offer(&changed);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.seq > seq);
	CHECK(service_descriptor_says(&rig.descriptor, "kind", "http"));
	CHECK(service_descriptor_says(&rig.descriptor, "about", "a room"));
	changed.read_only = (const char *const[]){"Say", "List"};
	changed.read_only_cnt = 2;
	offer(&changed);
	offer(&changed);
	pass(NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 6);
	CHECK(look("svc:echo", 0));
	CHECK(service_read_only_has(&rig.descriptor.read_only, "List"));
	CHECK(!service_read_only_has(&rig.descriptor.read_only, "Post"));
	changed.version = "1.3.0";
	offer(&changed);
	pass(NS_PER_S);
	CHECK(look("svc:echo", 0));
	CHECK_STR(rig.descriptor.version, "1.3.0");
	CHECK(!look("svc:echo", 1));
	teardown();
}

/* Changed while it is being put: what was put first is followed by what is true. */
static void test_a_change_on_the_way_is_published_next(void)
{
	struct service_offering changed = echo;

	setup();
	offer(&echo);
	rig.now_ns = SERVICE_PUBLISH_FIRST_NS;
	timer_wheel_expire(&rig.timers, rig.now_ns);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	changed.version = "1.9.9";
	offer(&changed);
	pass(1);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK_STR(rig.descriptor.version, "1.9.9");
	teardown();
}

static void test_major_versions_are_published_side_by_side(void)
{
	setup();
	offer(&echo);
	offer(&(struct service_offering){.name = "echo", .version = "2.0.0"});
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	CHECK(look("svc:echo", 1));
	CHECK(!look("svc:echo", 2));
	teardown();
}

static void test_endpoints_are_published_when_they_change(void)
{
	struct addr addrs[9] = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}};

	setup();
	service_publisher_set_endpoints(rig.publisher, addrs, 1, rig.now_ns);
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	CHECK_EQ(rig.descriptor.endpoint_cnt, 1);
	CHECK_MEM(&rig.descriptor.endpoints[0], &addrs[0], sizeof(addrs[0]));
	service_publisher_set_endpoints(rig.publisher, addrs, 1, rig.now_ns);
	pass(60 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	for (unsigned i = 1; i < 9; i++) {
		addrs[i] = addrs[0];
		addrs[i].port = (uint16_t)(7000 + i);
	}
	service_publisher_set_endpoints(rig.publisher, addrs, 2, rig.now_ns);
	pass(5 * NS_PER_S);
	service_publisher_set_endpoints(rig.publisher, addrs, 9, rig.now_ns);
	pass(5 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK_EQ(rig.descriptor.endpoint_cnt, 8);
	teardown();
}

static void test_a_withdrawal_says_gone_for_as_long_as_is_left(void)
{
	uint64_t seq, expires_s;
	struct service_publisher_stats stats;

	setup();
	offer(&(struct service_offering){
		.name = "echo", .version = "1.2.0", .metadata = metadata, .metadata_cnt = 2});
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	seq = rig.descriptor.seq;
	expires_s = rig.descriptor.expires_s;
	pass(1000 * NS_PER_S);
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	pass(1);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.is_gone);
	CHECK(rig.descriptor.seq > seq);
	CHECK_EQ(rig.descriptor.expires_s, expires_s);
	CHECK_EQ(rig.descriptor.metadata_cnt, 0);
	/* And that was the last of it. */
	pass(4000 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	service_publisher_stats(rig.publisher, &stats);
	CHECK_EQ(stats.publication_cnt, 0);
	CHECK_EQ(stats.withdrawn_cnt, 1);
	teardown();
}

static void test_what_was_never_put_goes_without_a_word(void)
{
	setup();
	offer(&echo);
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	service_publisher_withdraw(rig.publisher, "nobody", 1, rig.now_ns);
	pass(20 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	teardown();
}

static void test_a_node_that_leaves_withdraws_all_and_offers_nothing(void)
{
	setup();
	offer(&echo);
	offer(&(struct service_offering){.name = "other", .version = "1.0.0"});
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(service_publisher_has_left(rig.publisher)); /* nothing is under way */
	service_publisher_leave(rig.publisher, rig.now_ns);
	CHECK(!service_publisher_has_left(rig.publisher));
	offer(&echo); /* its program answers just now */
	pass(1);
	CHECK(service_publisher_has_left(rig.publisher));
	CHECK_EQ(rig.overlay.put_cnt, 8);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.is_gone);
	CHECK(look("svc:other", 0));
	CHECK(rig.descriptor.is_gone);
	teardown();
}

/* What the limit a minute holds back is not waited for. */
static void test_a_node_that_leaves_keeps_the_limit_a_minute(void)
{
	char name[16];

	setup();
	for (unsigned i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		offer(&(struct service_offering){.name = name, .version = "1.0.0"});
	}
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 30);
	service_publisher_leave(rig.publisher, rig.now_ns);
	pass(1);
	CHECK_EQ(rig.overlay.put_cnt, 40); /* 20 publications in all */
	CHECK(service_publisher_has_left(rig.publisher));
	teardown();
}

static void test_a_service_that_comes_back_is_published_again(void)
{
	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	offer(&echo);
	pass(1);
	CHECK(look("svc:echo", 0));
	CHECK(!rig.descriptor.is_gone);
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	pass(1);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.is_gone);
	offer(&echo);
	pass(1);
	CHECK(look("svc:echo", 0));
	CHECK(!rig.descriptor.is_gone);
	teardown();
}

static unsigned held_back_cnt(void)
{
	struct service_publication_iter iter = {.publisher = rig.publisher};
	struct service_publication_state state;
	unsigned cnt = 0;

	while (service_publisher_next(&iter, &state))
		cnt += state.is_held_back;
	return cnt;
}

static void test_21st_publication_in_a_minute_does_not_leave(void)
{
	struct service_publisher_stats stats;

	setup();
	for (unsigned i = 0; i < 21; i++) {
		char name[16];

		snprintf(name, sizeof(name), "service-%u", i);
		offer(&(struct service_offering){.name = name, .version = "1.0.0"});
	}
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 40);
	service_publisher_stats(rig.publisher, &stats);
	CHECK_EQ(stats.publish_cnt, 20);
	CHECK_EQ(stats.refused_cnt, 1);
	CHECK_EQ(held_back_cnt(), 1);
	pass(50 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 40);
	pass(4 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 42);
	CHECK_EQ(held_back_cnt(), 0);
	teardown();
}

/* Of the last publication. */
static int state_err(void)
{
	struct service_publication_iter iter = {.publisher = rig.publisher};
	struct service_publication_state state = {.err = 1};

	while (service_publisher_next(&iter, &state))
		;
	return state.err;
}

static void test_a_record_that_no_node_took_is_tried_again(void)
{
	struct service_publisher_stats stats;

	setup();
	rig.overlay.err = WEFT_EUNREACHABLE;
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	CHECK_EQ(state_err(), WEFT_EUNREACHABLE);
	pass(58 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	service_publisher_hurry(rig.publisher, rig.now_ns);
	pass(0);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	pass(SERVICE_PUBLISH_RETRY_NS - 1);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	rig.overlay.err = 0;
	rig.overlay.start_err = WEFT_EFULL;
	pass(1);
	CHECK_EQ(state_err(), WEFT_EFULL);
	rig.overlay.start_err = 0;
	pass(SERVICE_PUBLISH_RETRY_NS);
	CHECK(look("svc:echo", 0));
	CHECK_EQ(state_err(), 0);
	service_publisher_stats(rig.publisher, &stats);
	CHECK_EQ(stats.failed_cnt, 3);
	teardown();
}

static void test_a_withdrawal_is_published_until_the_record_expires(void)
{
	struct service_publisher_stats stats;

	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	rig.overlay.err = WEFT_EUNREACHABLE;
	service_publisher_withdraw(rig.publisher, "echo", 1, rig.now_ns);
	for (unsigned i = 0; i < 70; i++)
		pass(SERVICE_PUBLISH_RETRY_NS);
	service_publisher_stats(rig.publisher, &stats);
	CHECK(stats.failed_cnt >= 58);
	CHECK(stats.failed_cnt <= 62);
	CHECK_EQ(stats.publication_cnt, 0);
	teardown();
}

static void test_faults_are_reported_and_nothing_is_stored(void)
{
	static const struct service_metadata private[] = {{"email", "x"}};
	struct service_offering offering = echo;
	struct service_publisher_stats stats;
	enum service_fault fault;

	setup();
	offering.metadata = private;
	offering.metadata_cnt = 1;
	CHECK_EQ(service_publisher_offer(rig.publisher, &offering, 0, &fault), WEFT_EMALFORMED);
	CHECK_EQ(fault, SERVICE_PRIVATE_METADATA);
	service_publisher_stats(rig.publisher, &stats);
	CHECK_EQ(stats.publication_cnt, 0);
	teardown();
}

static void test_table_of_publications_has_an_end(void)
{
	enum service_fault fault;
	char name[16];

	setup();
	for (unsigned i = 0; i < 128; i++) {
		snprintf(name, sizeof(name), "service-%u", i);
		offer(&(struct service_offering){.name = name, .version = "1.0.0"});
	}
	CHECK_EQ(service_publisher_offer(rig.publisher, &echo, 0, &fault), WEFT_EFULL);
	teardown();
}

static void test_no_number_is_used_twice_over_a_crash(void)
{
	uint64_t seq;

	setup();
	service_publisher_free(rig.publisher);
	scratch_make(rig.dir);
	rig.store = rig.params.store = scratch_store(rig.dir, true);
	publisher_open();
	offer(&echo);
	rig.now_ns += SERVICE_PUBLISH_FIRST_NS;
	timer_wheel_expire(&rig.timers, rig.now_ns);
	/* Its number is not durable yet: nothing has left. */
	CHECK_EQ(rig.overlay.put_cnt, 0);
	pass(0);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	CHECK(look("svc:echo", 0));
	seq = rig.descriptor.seq;

	service_publisher_free(rig.publisher);
	store_crash(rig.store);
	rig.wall_shift_s = -100000; /* and the clock is set back */
	rig.store = rig.params.store = scratch_store(rig.dir, true);
	publisher_open();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK_EQ(rig.descriptor.seq, seq + 1);
	teardown();
	store_close(rig.store);
	scratch_remove(rig.dir);
}

static void test_it_may_end_while_a_number_is_stored(void)
{
	setup();
	service_publisher_free(rig.publisher);
	scratch_make(rig.dir);
	rig.store = rig.params.store = scratch_store(rig.dir, true);
	publisher_open();
	offer(&echo);
	rig.now_ns += SERVICE_PUBLISH_FIRST_NS;
	timer_wheel_expire(&rig.timers, rig.now_ns);
	CHECK(store_is_pending(rig.store));
	service_publisher_free(rig.publisher);
	rig.publisher = NULL;
	CHECK(!store_is_pending(rig.store));
	timer_wheel_expire(&rig.timers, rig.now_ns + NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	teardown();
	store_close(rig.store);
	scratch_remove(rig.dir);
}

static void test_what_cannot_be_stored_does_not_leave(void)
{
	setup();
	service_publisher_free(rig.publisher);
	scratch_make(rig.dir);
	rig.store = rig.params.store = scratch_store(rig.dir, true);
	publisher_open();
	store_freeze(rig.store);
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK_EQ(rig.overlay.put_cnt, 0);
	CHECK(state_err() < 0);
	teardown();
	store_close(rig.store);
	scratch_remove(rig.dir);
}

int main(void)
{
	RUN(test_first_publication_waits_until_a_node_comes);
	RUN(test_what_one_node_holds_is_put_again_when_others_come);
	RUN(test_first_publication_is_seconds_after_the_start);
	RUN(test_it_is_renewed_at_half_its_life);
	RUN(test_a_clock_that_is_set_is_followed_by_a_descriptor_of_now);
	RUN(test_a_change_is_signed_anew_and_no_change_is_not);
	RUN(test_a_change_on_the_way_is_published_next);
	RUN(test_major_versions_are_published_side_by_side);
	RUN(test_endpoints_are_published_when_they_change);
	RUN(test_a_withdrawal_says_gone_for_as_long_as_is_left);
	RUN(test_what_was_never_put_goes_without_a_word);
	RUN(test_a_node_that_leaves_withdraws_all_and_offers_nothing);
	RUN(test_a_node_that_leaves_keeps_the_limit_a_minute);
	RUN(test_a_service_that_comes_back_is_published_again);
	RUN(test_21st_publication_in_a_minute_does_not_leave);
	RUN(test_a_record_that_no_node_took_is_tried_again);
	RUN(test_a_withdrawal_is_published_until_the_record_expires);
	RUN(test_faults_are_reported_and_nothing_is_stored);
	RUN(test_table_of_publications_has_an_end);
	RUN(test_no_number_is_used_twice_over_a_crash);
	RUN(test_it_may_end_while_a_number_is_stored);
	RUN(test_what_cannot_be_stored_does_not_leave);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Withdrawals, and publications that did not arrive. */
#include "publisher_rig.h"

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

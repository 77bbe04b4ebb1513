/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher_rig.h"

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

static void test_places_are_published_when_they_change(void)
{
	struct peer_places places = {
		.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.addr_cnt = 1};

	setup();
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	CHECK(look("svc:echo", 0));
	CHECK(peer_places_equal(&rig.descriptor.places, &places));
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	pass(60 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	for (unsigned i = 1; i < PEER_ADDRS_MAX; i++) {
		places.addrs[i] = places.addrs[0];
		places.addrs[i].port = (uint16_t)(7000 + i);
	}
	places.addr_cnt = 2;
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	pass(5 * NS_PER_S);
	places.addr_cnt = PEER_ADDRS_MAX;
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	pass(5 * NS_PER_S);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	CHECK(look("svc:echo", 0));
	CHECK(peer_places_equal(&rig.descriptor.places, &places));
	teardown();
}

static void test_relays_are_published_as_endpoints_and_not_of_a_service_that_is_gone(void)
{
	struct peer_places places = {
		.vias = {{.key = {7},
			  .addr = {.family = ADDR_IPV4, .ip = {192, 0, 2, 7}, .port = 7000}}},
		.via_cnt = 1};

	setup();
	offer(&echo);
	pass(SERVICE_PUBLISH_FIRST_NS);
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	/* The first relay is published sooner than other changes. */
	pass(2 * NS_PER_S);
	CHECK(look("svc:echo", 0));
	CHECK(peer_places_equal(&rig.descriptor.places, &places));
	places.vias[0].addr.port = 7001;
	service_publisher_set_places(rig.publisher, &places, rig.now_ns);
	pass(2 * NS_PER_S);
	CHECK(look("svc:echo", 0));
	CHECK_EQ(rig.descriptor.places.vias[0].addr.port, 7000);
	pass(10 * NS_PER_S);
	CHECK(look("svc:echo", 0));
	CHECK(peer_places_equal(&rig.descriptor.places, &places));
	service_publisher_leave(rig.publisher, rig.now_ns);
	pass(5 * NS_PER_S);
	CHECK(look("svc:echo", 0));
	CHECK(rig.descriptor.is_gone);
	CHECK_EQ(rig.descriptor.places.via_cnt, 0);
	teardown();
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
	RUN(test_places_are_published_when_they_change);
	RUN(test_relays_are_published_as_endpoints_and_not_of_a_service_that_is_gone);
	return check_done();
}

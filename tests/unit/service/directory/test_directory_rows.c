/* SPDX-License-Identifier: Apache-2.0 */
/* The providers that the directory finds, shows, and hides. */
#include "unit/service/directory_rig.h"

#include "service/directory/service_id.h"
#include "support/scratch_store.h"

static const struct service_query by_name = {.name = "pod-chat"};
static const struct service_query by_name_anew = {.name = "pod-chat", .is_anew = true};

static void setup(void)
{
	rig_init();
	rig_open();
}

static void test_providers_of_a_name_are_found(void)
{
	setup();
	for (unsigned owner = 0; owner < 3; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	rig_publish(&(struct rig_descriptor){.owner = 4, .name = "echo"});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.err, 0);
	CHECK_EQ(rig.finding.found_cnt, 3);
	CHECK_EQ(rig.finding.asked_cnt, 3);
	CHECK(!rig.finding.is_cached);
	CHECK_STR(rig.descriptors[0].name, "pod-chat");
	CHECK_EQ(rig.finding.found[0].age_s, 0);
	rig_fini();
}

static void test_nothing_found_is_no_error(void)
{
	setup();
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.err, 0);
	CHECK_EQ(rig.finding.found_cnt, 0);
	rig_fini();
}

static void test_an_id_has_one_owner(void)
{
	uint8_t id[SERVICE_ID_LEN];

	setup();
	for (unsigned owner = 0; owner < 25; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	service_id_of("pod-chat", node_key_public(rig.owners[7]), id);
	CHECK(rig_find(&(struct service_query){.id = id}));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_MEM(rig.descriptors[0].owner, node_key_public(rig.owners[7]), NODE_KEY_LEN);
	/* And it is answered from the cache from now on. */
	CHECK(rig_find(&(struct service_query){.id = id}));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	rig_fini();
}

/* Flips a byte of the signature, which is what ends a descriptor. */
static void forge(unsigned owner, uint64_t seq)
{
	uint8_t value[SERVICE_VALUE_LEN_MAX];
	size_t len = rig_write(&(struct rig_descriptor){.owner = owner, .seq = seq},
			       SERVICE_TAG_BY_NAME, value);

	value[len - 1] ^= 1;
	fake_overlay_inject(&rig.overlay, "svc:pod-chat", value, len);
}

static void test_25_providers_and_3_forged_give_20_distinct(void)
{
	setup();
	for (unsigned owner = 0; owner < 3; owner++)
		forge(owner + 30, 1);
	for (unsigned owner = 0; owner < 25; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 20);
	CHECK_EQ(rig.finding.hidden[SERVICE_BAD_SIGNATURE], 3);
	for (unsigned i = 0; i < 20; i++) {
		CHECK(rig_owner(rig.descriptors[i].owner) < 25);
		for (unsigned j = 0; j < i; j++)
			CHECK(memcmp(rig.descriptors[i].id, rig.descriptors[j].id,
				     SERVICE_ID_LEN) != 0);
	}
	rig_fini();
}

static void test_real_ones_are_found_among_1000_forged(void)
{
	char text[SERVICE_FAULTS_TEXT_CAP];

	setup();
	for (unsigned i = 0; i < 500; i++)
		forge(i % RIG_OWNER_CNT, 1 + i);
	rig_publish(&(struct rig_descriptor){.owner = 1});
	rig_publish(&(struct rig_descriptor){.owner = 2});
	for (unsigned i = 500; i < 1000; i++)
		forge(i % RIG_OWNER_CNT, 1 + i);
	/* Each comes from another node, too, and is counted once. */
	for (unsigned i = 0; i < 10; i++)
		forge(i % RIG_OWNER_CNT, 1 + i);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 2);
	CHECK_EQ(rig.finding.hidden[SERVICE_BAD_SIGNATURE], 1000);
	CHECK_STR(service_faults_write(rig.finding.hidden, text, sizeof(text)),
		  "1000 bad signature");
	rig_fini();
}

static void test_a_foreign_key_does_not_take_the_name(void)
{
	uint8_t value[SERVICE_VALUE_LEN_MAX];
	size_t len;

	setup();
	/* Of another name, of no form at all, under another tag. */
	len = rig_write(&(struct rig_descriptor){.owner = 1, .name = "echo"}, SERVICE_TAG_BY_NAME,
			value);
	fake_overlay_inject(&rig.overlay, "svc:pod-chat", value, len);
	fake_overlay_inject(&rig.overlay, "svc:pod-chat", (const uint8_t *)"\x10\xff", 2);
	len = rig_write(&(struct rig_descriptor){.owner = 2}, SERVICE_TAG_BY_ID, value);
	fake_overlay_inject(&rig.overlay, "svc:pod-chat", value, len);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 0);
	CHECK_EQ(rig.finding.hidden[SERVICE_OTHER_NAME], 1);
	CHECK_EQ(rig.finding.hidden[SERVICE_MALFORMED], 2);
	rig_fini();
}

static void test_expired_and_future_ones_are_counted(void)
{
	char text[SERVICE_FAULTS_TEXT_CAP];

	setup();
	rig_publish(&(struct rig_descriptor){
		.owner = 1, .created_s = RIG_WALL_S - 3901, .expires_s = RIG_WALL_S - 301});
	rig_publish(&(struct rig_descriptor){.owner = 2, .created_s = RIG_WALL_S + 301});
	rig_publish(&(struct rig_descriptor){.owner = 3, .created_s = RIG_WALL_S + 300});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_STR(service_faults_write(rig.finding.hidden, text, sizeof(text)),
		  "1 expired, 1 from the future");
	rig_fini();
}

static void test_a_descriptor_is_gone_after_its_life_and_the_skew(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	CHECK(rig_find(&by_name));
	rig_pass(3890 * NS_PER_S);
	rig.overlay.err = WEFT_EUNREACHABLE;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	rig_pass(11 * NS_PER_S);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 0);
	rig_fini();
}

static void test_versions_of_one_owner_stand_side_by_side(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "1.0.0"});
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "2.0.0"});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 2);
	CHECK_STR(rig.descriptors[0].version, "2.0.0");
	CHECK(rig_find(&(struct service_query){.name = "pod-chat", .version = "^1"}));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_STR(rig.descriptors[0].version, "1.0.0");
	CHECK(rig_find(&(struct service_query){.name = "pod-chat", .version = ">=3"}));
	CHECK_EQ(rig.finding.found_cnt, 0);
	rig_fini();
}

static void test_an_older_one_does_not_replace_a_newer_one(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "1.5.0", .seq = 9});
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "1.4.0", .seq = 8});
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "1.3.0", .seq = 9});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_STR(rig.descriptors[0].version, "1.5.0");
	CHECK_EQ(rig.finding.hidden[SERVICE_REPLAYED], 1);
	rig_publish(&(struct rig_descriptor){.owner = 1, .version = "1.6.0", .seq = 10});
	CHECK(rig_find(&by_name_anew));
	CHECK_STR(rig.descriptors[0].version, "1.6.0");
	rig_fini();
}

static void test_a_withdrawn_one_is_gone(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1, .seq = 1});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	rig_publish(&(struct rig_descriptor){.owner = 1, .seq = 2, .is_gone = true});
	CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig.finding.found_cnt, 0);
	CHECK_EQ(rig.finding.hidden[SERVICE_GONE], 1);
	rig_fini();
}

/* An absent provider is looked up again after a second: it may be restarting. */
static void test_an_absent_provider_is_cached_for_a_second(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1, .seq = 1, .is_gone = true});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 0);
	rig_publish(&(struct rig_descriptor){.owner = 1, .seq = 2});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 0);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	rig_pass(NS_PER_S);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_EQ(rig.overlay.get_cnt, 2);
	rig_fini();
}

static void test_a_ban_hides_its_owner_at_once(void)
{
	struct service_finding finding;

	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	rig_publish(&(struct rig_descriptor){.owner = 2});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 2);
	rig.banned = node_key_public(rig.owners[1]);
	service_directory_peek(rig.directory, &by_name, SERVICE_FOUND_MAX, rig.now_ns, &finding);
	CHECK_EQ(finding.found_cnt, 1);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_MEM(rig.descriptors[0].owner, node_key_public(rig.owners[2]), NODE_KEY_LEN);
	CHECK_EQ(rig.finding.hidden[SERVICE_BANNED], 1);
	rig_fini();
}

static void test_all_that_may_be_shown_is_listed_heard_of_last_first(void)
{
	static const struct service_query echo = {.name = "echo"};
	struct service_directory_iter iter = {0};
	struct service_found found;
	unsigned cnt = 1;

	setup();
	for (unsigned owner = 1; owner <= 3; owner++) {
		rig_publish(&(struct rig_descriptor){.owner = owner});
		CHECK(rig_find(&by_name_anew));
	}
	rig_publish(&(struct rig_descriptor){.owner = 4, .name = "echo"});
	rig_publish(
		&(struct rig_descriptor){.owner = 5, .name = "echo", .seq = 2, .is_gone = true});
	CHECK(rig_find(&echo));
	rig.banned = node_key_public(rig.owners[2]);
	iter = (struct service_directory_iter){.directory = rig.directory, .now_ns = rig.now_ns};
	CHECK(service_directory_next(&iter, &found));
	CHECK_EQ(rig_owner(found.descriptor->owner), 4);
	while (service_directory_next(&iter, &found))
		cnt++;
	CHECK_EQ(cnt, 3);
	rig_fini();
}

static void test_order_is_that_of_reputation_and_health(void)
{
	setup();
	for (unsigned owner = 1; owner < 4; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	rig.reputation[1] = 40;
	rig.reputation[2] = 60;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig_owner(rig.descriptors[0].owner), 2);
	CHECK_EQ(rig_owner(rig.descriptors[1].owner), 3);
	CHECK_EQ(rig_owner(rig.descriptors[2].owner), 1);
	CHECK_EQ(rig.finding.found[0].reputation, 60);
	/* Its calls fail: the best behaved is no longer the first. */
	rig.health[2] = 0;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig_owner(rig.descriptors[0].owner), 3);
	CHECK_EQ(rig_owner(rig.descriptors[2].owner), 2);
	rig.reputation[1] = 95;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig_owner(rig.descriptors[0].owner), 1);
	rig_fini();
}

int main(void)
{
	RUN(test_providers_of_a_name_are_found);
	RUN(test_nothing_found_is_no_error);
	RUN(test_an_id_has_one_owner);
	RUN(test_25_providers_and_3_forged_give_20_distinct);
	RUN(test_real_ones_are_found_among_1000_forged);
	RUN(test_a_foreign_key_does_not_take_the_name);
	RUN(test_expired_and_future_ones_are_counted);
	RUN(test_a_descriptor_is_gone_after_its_life_and_the_skew);
	RUN(test_versions_of_one_owner_stand_side_by_side);
	RUN(test_an_older_one_does_not_replace_a_newer_one);
	RUN(test_a_withdrawn_one_is_gone);
	RUN(test_an_absent_provider_is_cached_for_a_second);
	RUN(test_a_ban_hides_its_owner_at_once);
	RUN(test_all_that_may_be_shown_is_listed_heard_of_last_first);
	RUN(test_order_is_that_of_reputation_and_health);
	return check_done();
}

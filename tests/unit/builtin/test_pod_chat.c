/* SPDX-License-Identifier: Apache-2.0 */
#include "pod_chat_rig.h"

static void test_two_peers_join_post_and_fetch_in_one_order(void)
{
	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(2, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(post(1, "first"), SERVICE_OK);
	CHECK_EQ(post(2, "second"), SERVICE_OK);
	CHECK_EQ(post(RIG_LOCAL, "third"), SERVICE_OK);
	for (unsigned who = 0; who < 3; who++) {
		CHECK_EQ(message_cnt(who), 3);
		CHECK_STR(body_at(who, 0), "first");
		CHECK_STR(body_at(who, 1), "second");
		CHECK_STR(body_at(who, 2), "third");
	}
	json_t *messages =
		json_object_get(CHAT(1, "FetchMessages", "{s:s}", "pod", pod), "messages");
	CHECK_STR(rig_text(json_array_get(messages, 0), "sender"), rig_key_text(1));
	CHECK_STR(rig_text(json_array_get(messages, 1), "sender"), rig_key_text(2));
	rig_stop();
}

static void test_since_gives_what_is_newer(void)
{
	json_t *reply;
	json_int_t next;

	start_with_pod("listed", 7);
	post(RIG_LOCAL, "one");
	post(RIG_LOCAL, "two");
	reply = CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:i}", "pod", pod, "limit", 1);
	CHECK_EQ(json_array_size(json_object_get(reply, "messages")), 1);
	CHECK(json_is_true(json_object_get(reply, "has_more")));
	next = json_integer_value(json_object_get(reply, "next"));
	reply = CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:I}", "pod", pod, "since", next);
	CHECK_EQ(json_array_size(json_object_get(reply, "messages")), 1);
	CHECK_STR(rig_text(json_array_get(json_object_get(reply, "messages"), 0), "body"), "two");
	CHECK(json_is_false(json_object_get(reply, "has_more")));
	CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:i}", "pod", pod, "limit", 101);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:I}", "pod", pod, "limit",
	     (json_int_t)UINT32_MAX + 2);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void test_a_page_fits_an_answer_whatever_is_in_it(void)
{
	static char body[POD_BODY_LEN_MAX + 1];
	json_t *reply;
	size_t cnt = 0;

	start_with_pod("listed", 7);
	memset(body, 1, POD_BODY_LEN_MAX); /* six letters each in JSON */
	for (unsigned i = 0; i < 50; i++) {
		CHECK_EQ(post(RIG_LOCAL, body), SERVICE_OK);
		rig_pass_s(60);
	}
	reply = CHAT(RIG_LOCAL, "FetchMessages", "{s:s}", "pod", pod);
	CHECK(rig.call.len < SERVICE_PAYLOAD_LEN_MAX);
	while (json_array_size(json_object_get(reply, "messages"))) {
		cnt += json_array_size(json_object_get(reply, "messages"));
		reply = CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:O}", "pod", pod, "since",
			     json_object_get(reply, "next"));
	}
	CHECK_EQ(cnt, 50);
	rig_stop();
}

static void test_a_body_of_4096_bytes_is_taken_and_one_more_is_not(void)
{
	static char body[POD_BODY_LEN_MAX + 2];

	start_with_pod("listed", 7);
	memset(body, 'x', POD_BODY_LEN_MAX);
	CHECK_EQ(post(RIG_LOCAL, body), SERVICE_OK);
	CHECK_STR(body_at(RIG_LOCAL, 0), body);
	body[POD_BODY_LEN_MAX] = 'x';
	CHECK_EQ(post(RIG_LOCAL, body), SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(post(RIG_LOCAL, ""), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	rig_stop();
}

static void test_the_eleventh_message_of_a_minute_is_refused(void)
{
	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	for (unsigned i = 0; i < POD_CHAT_POSTS_PER_MIN; i++)
		CHECK_EQ(post(1, "again"), SERVICE_OK);
	CHECK_EQ(post(1, "again"), SERVICE_RATE_LIMITED);
	CHECK_EQ(post(RIG_LOCAL, "another peer"), SERVICE_OK);
	rig_pass_s(59);
	CHECK_EQ(post(1, "again"), SERVICE_RATE_LIMITED);
	rig_pass_s(1);
	CHECK_EQ(post(1, "again"), SERVICE_OK);
	rig_stop();
}

static void test_ids_follow_their_rule(void)
{
	uint8_t scope[POD_SCOPE_LEN], a[MESH_KEY_LEN], b[MESH_KEY_LEN];
	char one[POD_ID_LEN + 1], other[POD_ID_LEN + 1];
	struct random dice;

	random_init_seeded(&dice, 7);
	for (unsigned i = 0; i < 200; i++) {
		random_fill(&dice, scope, sizeof(scope));
		random_fill(&dice, a, sizeof(a));
		random_fill(&dice, b, sizeof(b));
		builtin_pod_id_of(scope, "room", one);
		CHECK_EQ(strlen(one), POD_ID_LEN);
		CHECK(memcmp(one, "pod:", 4) == 0);
		CHECK_EQ(strspn(one + 4, "0123456789abcdef"), 32);
		builtin_pod_id_of(scope, "rooms", other);
		CHECK(strcmp(one, other) != 0);
		builtin_pod_id_of_conversation(a, b, one);
		builtin_pod_id_of_conversation(b, a, other);
		CHECK_STR(one, other);
	}
	/* (head -c 32 /dev/zero; printf room) | sha256sum */
	memset(scope, 0, sizeof(scope));
	builtin_pod_id_of(scope, "room", one);
	CHECK_STR(one, "pod:00d45db436c0c75d29ccf67e18f886c8");
}

static void test_a_private_pod_is_not_there_for_others(void)
{
	start_with_pod("private", 7);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "List", "{}"), "pods")), 0);
	CHAT(1, "Get", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHECK_STR(rig.call.text, "no such pod is here");
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHAT(RIG_LOCAL, "Admit", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(1));
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "List", "{}"), "pods")), 1);
	CHECK_EQ(post(1, "in"), SERVICE_OK);
	rig_stop();
}

static void test_an_unlisted_pod_is_open_to_callers_with_its_id(void)
{
	start_with_pod("unlisted", 7);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "List", "{}"), "pods")), 0);
	CHECK(!json_object_get(CHAT(1, "Get", "{s:s}", "pod", pod), "members"));
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK(json_object_get(CHAT(1, "Get", "{s:s}", "pod", pod), "members") != NULL);
	rig_stop();
}

static void test_only_members_say_and_read(void)
{
	start_with_pod("listed", 7);
	CHECK_EQ(post(1, "hello"), SERVICE_FORBIDDEN);
	CHAT(1, "FetchMessages", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(post(1, "hello"), SERVICE_FORBIDDEN);
	rig_stop();
}

static void test_roles_decide_permissions(void)
{
	start_with_pod("listed", 7);
	for (unsigned who = 1; who <= 3; who++)
		CHAT(who, "Join", "{s:s}", "pod", pod);
	CHAT(1, "Admit", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(4));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "Admit", "{s:s, s:s, s:s}", "pod", pod, "peer", rig_key_text(1), "role",
	     "mod");
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(1, "Admit", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(4));
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(1, "Admit", "{s:s, s:s, s:s}", "pod", pod, "peer", rig_key_text(4), "role", "mod");
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(1, "Admit", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(RIG_LOCAL));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(2, "Leave", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(3));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(1, "Leave", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(3));
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(1, "Leave", "{s:s, s:s}", "pod", pod, "peer", rig_key_text(RIG_LOCAL));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(1, "Dissolve", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "Dissolve", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "List", "{}"), "pods")), 0);
	rig_stop();
}

static enum service_status admit(unsigned who, unsigned peer, const char *role)
{
	CHAT(who, "Admit", "{s:s, s:s, s:s}", "pod", pod, "peer", rig_key_text(peer), "role", role);
	return rig.call.status;
}

static void test_the_last_owner_stays_owner_and_member(void)
{
	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(admit(RIG_LOCAL, RIG_LOCAL, "mod"), SERVICE_FORBIDDEN);
	CHECK_EQ(admit(RIG_LOCAL, RIG_LOCAL, "member"), SERVICE_FORBIDDEN);
	CHECK_EQ(admit(RIG_LOCAL, RIG_LOCAL, "owner"), SERVICE_OK); /* as it was */
	/* A mod is none of the owners. */
	CHECK_EQ(admit(RIG_LOCAL, 1, "mod"), SERVICE_OK);
	CHECK_EQ(admit(RIG_LOCAL, RIG_LOCAL, "member"), SERVICE_FORBIDDEN);
	CHECK_EQ(admit(RIG_LOCAL, 1, "member"), SERVICE_OK);
	/* Of two owners either may demote the other, or go; then the other is the last. */
	CHECK_EQ(admit(RIG_LOCAL, 1, "owner"), SERVICE_OK);
	CHECK_EQ(admit(1, RIG_LOCAL, "mod"), SERVICE_OK);
	CHECK_EQ(admit(1, 1, "mod"), SERVICE_FORBIDDEN);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHECK_EQ(admit(1, RIG_LOCAL, "owner"), SERVICE_OK);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(admit(RIG_LOCAL, RIG_LOCAL, "mod"), SERVICE_FORBIDDEN);
	rig_stop();
}

static void test_only_programs_of_the_node_make_pods(void)
{
	rig_start();
	rig_up();
	CHAT(1, "Create", "{s:s}", "name", "mine");
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(1, "Converse", "{s:s}", "peer", rig_key_text(2));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	rig_stop();
}

static void test_a_conversation_is_of_two(void)
{
	rig_start();
	rig_up();
	pod_remember(CHAT(RIG_LOCAL, "Converse", "{s:s}", "peer", rig_key_text(1)));
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(1, "PostMessage", "{s:s, s:s, s:s}", "pod", pod, "channel", "dm", "body", "you");
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(2, "Get", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHAT(RIG_LOCAL, "Converse", "{s:s}", "peer", rig_key_text(1));
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "Converse", "{s:s}", "peer", rig_key_text(RIG_LOCAL));
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void test_a_pod_has_50_members_50_channels_and_20_tags(void)
{
	json_t *tags = json_array();
	char name[16];

	start_with_pod("listed", 7);
	for (unsigned who = 1; who < POD_MEMBER_MAX; who++) {
		CHAT(who, "Join", "{s:s}", "pod", pod);
		CHECK_EQ(rig.call.status, SERVICE_OK);
	}
	CHAT(POD_MEMBER_MAX, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHECK_STR(rig.call.text, "a pod has at most 50 members");
	for (unsigned i = 1; i < POD_CHANNEL_MAX; i++) {
		snprintf(name, sizeof(name), "room-%u", i);
		CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s}", "pod", pod, "channel", name);
		CHECK_EQ(rig.call.status, SERVICE_OK);
	}
	CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s}", "pod", pod, "channel", "one-more");
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s}", "pod", pod, "channel", "room-1");
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	for (unsigned i = 0; i < POD_TAG_MAX; i++) {
		snprintf(name, sizeof(name), "tag %u", i);
		json_array_append_new(tags, json_string(name));
	}
	CHAT(RIG_LOCAL, "Create", "{s:s, s:O}", "name", "tagged", "tags", tags);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	json_array_append_new(tags, json_string("tag 20"));
	CHAT(RIG_LOCAL, "Create", "{s:s, s:o}", "name", "more tagged", "tags", tags);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHECK_STR(rig.call.text, "a pod has at most 20 tags");
	/* All of it is there after a crash, too. */
	rig_crash();
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "Get", "{s:s}", "pod", pod), "members")),
		 POD_MEMBER_MAX);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "Get", "{s:s}", "pod", pod), "channels")),
		 POD_CHANNEL_MAX);
	CHECK_EQ(json_array_size(json_object_get(CHAT(1, "List", "{}"), "pods")), 2);
	rig_stop();
}

static void test_channels_have_names_of_their_letters(void)
{
	static const char *const bad[] = {"", "Room", "a b", "\xc3\xa9",
					  "123456789012345678901234567890123456789012345678901"};

	start_with_pod("listed", 7);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s}", "pod", pod, "channel", bad[i]);
		CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	}
	CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s, s:s}", "pod", pod, "channel",
	     "12345678901234567890123456789012345678901234567890", "kind", "bound");
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s, s:s}", "pod", pod, "channel", "x", "kind", "odd");
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHAT(RIG_LOCAL, "PostMessage", "{s:s, s:s, s:s}", "pod", pod, "channel", "nowhere", "body",
	     "x");
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void test_as_many_pods_as_configured(void)
{
	rig_start();
	rig.config.pod_cnt = 2;
	rig_up();
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "one");
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "one");
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "two");
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "three");
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	rig_stop();
}

int main(void)
{
	RUN(test_two_peers_join_post_and_fetch_in_one_order);
	RUN(test_since_gives_what_is_newer);
	RUN(test_a_page_fits_an_answer_whatever_is_in_it);
	RUN(test_a_body_of_4096_bytes_is_taken_and_one_more_is_not);
	RUN(test_the_eleventh_message_of_a_minute_is_refused);
	RUN(test_ids_follow_their_rule);
	RUN(test_a_private_pod_is_not_there_for_others);
	RUN(test_an_unlisted_pod_is_open_to_callers_with_its_id);
	RUN(test_only_members_say_and_read);
	RUN(test_roles_decide_permissions);
	RUN(test_the_last_owner_stays_owner_and_member);
	RUN(test_only_programs_of_the_node_make_pods);
	RUN(test_a_conversation_is_of_two);
	RUN(test_a_pod_has_50_members_50_channels_and_20_tags);
	RUN(test_channels_have_names_of_their_letters);
	RUN(test_as_many_pods_as_configured);
	return check_done();
}

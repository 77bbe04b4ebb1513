/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of pods: signed, kept, durable, and heard as they come. */
#include "pod_chat_rig.h"

/* ---- signatures ---- */

static struct node_key *signing_key(uint8_t seed_byte)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *key;

	memset(seed, seed_byte, sizeof(seed));
	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static void join_with(unsigned who, const struct node_key *key)
{
	char text[ZBASE32_KEY_TEXT_CAP];

	CHAT(who, "Join", "{s:s, s:s}", "pod", pod, "key",
	     zbase32_write(node_key_public(key), NODE_KEY_LEN, text));
}

#define SIGNED_ID "00112233445566778899aabbccddeeff"

/* The signing text is written here by the documentation, not by the function under test. */
static enum service_status post_signed(unsigned who, const struct node_key *key, const char *id,
				       const char *body, const char *signed_hash)
{
	uint8_t signature[NODE_KEY_SIG_LEN];
	char text[512], letters[BASE64_LEN(NODE_KEY_SIG_LEN) + 1];
	int len = snprintf(text, sizeof(text), "1|%s|general|%s|%s|%llu|%s", pod, id,
			   rig_key_text(who), (unsigned long long)rig.wall_ms, signed_hash);

	node_key_sign(key, text, (size_t)len, signature);
	CHAT(who, "PostMessage", "{s:s, s:s, s:s, s:s, s:I, s:s}", "pod", pod, "channel", "general",
	     "body", body, "id", id, "at_ms", (json_int_t)rig.wall_ms, "signature",
	     base64_write(signature, sizeof(signature), letters));
	return rig.call.status;
}

/* printf hello | openssl dgst -sha256 -binary | base64 */
#define HELLO_HASH "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="

static void test_a_signed_message_is_verified_and_given_out_with_its_signature(void)
{
	struct node_key *key = signing_key(1), *other = signing_key(2);
	json_t *messages;

	start_with_pod("listed", 7);
	join_with(1, key);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(post_signed(1, key, SIGNED_ID, "hello", HELLO_HASH), SERVICE_OK);
	messages = json_object_get(CHAT(1, "FetchMessages", "{s:s}", "pod", pod), "messages");
	CHECK_EQ(strlen(rig_text(json_array_get(messages, 0), "signature")), 88);
	CHECK_EQ(post_signed(1, key, SIGNED_ID, "hello", HELLO_HASH), SERVICE_INVALID_PAYLOAD);
	CHECK_STR(rig.call.text, "the pod has a message of this id");
	/* Another body, another key, no signature, and the signature of another member. */
	CHECK_EQ(post_signed(1, key, "ff112233445566778899aabbccddeeff", "hellp", HELLO_HASH),
		 SERVICE_UNAUTHORIZED);
	CHECK_EQ(rig.call.violation_cnt, 1);
	CHECK_EQ(post_signed(1, other, "ff112233445566778899aabbccddeeff", "hello", HELLO_HASH),
		 SERVICE_UNAUTHORIZED);
	CHECK_EQ(post(1, "unsigned"), SERVICE_UNAUTHORIZED);
	CHAT(2, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(post_signed(2, key, "ff112233445566778899aabbccddeeff", "hello", HELLO_HASH),
		 SERVICE_UNAUTHORIZED);
	CHECK_EQ(message_cnt(1), 1);
	rig_stop();
	node_key_free(key);
	node_key_free(other);
}

static void test_a_members_key_is_not_replaced(void)
{
	struct node_key *key = signing_key(1), *other = signing_key(2);

	start_with_pod("listed", 7);
	join_with(1, key);
	join_with(1, other);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	CHECK_EQ(post_signed(1, other, SIGNED_ID, "hello", HELLO_HASH), SERVICE_UNAUTHORIZED);
	rig_crash();
	CHECK_EQ(post_signed(1, other, SIGNED_ID, "hello", HELLO_HASH), SERVICE_UNAUTHORIZED);
	CHECK_EQ(post_signed(1, key, SIGNED_ID, "hello", HELLO_HASH), SERVICE_OK);
	rig_stop();
	node_key_free(key);
	node_key_free(other);
}

static void test_a_message_of_another_time_is_refused(void)
{
	start_with_pod("listed", 7);
	for (int i = -1; i <= 1; i += 2) {
		json_int_t edge_ms = (json_int_t)rig.wall_ms + i * POD_CHAT_SKEW_MS;

		CHAT(RIG_LOCAL, "PostMessage", "{s:s, s:s, s:s, s:I}", "pod", pod, "channel",
		     "general", "body", "x", "at_ms", edge_ms);
		CHECK_EQ(rig.call.status, SERVICE_OK);
		CHAT(RIG_LOCAL, "PostMessage", "{s:s, s:s, s:s, s:I}", "pod", pod, "channel",
		     "general", "body", "x", "at_ms", edge_ms + i);
		CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	}
	rig_stop();
}

/* ---- what is kept ---- */

static void test_of_1001_messages_the_oldest_is_gone(void)
{
	char body[16];

	start_with_pod("listed", 7);
	for (unsigned i = 0; i <= 1000; i++) {
		snprintf(body, sizeof(body), "%u", i);
		CHECK_EQ(post(RIG_LOCAL, body), SERVICE_OK);
		if (i % 10 == 9)
			rig_pass_s(60);
	}
	CHECK_STR(body_at(RIG_LOCAL, 0), "1");
	rig_crash();
	CHECK_STR(body_at(RIG_LOCAL, 0), "1");
	rig_stop();
}

static void test_messages_go_with_their_days(void)
{
	start_with_pod("listed", 7);
	post(RIG_LOCAL, "old");
	rig_pass_s(6 * 24 * 3600);
	post(RIG_LOCAL, "new");
	rig_pass_s(24 * 3600);
	CHECK_EQ(message_cnt(RIG_LOCAL), 2);
	rig_pass_s(2 * 3600);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	CHECK_STR(body_at(RIG_LOCAL, 0), "new");
	rig_crash();
	CHECK_STR(body_at(RIG_LOCAL, 0), "new");
	/* And with those in which the node did not run. */
	rig_down();
	rig.wall_ms += 30ull * 24 * 3600 * 1000;
	rig_up();
	CHECK_EQ(message_cnt(RIG_LOCAL), 0);
	rig_stop();
}

static void test_a_pod_of_0_days_is_empty_after_a_restart(void)
{
	json_int_t before;

	start_with_pod("listed", 0);
	CHECK_EQ(post(RIG_LOCAL, "gone soon"), SERVICE_OK);
	before = json_integer_value(
		json_object_get(CHAT(RIG_LOCAL, "FetchMessages", "{s:s}", "pod", pod), "next"));
	rig_pass_s(30 * 24 * 3600);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	rig_crash();
	CHECK_EQ(message_cnt(RIG_LOCAL), 0);
	/* A caller that asks for what came since then hears of what comes now. */
	CHECK_EQ(post(RIG_LOCAL, "again"), SERVICE_OK);
	CHECK_EQ(json_array_size(json_object_get(CHAT(RIG_LOCAL, "FetchMessages", "{s:s, s:I}",
						      "pod", pod, "since", before),
						 "messages")),
		 1);
	rig_stop();
}

static void test_what_was_acknowledged_survives_a_crash(void)
{
	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(post(1, "kept"), SERVICE_OK);
	rig_crash();
	CHECK_EQ(message_cnt(1), 1);
	CHECK_STR(body_at(1, 0), "kept");
	CHECK_EQ(post(1, "more"), SERVICE_OK);
	CHECK_STR(body_at(1, 1), "more");
	rig_stop();
}

static void ask_to_post(const char *body)
{
	char text[256];
	int len = snprintf(text, sizeof(text),
			   "{\"pod\":\"%s\",\"channel\":\"general\",\"body\":\"%s\"}", pod, body);

	rig_ask_bytes(BUILTIN_POD_CHAT, RIG_LOCAL, "PostMessage", text, (size_t)len);
}

static void test_nothing_is_acknowledged_or_shown_before_it_is_durable(void)
{
	start_with_pod("listed", 7);
	ask_to_post("wait");
	CHECK(!rig.call.is_answered);
	store_flush(rig.store);
	CHECK(rig.call.is_answered);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	/* A store that takes nothing any more: the caller gets an error, and nothing is shown. */
	store_freeze(rig.store);
	CHECK_EQ(post(RIG_LOCAL, "lost"), SERVICE_UNAVAILABLE);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	rig_stop();
}

static size_t list_len(unsigned who, const char *method, const char *list)
{
	json_t *fields =
		strcmp(method, "List") == 0 ? json_object() : json_pack("{s:s}", "pod", pod);

	return json_array_size(
		json_object_get(rig_call(BUILTIN_POD_CHAT, who, method, fields), list));
}

static void test_a_change_that_the_store_refuses_does_not_take_effect(void)
{
	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(post(1, "here"), SERVICE_OK);
	store_freeze(rig.store);
	CHAT(2, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(list_len(RIG_LOCAL, "Get", "members"), 2);
	CHAT(RIG_LOCAL, "AddChannel", "{s:s, s:s}", "pod", pod, "channel", "side");
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(list_len(RIG_LOCAL, "Get", "channels"), 1);
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "other");
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	CHAT(RIG_LOCAL, "Dissolve", "{s:s}", "pod", pod);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(list_len(RIG_LOCAL, "List", "pods"), 1);
	CHECK_EQ(message_cnt(1), 1);
	rig_stop();
}

static void test_a_change_is_not_seen_before_it_is_durable_and_a_second_is_asked_to_wait(void)
{
	char text[128];
	int len;

	start_with_pod("listed", 7);
	len = snprintf(text, sizeof(text), "{\"pod\":\"%s\"}", pod);
	rig_ask_bytes(BUILTIN_POD_CHAT, 1, "Join", text, (size_t)len);
	CHECK(!rig.call.is_answered);
	rig_ask_bytes(BUILTIN_POD_CHAT, 1, "FetchMessages", text, (size_t)len);
	CHECK_EQ(rig.call.status, SERVICE_FORBIDDEN);
	rig_ask_bytes(BUILTIN_POD_CHAT, 2, "Join", text, (size_t)len);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	rig.call = (struct service_call){0};
	store_flush(rig.store);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(message_cnt(1), 0);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	rig_stop();
}

static void test_a_caller_that_left_is_not_answered(void)
{
	const struct service_offering *offering;

	start_with_pod("listed", 7);
	offering = rig_offering(BUILTIN_POD_CHAT);
	ask_to_post("said");
	offering->handler->cancelled(offering->ctx, &rig.call);
	store_flush(rig.store);
	CHECK(!rig.call.is_answered);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	rig_stop();
}

static void test_a_pod_can_go_while_a_message_is_written(void)
{
	static char dissolve[64];

	start_with_pod("listed", 7);
	ask_to_post("late");
	snprintf(dissolve, sizeof(dissolve), "{\"pod\":\"%s\"}", pod);
	const struct service_offering *offering = rig_offering(BUILTIN_POD_CHAT);
	offering->handler->cancelled(offering->ctx, &rig.call);
	rig_ask_bytes(BUILTIN_POD_CHAT, RIG_LOCAL, "Dissolve", dissolve, strlen(dissolve));
	store_flush(rig.store);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "tea");
	rig_crash();
	CHECK_EQ(message_cnt(RIG_LOCAL), 0);
	rig_stop();
}

static void test_a_pod_makes_room_by_its_own_messages_alone(void)
{
	static char body[POD_BODY_LEN_MAX + 1];
	char quiet[POD_ID_LEN + 1];
	size_t cnt;

	rig_start();
	rig.config.pod_memory_len = 256 * 1024;
	rig_up();
	pod_remember(CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "quiet"));
	CHECK_EQ(post(RIG_LOCAL, "still here"), SERVICE_OK);
	memcpy(quiet, pod, sizeof(quiet));
	pod_remember(CHAT(RIG_LOCAL, "Create", "{s:s}", "name", "loud"));
	memset(body, 'x', POD_BODY_LEN_MAX);
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(post(RIG_LOCAL, body), SERVICE_OK);
		if (i % 5 == 4)
			rig_pass_s(60);
	}
	cnt = message_cnt(RIG_LOCAL);
	CHECK(cnt > 0 && cnt < 100);
	memcpy(pod, quiet, sizeof(quiet));
	CHECK_STR(body_at(RIG_LOCAL, 0), "still here");
	rig_stop();
}

static void test_bad_payloads_are_refused(void)
{
	static const char *const payloads[] = {
		"",
		"[]",
		"{",
		"{\"pod\":7}",
		"null",
		"{\"pod\":\"\"}",
		"{\"pod\":\"pod:\"}",
		"{\"pod\":\"x\",\"pod\":\"x\"}",
		"\"text\"",
		"{\"odd\":\"pod\"}",
		"{\"pod\":\"\\u0000\"}",
	};

	start_with_pod("listed", 7);
	for (unsigned i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		rig_ask_bytes(BUILTIN_POD_CHAT, 1, "Get", payloads[i], strlen(payloads[i]));
		CHECK(rig.call.is_answered);
		CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
		CHECK(rig.call.text[0] != '\0');
	}
	rig_ask_bytes(BUILTIN_POD_CHAT, 1, "Shout", "{}", 2);
	CHECK_EQ(rig.call.status, SERVICE_METHOD_NOT_FOUND);
	CHAT(1, "Join", "{s:s, s:s}", "pod", pod, "key", "short");
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void listen_as(unsigned who, struct service_channel *channel, const char *name,
		      const char *head)
{
	const struct service_offering *offering = rig_offering(BUILTIN_POD_CHAT);
	struct service_caller caller = {.is_local = who == RIG_LOCAL};

	rig_key(who, caller.key);
	rig_path(who, &caller.path);
	memset(channel, 0, sizeof(*channel));
	channel->room_len = RIG_SENT_CAP;
	offering->handler->stream(
		offering->ctx, channel,
		&(struct service_input){&caller, name, (const uint8_t *)head, strlen(head)},
		rig.now_ns);
}

static const char *heard(const struct service_channel *channel)
{
	static char text[RIG_SENT_CAP + 1];

	memcpy(text, channel->sent, channel->sent_len);
	text[channel->sent_len] = '\0';
	return text;
}

static void say_on(struct service_channel *channel, const char *text, size_t len)
{
	const struct service_piece piece = {
		.data = (const uint8_t *)text, .len = len, .is_text = true, .is_last = true};

	channel->events->piece(channel->arg, &piece, rig.now_ns);
	store_flush(rig.store);
}

static void test_a_listener_hears_what_is_said_and_speaks(void)
{
	struct service_channel channel, other;
	char head[128];

	start_with_pod("listed", 7);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	CHECK_EQ(post(RIG_LOCAL, "before"), SERVICE_OK);
	snprintf(head, sizeof(head), "{\"pod\":\"%s\"}", pod);
	listen_as(1, &channel, "general", head);
	listen_as(RIG_LOCAL, &other, "general", "");
	CHECK(channel.events && other.events);
	CHECK_EQ(post(RIG_LOCAL, "hello"), SERVICE_OK);
	CHECK_EQ(channel.message_cnt, 1);
	CHECK(strstr(heard(&channel), "\"body\":\"hello\""));
	say_on(&channel, "a text", 6);
	say_on(&channel, "{\"body\":\"in JSON\"}", 18);
	CHECK_EQ(other.message_cnt, 3);
	CHECK(strstr(heard(&other), "\"body\":\"in JSON\""));
	CHECK(strstr(heard(&other), rig_key_text(1)));
	CHECK_STR(body_at(1, 2), "a text");
	/* A quota of its own would be a way around that of the calls. */
	for (unsigned i = 0; i < POD_CHAT_POSTS_PER_MIN - 2; i++)
		say_on(&channel, "more", 4);
	CHECK(!strstr(heard(&channel), "error"));
	say_on(&channel, "more", 4);
	CHECK(strstr(heard(&channel), "{\"error\":\"a peer says at most 10"));
	channel.events->ended(channel.arg, NULL, rig.now_ns);
	rig_stop();
}

static void test_a_listener_that_reads_slowly_gets_all_in_order(void)
{
	struct service_channel channel;

	start_with_pod("listed", 7);
	listen_as(RIG_LOCAL, &channel, "general", "");
	channel.room_len = 0;
	CHECK_EQ(post(RIG_LOCAL, "one"), SERVICE_OK);
	CHECK_EQ(post(RIG_LOCAL, "two"), SERVICE_OK);
	CHECK_EQ(channel.message_cnt, 0);
	channel.room_len = RIG_SENT_CAP;
	channel.events->writable(channel.arg, rig.now_ns);
	CHECK_EQ(channel.message_cnt, 2);
	CHECK(strstr(heard(&channel), "one") < strstr(heard(&channel), "two"));
	rig_stop();
}

static void test_only_members_listen_and_no_longer_than_they_are(void)
{
	static const struct {
		const char *name, *head;
	} rows[] = {
		{"general", "{\"pod\":\"pod:00000000000000000000000000000000\"}"},
		{"general", "{\"pod\":1}"},
		{"general", "no JSON"},
		{"general", "{\"other\":\"x\"}"},
		{"absent", ""},
		{"", ""},
	};
	struct service_channel channel;
	char head[128];

	start_with_pod("listed", 7);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		listen_as(RIG_LOCAL, &channel, rows[i].name, rows[i].head);
		CHECK_EQ(channel.status, SERVICE_INVALID_PAYLOAD);
	}
	snprintf(head, sizeof(head), "{\"pod\":\"%s\"}", pod);
	listen_as(1, &channel, "general", head);
	CHECK_EQ(channel.status, SERVICE_INVALID_PAYLOAD);
	CHAT(1, "Join", "{s:s}", "pod", pod);
	listen_as(1, &channel, "general", head);
	CHECK(channel.events);
	CHAT(1, "Leave", "{s:s}", "pod", pod);
	CHECK_EQ(post(RIG_LOCAL, "among ourselves"), SERVICE_OK);
	CHECK_EQ(channel.message_cnt, 0);
	CHECK_EQ(channel.status, SERVICE_FORBIDDEN);
	rig_stop();
}

static void test_an_invalid_message_is_reported_and_not_posted(void)
{
	static char text[POD_CHAT_STREAM_LEN_MAX + 2];
	struct service_channel channel;

	start_with_pod("listed", 7);
	listen_as(RIG_LOCAL, &channel, "general", "");
	memset(text, 'x', sizeof(text));
	say_on(&channel, text, POD_BODY_LEN_MAX + 1);
	say_on(&channel, text, POD_CHAT_STREAM_LEN_MAX);
	say_on(&channel, text, POD_CHAT_STREAM_LEN_MAX + 1);
	say_on(&channel, "\xff", 1);
	say_on(&channel, "a\0b", 3);
	say_on(&channel, "", 0);
	say_on(&channel, "{\"body\":1}", 10);
	CHECK_EQ(channel.message_cnt, 7);
	CHECK_EQ(message_cnt(RIG_LOCAL), 0);
	say_on(&channel, text, POD_BODY_LEN_MAX);
	CHECK_EQ(message_cnt(RIG_LOCAL), 1);
	rig_stop();
}

static void test_64_listen_and_one_more_is_refused(void)
{
	static struct service_channel channels[RIG_SUBSCRIBERS + 1];

	start_with_pod("listed", 7);
	for (unsigned i = 0; i <= RIG_SUBSCRIBERS; i++) {
		listen_as(RIG_LOCAL, &channels[i], "general", "");
		CHECK_EQ(channels[i].events != NULL, i < RIG_SUBSCRIBERS);
	}
	CHECK_EQ(channels[RIG_SUBSCRIBERS].status, SERVICE_UNAVAILABLE);
	channels[0].events->ended(channels[0].arg, NULL, rig.now_ns);
	listen_as(RIG_LOCAL, &channels[0], "general", "");
	CHECK(channels[0].events);
	rig_stop();
}

static void test_the_listeners_of_one_network_leave_places_to_others(void)
{
	static struct service_channel channels[RIG_SUBSCRIBERS], others[RIG_SUBSCRIBERS / 2 + 1];
	unsigned key, ended_cnt = 0, cnt = sizeof(others) / sizeof(others[0]);

	start_with_pod("listed", 7);
	/* Eight members. */
	for (unsigned i = 0; i < RIG_SUBSCRIBERS; i++) {
		key = RIG_OF_NETWORK(1, 300 + i / 8);
		CHAT(key, "Join", "{s:s}", "pod", pod);
		listen_as(key, &channels[i], "general", "");
		CHECK(channels[i].events);
	}
	for (unsigned i = 0; i < cnt; i++) {
		key = RIG_OF_NETWORK(2, 500);
		CHAT(key, "Join", "{s:s}", "pod", pod);
		listen_as(key, &others[i], "general", "");
		CHECK_EQ(others[i].events != NULL, i < cnt - 1);
	}
	for (unsigned i = 0; i < RIG_SUBSCRIBERS; i++)
		ended_cnt += channels[i].is_ended;
	CHECK_EQ(ended_cnt, RIG_SUBSCRIBERS / 2);
	CHECK(channels[RIG_SUBSCRIBERS - 1].is_ended && !channels[0].is_ended);
	rig_stop();
}

int main(void)
{
	RUN(test_a_listener_hears_what_is_said_and_speaks);
	RUN(test_a_listener_that_reads_slowly_gets_all_in_order);
	RUN(test_only_members_listen_and_no_longer_than_they_are);
	RUN(test_an_invalid_message_is_reported_and_not_posted);
	RUN(test_64_listen_and_one_more_is_refused);
	RUN(test_the_listeners_of_one_network_leave_places_to_others);
	RUN(test_a_signed_message_is_verified_and_given_out_with_its_signature);
	RUN(test_a_members_key_is_not_replaced);
	RUN(test_a_message_of_another_time_is_refused);
	RUN(test_of_1001_messages_the_oldest_is_gone);
	RUN(test_messages_go_with_their_days);
	RUN(test_a_pod_of_0_days_is_empty_after_a_restart);
	RUN(test_what_was_acknowledged_survives_a_crash);
	RUN(test_nothing_is_acknowledged_or_shown_before_it_is_durable);
	RUN(test_a_change_that_the_store_refuses_does_not_take_effect);
	RUN(test_a_change_is_not_seen_before_it_is_durable_and_a_second_is_asked_to_wait);
	RUN(test_a_caller_that_left_is_not_answered);
	RUN(test_a_pod_can_go_while_a_message_is_written);
	RUN(test_a_pod_makes_room_by_its_own_messages_alone);
	RUN(test_bad_payloads_are_refused);
	return check_done();
}

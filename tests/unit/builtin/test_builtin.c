/* SPDX-License-Identifier: Apache-2.0 */
/* What is offered, echo, mesh-stats, and how often a peer may do something. */
#include "base/memory/arena.h"
#include "builtin_rig.h"
#include "builtin/builtin_quota.h"
#include "service/directory/description.h"

static void test_what_is_configured_is_offered(void)
{
	rig_start();
	builtin_config_defaults(&rig.config);
	rig_up();
	CHECK_EQ(rig.offer_cnt, 3);
	CHECK_STR(rig.offers[0].name, "pod-chat");
	CHECK_STR(rig.offers[1].name, "shadow-index");
	CHECK_STR(rig.offers[2].name, "mesh-stats");
	CHECK_EQ(rig.offers[0].timeout_ns, 10 * NS_PER_S);
	CHECK_EQ(rig.offers[1].timeout_ns, 60 * NS_PER_S);
	CHECK_EQ(rig.offers[2].timeout_ns, 5 * NS_PER_S);
	rig_down();
	CHECK_EQ(rig.offer_cnt, 0);
	for (enum builtin_service i = 0; i < BUILTIN_CNT; i++) {
		rig.config.offered = 1u << i;
		rig_up();
		CHECK_EQ(rig.offer_cnt, 1);
		CHECK_STR(rig.offers[0].name, builtin_name(i));
		rig_down();
	}
	rig.config.offered = 0;
	rig_up();
	CHECK_EQ(rig.offer_cnt, 0);
	rig_stop();
}

/* Of each service, in the order of its table; the rest may change something. */
static void test_methods_that_change_nothing_are_declared_read_only(void)
{
	static const char *const wanted[BUILTIN_CNT] = {
		[BUILTIN_ECHO] = "*",
		[BUILTIN_POD_CHAT] = "List Get FetchMessages Kept History channels",
		[BUILTIN_SHADOW_INDEX] = "LookupByMbId QueryShard QueryBatch lookup",
		[BUILTIN_MESH_STATS] = "GetMeshStatus GetPeersSummary",
		[BUILTIN_DHT] = "Ping FindNode FindValue",
		[BUILTIN_CONTENT] = "GetByContentId",
		[BUILTIN_PUNCH] = "ConfirmPunch",
	};

	rig_start();
	for (enum builtin_service i = 0; i < BUILTIN_CNT; i++) {
		char got[256] = "";

		if (i)
			rig_down();
		rig.config.offered = 1u << i;
		rig_up();
		for (unsigned j = 0; j < rig.offers[0].read_only_cnt; j++) {
			strcat(got, j ? " " : "");
			strcat(got, rig.offers[0].read_only[j]);
		}
		CHECK_STR(got, wanted[i]);
	}
	rig_stop();
}

/* example_fits: the method takes what its description shows, whatever it answers to it. */
static void example_fits(enum builtin_service which, json_t *method)
{
	const char *name = json_string_value(json_object_get(method, "name"));
	json_t *example = json_object_get(method, "example"), *takes, *field;
	size_t i;

	CHECK(example && *json_string_value(json_object_get(method, "about")));
	takes = json_object_get(method, "takes");
	json_array_foreach(takes, i, field)
	{
		const char *type = json_string_value(json_object_get(field, "type"));

		CHECK(*type == '?' ||
		      json_object_get(example, json_string_value(json_object_get(field, "name"))));
	}
	/* The DHT has no node behind it here. */
	if (which == BUILTIN_DHT || strcmp(name, "*") == 0)
		return;
	rig_call(which, RIG_LOCAL, name, json_incref(example));
	CHECK(!strstr(rig.call.text, "not found") && !strstr(rig.call.text, "unpacked"));
	CHECK(rig.call.status != SERVICE_METHOD_NOT_FOUND);
}

static void test_every_service_describes_each_method_with_an_example_that_fits(void)
{
	rig_start();
	for (enum builtin_service which = 0; which < BUILTIN_CNT; which++) {
		json_t *described, *method;
		const char *why;
		size_t i;

		if (which)
			rig_down();
		rig.config.offered = 1u << which;
		rig_up();
		CHECK_EQ(service_description_load(rig.offers[0].description,
						  strlen(rig.offers[0].description), &described,
						  &why),
			 0);
		CHECK(json_array_size(json_object_get(described, "methods")) > 0);
		json_array_foreach(json_object_get(described, "methods"), i, method)
		{
			example_fits(which, method);
		}
		json_decref(described);
	}
	rig_stop();
}

static void test_pods_are_kept_while_they_are_not_offered(void)
{
	rig_start();
	rig_up();
	rig_call(BUILTIN_POD_CHAT, RIG_LOCAL, "Create", json_pack("{s:s}", "name", "tea"));
	rig_down();
	rig.config.offered = 0;
	rig_up();
	rig_down();
	rig.config.offered = 1u << BUILTIN_POD_CHAT;
	rig_up();
	CHECK_EQ(json_array_size(json_object_get(
			 rig_call(BUILTIN_POD_CHAT, RIG_LOCAL, "List", json_object()), "pods")),
		 1);
	rig_stop();
}

/* ---- mesh-stats ---- */

static void test_mesh_stats_are_numbers_alone(void)
{
	static const char *const methods[] = {"GetMeshStatus", "GetPeersSummary"};
	const char *field;
	json_t *value;

	rig_start();
	rig_up();
	for (unsigned i = 0; i < 2; i++) {
		json_t *reply = rig_call(BUILTIN_MESH_STATS, 1, methods[i], json_object());

		CHECK_EQ(rig.call.status, SERVICE_OK);
		CHECK(json_object_size(reply) > 0);
		json_object_foreach(reply, field, value) CHECK(json_is_integer(value));
	}
	json_t *status = rig_call(BUILTIN_MESH_STATS, 1, "GetMeshStatus", json_object());
	CHECK_EQ(json_integer_value(json_object_get(status, "uptime_s")), 7);
	CHECK_EQ(json_integer_value(json_object_get(status, "session_cnt")), 3);
	CHECK_EQ(json_integer_value(json_object_get(status, "bytes_out")), 11);
	json_t *peers = rig_call(BUILTIN_MESH_STATS, 1, "GetPeersSummary", json_object());
	CHECK_EQ(json_integer_value(json_object_get(peers, "known_cnt")), 5);
	rig_call(BUILTIN_MESH_STATS, 1, "GetMeshStatus", json_pack("{s:b}", "all", 1));
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

/* No word of the library that reads JSON. */
static void test_a_field_that_is_wrong_is_named_with_its_fault(void)
{
	static const struct {
		const char *method, *fields, *text;
	} rows[] = {
		{"FetchMessages", "{}", "the field pod is missing"},
		{"FetchMessages", "{'pod':7}", "the field pod is no text"},
		{"FetchMessages", "{'pod':null}", "the field pod is no text"},
		{"FetchMessages", "{'pod':'a','limit':'many'}",
		 "the field limit is no whole number"},
		{"FetchMessages", "{'pod':'a','limit':1.5}", "the field limit is no whole number"},
		{"FetchMessages", "{'pod':'a','Limit':1}",
		 "the method has no field Limit; its fields: pod, channel, since, limit"},
		{"FetchMessages", "{'pod':'a','a b':1}",
		 "the method has no field of a name that was sent; its fields: pod, channel, "
		 "since, limit"},
		{"List", "{'pod':'a'}", "the method has no field pod; it takes none"},
	};

	rig_start();
	rig_up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128];
		size_t len = strlen(rows[i].fields);

		for (size_t k = 0; k <= len; k++)
			text[k] = rows[i].fields[k] == '\'' ? '"' : rows[i].fields[k];
		rig_ask_bytes(BUILTIN_POD_CHAT, RIG_LOCAL, rows[i].method, text, len);
		CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
		CHECK_STR(rig.call.text, rows[i].text);
	}
	rig_stop();
}

/* ---- echo ---- */

static struct service_channel channel;

static void echo_open(size_t room_len)
{
	const struct service_offering *offering;
	struct service_caller caller = {.is_local = true};

	rig_start();
	rig_up();
	offering = rig_offering(BUILTIN_ECHO);
	channel = (struct service_channel){.room_len = room_len};
	offering->handler->stream(offering->ctx, &channel,
				  &(struct service_input){&caller, "Any", NULL, 0}, rig.now_ns);
}

static void piece(const void *data, size_t len, bool is_last)
{
	const struct service_piece came = {
		.data = data, .len = len, .is_text = true, .is_last = is_last};

	channel.events->piece(channel.arg, &came, rig.now_ns);
}

static void writable(size_t room_len)
{
	channel.room_len += room_len;
	channel.events->writable(channel.arg, rig.now_ns);
}

static void echo_close(void)
{
	const struct service_answer answer = {.status = SERVICE_OK};

	channel.events->ended(channel.arg, &answer, rig.now_ns);
	rig_stop();
}

static void test_echo_answers_what_it_is_asked(void)
{
	rig_start();
	rig_up();
	rig_ask_bytes(BUILTIN_ECHO, 1, "Any", "[\"x\"]", 5);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(rig.call.len, 5);
	CHECK_STR(json_string_value(json_array_get(rig.call.reply, 0)), "x");
	rig_ask_bytes(BUILTIN_ECHO, 1, "Any", "", 0);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(rig.call.len, 0);
	rig_stop();
}

static void test_echo_brings_messages_back(void)
{
	static uint8_t bytes[40000];

	echo_open(RIG_SENT_CAP);
	CHECK(channel.events != NULL);
	piece("", 0, true);
	CHECK_EQ(channel.message_cnt, 1);
	CHECK(channel.is_text);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 / 3);
	piece(bytes, 30000, false);
	CHECK_EQ(channel.message_cnt, 1);
	piece(bytes + 30000, 10000, true);
	CHECK_EQ(channel.message_cnt, 2);
	CHECK_EQ(channel.sent_len, sizeof(bytes));
	CHECK_MEM(channel.sent, bytes, sizeof(bytes));
	CHECK_EQ(channel.consumed_len, sizeof(bytes));
	channel.events->finished(channel.arg, rig.now_ns);
	CHECK(channel.is_finished);
	echo_close();
}

static void test_echo_holds_back_a_caller_that_does_not_read(void)
{
	static uint8_t bytes[40000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i >> 5);
	echo_open(20000);
	piece(bytes, sizeof(bytes), true);
	CHECK_EQ(channel.sent_len, 16000);
	CHECK_EQ(channel.consumed_len, 16000);
	piece("after", 5, true);
	channel.events->finished(channel.arg, rig.now_ns);
	CHECK(!channel.is_finished);
	CHECK_EQ(channel.message_cnt, 0);
	writable(12000);
	CHECK_EQ(channel.sent_len, 32000);
	writable(8005);
	CHECK_EQ(channel.sent_len, 40005);
	CHECK_MEM(channel.sent, bytes, sizeof(bytes));
	CHECK_MEM(channel.sent + sizeof(bytes), "after", 5);
	CHECK_EQ(channel.message_cnt, 2);
	CHECK_EQ(channel.consumed_len, 40005);
	CHECK(channel.is_finished);
	echo_close();
}

static void test_echo_ends_a_stream_that_fills_its_memory(void)
{
	static uint8_t bytes[SERVICE_PIECE_LEN_MAX];
	unsigned piece_cnt = 0;

	echo_open(0);
	while (!channel.is_ended && piece_cnt < 1000) {
		piece(bytes, sizeof(bytes), true);
		piece_cnt++;
	}
	CHECK(channel.is_ended);
	CHECK_EQ(channel.status, SERVICE_UNAVAILABLE);
	CHECK(piece_cnt > 32 && piece_cnt <= 65);
	/* What it held is there for the next one. */
	const struct service_offering *offering = rig_offering(BUILTIN_ECHO);
	struct service_caller caller = {.is_local = true};
	channel = (struct service_channel){0};
	offering->handler->stream(offering->ctx, &channel,
				  &(struct service_input){&caller, "Any", NULL, 0}, rig.now_ns);
	for (unsigned i = 1; i < piece_cnt; i++)
		piece(bytes, sizeof(bytes), true);
	CHECK(!channel.is_ended);
	echo_close();
}

static void test_echo_takes_64_streams(void)
{
	static struct service_channel channels[65];
	const struct service_offering *offering;
	struct service_caller caller = {.is_local = true};

	rig_start();
	rig_up();
	offering = rig_offering(BUILTIN_ECHO);
	for (unsigned i = 0; i < 65; i++)
		offering->handler->stream(offering->ctx, &channels[i],
					  &(struct service_input){&caller, "Any", NULL, 0},
					  rig.now_ns);
	CHECK(channels[63].events != NULL);
	CHECK(channels[64].is_ended);
	CHECK_EQ(channels[64].status, SERVICE_UNAVAILABLE);
	rig_stop();
}

/* ---- quotas ---- */

static void test_a_quota_is_of_any_period_and_of_each_peer(void)
{
	uint8_t key[MESH_KEY_LEN];
	struct random dice;
	struct arena arena;
	struct quota quota;

	random_init_seeded(&dice, 1);
	CHECK_EQ(arena_open(&arena, ARENA_GROWS), 0);
	CHECK_EQ(builtin_quota_init(&quota, &arena, 3, 100, &dice), 0);
	rig_key(1, key);
	CHECK(builtin_quota_take(&quota, key, 10));
	CHECK(builtin_quota_take(&quota, key, 20));
	CHECK(builtin_quota_take(&quota, key, 30));
	CHECK(!builtin_quota_take(&quota, key, 109));
	CHECK(builtin_quota_take(&quota, key, 110));
	CHECK(!builtin_quota_take(&quota, key, 119));
	CHECK(builtin_quota_take(&quota, key, 120));
	/* Of more peers than it knows, the one that was silent for longest is forgotten. */
	for (unsigned who = 2; who < QUOTA_PEER_MAX + 1; who++) {
		rig_key(who, key);
		CHECK(builtin_quota_take(&quota, key, 121));
	}
	rig_key(1, key);
	CHECK(builtin_quota_take(&quota, key, 130));
	CHECK(!builtin_quota_take(&quota, key, 131));
	rig_key(QUOTA_PEER_MAX + 1, key);
	CHECK(builtin_quota_take(&quota, key, 132));
	rig_key(1, key);
	CHECK(!builtin_quota_take(&quota, key, 133));
	arena_close(&arena);
}

int main(void)
{
	RUN(test_what_is_configured_is_offered);
	RUN(test_methods_that_change_nothing_are_declared_read_only);
	RUN(test_every_service_describes_each_method_with_an_example_that_fits);
	RUN(test_a_field_that_is_wrong_is_named_with_its_fault);
	RUN(test_pods_are_kept_while_they_are_not_offered);
	RUN(test_mesh_stats_are_numbers_alone);
	RUN(test_echo_answers_what_it_is_asked);
	RUN(test_echo_brings_messages_back);
	RUN(test_echo_holds_back_a_caller_that_does_not_read);
	RUN(test_echo_ends_a_stream_that_fills_its_memory);
	RUN(test_echo_takes_64_streams);
	RUN(test_a_quota_is_of_any_period_and_of_each_peer);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The service hole-punch over rounds of the test's. */
#include "builtin_rig.h"
#include "builtin/punch_service.h"

static struct {
	struct addr named[BUILTIN_PUNCH_NAMED_MAX];
	unsigned named_cnt, request_cnt, cancelled_cnt;
	uint8_t cancelled_key[MESH_KEY_LEN];
	struct builtin_punch_view view;
	int err;
} fake;

static int fake_may(void *ctx, const uint8_t key[32])
{
	(void)ctx, (void)key;
	return fake.err;
}

static int fake_request(void *ctx, const uint8_t key[32], const struct addr *named, unsigned cnt,
			uint64_t now_ns)
{
	(void)ctx, (void)key, (void)now_ns;
	if (fake.err)
		return fake.err;
	memcpy(fake.named, named, cnt * sizeof(named[0]));
	fake.named_cnt = cnt;
	fake.request_cnt++;
	return 0;
}

static void fake_show(void *ctx, const uint8_t key[32], struct builtin_punch_view *out_view)
{
	(void)ctx, (void)key;
	*out_view = fake.view;
}

static void fake_cancel(void *ctx, const uint8_t key[32])
{
	(void)ctx;
	fake.cancelled_cnt++;
	memcpy(fake.cancelled_key, key, sizeof(fake.cancelled_key));
}

static void start(void)
{
	memset(&fake, 0, sizeof(fake));
	rig_start();
	rig.config.offered = 1u << BUILTIN_PUNCH;
	rig.punch = (struct builtin_punch){fake_may, fake_request, fake_show, fake_cancel, NULL};
	rig_up();
}

static enum service_status ask(unsigned who, const char *method, const char *fields)
{
	rig_ask_bytes(BUILTIN_PUNCH, who, method, fields, strlen(fields));
	return rig.call.is_answered ? rig.call.status : SERVICE_STATUS_CNT;
}

static enum service_status ask_of(unsigned who, const char *method, const char *punch)
{
	char fields[64];

	snprintf(fields, sizeof(fields), "{\"punch\":\"%s\"}", punch);
	return ask(who, method, fields);
}

/* A punch of the caller begins now; returns its id. */
static const char *begin(unsigned caller)
{
	static char id[64];

	if (ask(caller, "RequestPunch", "") != SERVICE_OK)
		return "none";
	snprintf(id, sizeof(id), "%s", rig_text(rig.call.reply, "punch"));
	return id;
}

static void test_a_round_begins_with_the_named_addresses_and_its_progress_is_shown(void)
{
	static const char *const states[BUILTIN_PUNCH_STATE_CNT] = {"under-way", "found", "silent",
								    "unanswered", "no-address"};
	char id[64];

	start();
	CHECK_EQ(ask(1, "RequestPunch",
		     "{\"candidates\":[\"198.51.100.1:9000\",\"[2001:db8::1]:7000\"]}"),
		 SERVICE_OK);
	CHECK_EQ(fake.request_cnt, 1);
	CHECK_EQ(fake.named_cnt, 2);
	CHECK_EQ(fake.named[0].port, 9000);
	CHECK_EQ(fake.named[1].family, ADDR_IPV6);
	CHECK_EQ(rig.call.work_left, 9);
	snprintf(id, sizeof(id), "%s", rig_text(rig.call.reply, "punch"));
	for (enum builtin_punch_state i = 0; i < BUILTIN_PUNCH_STATE_CNT; i++) {
		fake.view = (struct builtin_punch_view){
			.state = i, .probed_cnt = 3, .answered_cnt = i == BUILTIN_PUNCH_FOUND};
		CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_OK);
		CHECK_STR(rig_text(rig.call.reply, "state"), states[i]);
		CHECK_STR(rig_text(rig.call.reply, "session"), "relayed");
		CHECK(!json_object_get(rig.call.reply, "address"));
		CHECK_EQ(json_integer_value(json_object_get(rig.call.reply, "probed")), 3);
	}
	fake.view = (struct builtin_punch_view){
		.state = BUILTIN_PUNCH_FOUND, .is_direct = true, .address = "198.51.100.1:9000"};
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_OK);
	CHECK_STR(rig_text(rig.call.reply, "session"), "direct");
	CHECK_STR(rig_text(rig.call.reply, "address"), "198.51.100.1:9000");
	rig_stop();
}

static void test_a_punch_is_cancelled_by_its_caller_alone(void)
{
	uint8_t key[MESH_KEY_LEN];
	const char *id;

	start();
	id = begin(1);
	CHECK_EQ(ask_of(2, "CancelPunch", id), SERVICE_NOT_FOUND);
	CHECK_EQ(ask_of(1, "CancelPunch", "0123456789abcdef"), SERVICE_NOT_FOUND);
	CHECK_EQ(fake.cancelled_cnt, 0);
	CHECK_EQ(ask_of(1, "CancelPunch", id), SERVICE_OK);
	rig_key(1, key);
	CHECK_MEM(fake.cancelled_key, key, sizeof(key));
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_NOT_FOUND);
	CHECK_EQ(ask_of(1, "CancelPunch", id), SERVICE_NOT_FOUND);
	CHECK_EQ(fake.cancelled_cnt, 1);
	rig_stop();
}

static void test_a_second_punch_takes_the_place_of_the_first(void)
{
	char first[64];
	const char *id;

	start();
	snprintf(first, sizeof(first), "%s", begin(1));
	id = begin(1);
	CHECK_EQ(ask_of(1, "ConfirmPunch", first), SERVICE_NOT_FOUND);
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_OK);
	rig_pass_s(59);
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_OK);
	rig_pass_s(1);
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_NOT_FOUND);
	rig_stop();
}

static void test_a_refused_second_punch_leaves_the_first(void)
{
	const char *id;

	start();
	id = begin(1);
	fake.err = WEFT_EBUSY;
	CHECK_EQ(ask(1, "RequestPunch", ""), SERVICE_RATE_LIMITED);
	fake.err = 0;
	CHECK_EQ(ask_of(1, "ConfirmPunch", id), SERVICE_OK);
	rig_stop();
}

static void test_what_is_no_address_is_refused(void)
{
	static const char *const fields[] = {
		"{\"candidates\":[\"198.51.100.1\"]}",
		"{\"candidates\":[\"198.51.100.1:0\"]}",
		"{\"candidates\":[\"tcp:198.51.100.1:7001\"]}",
		"{\"candidates\":[\"0.0.0.0:7000\"]}",
		"{\"candidates\":[\"224.0.0.1:7000\"]}",
		"{\"candidates\":[\"host.example:7000\"]}",
		"{\"candidates\":[1]}",
		"{\"candidates\":{}}",
		"{\"candidates\":[\"198.51.100.1:1\",\"198.51.100.1:2\",\"198.51.100.1:3\","
		"\"198.51.100.1:4\",\"198.51.100.1:5\"]}",
		"{\"more\":1}",
	};

	start();
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		CHECK_EQ(ask(1, "RequestPunch", fields[i]), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(ask(1, "ConfirmPunch", ""), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(ask_of(1, "ConfirmPunch", "0123"), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(fake.request_cnt, 0);
	CHECK_EQ(ask(1, "RequestPunch",
		     "{\"candidates\":[\"198.51.100.1:1\",\"198.51.100.1:2\",\"198.51.100.1:3\","
		     "\"198.51.100.1:4\"]}"),
		 SERVICE_OK);
	CHECK_EQ(fake.named_cnt, BUILTIN_PUNCH_NAMED_MAX);
	rig_stop();
}

static void test_each_reason_against_a_round_has_its_words(void)
{
	static const struct {
		int err;
		enum service_status status;
		const char *words;
	} rows[] = {
		{WEFT_EABSENT, SERVICE_UNAVAILABLE, "no session"},
		{WEFT_EREFUSED, SERVICE_UNAVAILABLE, "TCP"},
		{WEFT_EEXISTS, SERVICE_UNAVAILABLE, "direct path already"},
		{WEFT_EBUSY, SERVICE_RATE_LIMITED, "under way"},
		{WEFT_EFULL, SERVICE_RATE_LIMITED, "places"},
	};
	struct fair_view places;

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fake.err = rows[i].err;
		CHECK_EQ(ask(1, "RequestPunch", ""), rows[i].status);
		CHECK(strstr(rig.call.text, rows[i].words));
	}
	/* A program of this node is towards no other. */
	CHECK_EQ(ask(RIG_LOCAL, "RequestPunch", ""), SERVICE_FORBIDDEN);
	CHECK(builtin_punch_places(rig.builtin, &places));
	CHECK_EQ(places.held_cnt, 0);
	rig_stop();
}

static void test_the_seventh_punch_of_a_minute_is_refused(void)
{
	start();
	for (unsigned i = 0; i < PUNCH_SERVICE_PER_MIN; i++)
		CHECK_EQ(strlen(begin(1)), 2 * PUNCH_ID_LEN);
	CHECK_EQ(ask(1, "RequestPunch", ""), SERVICE_RATE_LIMITED);
	CHECK(strstr(rig.call.text, "6 punches"));
	CHECK_EQ(strlen(begin(2)), 2 * PUNCH_ID_LEN);
	rig_pass_s(60);
	CHECK_EQ(strlen(begin(1)), 2 * PUNCH_ID_LEN);
	rig_stop();
}

/* Keys are free: those of one network are counted together. */
static void test_the_25th_punch_of_a_network_in_a_minute_is_refused(void)
{
	start();
	for (unsigned i = 0; i < PUNCH_SERVICE_NETWORK_MIN; i++)
		CHECK_EQ(ask_of(RIG_OF_NETWORK(1, i), "CancelPunch", begin(RIG_OF_NETWORK(1, i))),
			 SERVICE_OK);
	CHECK_EQ(ask(RIG_OF_NETWORK(1, 99), "RequestPunch", ""), SERVICE_RATE_LIMITED);
	CHECK(strstr(rig.call.text, "one network"));
	CHECK_EQ(strlen(begin(RIG_OF_NETWORK(2, 200))), 2 * PUNCH_ID_LEN);
	rig_stop();
}

static void test_punches_are_shared_by_network_and_one_that_makes_room_ends(void)
{
	uint8_t key[MESH_KEY_LEN];

	start();
	for (unsigned i = 0; i < PUNCH_SERVICE_MAX; i++)
		CHECK_EQ(strlen(begin(RIG_OF_NETWORK(1, i + 1))), 2 * PUNCH_ID_LEN);
	CHECK_EQ(ask(RIG_OF_NETWORK(1, 99), "RequestPunch", ""), SERVICE_RATE_LIMITED);
	CHECK(strstr(rig.call.text, "too many punches"));
	CHECK_EQ(fake.cancelled_cnt, 0);
	CHECK_EQ(strlen(begin(RIG_OF_NETWORK(2, 200))), 2 * PUNCH_ID_LEN);
	CHECK_EQ(fake.cancelled_cnt, 1);
	rig_key(RIG_OF_NETWORK(1, 1), key);
	CHECK_MEM(fake.cancelled_key, key, sizeof(key));
	/* All are over a minute later. */
	rig_pass_s(60);
	for (unsigned i = 0; i < PUNCH_SERVICE_MAX; i++)
		CHECK_EQ(strlen(begin(RIG_OF_NETWORK(3, i))), 2 * PUNCH_ID_LEN);
	rig_stop();
}

static void test_a_punch_that_cannot_begin_takes_the_place_of_none(void)
{
	static const int errs[] = {WEFT_EABSENT, WEFT_EREFUSED, WEFT_EEXISTS, WEFT_EBUSY,
				   WEFT_EFULL};
	char first[64];

	start();
	snprintf(first, sizeof(first), "%s", begin(RIG_OF_NETWORK(1, 1)));
	for (unsigned i = 1; i < PUNCH_SERVICE_MAX; i++)
		CHECK_EQ(strlen(begin(RIG_OF_NETWORK(1, i + 1))), 2 * PUNCH_ID_LEN);
	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		fake.err = errs[i];
		CHECK(ask(RIG_OF_NETWORK(2, 200 + (unsigned)i), "RequestPunch", "") != SERVICE_OK);
	}
	CHECK_EQ(fake.cancelled_cnt, 0);
	CHECK_EQ(ask_of(RIG_OF_NETWORK(1, 1), "ConfirmPunch", first), SERVICE_OK);
	rig_stop();
}

int main(void)
{
	RUN(test_a_round_begins_with_the_named_addresses_and_its_progress_is_shown);
	RUN(test_a_punch_is_cancelled_by_its_caller_alone);
	RUN(test_a_second_punch_takes_the_place_of_the_first);
	RUN(test_a_refused_second_punch_leaves_the_first);
	RUN(test_what_is_no_address_is_refused);
	RUN(test_each_reason_against_a_round_has_its_words);
	RUN(test_the_seventh_punch_of_a_minute_is_refused);
	RUN(test_the_25th_punch_of_a_network_in_a_minute_is_refused);
	RUN(test_punches_are_shared_by_network_and_one_that_makes_room_ends);
	RUN(test_a_punch_that_cannot_begin_takes_the_place_of_none);
	return check_done();
}

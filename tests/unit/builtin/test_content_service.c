/* SPDX-License-Identifier: Apache-2.0 */
/* The service mesh-content over contents of the test's. */
#include "builtin_rig.h"
#include "codec/text/base64.h"
#include "builtin/content_service.h"

#define ID_HEX "4242424242424242424242424242424242424242424242424242424242424242"

static struct {
	struct builtin_reading *readings[64];
	unsigned cnt, cancelled_cnt, resumed_cnt;
	uint64_t off, len; /* as the service wants it */
	uint8_t key[MESH_KEY_LEN];
	bool has_key;
	int err;
} fake;

static int fake_read(void *ctx, const uint8_t *key, const uint8_t content_id[32],
		     struct builtin_reading *reading, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	if (content_id[31] != 0x42)
		abort();
	if (fake.err)
		return fake.err;
	fake.has_key = key != NULL;
	if (key)
		memcpy(fake.key, key, sizeof(fake.key));
	fake.readings[fake.cnt++] = reading;
	return 0;
}

static void fake_resume(void *ctx, struct builtin_reading *reading, uint64_t now_ns)
{
	(void)ctx, (void)reading, (void)now_ns;
	fake.resumed_cnt++;
}

static void fake_cancel(void *ctx, struct builtin_reading *reading)
{
	(void)ctx, (void)reading;
	fake.cancelled_cnt++;
}

static void start(void)
{
	memset(&fake, 0, sizeof(fake));
	rig_start();
	rig.config.offered = 1u << BUILTIN_CONTENT;
	rig.content = (struct builtin_content){fake_read, fake_resume, fake_cancel, NULL};
	rig_up();
}

static void ask(unsigned who, const char *fields)
{
	rig_ask_bytes(BUILTIN_CONTENT, who, "GetByContentId", fields, strlen(fields));
}

static void open_as(unsigned who, struct service_channel *channel, const char *method,
		    const char *head)
{
	const struct service_offering *offering = rig_offering(BUILTIN_CONTENT);
	struct service_caller caller = {.is_local = who == RIG_LOCAL};

	rig_key(who, caller.key);
	rig_path(who, &caller.path);
	memset(channel, 0, sizeof(*channel));
	offering->handler->stream(
		offering->ctx, channel,
		&(struct service_input){&caller, method, (const uint8_t *)head, strlen(head)},
		rig.now_ns);
}

/* The content is of size bytes: true: some of it is wanted. */
static bool opened(unsigned number, uint64_t size)
{
	return fake.readings[number]->opened(fake.readings[number], size, &fake.off, &fake.len,
					     rig.now_ns);
}

static bool piece(unsigned number, const char *text, size_t len)
{
	return fake.readings[number]->piece(fake.readings[number], (const uint8_t *)text, len,
					    rig.now_ns);
}

static void end(unsigned number, int err)
{
	fake.readings[number]->ended(fake.readings[number], err, rig.now_ns);
}

static void test_a_range_is_answered_with_the_size_of_its_content(void)
{
	uint8_t key[MESH_KEY_LEN];

	start();
	ask(1, "{\"content\":\"" ID_HEX "\",\"offset\":5,\"length\":4}");
	CHECK(!rig.call.is_answered);
	rig_key(1, key);
	CHECK(fake.has_key);
	CHECK_MEM(fake.key, key, sizeof(key));
	CHECK(opened(0, 100));
	CHECK_EQ(fake.off, 5);
	CHECK_EQ(fake.len, 4);
	CHECK(piece(0, "ab", 2));
	CHECK(piece(0, "cd", 2));
	end(0, 0);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_STR(rig_text(rig.call.reply, "content"), ID_HEX);
	CHECK_STR(rig_text(rig.call.reply, "data"), "YWJjZA==");
	CHECK_EQ(json_integer_value(json_object_get(rig.call.reply, "size")), 100);
	CHECK_EQ(json_integer_value(json_object_get(rig.call.reply, "offset")), 5);
	CHECK_EQ(json_integer_value(json_object_get(rig.call.reply, "length")), 4);
	rig_stop();
	CHECK_EQ(fake.cancelled_cnt, 0);
}

static void test_a_program_of_the_node_asks_for_itself(void)
{
	start();
	ask(RIG_LOCAL, "{\"content\":\"" ID_HEX "\"}");
	CHECK_EQ(fake.cnt, 1);
	CHECK(!fake.has_key);
	CHECK(opened(0, 3));
	CHECK_EQ(fake.len, 3);
	rig_stop();
	CHECK_EQ(fake.cancelled_cnt, 1);
}

static void test_what_the_caller_may_not_read_is_not_found(void)
{
	static const int errs[] = {WEFT_EABSENT, WEFT_EREFUSED};

	start();
	for (unsigned i = 0; i < 2; i++) {
		fake.err = errs[i];
		ask(1, "{\"content\":\"" ID_HEX "\"}");
		CHECK_EQ(rig.call.status, SERVICE_NOT_FOUND);
	}
	fake.err = WEFT_EFULL;
	ask(1, "{\"content\":\"" ID_HEX "\"}");
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	fake.err = 0;
	ask(1, "{\"content\":\"" ID_HEX "\"}");
	end(0, WEFT_EABSENT);
	CHECK_EQ(rig.call.status, SERVICE_NOT_FOUND);
	rig_stop();
}

static const struct {
	const char *fields;
	const char *text; /* the answer's begins so */
} rows[] = {
	{"{}", "content:"},
	{"{\"content\":\"42\"}", "content:"},
	{"{\"content\":\"" ID_HEX "\",\"offset\":-1}", "offset:"},
	{"{\"content\":\"" ID_HEX "\",\"length\":-1}", "length:"},
};

static void test_what_is_no_range_is_refused(void)
{
	struct service_channel channel;

	start();
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(1, rows[i].fields);
		CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
		CHECK(i == 0 || strncmp(rig.call.text, rows[i].text, strlen(rows[i].text)) == 0);
		open_as(1, &channel, "GetByContentId", rows[i].fields);
		CHECK(channel.is_ended);
		CHECK_EQ(channel.status, SERVICE_INVALID_PAYLOAD);
	}
	open_as(1, &channel, "Other", rows[0].fields);
	CHECK_EQ(channel.status, SERVICE_METHOD_NOT_FOUND);
	open_as(1, &channel, "GetByContentId", "{\"content\":\"" ID_HEX "\",\"offset\":\"5x\"}");
	CHECK_EQ(channel.status, SERVICE_INVALID_PAYLOAD);
	open_as(1, &channel, "GetByContentId", "no JSON");
	CHECK_EQ(channel.status, SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(fake.cnt, 0);
	rig_stop();
}

static void test_a_range_beyond_the_end_or_one_byte_too_long_is_refused(void)
{
	static const struct {
		const char *range;
		uint64_t size;
		enum service_status status; /* of a call; OK: it is read */
		enum service_status of_stream;
	} ranges[] = {
		{"\"offset\":0", 512 * 1024, SERVICE_OK, SERVICE_OK},
		{"\"offset\":0", 512 * 1024 + 1, SERVICE_PAYLOAD_TOO_LARGE, SERVICE_OK},
		{"\"length\":524289", 1 << 26, SERVICE_PAYLOAD_TOO_LARGE, SERVICE_OK},
		{"\"offset\":0", 32 << 20, SERVICE_PAYLOAD_TOO_LARGE, SERVICE_OK},
		{"\"offset\":0", (32 << 20) + 1, SERVICE_PAYLOAD_TOO_LARGE,
		 SERVICE_PAYLOAD_TOO_LARGE},
		{"\"offset\":101", 100, SERVICE_INVALID_PAYLOAD, SERVICE_INVALID_PAYLOAD},
		{"\"offset\":99,\"length\":2", 100, SERVICE_INVALID_PAYLOAD,
		 SERVICE_INVALID_PAYLOAD},
	};
	struct service_channel channel;
	char fields[160];

	start();
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		snprintf(fields, sizeof(fields), "{\"content\":\"" ID_HEX "\",%s}",
			 ranges[i].range);
		fake.cnt = 0;
		ask(1, fields);
		CHECK_EQ(opened(0, ranges[i].size), ranges[i].status == SERVICE_OK);
		CHECK_EQ(rig.call.status, ranges[i].status);
		if (ranges[i].status == SERVICE_OK)
			end(0, WEFT_EDAMAGED);
		open_as(1, &channel, "GetByContentId", fields);
		CHECK_EQ(opened(1, ranges[i].size), ranges[i].of_stream == SERVICE_OK);
		CHECK_EQ(channel.status, ranges[i].of_stream);
		if (ranges[i].of_stream == SERVICE_OK)
			channel.events->ended(channel.arg, NULL, rig.now_ns);
	}
	rig_stop();
}

static void test_readings_are_shared_by_network(void)
{
	static const char fields[] = "{\"content\":\"" ID_HEX "\"}";
	enum { ALL = CONTENT_SERVICE_READING_MAX, HALF = ALL / 2 };
	struct service_channel channel;
	unsigned used_cnt;

	start();
	/* Each with a key of its own. */
	for (unsigned i = 0; i < ALL; i++) {
		ask(RIG_OF_NETWORK(1, i), fields);
		CHECK(!rig.call.is_answered);
	}
	CHECK_EQ(builtin_readings(rig.builtin, &used_cnt), ALL);
	CHECK_EQ(used_cnt, ALL);
	ask(RIG_OF_NETWORK(1, 99), fields);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	open_as(RIG_OF_NETWORK(1, 99), &channel, "GetByContentId", fields);
	CHECK_EQ(channel.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(fake.cancelled_cnt, 0);
	for (unsigned i = 0; i < HALF; i++) {
		/* All calls are the rig's one call: the status is that of the reading that made room. */
		ask(RIG_OF_NETWORK(2, 200), fields);
		CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
		CHECK_EQ(fake.cnt, ALL + i + 1);
		CHECK_EQ(fake.cancelled_cnt, i + 1);
	}
	ask(RIG_OF_NETWORK(2, 200), fields);
	CHECK_EQ(fake.cnt, ALL + HALF);
	rig.call = (struct service_call){0};
	end(ALL, WEFT_EDAMAGED);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	ask(RIG_OF_NETWORK(2, 200), fields);
	CHECK(!rig.call.is_answered);
	rig_stop();
}

static void test_the_oldest_stream_that_sent_all_makes_room(void)
{
	static struct service_channel channels[CONTENT_SERVICE_STREAM_MAX + 1];

	start();
	for (unsigned i = 0; i <= CONTENT_SERVICE_STREAM_MAX; i++) {
		open_as(1, &channels[i], "GetByContentId", "{\"content\":\"" ID_HEX "\"}");
		CHECK_EQ(fake.cnt, 1);
		CHECK(opened(0, 0));
		end(0, 0);
		CHECK(channels[i].is_finished);
		CHECK_EQ(channels[0].is_ended, i == CONTENT_SERVICE_STREAM_MAX);
		fake.cnt = 0;
	}
	CHECK_EQ(channels[0].status, SERVICE_OK);
	CHECK(!channels[1].is_ended);
	rig_stop();
}

static void test_a_stream_that_is_read_slowly_loses_nothing(void)
{
	static char text[40000];
	struct service_channel channel;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	start();
	open_as(1, &channel, "GetByContentId",
		"{\"content\":\"" ID_HEX "\",\"offset\":\"1\",\"length\":\"40007\"}");
	CHECK(channel.events != NULL);
	CHECK(opened(0, 2 * sizeof(text)));
	CHECK_EQ(fake.off, 1);
	CHECK_EQ(fake.len, 40007);
	channel.room_len = 20000;
	CHECK(!piece(0, text, sizeof(text)));
	CHECK_EQ(channel.sent_len, 16000);
	channel.events->writable(channel.arg, rig.now_ns);
	CHECK_EQ(fake.resumed_cnt, 1);
	channel.room_len = 100000;
	CHECK(piece(0, text, sizeof(text)));
	CHECK_EQ(channel.sent_len, sizeof(text));
	CHECK_MEM(channel.sent, text, sizeof(text));
	CHECK(piece(0, text, 7));
	CHECK_EQ(channel.sent_len, sizeof(text) + 7);
	end(0, 0);
	CHECK(channel.is_finished);
	CHECK(!channel.is_text);
	/* Its place is free although the caller has not closed. */
	ask(1, "{\"content\":\"" ID_HEX "\"}");
	ask(1, "{\"content\":\"" ID_HEX "\"}");
	CHECK(!rig.call.is_answered);
	channel.events->ended(channel.arg, NULL, rig.now_ns);
	rig_stop();
}

static void test_a_reading_that_stalls_or_is_left_frees_its_place(void)
{
	const struct service_offering *offering;
	struct service_channel channel;

	start();
	open_as(1, &channel, "GetByContentId", "{\"content\":\"" ID_HEX "\"}");
	CHECK(opened(0, 100));
	CHECK(!piece(0, "0123456789", 10));
	rig_pass_s(31);
	CHECK(channel.is_ended);
	CHECK_EQ(channel.status, SERVICE_TIMEOUT);
	CHECK_EQ(fake.cancelled_cnt, 1);
	ask(1, "{\"content\":\"" ID_HEX "\"}");
	offering = rig_offering(BUILTIN_CONTENT);
	offering->handler->cancelled(offering->ctx, &rig.call);
	CHECK_EQ(fake.cancelled_cnt, 2);
	open_as(1, &channel, "GetByContentId", "{\"content\":\"" ID_HEX "\"}");
	channel.events->ended(channel.arg, NULL, rig.now_ns);
	CHECK_EQ(fake.cancelled_cnt, 3);
	rig_stop();
	CHECK_EQ(fake.cancelled_cnt, 3);
}

static void test_a_caller_without_work_left_reads_nothing(void)
{
	static const char fields[] = "{\"content\":\"" ID_HEX "\"}";
	struct service_caller caller = {.key = {1}};
	const struct service_offering *offering;

	start();
	rig_path(1, &caller.path);
	offering = rig_offering(BUILTIN_CONTENT);
	rig.call = (struct service_call){.work_left = 0};
	offering->handler->call(offering->ctx, &rig.call,
				&(struct service_input){&caller, "GetByContentId",
							(const uint8_t *)fields, strlen(fields)},
				rig.now_ns);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(fake.cnt, 0);
	rig_stop();
}

int main(void)
{
	RUN(test_a_range_is_answered_with_the_size_of_its_content);
	RUN(test_a_program_of_the_node_asks_for_itself);
	RUN(test_what_the_caller_may_not_read_is_not_found);
	RUN(test_what_is_no_range_is_refused);
	RUN(test_a_range_beyond_the_end_or_one_byte_too_long_is_refused);
	RUN(test_readings_are_shared_by_network);
	RUN(test_the_oldest_stream_that_sent_all_makes_room);
	RUN(test_a_stream_that_is_read_slowly_loses_nothing);
	RUN(test_a_reading_that_stalls_or_is_left_frees_its_place);
	RUN(test_a_caller_without_work_left_reads_nothing);
	return check_done();
}

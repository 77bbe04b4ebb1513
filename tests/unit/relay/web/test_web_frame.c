/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "relay/web/web_frame.h"

/* The public key of the seed 42 x 32, as in iroh's own tests. */
#define KEY                                                                                        \
	"\x19\x7f\x6b\x23\xe1\x6c\x85\x32\xc6\xab\xc8\x38\xfa\xcd\x5e\xa7"                         \
	"\x89\xbe\x0c\x76\xb2\x92\x03\x34\x03\x9b\xfa\x8b\x3d\x36\x8d\x61"
#define EIGHT	   "********"
#define KEY_BYTES  ((const uint8_t *)KEY)
#define DATA(text) (const uint8_t *)(text), sizeof(text) - 1

/* docs/wire/relay_web.md shows these bytes. The first five are samples of iroh's own tests. */
static const struct {
	const uint8_t *bytes;
	size_t len;
	struct relay_web_frame frame;
	bool is_v1, is_v2;
} vectors[] = {
	{DATA("\x06" KEY "\x03Hello World!"),
	 {.type = RELAY_WEB_RECV,
	  .key = KEY_BYTES,
	  .ecn = 3,
	  .data = (const uint8_t *)"Hello World!",
	  .len = 12},
	 true,
	 true},
	{DATA("\x09" EIGHT),
	 {.type = RELAY_WEB_PING, .data = (const uint8_t *)EIGHT, .len = 8},
	 true,
	 true},
	{DATA("\x0a" EIGHT),
	 {.type = RELAY_WEB_PONG, .data = (const uint8_t *)EIGHT, .len = 8},
	 true,
	 true},
	{DATA("\x0c\0\0\0\x0a\0\0\0\x14"),
	 {.type = RELAY_WEB_RESTARTING, .reconnect_ms = 10, .try_ms = 20},
	 true,
	 true},
	{DATA("\x08" KEY), {.type = RELAY_WEB_GONE, .key = KEY_BYTES}, true, true},
	{DATA("\0" EIGHT EIGHT),
	 {.type = RELAY_WEB_CHALLENGE, .data = (const uint8_t *)EIGHT EIGHT, .len = 16},
	 true,
	 true},
	{DATA("\x01" KEY "\x40" KEY KEY),
	 {.type = RELAY_WEB_AUTH, .key = KEY_BYTES, .data = (const uint8_t *)KEY KEY, .len = 64},
	 true,
	 true},
	{DATA("\x02"), {.type = RELAY_WEB_CONFIRMED}, true, true},
	{DATA("\x03\x02no"),
	 {.type = RELAY_WEB_DENIED, .data = (const uint8_t *)"no", .len = 2},
	 true,
	 true},
	{DATA("\x04" KEY "\0x"),
	 {.type = RELAY_WEB_SEND, .key = KEY_BYTES, .data = (const uint8_t *)"x", .len = 1},
	 true,
	 true},
	{DATA("\x05" KEY "\x02\0\x02xxyyz"),
	 {.type = RELAY_WEB_SEND_BATCH,
	  .key = KEY_BYTES,
	  .ecn = 2,
	  .segment_len = 2,
	  .data = (const uint8_t *)"xxyyz",
	  .len = 5},
	 true,
	 true},
	{DATA("\x07" KEY "\x01\x05\xdc"),
	 {.type = RELAY_WEB_RECV_BATCH, .key = KEY_BYTES, .ecn = 1, .segment_len = 1500},
	 true,
	 true},
	{DATA("\x0bill"),
	 {.type = RELAY_WEB_HEALTH, .data = (const uint8_t *)"ill", .len = 3},
	 true,
	 false},
	{DATA("\x0d\x01"), {.type = RELAY_WEB_STATUS, .status = RELAY_WEB_SAME_KEY}, false, true},
	{DATA("\x0d\x02"), {.type = RELAY_WEB_STATUS, .status = RELAY_WEB_LIMITED}, false, true},
};
#define VECTOR_CNT (sizeof(vectors) / sizeof(vectors[0]))

static int parse(const uint8_t *bytes, size_t len, enum relay_web_version version,
		 struct relay_web_frame *out_frame)
{
	struct cursor c = cursor_of(bytes, len);

	return relay_web_frame_parse(&c, version, out_frame);
}

static bool frames_agree(const struct relay_web_frame *a, const struct relay_web_frame *b)
{
	return a->type == b->type && a->ecn == b->ecn && a->segment_len == b->segment_len &&
	       a->status == b->status && a->reconnect_ms == b->reconnect_ms &&
	       a->try_ms == b->try_ms && a->len == b->len &&
	       (!a->len || memcmp(a->data, b->data, a->len) == 0) && !a->key == !b->key &&
	       (!a->key || memcmp(a->key, b->key, RELAY_WEB_KEY_LEN) == 0);
}

static void test_frames_are_the_bytes_of_the_vectors(void)
{
	for (size_t i = 0; i < VECTOR_CNT; i++) {
		enum relay_web_version version =
			vectors[i].is_v2 ? RELAY_WEB_MESH_V1 : RELAY_WEB_IROH_V1;
		struct relay_web_frame frame;
		uint8_t bytes[RELAY_WEB_SHORT_CAP];
		struct writer w = writer_of(bytes, sizeof(bytes));

		CHECK_EQ(parse(vectors[i].bytes, vectors[i].len, version, &frame), 0);
		CHECK(frames_agree(&frame, &vectors[i].frame));
		relay_web_frame_write(&w, &vectors[i].frame);
		CHECK(!w.bad);
		CHECK_EQ(writer_len(&w), vectors[i].len);
		CHECK_MEM(bytes, vectors[i].bytes, vectors[i].len);
	}
}

static void test_a_version_knows_its_own_frames_alone(void)
{
	for (size_t i = 0; i < VECTOR_CNT; i++) {
		struct relay_web_frame frame;
		int v1 = parse(vectors[i].bytes, vectors[i].len, RELAY_WEB_IROH_V1, &frame);
		int v2 = parse(vectors[i].bytes, vectors[i].len, RELAY_WEB_IROH_V2, &frame);

		CHECK_EQ(v1, vectors[i].is_v1 ? 0 : WEFT_EMALFORMED);
		CHECK_EQ(v2, vectors[i].is_v2 ? 0 : WEFT_EMALFORMED);
	}
}

/* The data of packets and of a health may be of any length, so there only the head has one. */
static void test_a_frame_that_is_cut_short_is_no_frame(void)
{
	for (size_t i = 0; i < VECTOR_CNT; i++) {
		bool is_open = vectors[i].frame.type == RELAY_WEB_HEALTH ||
			       (vectors[i].frame.type >= RELAY_WEB_SEND &&
				vectors[i].frame.type <= RELAY_WEB_RECV_BATCH);
		size_t whole_len = vectors[i].len - (is_open ? vectors[i].frame.len : 0);

		for (size_t len = 0; len < whole_len; len++) {
			struct relay_web_frame frame;

			CHECK_EQ(parse(vectors[i].bytes, len,
				       vectors[i].is_v2 ? RELAY_WEB_IROH_V2 : RELAY_WEB_IROH_V1,
				       &frame),
				 WEFT_EMALFORMED);
		}
	}
}

static void test_a_frame_against_the_rules_is_refused(void)
{
	static const struct {
		const uint8_t *bytes;
		size_t len;
		const char *why;
	} rows[] = {
		{DATA("\x0e"), "an unknown type"},
		{DATA("\x40\x09" EIGHT), "a type in two bytes that fits one"},
		{DATA("\x80\0\0\x09" EIGHT), "and in four"},
		{DATA("\xc0\0\0\0\0\0\0\x09" EIGHT), "and in eight"},
		{DATA("\x40\x40"), "a type of two bytes that is none"},
		{DATA("\x01" KEY "\x3f" KEY KEY), "a signature of another length"},
		{DATA("\x01" KEY "\x41" KEY KEY "x"), "a longer signature"},
		{DATA("\x02x"), "bytes behind a confirmation"},
		{DATA("\x03\x80\x01" KEY KEY KEY KEY), "a text of two bytes of length"},
		{DATA("\x05" KEY "\0\0\0x"), "segments of no bytes"},
		{DATA("\x08" KEY "x"), "bytes behind a key"},
		{DATA("\x09" EIGHT "x"), "a ping of nine bytes"},
		{DATA("\x0c\0\0\0\x0a\0\0\0\x14x"), "bytes behind a restart"},
		{DATA("\x0d\x03"), "an unknown status"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct relay_web_frame frame;
		int rv = parse(rows[i].bytes, rows[i].len, RELAY_WEB_IROH_V2, &frame);

		if (rv != WEFT_EMALFORMED)
			printf("# accepted: %s\n", rows[i].why);
		CHECK_EQ(rv, WEFT_EMALFORMED);
	}
}

static void test_a_packet_has_65536_bytes_at_most(void)
{
	static uint8_t bytes[RELAY_WEB_FRAME_MAX + 1];
	struct relay_web_frame frame;

	bytes[0] = RELAY_WEB_SEND;
	CHECK_EQ(parse(bytes, 34 + RELAY_WEB_PACKET_MAX, RELAY_WEB_IROH_V2, &frame), 0);
	CHECK_EQ(frame.len, RELAY_WEB_PACKET_MAX);
	CHECK_EQ(parse(bytes, 34 + RELAY_WEB_PACKET_MAX + 1, RELAY_WEB_IROH_V2, &frame),
		 WEFT_ETOOLARGE);
	bytes[0] = RELAY_WEB_SEND_BATCH;
	bytes[35] = 1;
	CHECK_EQ(parse(bytes, RELAY_WEB_FRAME_MAX, RELAY_WEB_IROH_V2, &frame), 0);
	CHECK_EQ(parse(bytes, RELAY_WEB_FRAME_MAX + 1, RELAY_WEB_IROH_V2, &frame), WEFT_ETOOLARGE);
}

int main(void)
{
	RUN(test_frames_are_the_bytes_of_the_vectors);
	RUN(test_a_version_knows_its_own_frames_alone);
	RUN(test_a_frame_that_is_cut_short_is_no_frame);
	RUN(test_a_frame_against_the_rules_is_refused);
	RUN(test_a_packet_has_65536_bytes_at_most);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/mesh_rig.h"

#include "codec/cbor.h"
#include "mesh/stream/mesh_frame.h"

/* Numbers on both sides of every CBOR head length. */
static const struct mesh_frame shapes[] = {
	{0, 0, 0, 0},
	{4, 23, 1, 23},
	{23, 24, 2, 24},
	{24, 255, 3, 255},
	{255, 256, 0, 256},
	{256, 65535, 1, 65535},
	{65535, 65536, 3, 65536},
	{500, UINT32_MAX, 3, 2097152},
};
#define SHAPE_CNT (sizeof(shapes) / sizeof(shapes[0]))

static size_t head_of(const struct mesh_frame *frame, uint8_t out[static 64])
{
	struct writer w = writer_of(out, 64);

	mesh_frame_write(&w, frame);
	return w.bad ? 0 : writer_len(&w);
}

static void test_head_is_read_as_written(void)
{
	for (size_t i = 0; i < SHAPE_CNT; i++) {
		struct mesh_frame got;
		uint8_t head[64];
		size_t len = head_of(&shapes[i], head);

		CHECK(len >= MESH_FRAME_HEAD_LEN_MIN && len <= MESH_FRAME_HEAD_LEN_MAX);
		CHECK_EQ(mesh_frame_parse(head, len, &got), len);
		CHECK_EQ(got.type, shapes[i].type);
		CHECK_EQ(got.req_id, shapes[i].req_id);
		CHECK_EQ(got.flags, shapes[i].flags);
		CHECK_EQ(got.payload_len, shapes[i].payload_len);
	}
}

static void test_frame_is_deterministic_cbor(void)
{
	for (size_t i = 0; i < SHAPE_CNT; i++) {
		static uint8_t bytes[64 + 2097152];
		size_t len = head_of(&shapes[i], bytes), payload_len;
		struct cursor c = cursor_of(bytes, 4);
		struct cbor_reader r;
		uint64_t key;

		CHECK_EQ(cursor_be32(&c), len - 4 + shapes[i].payload_len);
		cbor_reader_init(&r, bytes + 4, len - 4 + shapes[i].payload_len);
		CHECK_EQ(cbor_enter_map(&r), 4);
		CHECK(cbor_next_key(&r, &key) && key == 0);
		CHECK_EQ(cbor_read_uint(&r), shapes[i].type);
		CHECK(cbor_next_key(&r, &key) && key == 1);
		CHECK_EQ(cbor_read_uint(&r), shapes[i].req_id);
		CHECK(cbor_next_key(&r, &key) && key == 2);
		CHECK_EQ(cbor_read_uint(&r), shapes[i].flags);
		CHECK(cbor_next_key(&r, &key) && key == 3);
		(void)cbor_read_bytes(&r, &payload_len);
		CHECK_EQ(payload_len, shapes[i].payload_len);
		CHECK(!cbor_next_key(&r, &key));
		CHECK_EQ(cbor_reader_finish(&r), 0);
	}
}

static void test_prefix_of_a_head_asks_for_more(void)
{
	for (size_t i = 0; i < SHAPE_CNT; i++) {
		struct mesh_frame got = {.type = 77};
		uint8_t head[64];
		size_t len = head_of(&shapes[i], head);

		for (size_t part = 0; part < len; part++)
			CHECK_EQ(mesh_frame_parse(head, part, &got), 0);
		CHECK_EQ(got.type, 77);
	}
}

static void test_writer_too_small_is_bad(void)
{
	uint8_t head[64];
	size_t len = head_of(&shapes[3], head);

	for (size_t cap = 0; cap < len; cap++) {
		struct writer w = writer_of(head, cap);

		mesh_frame_write(&w, &shapes[3]);
		CHECK(w.bad);
	}
}

static const struct {
	const char *why;
	size_t len;
	uint8_t bytes[24];
	size_t refused_at; /* bytes after which it must be known */
} bad_heads[] = {
	{"length below any frame", 4, {0, 0, 0, 8}, 4},
	{"length zero", 4, {0, 0, 0, 0}, 4},
	{"not a map", 5, {0, 0, 0, 9, 0x84}, 5},
	{"map of three", 5, {0, 0, 0, 9, 0xa3}, 5},
	{"map of five", 5, {0, 0, 0, 9, 0xa5}, 5},
	{"indefinite map", 5, {0, 0, 0, 9, 0xbf}, 5},
	{"map head not shortest", 5, {0, 0, 0, 9, 0xb8}, 5},
	{"first key is not 0", 6, {0, 0, 0, 9, 0xa4, 1}, 6},
	{"key not shortest", 6, {0, 0, 0, 9, 0xa4, 0x18}, 6},
	{"type is text", 7, {0, 0, 0, 9, 0xa4, 0, 0x61}, 7},
	{"type is negative", 7, {0, 0, 0, 9, 0xa4, 0, 0x20}, 7},
	{"type of 23 in two bytes", 8, {0, 0, 0, 10, 0xa4, 0, 0x18, 23}, 8},
	{"type of 255 in three bytes", 9, {0, 0, 0, 11, 0xa4, 0, 0x19, 0, 255}, 9},
	{"type 65536", 9, {0, 0, 0, 13, 0xa4, 0, 0x1a, 0, 1}, 9},
	{"type in eight bytes", 7, {0, 0, 0, 17, 0xa4, 0, 0x1b}, 7},
	{"type indefinite", 7, {0, 0, 0, 17, 0xa4, 0, 0x1f}, 7},
	{"keys out of order", 8, {0, 0, 0, 9, 0xa4, 0, 4, 2}, 8},
	{"req_id in eight bytes", 9, {0, 0, 0, 17, 0xa4, 0, 4, 1, 0x1b}, 9},
	{"flags 16", 11, {0, 0, 0, 9, 0xa4, 0, 4, 1, 1, 2, 16}, 11},
	{"payload is text", 13, {0, 0, 0, 9, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x60}, 13},
	{"payload indefinite", 13, {0, 0, 0, 9, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x5f}, 13},
	{"payload shorter than the frame", 13, {0, 0, 0, 10, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x40}, 13},
	{"payload longer than the frame", 13, {0, 0, 0, 9, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x41}, 13},
	{"giant length, small payload",
	 13,
	 {0xff, 0xff, 0xff, 0xff, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x41},
	 13},
	{"lengths that add up only modulo 2^32",
	 17,
	 {0, 0, 0, 12, 0xa4, 0, 4, 1, 1, 2, 0, 3, 0x5a, 0xff, 0xff, 0xff, 0xff},
	 17},
};

static void test_violations_are_refused_where_they_show(void)
{
	for (size_t i = 0; i < sizeof(bad_heads) / sizeof(bad_heads[0]); i++) {
		struct mesh_frame got;

		for (size_t len = 0; len <= bad_heads[i].len; len++) {
			int want = len < bad_heads[i].refused_at ? 0 : WEFT_EMALFORMED;

			if (mesh_frame_parse(bad_heads[i].bytes, len, &got) != want)
				printf("# row \"%s\" at %zu\n", bad_heads[i].why, len);
			CHECK_EQ(mesh_frame_parse(bad_heads[i].bytes, len, &got), want);
		}
	}
}

/* Three frames in a row, cut into pieces of step bytes. */
static bool stream_is_cut_right(size_t step)
{
	uint8_t bytes[2048], body[1024], payload[600];
	struct mesh_frame_in in = {0};
	size_t len = 0, off = 0;
	unsigned whole = 0;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	len += rig_frame(bytes + len, sizeof(bytes) - len, 500, 1, 0, payload, 600);
	len += rig_frame(bytes + len, sizeof(bytes) - len, 4, 2, 1, payload, 0);
	len += rig_frame(bytes + len, sizeof(bytes) - len, 65000, 3, 3, payload, 300);
	while (off < len) {
		size_t part = len - off < step ? len - off : step;
		struct cursor c = cursor_of(bytes + off, part);

		off += part;
		do {
			if (mesh_frame_in_head(&in, &c) < 0)
				return false;
			if (!in.has_frame)
				continue;
			in.body = in.frame.type == 65000 ? NULL : body; /* one is skipped */
			if (!mesh_frame_in_body(&in, &c))
				continue;
			if (in.body && memcmp(body, payload, in.frame.payload_len) != 0)
				return false;
			whole += in.frame.req_id;
			mesh_frame_in_reset(&in);
		} while (cursor_left(&c));
	}
	return whole == 6 && !in.has_frame && !in.head_len;
}

static void test_any_cut_gives_the_same_frames(void)
{
	for (size_t step = 1; step < 700; step++)
		CHECK(stream_is_cut_right(step));
}

static void test_error_payload_is_read_as_written(void)
{
	struct mesh_error error = {.code = 65535, .not_before_ms = UINT64_MAX}, got;
	uint8_t bytes[MESH_ERROR_PAYLOAD_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memset(error.text, 'x', MESH_ERROR_TEXT_CAP - 1);
	mesh_error_write(&w, &error);
	CHECK(!w.bad);
	CHECK_EQ(mesh_error_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.code, 65535);
	CHECK(got.not_before_ms == UINT64_MAX);
	CHECK_STR(got.text, error.text);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(mesh_error_parse(bytes, len, &got), WEFT_EMALFORMED);
}

static void test_error_payload_rules(void)
{
	static const struct {
		size_t len;
		uint8_t bytes[16];
		int want;
	} rows[] = {
		{3, {0xa1, 0, 4}, 0},				   /* the code alone is enough */
		{5, {0xa2, 0, 4, 9, 1}, 0},			   /* unknown fields are skipped */
		{1, {0xa0}, WEFT_EMALFORMED},			   /* no code */
		{4, {0xa1, 1, 0x61, 'x'}, WEFT_EMALFORMED},	   /* no code */
		{7, {0xa1, 0, 0x1a, 0, 1, 0, 0}, WEFT_EMALFORMED}, /* 65536 */
		{4, {0xa1, 0, 0x18, 4}, WEFT_EMALFORMED},	   /* not shortest */
		{5, {0xa2, 0, 4, 0, 4}, WEFT_EMALFORMED},	   /* key twice */
		{4, {0xa1, 0, 4, 0}, WEFT_EMALFORMED},		   /* bytes left over */
	};
	struct mesh_error got;
	uint8_t bytes[160] = {0xa2, 0, 4, 1, 0x78, MESH_ERROR_TEXT_CAP};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(mesh_error_parse(rows[i].bytes, rows[i].len, &got), rows[i].want);
	memset(bytes + 6, 'x', MESH_ERROR_TEXT_CAP);
	CHECK_EQ(mesh_error_parse(bytes, 6 + MESH_ERROR_TEXT_CAP, &got), WEFT_EMALFORMED);
	bytes[5]--;
	CHECK_EQ(mesh_error_parse(bytes, 6 + MESH_ERROR_TEXT_CAP - 1, &got), 0);
}

int main(void)
{
	RUN(test_head_is_read_as_written);
	RUN(test_frame_is_deterministic_cbor);
	RUN(test_prefix_of_a_head_asks_for_more);
	RUN(test_writer_too_small_is_bad);
	RUN(test_violations_are_refused_where_they_show);
	RUN(test_any_cut_gives_the_same_frames);
	RUN(test_error_payload_is_read_as_written);
	RUN(test_error_payload_rules);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

#include "http/websocket.h"

static void test_accept_is_that_of_the_standard(void)
{
	static const uint8_t nonce[16] = "the sample nonce";
	char accept[WEBSOCKET_ACCEPT_CAP], key[WEBSOCKET_KEY_CAP];

	/* RFC 6455, 1.3. */
	http_websocket_key(nonce, key);
	CHECK_STR(key, "dGhlIHNhbXBsZSBub25jZQ==");
	http_websocket_accept(key, accept);
	CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_heads_are_read_as_written(void)
{
	static const uint64_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, INT64_MAX};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (unsigned masked = 0; masked < 2; masked++) {
			struct websocket_head head = {.opcode = WEBSOCKET_BINARY,
						      .is_final = true,
						      .is_masked = masked,
						      .mask = {1, 2, 3, 4},
						      .len = lens[i]};
			uint8_t bytes[WEBSOCKET_HEAD_LEN_MAX];
			size_t len = http_websocket_head_write(&head, bytes);
			struct websocket_head got;

			for (size_t cut = 0; cut < len; cut++)
				CHECK_EQ(http_websocket_head_parse(bytes, cut, &got), 0);
			CHECK_EQ(http_websocket_head_parse(bytes, len, &got), len);
			CHECK_EQ(got.len, lens[i]);
			CHECK_EQ(got.opcode, WEBSOCKET_BINARY);
			CHECK_EQ(got.is_masked, masked);
			if (masked)
				CHECK_MEM(got.mask, head.mask, 4);
		}
}

static void test_examples_of_the_standard(void)
{
	/* RFC 6455, 5.7: "Hello", plain and masked. */
	static const uint8_t plain[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
	uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
	struct websocket_head head;

	CHECK_EQ(http_websocket_head_parse(plain, sizeof(plain), &head), 2);
	CHECK_EQ(head.len, 5);
	CHECK_EQ(http_websocket_head_parse(masked, sizeof(masked), &head), 6);
	http_websocket_mask(masked + 6, 5, head.mask, 0);
	CHECK_MEM(masked + 6, "Hello", 5);
}

static void test_what_is_no_frame_is_refused(void)
{
	static const struct {
		const char *why;
		uint8_t bytes[10];
		size_t len;
	} rows[] = {
		{"reserved bit", {0xc2, 0}, 2},
		{"opcode 3", {0x83, 0}, 2},
		{"opcode 11", {0x8b, 0}, 2},
		{"a ping in pieces", {0x09, 0}, 2},
		{"125 in two bytes", {0x82, 126, 0, 125}, 4},
		{"65535 in eight", {0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 10},
		{"negative", {0x82, 127, 0x80, 0, 0, 0, 0, 1, 0, 0}, 10},
		{"a long ping", {0x89, 126, 0, 126}, 4},
	};
	struct websocket_head head;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i].why);
		CHECK_EQ(http_websocket_head_parse(rows[i].bytes, rows[i].len, &head),
			 WEFT_EMALFORMED);
	}
}

static void test_other_urls_are_refused(void)
{
	static const char *const urls[] = {"", "http://127.0.0.1/", "ws:/x", "wss://", "ws://a b/"};
	uint8_t random[20] = {0}, answer[8];

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct websocket_ask ask = {.url = urls[i],
					    .protocol = "p",
					    .random = random,
					    .timeout_ns = 1,
					    .stop_fd = -1,
					    .answer = answer,
					    .answer_cap = sizeof(answer)};

		CHECK_EQ(http_websocket_ask(&ask), WEFT_EMALFORMED);
	}
}

int main(void)
{
	RUN(test_accept_is_that_of_the_standard);
	RUN(test_heads_are_read_as_written);
	RUN(test_examples_of_the_standard);
	RUN(test_what_is_no_frame_is_refused);
	RUN(test_other_urls_are_refused);
	return check_done();
}

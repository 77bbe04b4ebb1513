/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "support/check.h"
#include "weft/token.h"

#define NOW_S 1800000000u

static struct weft_token_keys keys_of_today(void)
{
	struct weft_token_keys keys = {0};
	const __u64 key[2] = {5, 6};

	weft_token_keys_set(&keys, weft_token_day(NOW_S), key);
	return keys;
}

static struct weft_token token_of(uint8_t kind)
{
	return (struct weft_token){
		.original = {.words = {0x0807060504030201, 0x100f0e0d0c0b0a09, 0x14131211},
			     .len = 20},
		.client = {.addr = {0x20, 1}, .port_be = htons(4242)},
		.retry_scid = {7, 8},
		.issued_s = NOW_S,
		.kind = kind,
	};
}

static void test_written_token_is_read_back(void)
{
	struct weft_token_keys keys = keys_of_today();
	struct weft_token token = token_of(WEFT_TOKEN_RETRY), got = token;
	uint8_t bytes[WEFT_TOKEN_LEN];

	CHECK(weft_token_write(&keys, &token, bytes));
	CHECK_EQ(bytes[0], WEFT_TOKEN_RETRY);
	CHECK_EQ(bytes[2], 20);
	CHECK_EQ(weft_load_be32(bytes + 4), NOW_S);
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(bytes[8 + i], i + 1);
	memset(&got.original, 0, sizeof(got.original));
	CHECK_EQ(weft_token_read(&keys, bytes, NOW_S, &got), WEFT_TOKEN_GOOD);
	CHECK_MEM(&got.original, &token.original, sizeof(got.original));
	CHECK_EQ(got.issued_s, NOW_S);
}

static void test_any_flipped_bit_is_refused(void)
{
	struct weft_token_keys keys = keys_of_today();
	struct weft_token token = token_of(WEFT_TOKEN_RETRY);
	uint8_t bytes[WEFT_TOKEN_LEN];

	CHECK(weft_token_write(&keys, &token, bytes));
	for (unsigned bit = 0; bit < 8 * WEFT_TOKEN_LEN; bit++) {
		struct weft_token got = token;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(weft_token_read(&keys, bytes, NOW_S, &got) != WEFT_TOKEN_GOOD);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_without_the_days_key_nothing_is_made_or_read(void)
{
	struct weft_token_keys keys = keys_of_today(), none = {0};
	struct weft_token token = token_of(WEFT_TOKEN_RETRY), got = token;
	uint8_t bytes[WEFT_TOKEN_LEN];

	CHECK(!weft_token_write(&none, &token, bytes));
	CHECK(weft_token_write(&keys, &token, bytes));
	CHECK_EQ(weft_token_read(&none, bytes, NOW_S, &got), WEFT_TOKEN_UNKEYED);
	/* The slot has a key, but that of four days later. */
	token.issued_s += 4 * 86400;
	CHECK(!weft_token_write(&keys, &token, bytes));
}

static void test_kind_without_an_owner_is_foreign(void)
{
	struct weft_token_keys keys = keys_of_today();
	struct weft_token got = token_of(0);
	uint8_t bytes[WEFT_TOKEN_LEN];

	for (unsigned kind = 0; kind < 256; kind++) {
		memset(bytes, (int)kind, sizeof(bytes));
		CHECK_EQ(weft_token_read(&keys, bytes, NOW_S, &got) == WEFT_TOKEN_FOREIGN,
			 kind != WEFT_TOKEN_RETRY && kind != WEFT_TOKEN_KNOWN);
	}
}

static void test_id_is_loaded_without_what_follows_it(void)
{
	uint8_t room[WEFT_ID_ROOM_LEN], stored[WEFT_ID_ROOM_LEN], want[WEFT_ID_ROOM_LEN];
	struct weft_id id;

	for (unsigned len = 0; len <= WEFT_ID_LEN_MAX; len++) {
		memset(room, 0xee, sizeof(room));
		memset(want, 0, sizeof(want));
		for (unsigned i = 0; i < len; i++)
			room[i] = want[i] = (uint8_t)(i + 1);
		weft_id_load(&id, room, len);
		weft_id_store(&id, stored);
		CHECK_EQ(id.len, len);
		CHECK_MEM(stored, want, sizeof(want));
	}
}

int main(void)
{
	RUN(test_written_token_is_read_back);
	RUN(test_any_flipped_bit_is_refused);
	RUN(test_without_the_days_key_nothing_is_made_or_read);
	RUN(test_kind_without_an_owner_is_foreign);
	RUN(test_id_is_loaded_without_what_follows_it);
	return check_done();
}

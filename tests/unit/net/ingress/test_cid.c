/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "weft/cid.h"

static const __u64 key_a[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
static const __u64 key_b[2] = {3, 4};
static const __u8 random_bytes[WEFT_CID_RANDOM_LEN] = {1, 2, 3, 4, 5, 6};

static void test_tag_is_siphash_of_published_vector(void)
{
	/* Reference vectors of SipHash-2-4: key 00..0f, input 00..07. */
	CHECK(weft_siphash_word(key_a, 0x0706050403020100) == 0x93f5f5799a932462);
}

static void test_written_id_is_recognised_and_names_its_worker(void)
{
	struct weft_cid_keys keys = {0};
	__u8 cid[WEFT_CID_LEN];

	weft_cid_keys_rotate(&keys, key_a);
	for (__u32 worker = 0; worker <= WEFT_CID_WORKER_MAX; worker++) {
		weft_cid_write(&keys, worker, random_bytes, cid);
		CHECK(cid[0] & 0x80);
		CHECK(weft_cid_is_ours(&keys, cid));
		CHECK_EQ(weft_cid_worker(cid), worker);
	}
}

static void test_any_flipped_bit_is_refused(void)
{
	struct weft_cid_keys keys = {0};
	__u8 cid[WEFT_CID_LEN];

	weft_cid_keys_rotate(&keys, key_a);
	weft_cid_write(&keys, 5, random_bytes, cid);
	for (int bit = 0; bit < WEFT_CID_LEN * 8; bit++) {
		cid[bit / 8] ^= (__u8)(1 << bit % 8);
		CHECK(!weft_cid_is_ours(&keys, cid));
		cid[bit / 8] ^= (__u8)(1 << bit % 8);
	}
	CHECK(weft_cid_is_ours(&keys, cid));
}

static void test_id_outlives_three_rotations_and_not_the_fourth(void)
{
	struct weft_cid_keys keys = {0};
	__u8 cid[WEFT_CID_LEN];

	weft_cid_keys_rotate(&keys, key_a);
	weft_cid_write(&keys, 0, random_bytes, cid);
	for (int i = 0; i < WEFT_CID_KEY_CNT - 1; i++) {
		weft_cid_keys_rotate(&keys, key_b);
		CHECK(weft_cid_is_ours(&keys, cid));
	}
	weft_cid_keys_rotate(&keys, key_a);
	CHECK(!weft_cid_is_ours(&keys, cid));
}

static void test_generation_wraps_after_255(void)
{
	struct weft_cid_keys keys = {.current_generation = 254};
	__u8 cid[WEFT_CID_LEN];

	for (int i = 0; i < 3; i++) {
		weft_cid_keys_rotate(&keys, key_a);
		weft_cid_write(&keys, 1, random_bytes, cid);
		CHECK(weft_cid_is_ours(&keys, cid));
	}
	CHECK_EQ(cid[1], 1);
}

static void test_empty_table_honours_nothing(void)
{
	struct weft_cid_keys keys = {0};
	__u8 cid[WEFT_CID_LEN] = {0x80};
	const __u64 zero[2] = {0};
	__u64 tag = weft_siphash_word(zero, 0x80);

	memcpy(cid + 8, &tag, sizeof(tag));
	CHECK(!weft_cid_is_ours(&keys, cid));
}

int main(void)
{
	RUN(test_tag_is_siphash_of_published_vector);
	RUN(test_written_id_is_recognised_and_names_its_worker);
	RUN(test_any_flipped_bit_is_refused);
	RUN(test_id_outlives_three_rotations_and_not_the_fourth);
	RUN(test_generation_wraps_after_255);
	RUN(test_empty_table_honours_nothing);
	return check_done();
}

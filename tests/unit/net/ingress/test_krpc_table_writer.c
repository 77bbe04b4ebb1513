/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader of the tables sees between two writes: old or new, never half of each. */
#include <string.h>

#include "net/ingress/krpc_table_writer.h"
#include "support/check.h"

static struct weft_krpc_self selves[WEFT_KRPC_FAMILY_CNT];
static struct weft_krpc_bucket buckets[WEFT_KRPC_BUCKETS_CNT];
static __u64 held[WEFT_KRPC_HELD_WORD_CNT];
static struct weft_krpc_reply_keys reply_keys;
static const struct weft_krpc_tables tables = {selves, buckets, held, &reply_keys};

static void tables_clear(void)
{
	memset(selves, 0, sizeof(selves));
	memset(buckets, 0, sizeof(buckets));
	memset(held, 0, sizeof(held));
	memset(&reply_keys, 0, sizeof(reply_keys));
}

static void test_a_new_id_leaves_the_old_bytes_to_their_readers(void)
{
	uint8_t first[WEFT_KRPC_ID_LEN] = {1}, second[WEFT_KRPC_ID_LEN] = {2};
	const uint8_t *read;

	tables_clear();
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4));
	net_krpc_tables_set_id(&tables, WEFT_KRPC_IPV4, first);
	read = net_krpc_tables_id(&tables, WEFT_KRPC_IPV4);
	CHECK_MEM(read, first, sizeof(first));
	net_krpc_tables_set_id(&tables, WEFT_KRPC_IPV4, second);
	CHECK_MEM(read, first, sizeof(first));
	CHECK(net_krpc_tables_id(&tables, WEFT_KRPC_IPV4) != read);
	CHECK_MEM(net_krpc_tables_id(&tables, WEFT_KRPC_IPV4), second, sizeof(second));
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV6));
	net_krpc_tables_set_id(&tables, WEFT_KRPC_IPV4, NULL);
	CHECK(!net_krpc_tables_id(&tables, WEFT_KRPC_IPV4));
}

static void test_the_id_that_lives_is_not_written_again(void)
{
	const uint8_t id[WEFT_KRPC_ID_LEN] = {7};
	const uint8_t *read;

	tables_clear();
	net_krpc_tables_set_id(&tables, WEFT_KRPC_IPV6, id);
	read = net_krpc_tables_id(&tables, WEFT_KRPC_IPV6);
	net_krpc_tables_set_id(&tables, WEFT_KRPC_IPV6, id);
	CHECK(net_krpc_tables_id(&tables, WEFT_KRPC_IPV6) == read);
}

static void test_a_token_key_is_that_of_every_family(void)
{
	const uint64_t first[2] = {1, 2}, second[2] = {1, 3};
	const __u64 *read;

	tables_clear();
	CHECK(!weft_krpc_live_token_key(&selves[WEFT_KRPC_IPV4]));
	net_krpc_tables_set_token_key(&tables, first);
	read = weft_krpc_live_token_key(&selves[WEFT_KRPC_IPV6]);
	CHECK(read[0] == 1 && read[1] == 2);
	net_krpc_tables_set_token_key(&tables, second);
	CHECK(read[1] == 2);
	for (unsigned family = 0; family < WEFT_KRPC_FAMILY_CNT; family++)
		CHECK_EQ(weft_krpc_live_token_key(&selves[family])[1], 3);
}

static void test_nodes_of_one_bucket_change_no_other(void)
{
	uint8_t compact[2 * 38];
	const struct weft_krpc_nodes *one, *two;

	tables_clear();
	memset(compact, 0x5a, sizeof(compact));
	net_krpc_tables_set_nodes(&tables, WEFT_KRPC_IPV6, 3, compact, 1);
	one = weft_krpc_live_nodes(&buckets[weft_krpc_bucket_idx(WEFT_KRPC_IPV6, 3)]);
	CHECK(one && one->len > 38);
	net_krpc_tables_set_nodes(&tables, WEFT_KRPC_IPV6, 3, compact, 1);
	CHECK(weft_krpc_live_nodes(&buckets[weft_krpc_bucket_idx(WEFT_KRPC_IPV6, 3)]) == one);
	net_krpc_tables_set_nodes(&tables, WEFT_KRPC_IPV6, 3, compact, 2);
	two = weft_krpc_live_nodes(&buckets[weft_krpc_bucket_idx(WEFT_KRPC_IPV6, 3)]);
	CHECK(two != one);
	CHECK_EQ(two->len, one->len + 38);
	for (unsigned i = 0; i < WEFT_KRPC_BUCKETS_CNT; i++)
		if (i != weft_krpc_bucket_idx(WEFT_KRPC_IPV6, 3))
			CHECK(!weft_krpc_live_nodes(&buckets[i]));
}

static void test_held_words_and_reply_keys_are_written_in_place(void)
{
	struct weft_krpc_reply_keys keys;

	tables_clear();
	memset(&keys, 0x11, sizeof(keys));
	net_krpc_tables_set_held_word(&tables, WEFT_KRPC_HELD_WORD_CNT - 1, 0xf0f0);
	CHECK_EQ(held[WEFT_KRPC_HELD_WORD_CNT - 1], 0xf0f0);
	CHECK_EQ(held[0], 0);
	net_krpc_tables_set_reply_keys(&tables, &keys);
	CHECK_MEM(reply_keys.keys, keys.keys, sizeof(keys.keys));
}

int main(void)
{
	RUN(test_a_new_id_leaves_the_old_bytes_to_their_readers);
	RUN(test_the_id_that_lives_is_not_written_again);
	RUN(test_a_token_key_is_that_of_every_family);
	RUN(test_nodes_of_one_bucket_change_no_other);
	RUN(test_held_words_and_reply_keys_are_written_in_place);
	return check_done();
}

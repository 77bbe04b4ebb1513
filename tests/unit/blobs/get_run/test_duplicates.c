/* SPDX-License-Identifier: Apache-2.0 */
/* Items of the same content are found in one look or two, whatever ids an attacker chose. */
#include "blobs/get_run/duplicates.h"

#include "blobs/object.h"
#include "support/check.h"

static struct manifest_item items[MANIFEST_ITEMS_MAX];
static uint8_t ids[MANIFEST_ITEMS_MAX][OBJECT_ID_LEN];
static struct duplicates duplicates;

/* All ids begin alike; items i and i + id_cnt are of the same content. */
static bool begin(uint32_t id_cnt)
{
	for (uint32_t i = 0; i < MANIFEST_ITEMS_MAX; i++) {
		uint32_t id = i % id_cnt;

		memcpy(ids[i] + OBJECT_ID_LEN - sizeof(id), &id, sizeof(id));
		items[i].content_id = ids[i];
	}
	return blobs_duplicates_init(&duplicates, items, MANIFEST_ITEMS_MAX, NULL) == 0;
}

static void test_each_item_leads_to_the_first_of_its_content(void)
{
	CHECK(begin(7));
	for (uint32_t i = 0; i < MANIFEST_ITEMS_MAX; i++)
		CHECK_EQ(blobs_duplicates_first(&duplicates, i), i % 7);
	blobs_duplicates_fini(&duplicates);
}

/* A chain of all that begin alike would be looked at 4.5 million times. */
static void test_ids_that_begin_alike_are_as_fast_as_others(void)
{
	CHECK(begin(MANIFEST_ITEMS_MAX));
	for (uint32_t i = 0; i < MANIFEST_ITEMS_MAX; i++)
		CHECK_EQ(blobs_duplicates_first(&duplicates, i), i);
	CHECK(duplicates.look_cnt < 3 * MANIFEST_ITEMS_MAX);
	blobs_duplicates_fini(&duplicates);
}

static void test_many_of_one_content_are_as_fast_as_others(void)
{
	CHECK(begin(1));
	for (uint32_t i = 0; i < MANIFEST_ITEMS_MAX; i++)
		CHECK_EQ(blobs_duplicates_first(&duplicates, i), 0);
	CHECK_EQ(duplicates.look_cnt, MANIFEST_ITEMS_MAX);
	blobs_duplicates_fini(&duplicates);
}

int main(void)
{
	RUN(test_each_item_leads_to_the_first_of_its_content);
	RUN(test_ids_that_begin_alike_are_as_fast_as_others);
	RUN(test_many_of_one_content_are_as_fast_as_others);
	return check_done();
}

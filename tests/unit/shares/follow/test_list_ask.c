/* SPDX-License-Identifier: Apache-2.0 */
/* The public shares in another node's list. */
#include "follow_publisher.h"

static struct frig rig;
static struct list_answer page;

static struct {
	unsigned cnt;
	struct follow_list list;
} told;

static void listed(void *arg, const struct follow_list *list, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	told.cnt++;
	told.list = *list;
}

static void begin(void)
{
	frig_init(&rig);
	memset(&told, 0, sizeof(told));
	memset(&page, 0, sizeof(page));
	rig.nodes[0].page = &page;
}

static int ask(unsigned idx, const uint8_t *cursor, struct follow_listing **out_listing)
{
	uint8_t key[MESH_KEY_LEN] = {(uint8_t)(idx + 1)};
	const struct follow_list_ask asked = {.key = key, .cursor = cursor, .listed = listed};

	return shares_follow_list_start(rig.follows, &asked, rig.now_ns, out_listing);
}

/* The page lists share, by a head that it has signed. */
static void page_add(struct frig_share *share, unsigned number)
{
	frig_share_init(share, (uint8_t)number);
	frig_publish(&rig, share, &(struct frig_revision){.seq = number});
	page.heads[page.head_cnt].bytes = share->bytes;
	page.heads[page.head_cnt++].len = share->len;
}

static void test_a_page_is_what_share_keys_have_signed(void)
{
	struct follow_listing *listing;
	struct frig_share shares[3];
	uint8_t cursor[FOLLOW_LIST_CURSOR_LEN] = {9};

	begin();
	for (unsigned i = 0; i < 3; i++)
		page_add(&shares[i], i + 1);
	shares[1].bytes[shares[1].len - 1] ^= 1;
	page.has_cursor = true;
	page.cursor[0] = 7;
	CHECK_EQ(ask(0, cursor, &listing), 0);
	CHECK_EQ(told.cnt, 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.list.err, 0);
	CHECK_EQ(told.list.head_cnt, 2);
	CHECK_EQ(told.list.false_cnt, 1);
	CHECK_MEM(told.list.heads[0].share_id, shares[0].id, 32);
	CHECK_EQ(told.list.heads[1].seq, 3);
	CHECK(told.list.has_cursor);
	CHECK_EQ(told.list.cursor[0], 7);
	CHECK(!rig.nodes[0].asked.has_share);
	CHECK_MEM(rig.nodes[0].asked.cursor, cursor, sizeof(cursor));
	for (unsigned i = 0; i < 3; i++)
		frig_share_fini(&shares[i]);
	frig_fini(&rig);
}

static void test_an_unreachable_node_is_reported_as_such(void)
{
	struct follow_listing *listing;

	begin();
	rig.nodes[1].is_dead = true;
	CHECK_EQ(ask(1, NULL, &listing), 0);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(told.cnt, 1);
	CHECK_EQ(told.list.err, WEFT_EUNREACHABLE);
	CHECK_EQ(ask(0, NULL, &listing), 0);
	shares_follow_list_cancel(listing);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(told.cnt, 1);
	frig_fini(&rig);
}

static void test_eight_nodes_are_asked_at_once_and_not_a_ninth(void)
{
	struct follow_listing *listing;

	begin();
	for (unsigned i = 0; i < FOLLOW_LISTINGS_MAX; i++)
		CHECK_EQ(ask(0, NULL, &listing), 0);
	CHECK_EQ(ask(0, NULL, &listing), WEFT_EFULL);
	frig_run(&rig, NS_PER_S);
	CHECK_EQ(told.cnt, FOLLOW_LISTINGS_MAX);
	CHECK_EQ(told.list.head_cnt, 0);
	CHECK_EQ(ask(0, NULL, &listing), 0);
	frig_close(&rig);
	CHECK_EQ(told.cnt, FOLLOW_LISTINGS_MAX + 1);
	CHECK_EQ(told.list.err, WEFT_ECANCELLED);
	frig_open(&rig);
	frig_fini(&rig);
}

int main(void)
{
	RUN(test_a_page_is_what_share_keys_have_signed);
	RUN(test_an_unreachable_node_is_reported_as_such);
	RUN(test_eight_nodes_are_asked_at_once_and_not_a_ninth);
	return check_done();
}

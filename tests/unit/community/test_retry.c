/* SPDX-License-Identifier: Apache-2.0 */
/* What a node says of itself in a community, while the overlay takes nothing. */
#include "base/monotonic.h"
#include "support/check.h"
#include "support/community_lab.h"

static struct community_lab lab;

static void pass(uint64_t for_ns)
{
	(void)community_lab_run(&lab, for_ns, NULL, NULL);
}

/*
 * No storer took it, or it was refused at once: it is put again after a minute, not before, and not
 * for ever.
 */
static void test_what_the_overlay_did_not_take_is_put_again_after_a_minute(void)
{
	uint8_t id[COMMUNITY_ID_LEN];
	struct community_lab_node *node;
	unsigned cnt, again_cnt;

	community_lab_init(&lab, 21, 1);
	lab.overlay.err = WEFT_ETIMEOUT;
	node = community_lab_add(&lab);
	community_lab_start(node);
	CHECK_EQ(community_lab_create(node, "club", false, id), 0);
	pass(20 * NS_PER_S);
	cnt = lab.overlay.put_cnt;
	CHECK(cnt > 0);
	pass(30 * NS_PER_S);
	CHECK_EQ(lab.overlay.put_cnt, cnt);
	pass(35 * NS_PER_S);
	again_cnt = lab.overlay.put_cnt;
	CHECK(again_cnt > cnt);
	pass(30 * NS_PER_S);
	CHECK_EQ(lab.overlay.put_cnt, again_cnt);
	CHECK_EQ(lab.overlay.value_cnt, 0);
	/* It works again: what is put then stays, and is not put each minute. */
	lab.overlay.err = 0;
	pass(60 * NS_PER_S);
	CHECK(lab.overlay.value_cnt > 0);
	cnt = lab.overlay.put_cnt;
	pass(600 * NS_PER_S);
	CHECK_EQ(lab.overlay.put_cnt, cnt);
	community_lab_fini(&lab);
}

static void test_an_overlay_that_refuses_at_once_is_asked_again_after_a_minute(void)
{
	uint8_t id[COMMUNITY_ID_LEN];
	struct community_lab_node *node;

	community_lab_init(&lab, 22, 1);
	lab.overlay.start_err = WEFT_EFULL;
	node = community_lab_add(&lab);
	community_lab_start(node);
	CHECK_EQ(community_lab_create(node, "club", false, id), 0);
	pass(20 * NS_PER_S);
	lab.overlay.start_err = 0;
	pass(30 * NS_PER_S);
	CHECK_EQ(lab.overlay.put_cnt, 0);
	pass(35 * NS_PER_S);
	CHECK(lab.overlay.put_cnt > 0);
	CHECK(lab.overlay.value_cnt > 0);
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_what_the_overlay_did_not_take_is_put_again_after_a_minute);
	RUN(test_an_overlay_that_refuses_at_once_is_asked_again_after_a_minute);
	return check_done();
}

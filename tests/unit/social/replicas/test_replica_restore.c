/* SPDX-License-Identifier: Apache-2.0 */
/* Which node gets the next copy of a post. */
#include "social/replicas/replica_restore.h"

#include "support/check.h"

static void test_the_order_of_restoration_has_four_worlds(void)
{
	struct restore_candidate all[] = {{.has_copy = true},
					  {.is_resting = true},
					  {.is_reader = false},
					  {.is_follower = true},
					  {.is_reader = true}};
	size_t idx = 99;

	CHECK_EQ(social_restore_choose(all, 5, false, &idx), RESTORE_READER);
	CHECK_EQ(idx, 4);
	CHECK_EQ(social_restore_choose(all, 5, true, &idx), RESTORE_FOLLOWER);
	CHECK_EQ(idx, 3);
	CHECK_EQ(social_restore_choose(all, 3, true, &idx), RESTORE_PEER);
	CHECK_EQ(idx, 2);
	/* A follower of a private post is a peer as any other. */
	CHECK_EQ(social_restore_choose(all, 4, false, &idx), RESTORE_PEER);
	CHECK_EQ(idx, 2);
	CHECK_EQ(social_restore_choose(all, 2, true, &idx), RESTORE_NOWHERE);
}

int main(void)
{
	RUN(test_the_order_of_restoration_has_four_worlds);
	return check_done();
}

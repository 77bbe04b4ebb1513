/* SPDX-License-Identifier: Apache-2.0 */
/* The job that takes a get's files out of its folder (target/removal.c). */
#include <fcntl.h>
#include <unistd.h>

#include "blobs/target/removal.h"
#include "support/check.h"

/* Home frees one whose job the pool did not take. */
static void test_removal_that_never_ran_closes_no_descriptor_but_its_own(void)
{
	const uint8_t id[OBJECT_ID_LEN] = {1};
	int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC), kept = dup(STDIN_FILENO);
	struct removal *removal;

	CHECK_EQ(dup2(lowest, STDIN_FILENO), STDIN_FILENO);
	removal = blobs_removal_new(NULL, "/nowhere", id, NULL, 0);
	CHECK(removal);
	blobs_removal_free(removal);
	CHECK(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	if (kept >= 0) {
		(void)dup2(kept, STDIN_FILENO);
		close(kept);
	}
	if (lowest != STDIN_FILENO)
		close(lowest);
}

int main(void)
{
	RUN(test_removal_that_never_ran_closes_no_descriptor_but_its_own);
	return check_done();
}

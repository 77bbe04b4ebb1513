/* SPDX-License-Identifier: Apache-2.0 */
/* Descent of processes: real processes, both ways of asking. */
#include "base/process/ancestry.h"

#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "support/check.h"

/* A child whose child waits; the child ends or stays. */
struct family {
	pid_t child, grandchild;
	int pidfd; /* of the grandchild */
};

static void family_make(struct family *family, bool child_ends)
{
	int told[2];

	weft_assert(pipe(told) == 0);
	family->child = fork();
	if (family->child == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)setsid();
			for (;;)
				pause();
		}
		weft_assert(write(told[1], &pid, sizeof(pid)) == sizeof(pid));
		if (child_ends)
			_exit(0);
		for (;;)
			pause();
	}
	weft_assert(read(told[0], &family->grandchild, sizeof(family->grandchild)) ==
		    sizeof(family->grandchild));
	close(told[0]);
	close(told[1]);
	if (child_ends)
		weft_assert(waitpid(family->child, NULL, 0) == family->child);
	family->pidfd = pidfd_open(family->grandchild, 0);
	weft_assert(family->pidfd >= 0);
}

static void family_end(struct family *family)
{
	(void)kill(family->grandchild, SIGKILL);
	(void)kill(family->child, SIGKILL);
	(void)waitpid(family->child, NULL, 0);
	(void)waitpid(family->grandchild, NULL, 0); /* an orphan may be ours */
	close(family->pidfd);
}

static void test_a_grandchild_is_a_descendant_of_each_above_it(void)
{
	struct family family;

	family_make(&family, false);
	CHECK_EQ(ancestry_of(family.pidfd, getpid()), ANCESTRY_YES);
	CHECK_EQ(ancestry_of(family.pidfd, family.child), ANCESTRY_YES);
	CHECK_EQ(ancestry_of(family.pidfd, family.grandchild), ANCESTRY_YES);
	CHECK_EQ(ancestry_of_proc(family.pidfd, getpid()), ANCESTRY_YES);
	CHECK_EQ(ancestry_of_proc(family.pidfd, family.child), ANCESTRY_YES);
	family_end(&family);
}

static void test_a_process_that_is_not_above_is_no_ancestor(void)
{
	struct family family, other;

	family_make(&family, false);
	family_make(&other, false);
	CHECK_EQ(ancestry_of(family.pidfd, other.child), ANCESTRY_NO);
	CHECK_EQ(ancestry_of_proc(family.pidfd, other.child), ANCESTRY_NO);
	family_end(&other);
	family_end(&family);
}

static void test_an_orphan_descends_from_the_subreaper(void)
{
	struct family family;

	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	family_make(&family, true);
	CHECK_EQ(ancestry_of(family.pidfd, getpid()), ANCESTRY_YES);
	CHECK_EQ(ancestry_of_proc(family.pidfd, getpid()), ANCESTRY_YES);
	family_end(&family);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void test_of_one_that_has_ended_nothing_is_known(void)
{
	struct family family;

	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	family_make(&family, true);
	(void)kill(family.grandchild, SIGKILL);
	CHECK_EQ(waitpid(family.grandchild, NULL, 0), family.grandchild);
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	CHECK_EQ(ancestry_of(family.pidfd, getpid()), ANCESTRY_UNKNOWN);
	CHECK_EQ(ancestry_of_proc(family.pidfd, getpid()), ANCESTRY_UNKNOWN);
	close(family.pidfd);
}

static void test_the_peer_of_a_socket_is_the_one_that_made_it(void)
{
	int ends[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	CHECK_EQ(ancestry_of_peer(ends[0], getpid()), ANCESTRY_YES);
	CHECK_EQ(ancestry_of_peer(ends[0], 0x7ffffff0), ANCESTRY_NO);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	RUN(test_a_grandchild_is_a_descendant_of_each_above_it);
	RUN(test_a_process_that_is_not_above_is_no_ancestor);
	RUN(test_an_orphan_descends_from_the_subreaper);
	RUN(test_of_one_that_has_ended_nothing_is_known);
	RUN(test_the_peer_of_a_socket_is_the_one_that_made_it);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/import/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blobs/manifest/manifest.h"
#include "support/check.h"
#include "support/scratch.h"

static char root[SCRATCH_CAP];

static char *at(const char *name)
{
	static char path[8192];

	return scratch_path(path, sizeof(path), root, name);
}

struct seen {
	enum walk_kind kind;
	char path[300];
};

/* walk_all tells up to cap entries; their number or an error. */
static int walk_all(const char *path, struct seen *seen, int cap)
{
	struct walk_entry entry;
	struct walk *walk;
	int cnt = 0, got = blobs_walk_new(path, &walk);

	if (got < 0)
		return got;
	while (cnt < cap && (got = blobs_walk_next(walk, &entry)) == 1) {
		seen[cnt].kind = entry.kind;
		snprintf(seen[cnt].path, sizeof(seen[cnt].path), "%.*s", (int)entry.path_len,
			 entry.path);
		cnt++;
	}
	blobs_walk_free(walk);
	return got < 0 ? got : cnt;
}

static void test_a_tree_is_walked_in_manifest_order(void)
{
	static const struct seen want[] = {
		{WALK_FILE, "a/b/deep"},   {WALK_FILE, "a/b.txt"},	   {WALK_FILE, "a.txt"},
		{WALK_EMPTY_DIR, "empty"}, {WALK_EMPTY_DIR, "nest/empty"}, {WALK_FILE, "z"},
	};
	struct seen seen[20];

	scratch_make(root);
	mkdir(at("a"), 0755);
	mkdir(at("a/b"), 0755);
	mkdir(at("empty"), 0755);
	mkdir(at("nest"), 0755);
	mkdir(at("nest/empty"), 0755);
	scratch_write(at("z"), "z", 1);
	scratch_write(at("a.txt"), "", 0);
	scratch_write(at("a/b.txt"), "", 0);
	scratch_write(at("a/b/deep"), "", 0);
	CHECK_EQ(walk_all(root, seen, 20), 6);
	for (int i = 0; i < 6; i++) {
		CHECK_STR(seen[i].path, want[i].path);
		CHECK_EQ(seen[i].kind, want[i].kind);
	}
	scratch_remove(root);
}

static void test_an_empty_root_yields_nothing(void)
{
	struct seen seen[2];

	scratch_make(root);
	CHECK_EQ(walk_all(root, seen, 2), 0);
	scratch_remove(root);
}

static void test_an_unshareable_entry_is_reported_as_such(void)
{
	static const struct seen want[] = {
		{WALK_FAR_LINK, "dirlink"},   {WALK_SPECIAL, "fifo"}, {WALK_FAR_LINK, "link"},
		{WALK_BAD_NAME, "new\nline"}, {WALK_FILE, "ok"},      {WALK_SPECIAL, "socket"},
		{WALK_BAD_NAME, "x\xff"},
	};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct seen seen[20];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	scratch_make(root);
	scratch_write(at("ok"), "1", 1);
	scratch_write(at("new\nline"), "1", 1);
	scratch_write(at("x\xff"), "1", 1);
	CHECK_EQ(symlink("../ok", at("link")), 0);
	CHECK_EQ(symlink("/usr", at("dirlink")), 0);
	CHECK_EQ(mkfifo(at("fifo"), 0644), 0);
	memcpy(sun.sun_path, at("socket"), strlen(at("socket")) + 1);
	CHECK_EQ(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CHECK_EQ(walk_all(root, seen, 20), 7);
	for (int i = 0; i < 7; i++) {
		CHECK_STR(seen[i].path, want[i].path);
		CHECK_EQ(seen[i].kind, want[i].kind);
	}
	scratch_remove(root);
}

static void test_a_directory_of_only_skipped_things_is_empty(void)
{
	struct seen seen[4];

	scratch_make(root);
	mkdir(at("d"), 0755);
	CHECK_EQ(symlink("/x", at("d/l")), 0);
	CHECK_EQ(walk_all(root, seen, 4), 2);
	CHECK_EQ(seen[0].kind, WALK_FAR_LINK);
	CHECK_EQ(seen[1].kind, WALK_EMPTY_DIR);
	CHECK_STR(seen[1].path, "d");
	scratch_remove(root);
}

static void test_a_single_file_is_a_tree_of_one(void)
{
	struct seen seen[2];
	struct walk *walk;
	char path[SCRATCH_CAP + 32];
	int fd;

	scratch_make(root);
	scratch_write(at("one"), "1", 1);
	CHECK_EQ(walk_all(at("one"), seen, 2), 1);
	CHECK_EQ(seen[0].kind, WALK_FILE);
	CHECK_STR(seen[0].path, "one");
	CHECK_EQ(blobs_walk_new(at("one"), &walk), 0);
	CHECK(blobs_walk_is_file(walk));
	CHECK_EQ(blobs_walk_file_path(walk, "one", path, sizeof(path)), 0);
	CHECK_STR(path, at("one"));
	fd = blobs_walk_open(walk, "one");
	CHECK(fd >= 0);
	close(fd);
	blobs_walk_free(walk);
	scratch_remove(root);
}

static void test_a_root_that_is_none_is_an_error(void)
{
	struct seen seen[2];

	scratch_make(root);
	CHECK_EQ(mkfifo(at("fifo"), 0644), 0);
	CHECK_EQ(walk_all(at("absent"), seen, 2), -ENOENT);
	CHECK_EQ(walk_all(at("fifo"), seen, 2), WEFT_EUNSAFE);
	scratch_write(at("bad\nname"), "1", 1);
	CHECK_EQ(walk_all(at("bad\nname"), seen, 2), WEFT_EUNSAFE);
	scratch_remove(root);
}

static void test_open_follows_no_link_below_the_root(void)
{
	struct walk *walk;
	int fd;

	scratch_make(root);
	mkdir(at("d"), 0755);
	scratch_write(at("d/f"), "1", 1);
	CHECK_EQ(blobs_walk_new(root, &walk), 0);
	fd = blobs_walk_open(walk, "d/f");
	CHECK(fd >= 0);
	close(fd);
	CHECK_EQ(rename(at("d"),
			scratch_path((char[SCRATCH_CAP + 8]){0}, SCRATCH_CAP + 8, root, "e")),
		 0);
	CHECK_EQ(symlink("e", at("d")), 0);
	CHECK_EQ(blobs_walk_open(walk, "d/f"), -ELOOP);
	CHECK(blobs_walk_open(walk, "../x") < 0);
	blobs_walk_free(walk);
	scratch_remove(root);
}

/* Directories below each other, made and walked by descriptor. */
/* A kernel before 5.6, or a container whose filter does not know openat2. */
static int child_without_openat2(const struct walk *walk)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	int link, file, direct, absent;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 77;
	link = blobs_walk_open(walk, "d/f");
	file = blobs_walk_open(walk, "e/g/f");
	direct = blobs_walk_open(walk, "top");
	absent = blobs_walk_open(walk, "e/x/f");
	return link < 0 && file >= 0 && direct >= 0 && absent == -ENOENT ? 0 : 1;
}

static void test_open_follows_no_link_without_openat2(void)
{
	struct walk *walk;
	int status = 0;
	pid_t child;

	scratch_make(root);
	mkdir(at("e"), 0755);
	mkdir(at("e/g"), 0755);
	scratch_write(at("e/f"), "1", 1);
	scratch_write(at("e/g/f"), "1", 1);
	scratch_write(at("top"), "1", 1);
	CHECK_EQ(symlink("e", at("d")), 0);
	CHECK_EQ(blobs_walk_new(root, &walk), 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(child_without_openat2(walk));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("# no seccomp filter here\n");
	else
		CHECK_EQ(WEXITSTATUS(status), 0);
	blobs_walk_free(walk);
	scratch_remove(root);
}

static void test_one_level_too_deep_is_skipped(void)
{
	struct seen seen[4];
	int fd;

	scratch_make(root);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < WALK_DEPTH_MAX; i++) {
		int next;

		CHECK_EQ(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		CHECK(fd >= 0);
	}
	close(fd);
	CHECK_EQ(walk_all(root, seen, 4), 2);
	CHECK_EQ(seen[0].kind, WALK_BAD_NAME);
	CHECK_EQ(seen[1].kind, WALK_EMPTY_DIR);
	scratch_remove(root);
}

static void test_an_unreadable_directory_is_reported(void)
{
	struct seen seen[4];
	bool is_root = geteuid() == 0;
	int cnt;

	scratch_make(root);
	mkdir(at("d"), 0700);
	chmod(root, 0755);
	/* Root reads everything, so there is nothing to look at. */
	if (is_root)
		CHECK_EQ(seteuid(65534), 0);
	else
		chmod(at("d"), 0);
	cnt = walk_all(root, seen, 4);
	if (is_root)
		CHECK_EQ(seteuid(0), 0);
	chmod(at("d"), 0700);
	CHECK_EQ(cnt, 1);
	CHECK_EQ(seen[0].kind, WALK_UNREADABLE);
	CHECK_STR(seen[0].path, "d");
	scratch_remove(root);
}

/* A link below the root is told with its text, and whatever leads out is not. */
static void test_links_that_stay_inside_are_reported(void)
{
	static const struct seen want[] = {
		{WALK_SYMLINK, "d/over"}, {WALK_FAR_LINK, "d/twist"}, {WALK_SYMLINK, "dangling"},
		{WALK_FAR_LINK, "far"},	  {WALK_SYMLINK, "to-d"},     {WALK_FAR_LINK, "up"},
	};
	struct walk_entry entry;
	struct seen seen[8];
	struct walk *walk;

	scratch_make(root);
	mkdir(at("d"), 0755);
	CHECK_EQ(symlink("..//./far", at("d/over")), 0);
	CHECK_EQ(symlink("over/../../x", at("d/twist")), 0);
	CHECK_EQ(symlink("nothing", at("dangling")), 0);
	CHECK_EQ(symlink("/etc", at("far")), 0);
	CHECK_EQ(symlink("d/", at("to-d")), 0);
	CHECK_EQ(symlink("..", at("up")), 0);
	CHECK_EQ(walk_all(root, seen, 8), 6);
	for (int i = 0; i < 6; i++) {
		CHECK_STR(seen[i].path, want[i].path);
		CHECK_EQ(seen[i].kind, want[i].kind);
	}
	CHECK_EQ(blobs_walk_new(root, &walk), 0);
	CHECK_EQ(blobs_walk_next(walk, &entry), 1);
	CHECK_EQ(entry.link_len, 6);
	CHECK_MEM(entry.link, "../far", 6);
	blobs_walk_free(walk);
	scratch_remove(root);
}

static void test_the_owner_s_bit_decides_what_is_executable(void)
{
	struct walk_entry entry;
	struct walk *walk;

	scratch_make(root);
	scratch_write(at("a"), "1", 1);
	scratch_write(at("b"), "1", 1);
	CHECK_EQ(chmod(at("a"), 0700), 0);
	CHECK_EQ(chmod(at("b"), 0655), 0);
	CHECK_EQ(blobs_walk_new(root, &walk), 0);
	CHECK_EQ(blobs_walk_next(walk, &entry), 1);
	CHECK(entry.is_executable);
	CHECK_EQ(blobs_walk_next(walk, &entry), 1);
	CHECK(!entry.is_executable);
	blobs_walk_free(walk);
	scratch_remove(root);
}

int main(void)
{
	RUN(test_links_that_stay_inside_are_reported);
	RUN(test_the_owner_s_bit_decides_what_is_executable);
	RUN(test_a_tree_is_walked_in_manifest_order);
	RUN(test_an_empty_root_yields_nothing);
	RUN(test_an_unshareable_entry_is_reported_as_such);
	RUN(test_a_directory_of_only_skipped_things_is_empty);
	RUN(test_a_single_file_is_a_tree_of_one);
	RUN(test_a_root_that_is_none_is_an_error);
	RUN(test_open_follows_no_link_below_the_root);
	RUN(test_open_follows_no_link_without_openat2);
	RUN(test_one_level_too_deep_is_skipped);
	RUN(test_an_unreadable_directory_is_reported);
	return check_done();
}

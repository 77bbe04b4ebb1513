/* SPDX-License-Identifier: Apache-2.0 */
#include "weftd/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "support/check.h"
#include "support/scratch.h"

/* manager_listen binds as a service manager does; name begins with / or @. */
static int manager_listen(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, name, strlen(name));
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sun,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) < 0)
		abort();
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *manager_hear(int fd)
{
	static char text[600];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void check_words(const char *name)
{
	int fd = manager_listen(name);
	struct notify notify;

	weftd_notify_open(&notify);
	CHECK(getenv("NOTIFY_SOCKET") == NULL);
	weftd_notify_ready(&notify, "node x");
	CHECK_STR(manager_hear(fd), "READY=1\nSTATUS=node x");
	weftd_notify_ready(&notify, NULL);
	CHECK_STR(manager_hear(fd), "READY=1");
	weftd_notify_reloading(&notify, 1234567890);
	CHECK_STR(manager_hear(fd), "RELOADING=1\nMONOTONIC_USEC=1234567");
	weftd_notify_alive(&notify);
	CHECK_STR(manager_hear(fd), "WATCHDOG=1");
	weftd_notify_stopping(&notify);
	CHECK_STR(manager_hear(fd), "STOPPING=1\nSTATUS=draining");
	weftd_notify_close(&notify);
	close(fd);
}

static void test_the_manager_hears_by_path(void)
{
	char dir[SCRATCH_CAP], path[SCRATCH_CAP + 16];

	scratch_make(dir);
	check_words(scratch_path(path, sizeof(path), dir, "notify"));
	scratch_remove(dir);
}

static void test_the_manager_hears_by_abstract_name(void)
{
	char name[64];

	snprintf(name, sizeof(name), "@weft-notify-%d", (int)getpid());
	check_words(name);
}

static void test_the_watchdog_counts_for_this_process_only(void)
{
	char name[64], pid[16];
	struct notify notify;
	int fd;

	snprintf(name, sizeof(name), "@weft-watchdog-%d", (int)getpid());
	fd = manager_listen(name);
	setenv("WATCHDOG_USEC", "30000000", 1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	weftd_notify_open(&notify);
	CHECK_EQ(notify.watchdog_ns, 30 * NS_PER_S);
	weftd_notify_close(&notify);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	weftd_notify_open(&notify);
	CHECK_EQ(notify.watchdog_ns, 0);
	weftd_notify_close(&notify);
	close(fd);
}

static void test_without_a_manager_nothing_is_sent(void)
{
	static const char *const names[] = {NULL, "", "relative", "@", "/no/such/socket"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct notify notify;

		if (names[i])
			setenv("NOTIFY_SOCKET", names[i], 1);
		weftd_notify_open(&notify);
		CHECK_EQ(notify.fd, -1);
		weftd_notify_ready(&notify, "x");
		weftd_notify_close(&notify);
	}
}

int main(void)
{
	RUN(test_the_manager_hears_by_path);
	RUN(test_the_manager_hears_by_abstract_name);
	RUN(test_the_watchdog_counts_for_this_process_only);
	RUN(test_without_a_manager_nothing_is_sent);
	return check_done();
}

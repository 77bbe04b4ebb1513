/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to the service manager. Home worker; never blocks it. */
#include "weftd/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/monotonic.h"

/* watchdog_read: WATCHDOG_USEC counts only for the process in WATCHDOG_PID. */
static uint64_t watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) * NS_PER_US;
}

static int socket_open(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(sun.sun_path) || (*path != '/' && *path != '@'))
		return -1;
	memcpy(sun.sun_path, path, len);
	/* An abstract name begins with NUL and has no end but its length. */
	if (*path == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&sun,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void weftd_notify_open(struct notify *notify)
{
	notify->fd = socket_open(getenv("NOTIFY_SOCKET"));
	notify->watchdog_ns = notify->fd < 0 ? 0 : watchdog_read();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void weftd_notify_close(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

/* A manager that does not read is its own trouble. */
static void notify_send(const struct notify *notify, const char *text)
{
	if (notify->fd >= 0)
		(void)send(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void weftd_notify_ready(const struct notify *notify, const char *status)
{
	char text[512];

	snprintf(text, sizeof(text), "READY=1%s%s", status ? "\nSTATUS=" : "",
		 status ? status : "");
	notify_send(notify, text);
}

void weftd_notify_stopping(const struct notify *notify)
{
	notify_send(notify, "STOPPING=1\nSTATUS=draining");
}

void weftd_notify_alive(const struct notify *notify)
{
	notify_send(notify, "WATCHDOG=1");
}

void weftd_notify_reloading(const struct notify *notify, uint64_t now_ns)
{
	char text[128];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu", now_ns / NS_PER_US);
	notify_send(notify, text);
}

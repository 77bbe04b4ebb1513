/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of local programs, TCP and unix, and connecting to them. */
#include "upstream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/thread/poller.h"

int provider_upstream_addr_of_path(const char *path, struct upstream_addr *out_addr)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (path[0] != '/' || len >= sizeof(un.sun_path))
		return WEFT_EMALFORMED;
	memcpy(un.sun_path, path, len);
	*out_addr = (struct upstream_addr){.len = sizeof(un)};
	memcpy(&out_addr->sa, &un, sizeof(un));
	return 0;
}

int provider_upstream_addr_parse(const char *text, struct upstream_addr *out_addr)
{
	struct addr addr;

	if (strncmp(text, "unix:", 5) == 0)
		return provider_upstream_addr_of_path(text + 5, out_addr);
	if (addr_parse(text, &addr) < 0 || addr.port == 0 || !addr_is_unicast(&addr))
		return WEFT_EMALFORMED;
	memset(out_addr, 0, sizeof(*out_addr));
	out_addr->len = addr_to_sockaddr(&addr, &out_addr->sa);
	return 0;
}

int provider_upstream_connect(const struct upstream_addr *addr)
{
	int one = 1, err;
	int fd = socket(addr->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (addr->sa.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&addr->sa, addr->len) == 0 || errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int provider_upstream_connect_result(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

int provider_upstream_watch(struct poller *poller, struct poller_watch *watch,
			    unsigned *io_interest, unsigned interest)
{
	int err = 0;

	if (interest == *io_interest)
		return 0;
	if (!interest)
		poller_remove(poller, watch);
	else if (!*io_interest)
		err = poller_add(poller, watch, interest);
	else
		err = poller_change(poller, watch, interest);
	if (err == 0)
		*io_interest = interest;
	return err;
}

const char *provider_upstream_err_text(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return "nobody listens there";
	case -ENOENT:
		return "there is no such socket";
	case -EACCES:
	case -EPERM:
		return "this user may not connect to it";
	case -EAGAIN:
		return "it does not accept connections fast enough";
	case -ETIMEDOUT:
		return "it did not accept the connection in time";
	case -ECONNRESET:
	case -EPIPE:
		return "it closed the connection";
	case -EMFILE:
	case -ENFILE:
		return "this system has no descriptors left";
	default:
		return "it cannot be connected to";
	}
}

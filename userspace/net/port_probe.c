/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a server listen there? A session that is silent may have lost its link,
 * its peer's process or its peer's host, and each wants something else
 * (mesh/session/redial.c). A connected socket of its own asks. The kernel gives
 * ICMP of the peer's host about its port to this socket alone. An attacker has
 * to forge it for a port that it does not know. Home worker.
 */
#include "net/port_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/random.h"
#include "base/timer.h"

/* An answer that takes longer is one to the next port probe. */
#define ANSWER_NS (3 * NS_PER_S)
/* Reserved to be answered by a version negotiation (RFC 9000 15). */
#define VERSION	 0x5aaa1a2au
#define ID_LEN	 8
#define DEST_OFF 6
#define FROM_OFF (DEST_OFF + ID_LEN + 1)
#define HEAD_LEN (FROM_OFF + ID_LEN)

struct port_probe {
	struct poller_watch watch; /* fd -1: free */
	struct port_probes *probes;
	struct addr remote;
	struct timer timer;
	uint64_t sent_ns;
	uint8_t bytes[PORT_PROBE_LEN];
};

struct port_probes {
	struct port_probes_params params;
	struct port_probe all[PORT_PROBE_CNT];
};

void net_port_probe_write(uint8_t out_probe[static PORT_PROBE_LEN], struct random *random)
{
	memset(out_probe, 0, PORT_PROBE_LEN);
	random_fill(random, out_probe, HEAD_LEN);
	out_probe[0] |= 0xc0;
	for (unsigned i = 0; i < 4; i++)
		out_probe[1 + i] = (uint8_t)(VERSION >> (24 - 8 * i));
	out_probe[DEST_OFF - 1] = ID_LEN;
	out_probe[FROM_OFF - 1] = ID_LEN;
}

bool net_port_probe_is_answer(const uint8_t port_probe[static PORT_PROBE_LEN],
			      const uint8_t *answer, size_t len)
{
	static const uint8_t no_version[4];

	return len > HEAD_LEN && answer[0] & 0x80 && memcmp(answer + 1, no_version, 4) == 0 &&
	       answer[DEST_OFF - 1] == ID_LEN && answer[FROM_OFF - 1] == ID_LEN &&
	       memcmp(answer + DEST_OFF, port_probe + FROM_OFF, ID_LEN) == 0 &&
	       memcmp(answer + FROM_OFF, port_probe + DEST_OFF, ID_LEN) == 0;
}

static void port_probe_end(struct port_probe *port_probe)
{
	if (port_probe->watch.fd < 0)
		return;
	poller_remove(port_probe->probes->params.poller, &port_probe->watch);
	timer_cancel(port_probe->probes->params.timers, &port_probe->timer);
	close(port_probe->watch.fd);
	port_probe->watch.fd = -1;
}

static void port_probe_expire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	port_probe_end(container_of(timer, struct port_probe, timer));
}

static void port_probe_tell(struct port_probe *port_probe, int err, const uint8_t *answer,
			    size_t len, uint64_t now_ns)
{
	const struct port_probes_params *params = &port_probe->probes->params;
	bool is_there = !err && net_port_probe_is_answer(port_probe->bytes, answer, len);

	if (is_there || err == ECONNREFUSED)
		params->answered(params->ctx, &port_probe->remote, is_there, now_ns);
}

static void port_probe_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct port_probe *port_probe = (struct port_probe *)watch;
	uint8_t answer[PORT_PROBE_LEN];
	ssize_t len = recv(watch->fd, answer, sizeof(answer), MSG_DONTWAIT);

	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	port_probe_tell(port_probe, len < 0 ? errno : 0, answer, len > 0 ? (size_t)len : 0, now_ns);
}

/* The one for remote, a free one, or the oldest. */
static struct port_probe *port_probe_choose(struct port_probes *port_probes,
					    const struct addr *remote)
{
	struct port_probe *chosen = &port_probes->all[0];

	for (unsigned i = 0; i < PORT_PROBE_CNT; i++) {
		struct port_probe *port_probe = &port_probes->all[i];

		if (port_probe->watch.fd >= 0 && addr_equal(&port_probe->remote, remote))
			return port_probe;
		if (chosen->watch.fd >= 0 &&
		    (port_probe->watch.fd < 0 || port_probe->sent_ns < chosen->sent_ns))
			chosen = port_probe;
	}
	port_probe_end(chosen);
	return chosen;
}

static int port_probe_begin(struct port_probe *port_probe, const struct addr *remote)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(remote, &sa);
	int fd = socket(remote->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
			SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	port_probe->watch.fd = fd;
	port_probe->watch.ready = port_probe_ready;
	port_probe->remote = *remote;
	net_port_probe_write(port_probe->bytes, port_probe->probes->params.random);
	if (connect(fd, (struct sockaddr *)&sa, sa_len) == 0 &&
	    poller_add(port_probe->probes->params.poller, &port_probe->watch, POLLER_IN) == 0)
		return 0;
	close(fd);
	port_probe->watch.fd = -1;
	return -EADDRNOTAVAIL;
}

struct port_probes *net_port_probes_new(const struct port_probes_params *params)
{
	struct port_probes *port_probes = calloc(1, sizeof(*port_probes));

	if (!port_probes)
		return NULL;
	port_probes->params = *params;
	for (unsigned i = 0; i < PORT_PROBE_CNT; i++) {
		port_probes->all[i].watch.fd = -1;
		port_probes->all[i].probes = port_probes;
		timer_init(&port_probes->all[i].timer, port_probe_expire);
	}
	return port_probes;
}

void net_port_probe(struct port_probes *port_probes, const struct addr *remote)
{
	struct port_probe *port_probe = port_probe_choose(port_probes, remote);

	if (port_probe->watch.fd < 0 && port_probe_begin(port_probe, remote) < 0)
		return;
	port_probe->sent_ns = *port_probes->params.now_ns;
	timer_set(port_probes->params.timers, &port_probe->timer, port_probe->sent_ns + ANSWER_NS);
	/* The error of an earlier datagram is reported in place of sending: once more then. */
	for (unsigned i = 0; i < 2; i++)
		if (send(port_probe->watch.fd, port_probe->bytes, PORT_PROBE_LEN,
			 MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			return;
}

void net_port_probes_free(struct port_probes *port_probes)
{
	for (unsigned i = 0; port_probes && i < PORT_PROBE_CNT; i++)
		port_probe_end(&port_probes->all[i]);
	free(port_probes);
}

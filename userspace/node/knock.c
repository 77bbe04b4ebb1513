/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is anybody there? A session that is silent may have lost its link, its
 * peer's process or its peer's host, and each wants something else
 * (mesh/race.c). A connected socket of its own asks, so that what the peer's host says
 * of its port (ICMP) is told to it and to nobody else, and so that it has to
 * be forged for a port that is not known. Home worker.
 */
#include "node/knock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/poller.h"
#include "base/random.h"
#include "mesh/mesh.h"
#include "node/node_state.h"

/* An answer that takes longer is one to the next knock. */
#define ANSWER_NS (3 * NS_PER_S)
/* Reserved to be answered by a version negotiation (RFC 9000 15). */
#define VERSION	 0x5aaa1a2au
#define ID_LEN	 8
#define DEST_OFF 6
#define FROM_OFF (DEST_OFF + ID_LEN + 1)
#define HEAD_LEN (FROM_OFF + ID_LEN)

struct knock {
	struct poller_watch watch; /* fd -1: free */
	struct node *node;
	struct addr remote;
	struct timer timer;
	uint64_t sent_ns;
	uint8_t bytes[KNOCK_LEN];
};

struct knocks {
	struct knock all[KNOCK_CNT];
};

void knock_write(uint8_t out_knock[static KNOCK_LEN], struct random *random)
{
	memset(out_knock, 0, KNOCK_LEN);
	random_fill(random, out_knock, HEAD_LEN);
	out_knock[0] |= 0xc0;
	for (unsigned i = 0; i < 4; i++)
		out_knock[1 + i] = (uint8_t)(VERSION >> (24 - 8 * i));
	out_knock[DEST_OFF - 1] = ID_LEN;
	out_knock[FROM_OFF - 1] = ID_LEN;
}

bool knock_is_answer(const uint8_t knock[static KNOCK_LEN], const uint8_t *answer, size_t len)
{
	static const uint8_t no_version[4];

	return len > HEAD_LEN && answer[0] & 0x80 && memcmp(answer + 1, no_version, 4) == 0 &&
	       answer[DEST_OFF - 1] == ID_LEN && answer[FROM_OFF - 1] == ID_LEN &&
	       memcmp(answer + DEST_OFF, knock + FROM_OFF, ID_LEN) == 0 &&
	       memcmp(answer + FROM_OFF, knock + DEST_OFF, ID_LEN) == 0;
}

static void knock_end(struct knock *knock)
{
	if (knock->watch.fd < 0)
		return;
	poller_remove(knock->node->home.poller, &knock->watch);
	timer_cancel(&knock->node->home.timers, &knock->timer);
	close(knock->watch.fd);
	knock->watch.fd = -1;
}

static void knock_expire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	knock_end((struct knock *)((char *)timer - offsetof(struct knock, timer)));
}

static void knock_tell(struct knock *knock, int err, const uint8_t *answer, size_t len,
		       uint64_t now_ns)
{
	struct mesh *mesh = knock->node->home.mesh;

	if (err == ECONNREFUSED)
		mesh_knocked(mesh, &knock->remote, MESH_KNOCK_NOBODY, now_ns);
	else if (!err && knock_is_answer(knock->bytes, answer, len))
		mesh_knocked(mesh, &knock->remote, MESH_KNOCK_THERE, now_ns);
}

static void knock_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct knock *knock = (struct knock *)watch;
	uint8_t answer[KNOCK_LEN];
	ssize_t len = recv(watch->fd, answer, sizeof(answer), MSG_DONTWAIT);

	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	knock_tell(knock, len < 0 ? errno : 0, answer, len > 0 ? (size_t)len : 0, now_ns);
}

/* The one for remote, a free one, or the oldest. */
static struct knock *knock_choose(struct knocks *knocks, const struct addr *remote)
{
	struct knock *chosen = &knocks->all[0];

	for (unsigned i = 0; i < KNOCK_CNT; i++) {
		struct knock *knock = &knocks->all[i];

		if (knock->watch.fd >= 0 && addr_equal(&knock->remote, remote))
			return knock;
		if (chosen->watch.fd >= 0 &&
		    (knock->watch.fd < 0 || knock->sent_ns < chosen->sent_ns))
			chosen = knock;
	}
	knock_end(chosen);
	return chosen;
}

static int knock_begin(struct knock *knock, const struct addr *remote, struct random *random)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(remote, &sa);
	int fd = socket(remote->family == ADDR_IPV6 ? AF_INET6 : AF_INET,
			SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	knock->watch.fd = fd;
	knock->watch.ready = knock_ready;
	knock->remote = *remote;
	knock_write(knock->bytes, random);
	if (connect(fd, (struct sockaddr *)&sa, sa_len) == 0 &&
	    poller_add(knock->node->home.poller, &knock->watch, POLLER_IN) == 0)
		return 0;
	close(fd);
	knock->watch.fd = -1;
	return -EADDRNOTAVAIL;
}

static struct knocks *knocks_of(struct node *node)
{
	if (node->knocks)
		return node->knocks;
	node->knocks = calloc(1, sizeof(*node->knocks));
	for (unsigned i = 0; node->knocks && i < KNOCK_CNT; i++) {
		node->knocks->all[i].watch.fd = -1;
		node->knocks->all[i].node = node;
		timer_init(&node->knocks->all[i].timer, knock_expire);
	}
	return node->knocks;
}

void node_knock(void *ctx, const struct addr *remote)
{
	struct node *node = ctx;
	struct knocks *knocks = knocks_of(node);
	struct knock *knock;

	if (!knocks || node_is_holding(node))
		return;
	knock = knock_choose(knocks, remote);
	if (knock->watch.fd < 0 && knock_begin(knock, remote, node->random) < 0)
		return;
	knock->sent_ns = node->home.now_ns;
	timer_set(&node->home.timers, &knock->timer, knock->sent_ns + ANSWER_NS);
	/* What the one before it met is told in place of sending. */
	for (unsigned i = 0; i < 2; i++)
		if (send(knock->watch.fd, knock->bytes, KNOCK_LEN, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			return;
}

void knocks_close(struct knocks *knocks)
{
	for (unsigned i = 0; knocks && i < KNOCK_CNT; i++)
		knock_end(&knocks->all[i]);
	free(knocks);
}

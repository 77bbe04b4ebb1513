/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the node of a backup still runs, asked before a copy of it does. A datagram that
 * any QUIC server answers by naming its versions goes to each address of the backup. The
 * answer does not prove whose server it is. Offline: weftd --restore.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "weftd/backup_restore.h"
#include "net/port_probe.h"
#include "varlink/node.h"

#define ASKED_MAX 16u
#define WAIT_NS	  NS_PER_S

struct asked {
	struct pollfd fds[ASKED_MAX];
	const char *texts[ASKED_MAX];
	unsigned cnt;
};

static void port_probe_send(struct asked *asked, const char *text, const uint8_t *port_probe)
{
	struct sockaddr_storage to;
	struct addr addr;
	unsigned to_len;
	int fd;

	if (!text || asked->cnt == ASKED_MAX || addr_parse(text, &addr) < 0)
		return;
	to_len = addr_to_sockaddr(&addr, &to);
	fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* Connected: only what comes from there counts. */
	if (connect(fd, (const struct sockaddr *)&to, to_len) < 0 ||
	    send(fd, port_probe, PORT_PROBE_LEN, 0) != PORT_PROBE_LEN) {
		close(fd);
		return;
	}
	asked->fds[asked->cnt] = (struct pollfd){.fd = fd, .events = POLLIN};
	asked->texts[asked->cnt++] = text;
}

/* The place of the address that answered; cnt: none did. */
static unsigned answer_wait(struct asked *asked, const uint8_t *port_probe)
{
	uint64_t end_ns = clock_monotonic_ns() + WAIT_NS, now_ns;
	uint8_t answer[PORT_PROBE_LEN];

	while (asked->cnt && (now_ns = clock_monotonic_ns()) < end_ns) {
		(void)poll(asked->fds, asked->cnt, (int)((end_ns - now_ns) / NS_PER_MS) + 1);
		for (unsigned i = 0; i < asked->cnt; i++) {
			ssize_t len = asked->fds[i].revents
					      ? recv(asked->fds[i].fd, answer, sizeof(answer), 0)
					      : 0;

			if (len > 0 && net_port_probe_is_answer(port_probe, answer, (size_t)len))
				return i;
		}
	}
	return asked->cnt;
}

bool weftd_old_node_answers(const struct api_string_list *addresses,
			    char out_addr[static BACKUP_ADDR_CAP])
{
	struct asked asked = {.cnt = 0};
	uint8_t port_probe[PORT_PROBE_LEN];
	struct random random;
	bool is_there;
	unsigned at;

	random_init_system(&random);
	net_port_probe_write(port_probe, &random);
	for (size_t i = 0; i < addresses->cnt; i++)
		port_probe_send(&asked, addresses->rows[i], port_probe);
	at = answer_wait(&asked, port_probe);
	is_there = at < asked.cnt;
	if (is_there)
		snprintf(out_addr, BACKUP_ADDR_CAP, "%s", asked.texts[at]);
	while (asked.cnt)
		close(asked.fds[--asked.cnt].fd);
	return is_there;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long datagrams take from one end of a relay to the other. Both ends
 * are here, on one clock, so the time needs no answer. It ends when the kernel
 * has the datagram: this program may share its CPU with what makes a load.
 *
 *   relay_delay FIRST SECOND RELAY HEAD SIZE RATE SECONDS
 *
 * RATE datagrams a second of SIZE bytes leave FIRST for RELAY and begin with
 * HEAD, in hexadecimal. Their last 8 bytes are the time. They are waited for
 * at SECOND, and at FIRST for what sends everything back. Prints one line of JSON.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/addr.h"
#include "base/monotonic.h"
#include "support/fast_path.h"
#include "support/latencies.h"

#define SIZE_MAX_LEN  1472
#define BUFFER_LEN    (4 << 20)
#define STRAGGLERS_NS 100000000ull

struct probe {
	int ends[2];
	uint8_t dgram[SIZE_MAX_LEN];
	size_t len;
	struct sockaddr_in relay;
	uint64_t gap_ns, due_ns, sent_cnt;
	struct latencies latencies;
};

/* The clock of the kernel's times of arrival. */
static uint64_t now_real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct sockaddr_in name_of(const char *text)
{
	struct addr addr;
	struct sockaddr_in name = {.sin_family = AF_INET};

	if (addr_parse(text, &addr) < 0 || addr.family != ADDR_IPV4)
		fast_path_fail(text, "no IPv4 address and port");
	name.sin_port = htons(addr.port);
	memcpy(&name.sin_addr, addr.ip, sizeof(name.sin_addr));
	return name;
}

static int end_open(const char *text)
{
	const struct sockaddr_in name = name_of(text);
	const int len = BUFFER_LEN, on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		fast_path_fail(text, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len));
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0)
		fast_path_fail(text, strerror(errno));
	return fd;
}

static void take_head(struct probe *probe, const char *hex)
{
	unsigned byte;

	memset(probe->dgram, 0x40, sizeof(probe->dgram));
	for (size_t i = 0; i < probe->len && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		probe->dgram[i] = (uint8_t)byte;
}

/* One datagram if its time has come. What is missed is not made up for. */
static void send_due(struct probe *probe, uint64_t now_ns)
{
	if (now_ns < probe->due_ns)
		return;
	probe->due_ns += probe->gap_ns;
	if (probe->due_ns < now_ns)
		probe->due_ns = now_ns;
	now_ns = now_real_ns();
	memcpy(probe->dgram + probe->len - sizeof(now_ns), &now_ns, sizeof(now_ns));
	if (sendto(probe->ends[0], probe->dgram, probe->len, 0,
		   (const struct sockaddr *)&probe->relay, sizeof(probe->relay)) > 0)
		probe->sent_cnt++;
}

/* Length of a datagram and when the kernel had it; 0: none waits. */
static size_t take_one(int fd, uint8_t dgram[static SIZE_MAX_LEN], uint64_t *out_at_ns)
{
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec span = {dgram, SIZE_MAX_LEN};
	struct msghdr message = {.msg_iov = &span,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t len = recvmsg(fd, &message, 0);
	struct cmsghdr *head = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct timespec at;

	if (!head || head->cmsg_type != SCM_TIMESTAMPNS)
		return 0;
	memcpy(&at, CMSG_DATA(head), sizeof(at));
	*out_at_ns = (uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec;
	return (size_t)len;
}

static void take_all(struct probe *probe, int fd)
{
	uint8_t dgram[SIZE_MAX_LEN];
	uint64_t began_ns, at_ns;
	size_t len;

	while ((len = take_one(fd, dgram, &at_ns)) >= sizeof(began_ns)) {
		memcpy(&began_ns, dgram + len - sizeof(began_ns), sizeof(began_ns));
		(void)latencies_add(&probe->latencies, began_ns, at_ns);
	}
}

/* Until a datagram came, or until_ns. */
static void wait_until(const struct probe *probe, uint64_t until_ns)
{
	struct pollfd fds[2] = {{.fd = probe->ends[0], .events = POLLIN},
				{.fd = probe->ends[1], .events = POLLIN}};
	uint64_t now_ns = clock_monotonic_ns(), wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	struct timespec timeout = {.tv_nsec = (long)(wait_ns % NS_PER_S)};

	(void)ppoll(fds, 2, &timeout, NULL);
}

static void run(struct probe *probe, unsigned seconds)
{
	uint64_t now_ns = clock_monotonic_ns(), stop_ns = now_ns + seconds * NS_PER_S;

	latencies_start(&probe->latencies, seconds, now_real_ns());
	probe->due_ns = now_ns;
	while (now_ns < stop_ns + STRAGGLERS_NS) {
		if (now_ns < stop_ns)
			send_due(probe, now_ns);
		take_all(probe, probe->ends[1]);
		take_all(probe, probe->ends[0]);
		wait_until(probe, now_ns < stop_ns ? probe->due_ns : stop_ns + STRAGGLERS_NS);
		now_ns = clock_monotonic_ns();
	}
}

int main(int argc, char **argv)
{
	static struct probe probe;
	char more[32];

	if (argc != 8)
		fast_path_fail("relay_delay", "FIRST SECOND RELAY HEAD SIZE RATE SECONDS");
	probe.len = (size_t)atoi(argv[5]);
	if (probe.len < 32 || probe.len > sizeof(probe.dgram) || atoi(argv[6]) < 1)
		fast_path_fail("relay_delay", "SIZE or RATE");
	probe.ends[0] = end_open(argv[1]);
	probe.ends[1] = end_open(argv[2]);
	probe.relay = name_of(argv[3]);
	take_head(&probe, argv[4]);
	probe.gap_ns = (uint64_t)NS_PER_S / (uint64_t)atoi(argv[6]);
	run(&probe, (unsigned)atoi(argv[7]));
	snprintf(more, sizeof(more), ", \"sent\": %llu", (unsigned long long)probe.sent_cnt);
	latencies_print(&probe.latencies, more);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long datagrams take from one end of a relay to the other. Both ends
 * are here, on one clock, so the time needs no answer.
 *
 *   relay_delay FIRST SECOND RELAY HEAD SIZE RATE SECONDS
 *
 * RATE datagrams a second of SIZE bytes leave FIRST for RELAY and begin with
 * HEAD, in hexadecimal. Their last 8 bytes are the time. They are waited for
 * at SECOND, and at FIRST for what sends everything back. Prints one line of JSON.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
	const int len = BUFFER_LEN;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
		fast_path_fail(text, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len));
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
	now_ns = clock_monotonic_ns();
	memcpy(probe->dgram + probe->len - sizeof(now_ns), &now_ns, sizeof(now_ns));
	if (sendto(probe->ends[0], probe->dgram, probe->len, 0,
		   (const struct sockaddr *)&probe->relay, sizeof(probe->relay)) > 0)
		probe->sent_cnt++;
}

static void take_all(struct probe *probe, int fd)
{
	uint8_t dgram[SIZE_MAX_LEN];
	uint64_t began_ns;
	ssize_t len;

	while ((len = recv(fd, dgram, sizeof(dgram), 0)) >= (ssize_t)sizeof(began_ns)) {
		memcpy(&began_ns, dgram + len - sizeof(began_ns), sizeof(began_ns));
		(void)latencies_add(&probe->latencies, began_ns, clock_monotonic_ns());
	}
}

static void run(struct probe *probe, unsigned seconds)
{
	uint64_t now_ns = clock_monotonic_ns();

	latencies_start(&probe->latencies, seconds, now_ns);
	probe->due_ns = now_ns;
	while (now_ns < probe->latencies.stop_ns + STRAGGLERS_NS) {
		if (now_ns < probe->latencies.stop_ns)
			send_due(probe, now_ns);
		take_all(probe, probe->ends[1]);
		take_all(probe, probe->ends[0]);
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

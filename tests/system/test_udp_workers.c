/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers on one UDP port of the loopback: which one receives what. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/packet_io.h"
#include "support/check.h"

#define WORKER_CNT 3

struct worker {
	struct packet_rx *rx;
	struct packet_tx *tx;
};

static int workers_open(struct worker workers[WORKER_CNT], struct udp_config *config)
{
	struct dgram dgram;
	unsigned failed_idx;

	config->worker_cnt = WORKER_CNT;
	for (unsigned i = 0; i < WORKER_CNT; i++) {
		int err;

		config->worker_idx = i;
		err = net_udp_open(config, &workers[i].rx, &workers[i].tx, &failed_idx);
		if (err < 0)
			return err;
		(void)packet_rx_burst(workers[i].rx, &dgram, 1);
	}
	return 0;
}

static void workers_close(struct worker workers[WORKER_CNT])
{
	for (unsigned i = 0; i < WORKER_CNT; i++) {
		packet_rx_close(workers[i].rx);
		packet_tx_close(workers[i].tx);
	}
}

static const char *const listens[] = {"127.0.0.1:0", "[::1]:0"};

static int client_open(const struct addr *to)
{
	struct sockaddr_storage sa;
	unsigned len = addr_to_sockaddr(to, &sa);
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&sa, len) < 0)
		abort();
	return fd;
}

/* Which worker receives data, or -1. */
static int worker_of(struct worker workers[WORKER_CNT], int client, const uint8_t *data, size_t len)
{
	struct pollfd ready[WORKER_CNT];
	struct dgram got;

	if (send(client, data, len, 0) < 0)
		return -1;
	for (unsigned i = 0; i < WORKER_CNT; i++)
		ready[i] = (struct pollfd){.fd = workers[i].rx->fd, .events = POLLIN};
	for (int tries = 0; tries < 100 && poll(ready, WORKER_CNT, 5000) > 0; tries++)
		for (int i = 0; i < WORKER_CNT; i++)
			if (packet_rx_burst(workers[i].rx, &got, 1) == 1)
				return got.len == len ? i : -1;
	return -1;
}

static void test_connection_id_finds_its_worker_from_any_address(void)
{
	static const struct {
		uint8_t head[24];
		int want;
		const char *why;
	} rows[] = {
		{{0x40, 0x80}, 0, "short header, worker 0"},
		{{0x43, 0x81}, 1, "short header, worker 1"},
		{{0x5f, 0x82}, 2, "short header, worker 2"},
		{{0x5f, 0x80 | 4}, 1, "a worker that is not there has a stand-in"},
		{{0xe0, 0, 0, 0, 1, 16, 0x82, 0}, 2, "long header with an id of worker 2"},
		{{0xc0, 0, 0, 0, 1, 8, 0x01, 0}, 1, "first flight, id invented by the client"},
		{{'d', '1', ':', 'a', 'd'}, 0, "KRPC is for the first worker"},
		{{0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42}, 0, "so is STUN"},
		{{0x9d, 0x82}, 0, "and a path probe"},
		{{0x9e, 0x80, 0x82}, 2, "a label for the relay names its worker"},
		{{0x9e, 0x00, 0x84}, 1, "or one that is not there"},
		{{0x9e, 1, 0x82, [16] = 0x41, 0x81}, 1, "relayed to an end, short header"},
		{{0x9e, 0x81, 0x82, [16] = 0xe0, 0, 0, 0, 1, 16, 0x82}, 2, "and long header"},
		{{0x9e, 1, 0x82, [16] = 0x9d, 0x82}, 0, "and a path probe"},
		{{0x9e, 2, 0x82}, 0, "a relay's answer is for the first worker"},
	};

	for (size_t family = 0; family < 2; family++) {
		struct udp_config config = {.listen_cnt = 1};
		struct worker workers[WORKER_CNT];
		uint8_t data[64] = {0};

		CHECK_EQ(addr_parse(listens[family], &config.listen[0]), 0);
		CHECK_EQ(workers_open(workers, &config), 0);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			for (int sender = 0; sender < 5; sender++) {
				int client = client_open(&config.listen[0]);
				int got;

				memcpy(data, rows[i].head, sizeof(rows[i].head));
				got = worker_of(workers, client, data, sizeof(data));
				close(client);
				if (got != rows[i].want)
					printf("# %s\n", rows[i].why);
				CHECK_EQ(got, rows[i].want);
			}
		}
		workers_close(workers);
	}
}

static void test_short_datagram_goes_to_the_first_worker(void)
{
	struct udp_config config = {.listen_cnt = 1};
	struct worker workers[WORKER_CNT];
	const uint8_t data[5] = {0xc0, 0, 0, 0, 1};
	int client;

	CHECK_EQ(addr_parse(listens[0], &config.listen[0]), 0);
	CHECK_EQ(workers_open(workers, &config), 0);
	client = client_open(&config.listen[0]);
	for (size_t len = 1; len <= sizeof(data); len++)
		CHECK_EQ(worker_of(workers, client, data, len), 0);
	close(client);
	workers_close(workers);
}

static void test_port_of_workers_is_taken_for_others(void)
{
	struct udp_config config = {.listen_cnt = 1}, other;
	struct worker workers[WORKER_CNT], second[WORKER_CNT];

	CHECK_EQ(addr_parse(listens[0], &config.listen[0]), 0);
	CHECK_EQ(workers_open(workers, &config), 0);
	other = config;
	CHECK_EQ(workers_open(second, &other), -EADDRINUSE);
	workers_close(workers);
}

int main(void)
{
	RUN(test_connection_id_finds_its_worker_from_any_address);
	RUN(test_short_datagram_goes_to_the_first_worker);
	RUN(test_port_of_workers_is_taken_for_others);
	return check_done();
}

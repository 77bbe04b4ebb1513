/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive and send sides of net/ by themselves, as bench/io drives
 * them. Datagrams are short headers under one id, so the XDP program lets
 * them through; what is in them is not looked at.
 *
 *   io_pipe receive DEVICE ADDRESS:PORT udp|xdp
 *   io_pipe send DEVICE ADDRESS:PORT udp|xdp REMOTE:PORT SIZE SECONDS
 *
 * The receiver ends when nothing came for a while. A sender by AF_XDP
 * first waits for a datagram of the other side, which tells it the way.
 * Both print one line of JSON.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/monotonic.h"
#include "support/fast_path.h"

#define RUN_CNT 44 /* datagrams of one call: what fits a GSO send at 1,450 bytes */
#define IDLE_MS 500
#define WAIT_MS 10000

static uint64_t cpu_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * NS_PER_S + (uint64_t)spent.tv_nsec;
}

static struct packet_rx *rx_of(const struct fast_path *path)
{
	return path->xdp ? net_xdp_queue_of(path->xdp, path->device, 0)->rx : path->udp_rx;
}

/* Takes what has come; false when nothing came for timeout_ms. */
static bool take(struct packet_rx *rx, struct packet_counters *sum, int timeout_ms)
{
	struct dgram batch[PACKET_BURST_MAX];
	struct pollfd fd = {.fd = rx->fd, .events = POLLIN};
	unsigned cnt = packet_rx_burst(rx, batch, PACKET_BURST_MAX);

	for (unsigned i = 0; i < cnt; i++)
		sum->byte_cnt += batch[i].len;
	sum->dgram_cnt += cnt;
	return cnt > 0 || poll(&fd, 1, timeout_ms) > 0;
}

static void receive(struct fast_path *path)
{
	struct packet_counters sum = {0};
	struct packet_rx *rx = rx_of(path);
	uint64_t first_ns = 0, last_ns = 0, begin_cpu_ns = 0, seen = 0;

	while (take(rx, &sum, first_ns ? IDLE_MS : WAIT_MS)) {
		if (sum.dgram_cnt == seen)
			continue;
		seen = sum.dgram_cnt;
		last_ns = clock_monotonic_ns();
		if (!first_ns) {
			first_ns = last_ns;
			begin_cpu_ns = cpu_ns();
		}
	}
	printf("{\"dgrams\":%llu,\"bytes\":%llu,\"ns\":%llu,\"cpu_ns\":%llu,\"backend\":\"%s\"}\n",
	       (unsigned long long)sum.dgram_cnt, (unsigned long long)sum.byte_cnt,
	       (unsigned long long)(last_ns - first_ns),
	       (unsigned long long)(cpu_ns() - begin_cpu_ns), rx->backend);
}

static void fill(uint8_t *run, size_t size, const uint8_t *dgram)
{
	for (unsigned i = 0; i < RUN_CNT; i++)
		memcpy(run + i * size, dgram, size);
}

/* As a worker sends: runs of one destination, each written anew, a flush for each. */
static void send_runs(struct packet_tx *tx, const struct dgram_route *route, const uint8_t *dgram,
		      uint64_t stop_ns)
{
	size_t run_len = RUN_CNT * route->segment_len;
	struct dgram_slot slot;

	while (clock_monotonic_ns() < stop_ns) {
		if (tx->sink.ops->reserve(&tx->sink, run_len, &slot)) {
			fill(slot.data, route->segment_len, dgram);
			tx->sink.ops->commit(&tx->sink, &slot, run_len, route);
		}
		(void)packet_tx_flush(tx);
	}
}

static void send_all(struct fast_path *path, char **args)
{
	static const uint8_t noise[WEFT_CID_RANDOM_LEN] = {1, 2, 3, 4, 5, 6};
	struct dgram_route route = {.segment_len = (size_t)atoi(args[5])};
	struct packet_tx *tx = path->xdp ? net_xdp_worker_tx(path->lane) : path->udp_tx;
	uint8_t dgram[1500] = {0x40};
	struct packet_counters sum = {0};
	uint64_t begin_ns, begin_cpu_ns;

	if (addr_parse(args[2], &route.local) < 0 || addr_parse(args[4], &route.remote) < 0 ||
	    route.segment_len < 64 || route.segment_len > sizeof(dgram))
		fast_path_fail("io_pipe send", "addresses or size");
	weft_cid_write(&path->keys, 0, noise, dgram + 1);
	printf("ready\n");
	fflush(stdout);
	while (path->xdp && !sum.dgram_cnt)
		if (!take(rx_of(path), &sum, WAIT_MS))
			fast_path_fail("io_pipe send", "nobody told the way");
	begin_ns = clock_monotonic_ns();
	begin_cpu_ns = cpu_ns();
	send_runs(tx, &route, dgram, begin_ns + (uint64_t)(atof(args[6]) * (double)NS_PER_S));
	printf("{\"dgrams\":%llu,\"ns\":%llu,\"cpu_ns\":%llu,\"backend\":\"%s\"}\n",
	       (unsigned long long)tx->counters.dgram_cnt,
	       (unsigned long long)(clock_monotonic_ns() - begin_ns),
	       (unsigned long long)(cpu_ns() - begin_cpu_ns), tx->backend);
}

int main(int argc, char **argv)
{
	static struct fast_path path;
	bool is_sender = argc == 8 && strcmp(argv[1], "send") == 0;

	if (!is_sender && (argc != 5 || strcmp(argv[1], "receive") != 0))
		fast_path_fail("io_pipe",
			       "receive DEVICE ADDRESS:PORT udp|xdp, or "
			       "send DEVICE ADDRESS:PORT udp|xdp REMOTE:PORT SIZE SECONDS");
	fast_path_open(&path, strcmp(argv[4], "xdp") == 0 ? argv[2] : NULL, argv[3],
		       is_sender ? XDP_SEND_AF_XDP : XDP_SEND_UDP);
	if (is_sender)
		send_all(&path, argv + 1);
	else
		receive(&path);
	fast_path_close(&path);
	return 0;
}

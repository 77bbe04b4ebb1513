/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer of bench/retry. It answers every Initial with a Retry as a
 * server over ngtcp2 does it in userspace, batched both ways. It does
 * nothing else. Prints how many it sent as JSON on SIGTERM.
 *
 *   retry_reference ADDRESS:PORT
 */
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/monotonic.h"

#define BATCH_CNT  64
#define DGRAM_CAP  1500
#define ANSWER_CAP 256
#define SCID_LEN   16
#define RCVBUF_LEN (4 << 20)
#define SECRET_LEN 32

struct batch {
	uint8_t in[BATCH_CNT][DGRAM_CAP], out[BATCH_CNT][ANSWER_CAP];
	struct sockaddr_storage from[BATCH_CNT];
	struct iovec in_iovs[BATCH_CNT], out_iovs[BATCH_CNT];
	struct mmsghdr in_msgs[BATCH_CNT], out_msgs[BATCH_CNT];
};

static const uint8_t secret[SECRET_LEN] = {1};
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static int listen_on(const char *text)
{
	struct sockaddr_storage sa;
	struct addr addr;
	int fd;

	if (addr_parse(text, &addr) < 0)
		exit(2);
	unsigned len = addr_to_sockaddr(&addr, &sa);

	fd = socket(sa.ss_family, SOCK_DGRAM, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){RCVBUF_LEN}, sizeof(int)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, len) < 0) {
		perror("retry_reference");
		exit(1);
	}
	return fd;
}

/* Returns the length of the Retry, or 0. */
static size_t answer(const uint8_t *dgram, size_t len, const struct msghdr *from, uint8_t *out)
{
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
	ngtcp2_version_cid ids;
	ngtcp2_cid dcid, scid, mine = {.datalen = SCID_LEN};
	ngtcp2_ssize token_len, out_len;

	if (ngtcp2_pkt_decode_version_cid(&ids, dgram, len, SCID_LEN) != 0 || !ids.version)
		return 0;
	ngtcp2_cid_init(&dcid, ids.dcid, ids.dcidlen);
	ngtcp2_cid_init(&scid, ids.scid, ids.scidlen);
	if (getrandom(mine.data, SCID_LEN, 0) != SCID_LEN)
		return 0;
	token_len = ngtcp2_crypto_generate_retry_token2(token, secret, sizeof(secret), ids.version,
							from->msg_name, from->msg_namelen, &mine,
							&dcid, clock_monotonic_ns());
	if (token_len < 0)
		return 0;
	out_len = ngtcp2_crypto_write_retry(out, ANSWER_CAP, ids.version, &scid, &mine, &dcid,
					    token, (size_t)token_len);
	return out_len > 0 ? (size_t)out_len : 0;
}

static void prepare(struct batch *batch)
{
	for (unsigned i = 0; i < BATCH_CNT; i++) {
		batch->in_iovs[i] = (struct iovec){batch->in[i], DGRAM_CAP};
		batch->in_msgs[i].msg_hdr = (struct msghdr){.msg_name = &batch->from[i],
							    .msg_namelen = sizeof(batch->from[i]),
							    .msg_iov = &batch->in_iovs[i],
							    .msg_iovlen = 1};
	}
}

static unsigned answer_all(struct batch *batch, unsigned cnt)
{
	unsigned out_cnt = 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct msghdr *in = &batch->in_msgs[i].msg_hdr;
		size_t len =
			answer(batch->in[i], batch->in_msgs[i].msg_len, in, batch->out[out_cnt]);

		if (!len)
			continue;
		batch->out_iovs[out_cnt] = (struct iovec){batch->out[out_cnt], len};
		batch->out_msgs[out_cnt].msg_hdr =
			(struct msghdr){.msg_name = in->msg_name,
					.msg_namelen = in->msg_namelen,
					.msg_iov = &batch->out_iovs[out_cnt],
					.msg_iovlen = 1};
		out_cnt++;
	}
	return out_cnt;
}

int main(int argc, char **argv)
{
	static struct batch batch;
	struct sigaction action = {.sa_handler = on_signal};
	unsigned long long sent_cnt = 0;
	int fd, cnt;

	if (argc != 2 || ngtcp2_crypto_ossl_init() != 0)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	fd = listen_on(argv[1]);
	printf("ready\n");
	fflush(stdout);
	while (!stopped) {
		prepare(&batch);
		cnt = recvmmsg(fd, batch.in_msgs, BATCH_CNT, MSG_WAITFORONE, NULL);
		if (cnt <= 0)
			continue;
		cnt = sendmmsg(fd, batch.out_msgs, answer_all(&batch, (unsigned)cnt), MSG_DONTWAIT);
		if (cnt > 0)
			sent_cnt += (unsigned)cnt;
	}
	printf("{\"retry-sent\": %llu}\n", sent_cnt);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a peer that holds the keys, on TCP, after a good handshake; or, by the first byte,
 * bytes of a client before TLS. The second byte is the length of the pieces in which they arrive.
 * Whatever comes, a second connection goes on.
 */
#include "support/tcp_net.h"

#include "base/assert.h"
#include "base/monotonic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define OPTION_RAW     0x01
#define OPTION_SLOW    0x02 /* the speaker uses no bytes */
#define OPTION_ANSWERS 0x04 /* and answers with many */
#define OPTION_REFUSES 0x08 /* streams */
#define INJECT_MAX     4096

static void fuzz_raw(struct tcp_net *net, const uint8_t *data, size_t len)
{
	const struct addr from = {.ip = {10, 0, 0, 9}, .family = ADDR_IPV4};
	struct tcp_link *link = tcp_raw_connect(net->nodes[1], &from);
	size_t cut = net->cut_len ? net->cut_len : len;

	for (size_t off = 0; link && off < len; off += cut)
		tcp_raw_say(link, data + off, len - off < cut ? len - off : cut);
	(void)tcp_net_run(net, NS_PER_S, NULL, NULL);
}

static void fuzz_frames(struct tcp_net *net, struct tcp_test_conn *conn, const uint8_t *data,
			size_t len)
{
	while (len && conn->conn) {
		size_t part = len < INJECT_MAX ? len : INJECT_MAX;

		tcp_net_inject(conn, data, part);
		(void)tcp_net_run(net, 20 * NS_PER_MS, NULL, NULL);
		data += part;
		len -= part;
	}
	(void)tcp_net_run(net, NS_PER_S, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tcp_net net;
	struct tcp_test_conn *honest, *hostile;
	struct tcp_node *a, *b;
	uint8_t options;

	if (len < 2)
		return 0;
	options = data[0];
	tcp_net_init(&net, 1);
	a = tcp_net_add(&net, 1, NULL);
	b = tcp_net_add(&net, 2, NULL);
	honest = tcp_net_connect(a, b);
	hostile = options & OPTION_RAW ? NULL : tcp_net_connect(a, b);
	weft_assert(honest && (hostile || options & OPTION_RAW));
	net.cut_len = data[1];
	b->is_consuming = !(options & OPTION_SLOW);
	b->more_len = options & OPTION_ANSWERS ? 100000 : 0;
	b->opened_answer = options & OPTION_REFUSES ? WEFT_EFULL : 0;
	if (hostile)
		fuzz_frames(&net, hostile, data + 2, len - 2);
	else
		fuzz_raw(&net, data + 2, len - 2);
	b->is_consuming = true;
	b->opened_answer = 0;
	net.cut_len = 0;
	weft_assert(tcp_net_transfer(honest, 1000, 10 * NS_PER_S));
	tcp_net_fini(&net);
	return 0;
}

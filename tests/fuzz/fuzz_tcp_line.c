/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "tcp/line/tcp_line_arq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What a reader finds, and what an end of a line does with it. */
struct outcome {
	uint64_t hash;
	unsigned damaged_cnt;
	struct tcp_line_stats stats;
	struct tcp_line_arq arq;
	struct tcp_line_reader reader;
};

static void end_hear(struct outcome *outcome, const struct tcp_line_frame *frame, uint64_t now_ns)
{
	unsigned news = tcp_line_arq_input(&outcome->arq, frame, now_ns);
	struct tcp_line_frame out;
	uint8_t bytes[TCP_LINE_FRAME_MAX];

	weft_assert(frame->len <= TCP_LINE_DATA_MAX);
	if (news & TCP_LINE_NEWS_ASKED)
		tcp_line_arq_accept(&outcome->arq, frame->id, now_ns);
	if (news & TCP_LINE_NEWS_ENDED)
		tcp_line_arq_end(&outcome->arq, true);
	(void)tcp_line_arq_write(&outcome->arq, frame->data, frame->len);
	if (!tcp_line_arq_expire(&outcome->arq, now_ns))
		tcp_line_arq_end(&outcome->arq, true);
	/* A frame causes few: what is due once, and at most a window. */
	for (unsigned cnt = 0; tcp_line_arq_next(&outcome->arq, now_ns, &out); cnt++) {
		weft_assert(cnt < TCP_LINE_WINDOW + 4);
		weft_assert(tcp_line_frame_write(&out, bytes) <= TCP_LINE_FRAME_MAX);
	}
	outcome->hash = (outcome->hash ^ news ^ frame->len << 8) * 0x100000001b3ull;
}

static void stream_run(struct outcome *outcome, const uint8_t *data, size_t len, size_t part)
{
	uint64_t now_ns = 0;

	*outcome = (struct outcome){.hash = 0xcbf29ce484222325ull};
	tcp_line_arq_init(&outcome->arq, &outcome->stats);
	if (len && data[0] & 1)
		tcp_line_arq_open(&outcome->arq, data[0]);
	for (size_t off = 0; off < len; off += part) {
		struct cursor c = cursor_of(data + off, part < len - off ? part : len - off);
		struct tcp_line_frame frame;
		int rv;

		while ((rv = tcp_line_frame_read(&outcome->reader, &c, &frame))) {
			now_ns += 1000000000;
			outcome->damaged_cnt += rv < 0;
			if (rv > 0)
				end_hear(outcome, &frame, now_ns);
		}
		weft_assert(cursor_left(&c) == 0);
	}
}

/* However the bytes are cut, they say the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct outcome whole, single;

	stream_run(&whole, data, len, len + 1);
	stream_run(&single, data, len, 1);
	weft_assert(whole.hash == single.hash && whole.damaged_cnt == single.damaged_cnt);
	weft_assert(whole.stats.sent_cnt == single.stats.sent_cnt);
	return 0;
}

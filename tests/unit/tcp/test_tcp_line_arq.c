/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a line of 9,600 baud, in virtual time, which loses and damages bytes. */
#include "support/check.h"

#include "base/monotonic.h"
#include "base/random.h"
#include "tcp/line/tcp_line_arq.h"

#define BYTE_NS	    (NS_PER_S / 960)
#define QUEUE_CAP   (1 << 14)
#define MESSAGE_LEN 20000

struct end {
	struct tcp_line_arq arq;
	struct tcp_line_reader reader;
	struct tcp_line_stats stats;
	uint8_t queue[QUEUE_CAP]; /* on their way from here */
	size_t queued_len, gone_len;
	uint64_t next_byte_ns;
	uint8_t got[MESSAGE_LEN];
	size_t got_len, wrote_len;
	unsigned asked_cnt, opened_cnt, finished_cnt, ended_cnt, out_of_order_cnt;
	bool has_given_up;
};

struct line {
	struct end ends[2];
	uint64_t now_ns;
	struct random random;
	unsigned damage_of; /* one byte of so many is lost or changed; 0: none */
	bool is_cut;
	uint8_t message[MESSAGE_LEN];
};

static void line_init(struct line *line, uint64_t seed)
{
	memset(line, 0, sizeof(*line));
	line->now_ns = NS_PER_S;
	random_init_seeded(&line->random, seed);
	random_fill(&line->random, line->message, sizeof(line->message));
	for (unsigned i = 0; i < 2; i++)
		tcp_line_arq_init(&line->ends[i].arq, &line->ends[i].stats);
}

static void end_write(struct line *line, unsigned idx, size_t len)
{
	struct end *end = &line->ends[idx];

	if (end->wrote_len < len)
		end->wrote_len += tcp_line_arq_write(&end->arq, line->message + end->wrote_len,
						     len - end->wrote_len);
}

static void end_flush(struct line *line, unsigned idx)
{
	struct end *end = &line->ends[idx];
	struct tcp_line_frame frame;
	uint8_t bytes[TCP_LINE_FRAME_MAX];

	if (end->gone_len == end->queued_len)
		end->gone_len = end->queued_len = 0;
	/* As a device, it takes a frame while it has room. */
	while (end->queued_len + TCP_LINE_FRAME_MAX <= QUEUE_CAP &&
	       tcp_line_arq_next(&end->arq, line->now_ns, &frame)) {
		size_t len = tcp_line_frame_write(&frame, bytes);

		if (end->gone_len == end->queued_len)
			end->next_byte_ns = line->now_ns + BYTE_NS;
		memcpy(end->queue + end->queued_len, bytes, len);
		end->queued_len += len;
	}
}

static void end_frame(struct line *line, unsigned idx, const struct tcp_line_frame *frame)
{
	struct end *end = &line->ends[idx];
	unsigned news = tcp_line_arq_input(&end->arq, frame, line->now_ns);

	if (news & TCP_LINE_NEWS_ASKED) {
		end->asked_cnt++;
		tcp_line_arq_accept(&end->arq, frame->id, line->now_ns);
	}
	end->opened_cnt += (news & TCP_LINE_NEWS_OPENED) != 0;
	if (news & TCP_LINE_NEWS_DATA && end->got_len + frame->len <= sizeof(end->got)) {
		memcpy(end->got + end->got_len, frame->data, frame->len);
		end->got_len += frame->len;
	}
	end->finished_cnt += (news & TCP_LINE_NEWS_FINISHED) != 0;
	if (news & TCP_LINE_NEWS_ENDED) {
		end->ended_cnt++;
		tcp_line_arq_end(&end->arq, false);
	}
}

static void end_hear(struct line *line, unsigned idx, uint8_t byte)
{
	struct end *end = &line->ends[idx];
	struct tcp_line_frame frame;
	struct cursor c;

	if (line->is_cut)
		return;
	if (line->damage_of && !random_below(&line->random, line->damage_of)) {
		if (random_below(&line->random, 2))
			return;
		byte ^= (uint8_t)(1 + random_below(&line->random, 255));
	}
	c = cursor_of(&byte, 1);
	if (tcp_line_frame_read(&end->reader, &c, &frame) > 0)
		end_frame(line, idx, &frame);
}

static uint64_t line_next_ns(const struct line *line)
{
	uint64_t next_ns = UINT64_MAX, at_ns;

	for (unsigned i = 0; i < 2; i++) {
		at_ns = tcp_line_arq_next_ns(&line->ends[i].arq);
		next_ns = at_ns < next_ns ? at_ns : next_ns;
		if (line->ends[i].gone_len < line->ends[i].queued_len &&
		    line->ends[i].next_byte_ns < next_ns)
			next_ns = line->ends[i].next_byte_ns;
	}
	return next_ns;
}

static void line_turn(struct line *line, const size_t lens[static 2])
{
	for (unsigned i = 0; i < 2; i++) {
		struct end *end = &line->ends[i];

		if (end->gone_len < end->queued_len && line->now_ns >= end->next_byte_ns) {
			end->next_byte_ns += BYTE_NS;
			end_hear(line, 1 - i, end->queue[end->gone_len++]);
		}
		if (!tcp_line_arq_expire(&end->arq, line->now_ns)) {
			end->has_given_up = true;
			tcp_line_arq_end(&end->arq, true);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		end_write(line, i, lens[i]);
		end_flush(line, i);
	}
}

/* Each end writes so many bytes as there is room. */
static void line_run(struct line *line, uint64_t for_ns, size_t len0, size_t len1)
{
	const size_t lens[2] = {len0, len1};
	uint64_t end_ns = line->now_ns + for_ns;

	for (;;) {
		line_turn(line, lens);
		if (line_next_ns(line) > end_ns)
			break;
		if (line_next_ns(line) > line->now_ns)
			line->now_ns = line_next_ns(line);
		if (line->ends[1].got_len == len0 && line->ends[0].got_len == len1 && len0 + len1)
			return;
	}
	line->now_ns = end_ns;
}

static void line_connect(struct line *line)
{
	tcp_line_arq_open(&line->ends[0].arq, 7);
	line_run(line, NS_PER_S, 0, 0);
}

static void test_an_asked_end_and_the_asking_one_are_up(void)
{
	static struct line line;

	line_init(&line, 1);
	line_connect(&line);
	CHECK_EQ(line.ends[1].asked_cnt, 1);
	CHECK_EQ(line.ends[0].opened_cnt, 1);
	CHECK_EQ(line.ends[0].arq.state, TCP_LINE_UP);
	CHECK_EQ(line.ends[1].arq.state, TCP_LINE_UP);
	/* A frame of eleven bytes each way. */
	CHECK_EQ(line.ends[0].stats.sent_cnt + line.ends[1].stats.sent_cnt, 2);
}

static void test_a_message_crosses_in_frames_of_200_bytes_at_the_rate_of_the_line(void)
{
	static struct line line;
	uint64_t began_ns;

	line_init(&line, 2);
	line_connect(&line);
	began_ns = line.now_ns;
	line_run(&line, 60 * NS_PER_S, MESSAGE_LEN, 0);
	CHECK_EQ(line.ends[1].got_len, MESSAGE_LEN);
	CHECK_MEM(line.ends[1].got, line.message, MESSAGE_LEN);
	/* 106 frames of 189 bytes, none of them twice, and no pause between them. */
	CHECK_EQ(line.ends[0].stats.repeated_cnt, 0);
	CHECK_EQ(line.ends[0].stats.sent_cnt, 1 + (MESSAGE_LEN + 188) / 189);
	CHECK(line.now_ns - began_ns < (MESSAGE_LEN * 200ull / 189 + 400) * BYTE_NS);
}

static void test_both_ways_at_once_repeats_nothing_once_the_time_is_measured(void)
{
	static struct line line;

	line_init(&line, 3);
	line_connect(&line);
	line_run(&line, 120 * NS_PER_S, MESSAGE_LEN, MESSAGE_LEN);
	CHECK_EQ(line.ends[0].got_len, MESSAGE_LEN);
	CHECK_EQ(line.ends[1].got_len, MESSAGE_LEN);
	CHECK_EQ(line.ends[0].stats.repeated_cnt + line.ends[1].stats.repeated_cnt, 0);
}

/* The property: whatever is lost or damaged, what arrives is a prefix of what was sent, and in the end all. */
static void test_a_damaging_line_delivers_all_in_order(void)
{
	static struct line line;

	for (uint64_t seed = 10; seed < 40; seed++) {
		line_init(&line, seed);
		line.damage_of = 300 + (unsigned)seed * 40;
		tcp_line_arq_open(&line.ends[0].arq, 7);
		line_run(&line, 3600 * NS_PER_S, 4000, 3000);
		CHECK_EQ(line.ends[1].got_len, 4000);
		CHECK_EQ(line.ends[0].got_len, 3000);
		CHECK_MEM(line.ends[1].got, line.message, 4000);
		CHECK_MEM(line.ends[0].got, line.message, 3000);
		CHECK(line.ends[0].stats.repeated_cnt + line.ends[1].stats.repeated_cnt > 0);
	}
}

static void test_a_dead_line_is_given_up_after_a_minute(void)
{
	static struct line line;

	line_init(&line, 4);
	line_connect(&line);
	line.is_cut = true;
	line_run(&line, 59 * NS_PER_S, 100, 0);
	CHECK(!line.ends[0].has_given_up);
	CHECK(line.ends[0].stats.repeated_cnt >= 3);
	line_run(&line, 20 * NS_PER_S, 100, 0);
	CHECK(line.ends[0].has_given_up);
	CHECK_EQ(line.ends[0].stats.given_up_cnt, 1);
	/* The end that had nothing to say notices nothing: the engine above sends its heartbeats. */
	CHECK_EQ(line.ends[1].arq.state, TCP_LINE_UP);
}

static void test_a_line_cut_for_half_a_minute_goes_on(void)
{
	static struct line line;

	line_init(&line, 5);
	line_connect(&line);
	line_run(&line, 2 * NS_PER_S, MESSAGE_LEN, 0);
	line.is_cut = true;
	line_run(&line, 30 * NS_PER_S, MESSAGE_LEN, 0);
	line.is_cut = false;
	line_run(&line, 120 * NS_PER_S, MESSAGE_LEN, 0);
	CHECK_EQ(line.ends[1].got_len, MESSAGE_LEN);
	CHECK_MEM(line.ends[1].got, line.message, MESSAGE_LEN);
}

static void test_both_ask_at_once_and_the_smaller_number_stands(void)
{
	static struct line line;

	line_init(&line, 6);
	tcp_line_arq_open(&line.ends[0].arq, 9);
	tcp_line_arq_open(&line.ends[1].arq, 8);
	line_run(&line, NS_PER_S, 0, 0);
	CHECK_EQ(line.ends[0].asked_cnt, 1);
	CHECK_EQ(line.ends[1].asked_cnt, 0);
	CHECK_EQ(line.ends[0].arq.id, 8);
	CHECK_EQ(line.ends[1].arq.state, TCP_LINE_UP);
	line_run(&line, 60 * NS_PER_S, 1000, 1000);
	CHECK_EQ(line.ends[0].got_len, 1000);
	CHECK_EQ(line.ends[1].got_len, 1000);
}

static void test_an_end_that_was_started_again_ends_the_connection_of_the_other(void)
{
	static struct line line;

	line_init(&line, 7);
	line_connect(&line);
	tcp_line_arq_init(&line.ends[1].arq, &line.ends[1].stats);
	line_run(&line, 5 * NS_PER_S, 100, 0);
	CHECK_EQ(line.ends[0].ended_cnt, 1);
	CHECK_EQ(line.ends[1].stats.stray_cnt, 1);
	CHECK_EQ(line.ends[1].got_len, 0);
}

static void test_a_line_that_echoes_opens_nothing_with_itself(void)
{
	struct tcp_line_stats stats = {0};
	struct tcp_line_arq arq;
	struct tcp_line_frame frame;

	tcp_line_arq_init(&arq, &stats);
	tcp_line_arq_open(&arq, 7);
	for (uint64_t now_ns = 0; now_ns < 30 * NS_PER_S; now_ns += NS_PER_S) {
		CHECK(tcp_line_arq_expire(&arq, now_ns));
		while (tcp_line_arq_next(&arq, now_ns, &frame))
			CHECK_EQ(tcp_line_arq_input(&arq, &frame, now_ns), 0);
	}
	CHECK_EQ(arq.state, TCP_LINE_OPENING);
	CHECK(stats.sent_cnt < 10);
}

static void test_the_end_comes_after_all_bytes(void)
{
	static struct line line;

	line_init(&line, 8);
	line_connect(&line);
	/* A full window: the end waits for a place. */
	end_write(&line, 0, TCP_LINE_WINDOW * TCP_LINE_DATA_MAX);
	CHECK_EQ(line.ends[0].wrote_len, TCP_LINE_WINDOW * TCP_LINE_DATA_MAX);
	CHECK_EQ(tcp_line_arq_write(&line.ends[0].arq, "x", 1), 0);
	tcp_line_arq_finish(&line.ends[0].arq);
	CHECK(!tcp_line_arq_is_drained(&line.ends[0].arq));
	line_run(&line, 10 * NS_PER_S, 0, 0);
	CHECK_EQ(line.ends[1].got_len, TCP_LINE_WINDOW * TCP_LINE_DATA_MAX);
	CHECK_EQ(line.ends[1].finished_cnt, 1);
	CHECK(tcp_line_arq_is_drained(&line.ends[0].arq));
	/* One byte behind its own end is refused. */
	CHECK_EQ(tcp_line_arq_write(&line.ends[0].arq, "x", 1), 0);
}

static void test_an_acknowledgement_of_what_was_never_sent_counts_for_nothing(void)
{
	static struct line line;
	struct tcp_line_frame ack = {.kind = TCP_LINE_ACK, .id = 7, .ack = 1};

	line_init(&line, 9);
	line_connect(&line);
	end_write(&line, 0, 10);
	CHECK_EQ(tcp_line_arq_input(&line.ends[0].arq, &ack, line.now_ns), 0);
	CHECK(!tcp_line_arq_is_drained(&line.ends[0].arq));
	end_flush(&line, 0);
	CHECK_EQ(tcp_line_arq_input(&line.ends[0].arq, &ack, line.now_ns), TCP_LINE_NEWS_ROOM);
	CHECK(tcp_line_arq_is_drained(&line.ends[0].arq));
}

static void test_data_behind_the_peers_end_ends_the_connection(void)
{
	static struct line line;
	struct tcp_line_frame frame = {.kind = TCP_LINE_DATA, .is_of_opener = true, .id = 7};

	line_init(&line, 10);
	line_connect(&line);
	CHECK_EQ(tcp_line_arq_input(&line.ends[1].arq, &frame, 0), TCP_LINE_NEWS_FINISHED);
	frame.seq = 1;
	CHECK_EQ(tcp_line_arq_input(&line.ends[1].arq, &frame, 0), TCP_LINE_NEWS_ENDED);
}

int main(void)
{
	RUN(test_an_asked_end_and_the_asking_one_are_up);
	RUN(test_a_message_crosses_in_frames_of_200_bytes_at_the_rate_of_the_line);
	RUN(test_both_ways_at_once_repeats_nothing_once_the_time_is_measured);
	RUN(test_a_damaging_line_delivers_all_in_order);
	RUN(test_a_dead_line_is_given_up_after_a_minute);
	RUN(test_a_line_cut_for_half_a_minute_goes_on);
	RUN(test_both_ask_at_once_and_the_smaller_number_stands);
	RUN(test_an_end_that_was_started_again_ends_the_connection_of_the_other);
	RUN(test_a_line_that_echoes_opens_nothing_with_itself);
	RUN(test_the_end_comes_after_all_bytes);
	RUN(test_an_acknowledgement_of_what_was_never_sent_counts_for_nothing);
	RUN(test_data_behind_the_peers_end_ends_the_connection);
	return check_done();
}

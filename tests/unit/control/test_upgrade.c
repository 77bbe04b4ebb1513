/* SPDX-License-Identifier: Apache-2.0 */
#include "control_rig.h"

#define UPGRADE	      CALL("PlanGc", ",\"upgrade\":true")
#define UPGRADE_REPLY "{\"parameters\":{\"unreferenced\":"

static char block[64 * 1024];

/* upgraded gives a connection that is PlanGc's. */
static int upgraded(void)
{
	int fd;

	rig_prepare();
	if (rig_open() < 0)
		abort();
	fd = dial();
	say(fd, UPGRADE);
	turn(0);
	if (strncmp(hear(fd), UPGRADE_REPLY, strlen(UPGRADE_REPLY)) != 0 || !rig.pipe)
		abort();
	return fd;
}

static void block_fill(void)
{
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)(i * 7 + i / 251);
}

/* push sends len bytes, blocks again and again, as far as they are taken. */
static size_t push(int fd, size_t len)
{
	size_t sent_len = 0;

	for (int idle = 0; sent_len < len && idle < 10;) {
		size_t off = sent_len % sizeof(block);
		size_t part =
			sizeof(block) - off < len - sent_len ? sizeof(block) - off : len - sent_len;
		ssize_t n = send(fd, block + off, part, MSG_DONTWAIT | MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		sent_len += n > 0 ? (size_t)n : 0;
		turn(0);
	}
	return sent_len;
}

static bool input_is_blocks(size_t len)
{
	if (rig.input_len != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (rig.input[i] != block[i % sizeof(block)])
			return false;
	return true;
}

static void test_bytes_go_both_ways_also_those_sent_with_the_call(void)
{
	char heard[8] = "";
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	/* Neither NUL nor braces mean anything behind the call. */
	CHECK_EQ(send(fd, UPGRADE "\0{\0}\0", sizeof(UPGRADE) + 4, 0), sizeof(UPGRADE) + 4);
	turn(0);
	CHECK(strncmp(hear(fd), UPGRADE_REPLY, strlen(UPGRADE_REPLY)) == 0);
	CHECK_EQ(rig.input_len, 4);
	CHECK_MEM(rig.input, "{\0}\0", 4);
	CHECK_EQ(control_pipe_write(rig.pipe, "a\0b", 3, clock_monotonic_ns()), 0);
	CHECK_EQ(control_pipe_write(rig.pipe, NULL, 0, clock_monotonic_ns()), 0);
	turn(0);
	CHECK_EQ(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), 3);
	CHECK_MEM(heard, "a\0b", 3);
	close(fd);
	turn(0);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.eof_cnt, 0);
	rig_close();
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_both_sides_agree_on_an_upgrade_or_none_happens(void)
{
	static const char *const rows[] = {
		CALL("GetNodeId", ",\"upgrade\":true"),
		CALL("PlanGc", ""),
		"{\"method\":\"org.varlink.service.GetInfo\",\"upgrade\":true}",
	};
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(fd, rows[i]);
		say(fd, CALL("GetNodeId", ""));
		turn(0);
		CHECK(strstr(hear(fd), "\"error\":\"net.weft.Node.Refused\""));
		CHECK_STR(hear(fd), ID_REPLY);
	}
	CHECK(!rig.pipe);
	close(fd);
	rig_close();
}

static void test_a_client_that_left_before_the_reply_is_not_handed_over(void)
{
	static const struct control_pipe_events none;
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"s\"}"));
	turn(0);
	close(fd);
	turn(0);
	CHECK(!control_upgrade(rig.waiting, json_pack("{s:s}", "collection_id", "c"), &none, NULL));
	rig_close();
}

static void test_input_that_is_left_stops_the_sender_and_comes_again(void)
{
	const size_t len = sizeof(rig.input);
	int fd = upgraded();
	size_t sent_len;

	block_fill();
	rig.input_max = 1000;
	sent_len = push(fd, len);
	CHECK_EQ(rig.input_len, 1000);
	CHECK(sent_len < len);
	/* All that is held is a buffer and what the kernel has. */
	rig.input_max = 3000;
	control_pipe_resume(rig.pipe);
	turn(0);
	CHECK_EQ(rig.input_len, 3000);
	rig.input_max = len;
	control_pipe_resume(rig.pipe);
	turn(0);
	CHECK(input_is_blocks(sent_len));
	close(fd);
	rig_close();
}

static void test_queued_bytes_and_their_low_mark_are_reported(void)
{
	const uint64_t now_ns = clock_monotonic_ns();
	size_t heard_len = 0, sent_len = 0;
	int fd = upgraded();

	block_fill();
	/* More than replies may have waiting: it is for the method to stop. */
	while (control_pipe_backlog_len(rig.pipe) <= rig.config.output_len_max) {
		CHECK_EQ(control_pipe_write(rig.pipe, block, sizeof(block), now_ns), 0);
		sent_len += sizeof(block);
		turn(0);
	}
	rig.writable_cnt = 0; /* those of blocks that the kernel took at once */
	while (heard_len < sent_len) {
		static char heard[64 * 1024];
		ssize_t n = recv(fd, heard, sizeof(heard), MSG_DONTWAIT);

		CHECK(n > 0);
		for (size_t i = 0; i < (size_t)n; i++)
			CHECK(heard[i] == block[(heard_len + i) % sizeof(block)]);
		heard_len += (size_t)n;
		turn(0);
		CHECK_EQ(rig.writable_cnt, control_pipe_backlog_len(rig.pipe) < CONTROL_PIPE_LOW);
	}
	CHECK_EQ(heard_len, sent_len);
	CHECK_EQ(rig.writable_cnt, 1);
	close(fd);
	rig_close();
}

static void test_a_reader_that_stopped_is_dropped_in_time(void)
{
	struct control_stats stats;
	int fd = upgraded();

	while (control_pipe_backlog_len(rig.pipe) < CONTROL_PIPE_LOW) {
		CHECK_EQ(control_pipe_write(rig.pipe, block, sizeof(block), clock_monotonic_ns()),
			 0);
		turn(0);
	}
	turn(29 * NS_PER_S);
	CHECK_EQ(rig.gone_cnt, 0);
	turn(31 * NS_PER_S);
	CHECK_EQ(rig.gone_cnt, 1);
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.dropped_slow_cnt, 1);
	CHECK_EQ(stats.client_cnt, 0);
	close(fd);
	rig_close();
}

static void test_a_quiet_connection_stays(void)
{
	int fd = upgraded();

	turn(3600 * NS_PER_S);
	CHECK_EQ(rig.gone_cnt, 0);
	say(fd, "late");
	turn(3600 * NS_PER_S);
	CHECK_EQ(rig.input_len, 5);
	close(fd);
	rig_close();
}

static void test_a_client_that_stops_sending_still_receives(void)
{
	char heard[8];
	int fd = upgraded();

	rig.input_max = 2;
	say(fd, "abc");
	shutdown(fd, SHUT_WR);
	turn(0);
	CHECK_EQ(rig.eof_cnt, 0);
	rig.input_max = 4;
	control_pipe_resume(rig.pipe);
	turn(0);
	CHECK_STR(rig.input, "abc");
	CHECK_EQ(rig.eof_cnt, 1);
	CHECK_EQ(control_pipe_write(rig.pipe, "yes", 3, clock_monotonic_ns()), 0);
	turn(0);
	CHECK_EQ(recv(fd, heard, sizeof(heard), MSG_DONTWAIT), 3);
	CHECK_EQ(rig.eof_cnt, 1);
	CHECK_EQ(rig.gone_cnt, 0);
	close(fd);
	turn(0);
	CHECK_EQ(rig.gone_cnt, 1);
	rig_close();
}

static void test_all_that_was_written_is_read_before_the_end(void)
{
	size_t heard_len = 0;
	struct control_stats stats;
	int fd = upgraded();

	for (int i = 0; i < 15; i++)
		CHECK_EQ(control_pipe_write(rig.pipe, block, sizeof(block), clock_monotonic_ns()),
			 0);
	control_pipe_close(rig.pipe, clock_monotonic_ns());
	say(fd, "too late");
	for (;;) {
		static char heard[64 * 1024];
		ssize_t n;

		turn(0);
		n = recv(fd, heard, sizeof(heard), MSG_DONTWAIT);
		CHECK(n >= 0);
		if (n == 0)
			break;
		heard_len += (size_t)n;
	}
	CHECK_EQ(heard_len, 15 * sizeof(block));
	CHECK_EQ(rig.input_len, 0);
	close(fd);
	turn(0);
	CHECK_EQ(rig.gone_cnt, 0);
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.client_cnt, 0);
	rig_close();
}

static void test_the_end_of_the_server_is_reported(void)
{
	int fd = upgraded();

	rig_close();
	CHECK_EQ(rig.gone_cnt, 1);
	close(fd);
}

int main(void)
{
	RUN(test_bytes_go_both_ways_also_those_sent_with_the_call);
	RUN(test_both_sides_agree_on_an_upgrade_or_none_happens);
	RUN(test_a_client_that_left_before_the_reply_is_not_handed_over);
	RUN(test_input_that_is_left_stops_the_sender_and_comes_again);
	RUN(test_queued_bytes_and_their_low_mark_are_reported);
	RUN(test_a_reader_that_stopped_is_dropped_in_time);
	RUN(test_a_quiet_connection_stays);
	RUN(test_a_client_that_stops_sending_still_receives);
	RUN(test_all_that_was_written_is_read_before_the_end);
	RUN(test_the_end_of_the_server_is_reported);
	return check_done();
}

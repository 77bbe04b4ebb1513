/* SPDX-License-Identifier: Apache-2.0 */
#include "control_rig.h"

#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void test_garbage_is_refused_and_ends_the_connection(void)
{
	static const char *const rows[] = {"hello", "{", "{\"method\":1}", "",
					   "{\"method\":\"a.b.C\",\"upgrade\":true,\"more\":true}"};

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = dial();

		say(fd, rows[i]);
		say(fd, CALL("GetNodeId", ""));
		turn(0);
		CHECK(strstr(hear(fd), "\"error\":\"net.weft.Node."));
		CHECK_STR(hear(fd), "EOF");
		close(fd);
		turn(0);
	}
	struct control_stats stats;
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.malformed_cnt, 5);
	CHECK_EQ(stats.call_cnt, 0);
	CHECK_EQ(stats.client_cnt, 0);
	rig_close();
}

/* padded_call is GetNodeId in exactly len bytes. */
static char *padded_call(size_t len)
{
	char *text = malloc(len + 1);
	size_t head = (size_t)sprintf(text, "%s", CALL("GetNodeId", ""));

	memset(text + head, ' ', len - head);
	text[len] = '\0';
	return text;
}

static void test_a_request_may_be_so_long_and_no_longer(void)
{
	char *text;
	int fd;

	rig_prepare();
	rig.config.request_len_max = 10000;
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	text = padded_call(10000);
	say(fd, text);
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	free(text);
	text = padded_call(10001);
	say(fd, text);
	turn(0);
	CHECK(strstr(hear(fd), "WEFT_ETOOLARGE"));
	CHECK_STR(hear(fd), "EOF");
	free(text);
	close(fd);
	rig_close();
}

static void test_an_endless_request_is_swallowed_but_not_kept(void)
{
	static char block[65536];
	size_t sent_len = 0;
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	memset(block, '[', sizeof(block));
	while (sent_len < (10u << 20)) {
		ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent_len += (size_t)n;
		else
			CHECK_EQ(errno, EAGAIN);
		turn(0);
	}
	CHECK(strstr(hear(fd), "WEFT_ETOOLARGE"));
	/*
	 * A client that goes on after two seconds is cut off, and so is one that sends ever more.
	 */
	turn(3 * NS_PER_S);
	CHECK(send(fd, block, 1, MSG_NOSIGNAL) < 0);
	close(fd);
	fd = dial();
	for (sent_len = 0; sent_len < (100u << 20);) {
		ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		sent_len += n > 0 ? (size_t)n : 0;
		turn(0);
	}
	CHECK(sent_len < (18u << 20));
	CHECK(strstr(hear(fd), "WEFT_ETOOLARGE"));
	close(fd);
	rig_close();
}

static void test_half_a_request_is_given_up_in_time(void)
{
	struct control_stats stats;
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	if (send(fd, "{\"meth", 6, 0) != 6)
		abort();
	turn(0);
	turn(29 * NS_PER_S);
	CHECK_STR(hear(fd), "");
	turn(31 * NS_PER_S);
	CHECK_STR(hear(fd), "EOF");
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.client_cnt, 0);
	close(fd);
	rig_close();
}

static void test_one_client_too_many_is_refused_with_a_reason(void)
{
	struct control_stats stats;
	int fds[4];

	rig_prepare();
	rig.config.client_cap = 3;
	CHECK_EQ(rig_open(), 0);
	for (int i = 0; i < 4; i++)
		fds[i] = dial();
	turn(0);
	CHECK(strstr(hear(fds[3]), "\"error\":\"net.weft.Node.Refused\""));
	CHECK_STR(hear(fds[3]), "EOF");
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.client_cnt, 3);
	CHECK_EQ(stats.refused_cnt, 1);
	close(fds[0]);
	close(fds[3]);
	turn(0);
	fds[0] = dial();
	say(fds[0], CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fds[0]), ID_REPLY);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rig_close();
}

/* No client waits for them any more, but the replier still holds them. */
static void test_calls_of_clients_that_left_are_bounded(void)
{
	struct control_stats stats;
	int fd;

	rig_prepare();
	rig.config.client_cap = 2;
	CHECK_EQ(rig_open(), 0);
	for (unsigned i = 0; i < 4; i++) {
		fd = dial();
		say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"x\"}"));
		turn(0);
		close(fd);
		turn(0);
	}
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK(strstr(hear(fd), "WEFT_EFULL"));
	CHECK_STR(hear(fd), "EOF");
	close(fd);
	turn(0);
	control_reply(rig.waiting, NULL);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	close(fd);
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.refused_cnt, 1);
	rig_close();
}

/* A connection keeps the length that was in force when it began. */
static void test_limits_change_while_running(void)
{
	struct control_config config;
	char *text;
	int fd;

	rig_prepare();
	rig.config.request_len_max = 10000;
	CHECK_EQ(rig_open(), 0);
	config = rig.config;
	config.request_len_max = 5000;
	config.request_rate_per_s = 1;
	control_configure(rig.control, &config);
	fd = dial();
	text = padded_call(5000);
	say(fd, text);
	say(fd, text);
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	CHECK_STR(hear(fd), "");
	turn(2 * NS_PER_S);
	CHECK_STR(hear(fd), ID_REPLY);
	close(fd);
	free(text);
	fd = dial();
	text = padded_call(5001);
	say(fd, text);
	turn(0);
	CHECK(strstr(hear(fd), "WEFT_ETOOLARGE"));
	close(fd);
	free(text);
	rig_close();
}

static void test_without_descriptors_a_client_is_refused_with_a_reason(void)
{
	struct rlimit old, tight;
	int fd, spare;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	spare = dup(fd);
	close(spare);
	getrlimit(RLIMIT_NOFILE, &old);
	tight = old;
	tight.rlim_cur = (rlim_t)spare;
	setrlimit(RLIMIT_NOFILE, &tight);
	turn(0);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(strstr(hear(fd), "\"error\":\"net.weft.Node.Refused\""));
	close(fd);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	close(fd);
	rig_close();
}

static void test_requests_beyond_the_rate_wait(void)
{
	int fd;

	rig_prepare();
	rig.config.request_rate_per_s = 1;
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	CHECK_STR(hear(fd), "");
	turn(NS_PER_S + NS_PER_MS);
	CHECK_STR(hear(fd), ID_REPLY);
	close(fd);
	rig_close();
}

static void test_a_client_that_does_not_read_is_dropped(void)
{
	struct control_stats stats;
	int fd;

	rig_prepare();
	rig.config.output_len_max = 4096;
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	/* Its replies fill the kernel's buffer, then ours. */
	for (int i = 0; i < 1000; i++) {
		if (send(fd, CALL("CheckStore", ",\"more\":true"),
			 sizeof(CALL("CheckStore", ",\"more\":true")),
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		turn(0);
	}
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.dropped_slow_cnt, 1);
	CHECK_EQ(stats.client_cnt, 0);
	close(fd);
	rig_close();
}

static void test_a_slow_watcher_loses_events_but_not_its_place(void)
{
	static char long_text[8000];
	struct control_stats stats;
	unsigned long long gap, seen = 0;
	int fd;

	rig_prepare();
	rig.config.event_cap = 4;
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL("WatchEvents", ",\"more\":true"));
	turn(0);
	memset(long_text, 'x', sizeof(long_text) - 1);
	for (int i = 0; i < 200; i++)
		control_event(rig.control, "tick", json_pack("{s:s}", "t", long_text), 0);
	for (int i = 0; i < 1000 && seen < 200; i++) {
		const char *text = hear(fd);
		const char *at = strstr(text, "{\"gap\":");

		if (!*text)
			turn(0);
		else if (at && sscanf(at, "{\"gap\":%llu", &gap) == 1)
			seen += gap;
		else
			seen += event_is(text, (int)seen + 1);
	}
	CHECK_EQ(seen, 200);
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.dropped_slow_cnt, 0);
	CHECK_EQ(stats.watcher_cnt, 1);
	close(fd);
	rig_close();
}

/* other_user is a client of another user; returns what it heard through a pipe. */
static void other_user(gid_t gid, const char *call, char *heard, size_t cap)
{
	int pipes[2], status;
	pid_t pid;
	ssize_t n;

	if (pipe(pipes) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		struct timeval patience = {120, 0};
		char text[1024];
		int fd;

		if (setgroups(1, &gid) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		fd = dial();
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		(void)send(fd, call, strlen(call) + 1, MSG_NOSIGNAL);
		n = recv(fd, text, sizeof(text), 0);
		_exit(n > 0 && write(pipes[1], text, (size_t)n) == n ? 0 : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (poller_wait(rig.poller, clock_monotonic_ns() + NS_PER_MS) < 0)
			abort();
		turn(0);
	}
	close(pipes[1]);
	n = read(pipes[0], heard, cap - 1);
	heard[n > 0 ? n : 0] = '\0';
	close(pipes[0]);
}

static void test_roles_follow_the_caller(void)
{
	static const struct {
		gid_t gid;
		const char *call;
		const char *heard;
	} rows[] = {
		{4001, CALL("GetNodeId", ""), "PermissionDenied"},
		{4002, CALL("GetNodeId", ""), "\"me\""},
		{4002, CALL_CONTENT("Get", ",\"parameters\":{\"link\":\"l\",\"target\":\"t\"}"),
		 "PermissionDenied"},
		{4003, CALL_CONTENT("Get", ",\"parameters\":{\"link\":\"l\",\"target\":\"t\"}"),
		 "EIO"},
		{4003, CALL("Shutdown", ""), "PermissionDenied"},
	};
	char heard[1024];
	int fd;

	if (geteuid() != 0) {
		printf("# roles of other users need root to try\n");
		return;
	}
	rig_prepare();
	rig.config.mode = 0666;
	rig.config.view_gid = 4002;
	rig.config.operate_gid = 4003;
	CHECK_EQ(rig_open(), 0);
	CHECK_EQ(chmod(rig.dir, 0755), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		other_user(rows[i].gid, rows[i].call, heard, sizeof(heard));
		CHECK(strstr(heard, rows[i].heard));
	}
	CHECK_EQ(rig.shutdown_cnt, 0);
	fd = dial();
	say(fd, CALL("Shutdown", ""));
	turn(0);
	CHECK_EQ(rig.shutdown_cnt, 1);
	close(fd);
	rig_close();
}

int main(void)
{
	RUN(test_garbage_is_refused_and_ends_the_connection);
	RUN(test_a_request_may_be_so_long_and_no_longer);
	RUN(test_an_endless_request_is_swallowed_but_not_kept);
	RUN(test_half_a_request_is_given_up_in_time);
	RUN(test_one_client_too_many_is_refused_with_a_reason);
	RUN(test_calls_of_clients_that_left_are_bounded);
	RUN(test_limits_change_while_running);
	RUN(test_without_descriptors_a_client_is_refused_with_a_reason);
	RUN(test_requests_beyond_the_rate_wait);
	RUN(test_a_client_that_does_not_read_is_dropped);
	RUN(test_a_slow_watcher_loses_events_but_not_its_place);
	RUN(test_roles_follow_the_caller);
	return check_done();
}

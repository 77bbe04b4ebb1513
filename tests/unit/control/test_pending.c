/* SPDX-License-Identifier: Apache-2.0 */
/* Calls with an id: many on one connection, and whose share of them is used up. */
#include "control_rig.h"

#include <sys/wait.h>

#define HELD_MAX 64

static struct control_call *held[HELD_MAX];
static unsigned held_cnt, left_cnt;

static void held_gone(void *arg)
{
	(void)arg;
	left_cnt++;
}

static void handle_hold(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	(void)ctx, (void)parameters, (void)now_ns;
	control_on_gone(call, held_gone, NULL);
	held[held_cnt++] = call;
}

static void handle_cancel(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	json_int_t id = json_integer_value(json_object_get(parameters, "call"));

	(void)ctx, (void)now_ns;
	if (control_cancel(call, (uint64_t)id))
		control_reply(call, NULL);
	else
		control_fail(call, WEFT_EABSENT, "call", NULL, NULL);
}

static void method_set(const char *name, void (*fn)(void *ctx, struct control_call *call,
						    const json_t *parameters, uint64_t now_ns))
{
	for (struct control_method *m = rig.methods; m->name; m++)
		if (strcmp(m->name, name) == 0)
			m->handle = fn;
}

/* rig_begin: CancelImport is held until the test answers it. */
static void rig_begin(uint32_t call_cap)
{
	held_cnt = left_cnt = 0;
	rig_prepare();
	rig.config.call_cap = call_cap;
	method_set("CancelImport", handle_hold);
	method_set("CancelCall", handle_cancel);
	CHECK_EQ(rig_open(), 0);
}

static void ask_held(int fd, int id)
{
	char text[160];

	snprintf(text, sizeof(text),
		 CALL_CONTENT("CancelImport", ",\"parameters\":{\"import_id\":7},\"id\":%d"), id);
	say(fd, text);
}

static uint32_t pending_cnt(void)
{
	struct control_stats stats;

	control_stats(rig.control, &stats);
	return stats.pending_cnt;
}

static void test_calls_with_an_id_are_answered_as_they_end(void)
{
	int fd;

	rig_begin(16);
	fd = dial();
	for (int id = 1; id <= 3; id++)
		ask_held(fd, id);
	say(fd, CALL("GetNodeId", ",\"id\":9"));
	turn(0);
	CHECK_EQ(held_cnt, 3);
	CHECK_EQ(pending_cnt(), 3);
	CHECK_STR(hear(fd), "{\"parameters\":{\"node_id\":\"me\"},\"id\":9}");
	control_reply(held[2], NULL);
	control_reply(held[0], NULL);
	control_fail(held[1], WEFT_EABSENT, "share", NULL, NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":3}");
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":1}");
	CHECK(strstr(hear(fd), "\"next\":\"\"},\"id\":2}"));
	CHECK_EQ(pending_cnt(), 0);
	close(fd);
	rig_close();
}

static void test_calls_without_an_id_stay_in_order_beside_those_with_one(void)
{
	int fd;

	rig_begin(16);
	fd = dial();
	ask_held(fd, 1);
	say(fd, CALL_CONTENT("CancelImport", ",\"parameters\":{\"import_id\":7}"));
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_EQ(held_cnt, 2);
	CHECK_STR(hear(fd), "");
	control_reply(held[1], NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{}}");
	CHECK_STR(hear(fd), ID_REPLY);
	control_reply(held[0], NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":1}");
	close(fd);
	rig_close();
}

static void test_an_id_that_json_readers_do_not_keep_is_refused(void)
{
	static const struct {
		const char *id;
		bool is_taken;
	} rows[] = {
		{"0", true},
		{"9007199254740991", true},
		{"null", true},
		{"-1", false},
		{"9007199254740992", false},
		{"\"a\"", false},
		{"1.5", false},
		{"[]", false},
		{"1,\"upgrade\":true", false},
	};
	char text[160];

	rig_begin(16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = dial();
		const char *reply;

		snprintf(text, sizeof(text), CALL("GetNodeId", ",\"id\":%s"), rows[i].id);
		say(fd, text);
		turn(0);
		reply = hear(fd);
		CHECK_EQ(strstr(reply, "node_id") != NULL, rows[i].is_taken);
		CHECK_EQ(strstr(reply, "WEFT_EMALFORMED") != NULL, !rows[i].is_taken);
		close(fd);
		turn(0);
	}
	rig_close();
}

static void test_a_cancelled_call_is_not_answered_and_the_others_are(void)
{
	int fd;

	rig_begin(16);
	fd = dial();
	ask_held(fd, 1);
	ask_held(fd, 2);
	say(fd, CALL("CancelCall", ",\"parameters\":{\"call\":1}"));
	say(fd, CALL("CancelCall", ",\"parameters\":{\"call\":1}"));
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{}}");
	CHECK(strstr(hear(fd), "NotFound"));
	CHECK_EQ(left_cnt, 1);
	CHECK_EQ(pending_cnt(), 1);
	control_reply(held[1], NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":2}");
	CHECK_STR(hear(fd), "");
	close(fd);
	rig_close();
}

static void test_a_client_that_leaves_ends_all_its_calls(void)
{
	struct control_stats stats;
	int fd;

	rig_begin(16);
	fd = dial();
	for (int id = 0; id < 5; id++)
		ask_held(fd, id);
	turn(0);
	CHECK_EQ(pending_cnt(), 5);
	close(fd);
	turn(0);
	control_stats(rig.control, &stats);
	CHECK_EQ(left_cnt, 5);
	CHECK_EQ(stats.pending_cnt, 0);
	CHECK_EQ(stats.client_cnt, 0);
	rig_close();
}

static void test_garbage_behind_calls_ends_them(void)
{
	int fd;

	rig_begin(16);
	fd = dial();
	ask_held(fd, 1);
	say(fd, "rubbish");
	turn(0);
	CHECK_EQ(left_cnt, 1);
	CHECK_EQ(pending_cnt(), 0);
	CHECK(strstr(hear(fd), "WEFT_EMALFORMED"));
	CHECK_STR(hear(fd), "EOF");
	close(fd);
	rig_close();
}

static void test_a_caller_that_says_no_more_still_hears_its_answers(void)
{
	int fd;

	rig_begin(16);
	fd = dial();
	ask_held(fd, 1);
	ask_held(fd, 2);
	shutdown(fd, SHUT_WR);
	turn(0);
	control_reply(held[0], NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":1}");
	control_reply(held[1], NULL);
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{},\"id\":2}");
	CHECK_STR(hear(fd), "EOF");
	close(fd);
	rig_close();
}

/* In a process of its own, which is another program to the server. */
static void ask_as_another_program(const char *wanted)
{
	int status, ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		int fd = dial();
		char text[512] = "";

		ask_held(fd, 77);
		if (write(ready[1], "r", 1) != 1 || recv(fd, text, sizeof(text) - 1, 0) <= 0)
			_exit(1);
		_exit(strstr(text, wanted) ? 0 : 2);
	}
	if (read(ready[0], &byte, 1) != 1)
		abort();
	turn(0);
	if (held_cnt && held[held_cnt - 1] && byte == 'r' && !strstr(wanted, "error"))
		control_reply(held[--held_cnt], NULL);
	turn(0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 0);
	close(ready[0]);
	close(ready[1]);
	turn(0);
}

static void test_a_program_has_as_many_calls_as_it_leaves_free(void)
{
	struct control_stats stats;
	const char *reply;
	int fd, other;

	rig_begin(32);
	fd = dial();
	other = dial();
	for (int id = 0; id < 17; id++)
		ask_held(id % 2 ? fd : other, id);
	turn(0);
	CHECK_EQ(held_cnt, 16);
	reply = hear(fd);
	CHECK_STR(reply, "");
	/* One beyond it is refused, on whichever of its connections, with a time. */
	reply = hear(other);
	CHECK(strstr(reply, "\"error\":\"net.weft.Node.Refused\""));
	CHECK(strstr(reply, "\"not_before_ms\":"));
	CHECK(strstr(reply, "\"id\":16}"));
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.pending_refused_cnt, 1);
	CHECK_EQ(stats.pending_peak_cnt, 16);
	/* Another program has its own share, and a call without an id needs none. */
	ask_as_another_program("\"id\":77}");
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	control_reply(held[0], NULL);
	ask_held(fd, 17);
	turn(0);
	CHECK_EQ(pending_cnt(), 16);
	close(fd);
	close(other);
	rig_close();
}

static void test_watchers_with_an_id_hear_the_same_events(void)
{
	const char *reply;
	int fd;

	rig_begin(16);
	fd = dial();
	say(fd, CALL("WatchEvents", ",\"more\":true,\"parameters\":{\"since\":0},\"id\":4"));
	say(fd, CALL("WatchEvents", ",\"more\":true,\"parameters\":{\"since\":0},\"id\":5"));
	turn(0);
	control_event(rig.control, "test", NULL, clock_monotonic_ns());
	turn(0);
	for (int i = 0; i < 2; i++) {
		reply = hear(fd);
		CHECK(event_is(reply, 1));
		CHECK(strstr(reply, "\"id\":4}") || strstr(reply, "\"id\":5}"));
	}
	say(fd, CALL("CancelCall", ",\"parameters\":{\"call\":4}"));
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{}}");
	control_event(rig.control, "test", NULL, clock_monotonic_ns());
	turn(0);
	CHECK(strstr(hear(fd), "\"id\":5}"));
	CHECK_STR(hear(fd), "");
	close(fd);
	turn(0);
	rig_close();
}

static void test_an_answer_without_room_costs_no_other_call_its_own(void)
{
	static char long_text[60000];
	struct control_stats stats;
	unsigned good_cnt = 0, lost_cnt = 0;
	static char heard[4 << 20];
	size_t heard_len = 0;
	int fd;

	memset(long_text, 'x', sizeof(long_text) - 1);
	rig_begin(64);
	rig.config.output_len_max = 40000;
	control_configure(rig.control, &rig.config);
	fd = dial();
	for (int id = 0; id < 32; id++)
		ask_held(fd, id);
	turn(0);
	CHECK_EQ(held_cnt, 32);
	/* The half that all have in common is 1.28 MB; the answers are 1.9 MB. */
	for (int i = 0; i < 32; i++)
		control_fail(held[i], WEFT_EABSENT, long_text, NULL, NULL);
	turn(0);
	for (ssize_t n = 1; n > 0 && heard_len < sizeof(heard); turn(0)) {
		n = recv(fd, heard + heard_len, sizeof(heard) - heard_len, MSG_DONTWAIT);
		heard_len += n > 0 ? (size_t)n : 0;
	}
	for (const char *reply = heard; reply < heard + heard_len; reply += strlen(reply) + 1) {
		good_cnt += strstr(reply, "WEFT_EABSENT") != NULL;
		lost_cnt += strstr(reply, "wait to be read") != NULL;
	}
	control_stats(rig.control, &stats);
	CHECK_EQ(good_cnt + lost_cnt, 32);
	CHECK_EQ(stats.unread_cnt, lost_cnt);
	CHECK(good_cnt > 10 && lost_cnt > 0);
	CHECK_EQ(stats.dropped_slow_cnt, 0);
	close(fd);
	rig_close();
}

int main(void)
{
	RUN(test_calls_with_an_id_are_answered_as_they_end);
	RUN(test_calls_without_an_id_stay_in_order_beside_those_with_one);
	RUN(test_an_id_that_json_readers_do_not_keep_is_refused);
	RUN(test_a_cancelled_call_is_not_answered_and_the_others_are);
	RUN(test_a_client_that_leaves_ends_all_its_calls);
	RUN(test_garbage_behind_calls_ends_them);
	RUN(test_a_caller_that_says_no_more_still_hears_its_answers);
	RUN(test_a_program_has_as_many_calls_as_it_leaves_free);
	RUN(test_watchers_with_an_id_hear_the_same_events);
	RUN(test_an_answer_without_room_costs_no_other_call_its_own);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_server.h"
#include "control_rig.h"

static struct {
	unsigned cnt;
	char error[96];
	char text[512];
} answer;

static void answered(void *arg, const char *error, const json_t *parameters)
{
	char *text = json_dumps(parameters, JSON_COMPACT);

	(void)arg;
	answer.cnt++;
	snprintf(answer.error, sizeof(answer.error), "%s", error ? error : "");
	snprintf(answer.text, sizeof(answer.text), "%s", text);
	free(text);
}

/* ask asks as role; the call, if it waits. */
static struct control_call *ask(enum control_role role, const char *method, const char *parameters)
{
	struct control_ask ask = {.role = role,
				  .method = method,
				  .parameters = json_loads(parameters, 0, NULL),
				  .answered = answered};
	struct control_call *call = NULL;

	memset(&answer, 0, sizeof(answer));
	if (control_ask(rig.control, &ask, clock_monotonic_ns(), &call) < 0)
		abort();
	json_decref(ask.parameters);
	return call;
}

static void start(void)
{
	rig_prepare();
	CHECK_EQ(rig_open(), 0);
}

static void test_a_method_answers_as_it_does_on_the_socket(void)
{
	start();
	CHECK(!ask(CONTROL_VIEW, "GetNodeId", "{}"));
	CHECK_EQ(answer.cnt, 1);
	CHECK_STR(answer.text, "{\"node_id\":\"me\"}");
	CHECK(!ask(CONTROL_VIEW, "CancelImport", "{\"import_id\":7}"));
	CHECK_STR(answer.error, "net.weft.Node.NotFound");
	CHECK(strstr(answer.text, "\"what\":\"import 7\""));
	rig_close();
}

static void test_what_the_socket_refuses_is_refused(void)
{
	static const struct {
		enum control_role role;
		const char *method, *parameters, *error;
	} rows[] = {
		{CONTROL_VIEW, "Nothing", "{}", "org.varlink.service.MethodNotFound"},
		{CONTROL_VIEW, "", "{}", "org.varlink.service.MethodNotFound"},
		{CONTROL_OPERATE, "Shutdown", "{}", "org.varlink.service.PermissionDenied"},
		{CONTROL_VIEW, "RemoveShare", "{}", "org.varlink.service.InvalidParameter"},
		{CONTROL_VIEW, "RemoveShare", "{\"share\":1}",
		 "org.varlink.service.InvalidParameter"},
		{CONTROL_VIEW, "WatchEvents", "{}", "org.varlink.service.ExpectedMore"},
		{CONTROL_ADMIN, "PlanGc", "{}", "net.weft.Node.Refused"},
	};

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(!ask(rows[i].role, rows[i].method, rows[i].parameters));
		CHECK_EQ(answer.cnt, 1);
		CHECK_STR(answer.error, rows[i].error);
	}
	CHECK_EQ(rig.shutdown_cnt, 0);
	rig_close();
}

static void test_of_several_replies_the_last_is_given(void)
{
	start();
	CHECK(!ask(CONTROL_VIEW, "CheckStore", "{}"));
	CHECK_EQ(answer.cnt, 1);
	CHECK_STR(answer.text, "{}");
	rig_close();
}

static void test_an_answer_may_come_later(void)
{
	struct control_call *call;

	start();
	call = ask(CONTROL_OPERATE, "RemoveShare", "{\"share\":\"s\"}");
	CHECK(call && call == rig.waiting);
	CHECK_EQ(control_role_of(call), CONTROL_OPERATE);
	CHECK_EQ(answer.cnt, 0);
	control_reply(rig.waiting, json_pack("{s:s}", "collection_id", "c"));
	CHECK_EQ(answer.cnt, 1);
	rig_close();
}

static void test_a_caller_that_leaves_is_not_answered(void)
{
	struct control_call *call;

	start();
	call = ask(CONTROL_VIEW, "RemoveShare", "{\"share\":\"s\"}");
	control_ask_leave(call);
	control_reply(rig.waiting, json_pack("{s:s}", "collection_id", "c"));
	CHECK_EQ(answer.cnt, 0);
	call = ask(CONTROL_VIEW, "RemoveShare", "{\"share\":\"watched\"}");
	control_ask_leave(call);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.control->asked_cnt, 0);
	rig_close();
}

static void test_one_more_than_may_be_under_way_is_refused(void)
{
	struct control_ask over = {.method = "GetNodeId", .answered = answered};
	struct control_call *call;
	int fd;

	rig_prepare();
	rig.config.client_cap = 2;
	CHECK_EQ(rig_open(), 0);
	CHECK(ask(CONTROL_VIEW, "RemoveShare", "{\"share\":\"s\"}"));
	CHECK(ask(CONTROL_VIEW, "RemoveShare", "{\"share\":\"s\"}"));
	CHECK_EQ(control_ask(rig.control, &over, 0, &call), WEFT_EFULL);
	CHECK_EQ(answer.cnt, 0);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY); /* the socket has its own */
	close(fd);
	rig_close();
}

static void test_events_are_read_by_their_numbers(void)
{
	const char *text;
	size_t len;
	uint64_t after = 0;

	rig_prepare();
	rig.config.event_cap = 4;
	CHECK_EQ(rig_open(), 0);
	CHECK_EQ(control_event_next(rig.control, CONTROL_ADMIN, 0, &text, &len), 0);
	CHECK_EQ(control_event_last(rig.control), 0);
	for (unsigned i = 0; i < 6; i++)
		control_event(rig.control, "kind", json_pack("{s:i}", "i", i), 0);
	CHECK_EQ(control_event_last(rig.control), 6);
	for (uint64_t want = 3; want <= 6; want++) {
		json_t *event;

		after = control_event_next(rig.control, CONTROL_ADMIN, after, &text, &len);
		CHECK_EQ(after, want);
		event = json_loadb(text, len, 0, NULL);
		CHECK_EQ(json_integer_value(json_object_get(event, "seq")), want);
		CHECK_STR(json_string_value(json_object_get(event, "kind")), "kind");
		json_decref(event);
	}
	CHECK_EQ(control_event_next(rig.control, CONTROL_ADMIN, after, &text, &len), 0);
	rig_close();
}

static void count(void *arg)
{
	++*(unsigned *)arg;
}

static void test_a_reader_of_events_receives_each(void)
{
	unsigned cnt = 0;

	start();
	control_on_event(rig.control, count, &cnt);
	control_event(rig.control, "kind", NULL, 0);
	CHECK_EQ(cnt, 1);
	control_on_event(rig.control, NULL, NULL);
	control_event(rig.control, "kind", NULL, 0);
	CHECK_EQ(cnt, 1);
	rig_close();
}

int main(void)
{
	RUN(test_a_method_answers_as_it_does_on_the_socket);
	RUN(test_what_the_socket_refuses_is_refused);
	RUN(test_of_several_replies_the_last_is_given);
	RUN(test_an_answer_may_come_later);
	RUN(test_a_caller_that_leaves_is_not_answered);
	RUN(test_one_more_than_may_be_under_way_is_refused);
	RUN(test_events_are_read_by_their_numbers);
	RUN(test_a_reader_of_events_receives_each);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control_rig.h"

static void test_a_call_is_answered(void)
{
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), ID_REPLY);
	CHECK_STR(hear(fd), "");
	close(fd);
	turn(0);
	struct control_stats stats;
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.client_cnt, 0);
	CHECK_EQ(stats.client_peak_cnt, 1);
	CHECK_EQ(stats.call_cnt, 1);
	rig_close();
}

static void test_the_service_describes_itself(void)
{
	int fd;
	json_t *reply;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
	turn(0);
	CHECK(strstr(hear(fd), "\"interfaces\":[\"org.varlink.service\",\"net.weft.Node\","));
	say(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":"
		"{\"interface\":\"net.weft.Node\"}}");
	turn(0);
	reply = json_loads(hear(fd), 0, NULL);
	CHECK_STR(json_string_value(
			  json_object_get(json_object_get(reply, "parameters"), "description")),
		  control_interface_lookup("net.weft.Node")->text);
	json_decref(reply);
	close(fd);
	rig_close();
}

static void test_wrong_calls_get_the_standard_errors(void)
{
	static const struct {
		const char *call;
		const char *error;
	} rows[] = {
		{"{\"method\":\"GetNodeId\"}", "org.varlink.service.InterfaceNotFound"},
		{"{\"method\":\"net.weft.Other.X\"}", "org.varlink.service.InterfaceNotFound"},
		{"{\"method\":\"net.weft.Node.X\"}", "org.varlink.service.MethodNotFound"},
		{"{\"method\":\"net.weft.Node.\"}", "org.varlink.service.MethodNotFound"},
		{"{\"method\":\"net.weft.Content.GetNodeId\"}",
		 "org.varlink.service.MethodNotFound"},
		{"{\"method\":\"org.varlink.service.X\"}", "org.varlink.service.MethodNotFound"},
		{CALL_CONTENT("Get", ",\"parameters\":{\"link\":1}"), "\"parameter\":\"link\""},
		{CALL_CONTENT("Get", ",\"parameters\":{\"link\":\"l\"}"),
		 "\"parameter\":\"target\""},
		{CALL("GetNodeId", ",\"parameters\":{\"x\":1}"), "\"parameter\":\"x\""},
		{CALL("WatchEvents", ""), "org.varlink.service.ExpectedMore"},
		{CALL_CONTENT("CancelImport", ",\"parameters\":{\"import_id\":7}"),
		 "\"error\":\"net.weft.Node.NotFound\",\"parameters\":{\"code\":-1002,\"name\":"
		 "\"WEFT_EABSENT\",\"what\":\"import 7\",\"why\":\"no such object\",\"next\":"
		 "\"look ? closer\"}"},
	};
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *reply;

		say(fd, rows[i].call);
		turn(0);
		reply = hear(fd);
		if (!strstr(reply, rows[i].error))
			printf("# %s: %s\n", rows[i].call, reply);
		CHECK(strstr(reply, rows[i].error));
	}
	close(fd);
	rig_close();
}

static void test_pipelined_calls_are_answered_in_order(void)
{
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"s\"}"));
	say(fd, CALL("GetNodeId", ",\"oneway\":true"));
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK_STR(hear(fd), "");
	control_reply(rig.waiting, json_pack("{s:s}", "collection_id", "c"));
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{\"collection_id\":\"c\"}}");
	CHECK_STR(hear(fd), ID_REPLY);
	CHECK_STR(hear(fd), "");
	close(fd);
	rig_close();
}

static void test_more_gives_several_replies_only_to_its_caller(void)
{
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL("CheckStore", ",\"more\":true"));
	say(fd, CALL("CheckStore", ""));
	turn(0);
	CHECK_STR(hear(fd), "{\"parameters\":{\"finding\":\"one\"},\"continues\":true}");
	CHECK(strstr(hear(fd), "xxx\"},\"continues\":true}"));
	CHECK_STR(hear(fd), "{\"parameters\":{}}");
	CHECK_STR(hear(fd), "{\"parameters\":{}}");
	CHECK_STR(hear(fd), "");
	close(fd);
	rig_close();
}

static void test_a_caller_that_leaves_is_noticed(void)
{
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"watched\"}"));
	turn(0);
	CHECK(rig.waiting != NULL);
	close(fd);
	turn(0);
	CHECK_EQ(rig.gone_cnt, 1);
	rig_close();
}

static void test_a_reply_to_a_departed_client_goes_nowhere(void)
{
	struct control_stats stats;
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"s\"}"));
	turn(0);
	close(fd);
	turn(0);
	control_stats(rig.control, &stats);
	CHECK_EQ(stats.client_cnt, 0);
	control_reply(rig.waiting, json_pack("{s:s}", "collection_id", "c"));
	turn(0);
	rig_close();
}

static void test_a_client_that_stops_sending_still_gets_replies(void)
{
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL_CONTENT("RemoveShare", ",\"parameters\":{\"share\":\"watched\"}"));
	shutdown(fd, SHUT_WR);
	turn(0);
	CHECK_EQ(rig.gone_cnt, 0);
	control_reply(rig.waiting, json_pack("{s:s}", "collection_id", "c"));
	turn(0);
	CHECK(strstr(hear(fd), "collection_id"));
	CHECK_STR(hear(fd), "EOF");
	close(fd);
	rig_close();
}

static void test_events_are_numbered_and_gaps_are_reported(void)
{
	int late, fresh;

	rig_prepare();
	rig.config.event_cap = 4;
	CHECK_EQ(rig_open(), 0);
	for (int i = 0; i < 6; i++)
		control_event(rig.control, "tick", json_pack("{s:i}", "i", i), 0);
	late = dial();
	fresh = dial();
	say(late, CALL("WatchEvents", ",\"more\":true,\"parameters\":{\"since\":1}"));
	say(fresh, CALL("WatchEvents", ",\"more\":true,\"parameters\":{\"since\":0}"));
	turn(0);
	CHECK_STR(hear(late), "{\"parameters\":{\"gap\":2},\"continues\":true}");
	for (int seq = 3; seq <= 6; seq++)
		CHECK(event_is(hear(late), seq));
	CHECK_STR(hear(fresh), "");
	control_event(rig.control, "tick", NULL, 0);
	turn(0);
	CHECK(event_is(hear(late), 7));
	CHECK(event_is(hear(fresh), 7));
	close(late);
	close(fresh);
	turn(0);
	rig_close();
}

static void test_the_socket_file_is_accessible_to_its_owner_alone(void)
{
	struct control_params params;
	struct control *second;
	struct stat st;
	int fd;

	rig_prepare();
	CHECK_EQ(rig_open(), 0);
	CHECK_EQ(stat(rig.path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	params = rig_params();
	CHECK_EQ(control_open(&params, &second), WEFT_EBUSY);
	CHECK_EQ(stat(rig.path, &st), 0);
	control_close(rig.control);
	CHECK(stat(rig.path, &st) < 0);
	/* One left over from a daemon that was killed is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	strcpy(sun.sun_path, rig.path);
	CHECK_EQ(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	CHECK_EQ(rig_open(), 0);
	control_close(rig.control);
	/* A file that is no socket is not touched. */
	fd = open(rig.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	rig.control = NULL;
	CHECK_EQ(rig_open(), -EEXIST);
	CHECK_EQ(stat(rig.path, &st), 0);
	rig_close();
}

static void test_a_path_too_long_is_refused(void)
{
	char path[200];

	rig_prepare();
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	rig.config.path = path;
	CHECK_EQ(rig_open(), -ENAMETOOLONG);
	rig_close();
}

static void test_a_method_without_a_handler_is_not_found(void)
{
	int fd;

	rig_prepare();
	for (struct control_method *method = rig.methods; method->name; method++)
		if (strcmp(method->name, "GetNodeId") == 0)
			method->name = "Missing";
	CHECK_EQ(rig_open(), 0);
	fd = dial();
	say(fd, CALL("GetNodeId", ""));
	turn(0);
	CHECK(strstr(hear(fd), "org.varlink.service.MethodNotFound"));
	say(fd, CALL("Missing", ""));
	turn(0);
	CHECK(strstr(hear(fd), "org.varlink.service.MethodNotFound"));
	close(fd);
	rig_close();
}

int main(void)
{
	RUN(test_a_call_is_answered);
	RUN(test_the_service_describes_itself);
	RUN(test_wrong_calls_get_the_standard_errors);
	RUN(test_pipelined_calls_are_answered_in_order);
	RUN(test_more_gives_several_replies_only_to_its_caller);
	RUN(test_a_caller_that_leaves_is_noticed);
	RUN(test_a_reply_to_a_departed_client_goes_nowhere);
	RUN(test_a_client_that_stops_sending_still_gets_replies);
	RUN(test_events_are_numbered_and_gaps_are_reported);
	RUN(test_the_socket_file_is_accessible_to_its_owner_alone);
	RUN(test_a_path_too_long_is_refused);
	RUN(test_a_method_without_a_handler_is_not_found);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run once for each call: real ones, written by the test in sh. */
#include "unit/provider/provider_rig.h"

#include <sys/wait.h>

#include "codec/text/zbase32.h"
#include "provider/waiting.h"

struct box {
	struct prig rig;
	char program[SCRATCH_CAP + 16];
};

static const struct provider_spec box_spec = {
	.name = "box",
	.version = "1.0.0",
	.kind = PROVIDER_EXEC,
	.is_unconfined =
		true, /* what it writes is read here, and its pids are those that are seen here */
};

static void box_init_with(struct box *box, const char *script, struct provider_spec spec)
{
	char text[2048];

	prig_init(&box->rig);
	scratch_path(box->program, sizeof(box->program), box->rig.dir, "program");
	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	scratch_write(box->program, text, strlen(text));
	weft_assert(chmod(box->program, 0700) == 0);
	spec.target = box->program;
	weft_assert(prig_publish(&box->rig, &spec) == 0);
	weft_assert(prig_view(&box->rig).state == PROVIDER_READY);
}

static void box_init(struct box *box, const char *script)
{
	box_init_with(box, script, box_spec);
}

static unsigned process_cnt(const struct box *box)
{
	struct provider_stats stats;

	provider_stats(box->rig.provider, &stats);
	return stats.process_cnt;
}

static void box_fini(struct box *box, struct prig_call *call)
{
	free(call->payload);
	prig_fini(&box->rig);
}

static void test_the_payload_goes_in_and_the_reply_comes_out(void)
{
	static char payload[300000];
	struct prig_call call = {.cnt = 0};
	struct provider_stats stats;
	struct box box;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)(i * 7 % 251);
	box_init(&box, "exec cat");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", payload, sizeof(payload)), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_EQ(call.len, sizeof(payload));
	CHECK_MEM(call.payload, payload, sizeof(payload));
	CHECK_SOON(&box.rig, process_cnt(&box) == 0);
	provider_stats(box.rig.provider, &stats);
	CHECK_EQ(stats.memory_used_len, 0);
	box_fini(&box, &call);
}

static void test_a_program_that_reads_nothing_may_reply(void)
{
	static char payload[500000];
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "echo hello");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", payload, sizeof(payload)), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_STR(call.payload, "hello\n");
	box_fini(&box, &call);
}

static void test_exit_codes_are_statuses(void)
{
	static const struct {
		const char *script;
		enum service_status want;
		unsigned failed_cnt;
	} rows[] = {
		{"echo x; exit 0", SERVICE_OK, 0},
		{"echo x; exit 1", SERVICE_UNKNOWN_ERROR, 1},
		{"exit 64", SERVICE_METHOD_NOT_FOUND, 0},
		{"exit 65", SERVICE_INVALID_PAYLOAD, 0},
		{"exit 66", SERVICE_NOT_FOUND, 0},
		{"exit 69", SERVICE_UNAVAILABLE, 0},
		{"exit 75", SERVICE_RATE_LIMITED, 0},
		{"exit 77", SERVICE_FORBIDDEN, 0},
		{"exit 127", SERVICE_UNKNOWN_ERROR, 1},
		{"kill -SEGV $$", SERVICE_UNKNOWN_ERROR, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prig_call call = {.cnt = 0};
		struct box box;

		box_init(&box, rows[i].script);
		CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", "x", 1), 0);
		CHECK_SOON(&box.rig, call.cnt == 1);
		CHECK_EQ(call.status, rows[i].want);
		CHECK_EQ(call.len, rows[i].want == SERVICE_OK ? 2 : 0);
		CHECK_EQ(box.rig.event_cnts[PROVIDER_EVENT_FAILED], rows[i].failed_cnt);
		box_fini(&box, &call);
	}
}

static void test_the_environment_has_the_call_and_nothing_else(void)
{
	struct prig_call call = {.cnt = 0};
	char want[128], key[80];
	struct box box;

	weft_assert(setenv("SECRET_OF_THE_DAEMON", "1", 1) == 0);
	box_init(&box, "pwd; exec env");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do.It-2", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_MEM(call.payload, "/\n", 2);
	CHECK(strstr(call.payload, "\nWEFT_SERVICE=box\n"));
	CHECK(strstr(call.payload, "\nWEFT_METHOD=Do.It-2\n"));
	CHECK(strstr(call.payload, "\nWEFT_CORRELATION="));
	CHECK(strstr(call.payload, "\nWEFT_MS_LEFT=29") ||
	      strstr(call.payload, "\nWEFT_MS_LEFT=30"));
	snprintf(want, sizeof(want), "\nWEFT_CALLER=%s\n",
		 zbase32_write(node_key_public(box.rig.key), MESH_KEY_LEN, key));
	CHECK(strstr(call.payload, want));
	CHECK(!strstr(call.payload, "SECRET"));
	CHECK(!strstr(call.payload, "HOME"));
	CHECK(!strstr(call.payload, "TRACEPARENT"));
	box_fini(&box, &call);
}

static void test_the_environment_has_the_trace_of_a_call_that_has_one(void)
{
	static const char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	struct service_target target = {.name = "box", .method = "Do"};
	struct prig_call call = {.cnt = 0};
	struct service_trace parsed;
	struct box box;

	weft_assert(service_trace_parse(trace, &parsed));
	target.trace = &parsed;
	box_init(&box, "echo \"=$TRACEPARENT\"");
	CHECK_EQ(service_call_start(box.rig.service,
				    &(struct service_request){
					    .target = target, .done = call_done, .arg = &call},
				    prig_now(&box.rig), &call.ask),
		 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.payload[0], '=');
	CHECK_MEM(call.payload + 1, trace, sizeof(trace) - 1);
	box_fini(&box, &call);
}

static void test_arguments_are_given(void)
{
	static const char *const args[] = {"a b", "", "$c"};
	struct provider_spec spec = box_spec;
	struct prig_call call = {.cnt = 0};
	struct box box;

	spec.args = args;
	spec.args_cnt = 3;
	box_init_with(&box, "echo \"$#:$1:$2:$3\"", spec);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_STR(call.payload, "3:a b::$c\n");
	box_fini(&box, &call);
}

static void test_no_descriptor_of_the_daemon_is_inherited(void)
{
	struct prig_call call = {.cnt = 0};
	int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	struct box box;

	CHECK(leak > 2);
	/* Its last is the folder that it reads. */
	box_init(&box, "exec ls /proc/self/fd");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_STR(call.payload, "0\n1\n2\n3\n");
	close(leak);
	box_fini(&box, &call);
}

static void test_signals_and_limits_are_a_new_programs(void)
{
	struct provider_spec spec = box_spec;
	struct prig_call call = {.cnt = 0};
	struct box box;

	spec.memory_len_max = 64 * 1024 * 1024;
	spec.timeout_ns = 120 * NS_PER_S;
	box_init_with(&box,
		      "ulimit -v; ulimit -t; ulimit -c\n"
		      "exec grep -E 'Sig(Blk|Ign)' /proc/self/status",
		      spec);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_MEM(call.payload, "65536\n121\n0\n", 12);
	CHECK(strstr(call.payload, "SigBlk:\t0000000000000000\n"));
	/* 32 and 33 are the C library's own, which says no more of them. */
	CHECK(strstr(call.payload, "SigIgn:\t"));
	CHECK_EQ(strtoull(strstr(call.payload, "SigIgn:\t") + 8, NULL, 16) & 0x7fffffff, 0);
	box_fini(&box, &call);
}

static void test_the_reply_has_a_limit(void)
{
	struct provider_spec spec = box_spec;

	spec.payload_len_max = 100000;
	for (unsigned more = 0; more < 2; more++) {
		struct prig_call call = {.cnt = 0};
		char script[64];
		struct box box;

		snprintf(script, sizeof(script), "head -c %u /dev/zero", 100000 + more);
		box_init_with(&box, script, spec);
		CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
		CHECK_SOON(&box.rig, call.cnt == 1);
		CHECK_EQ(call.status, more ? SERVICE_PAYLOAD_TOO_LARGE : SERVICE_OK);
		CHECK_EQ(call.len, more ? 0 : 100000);
		CHECK_EQ(box.rig.event_cnts[PROVIDER_EVENT_FAILED], more);
		CHECK_SOON(&box.rig, process_cnt(&box) == 0);
		box_fini(&box, &call);
	}
}

static bool is_alive(pid_t pid)
{
	return pid > 0 && kill(pid, 0) == 0;
}

/* The pid that a program wrote into a file of its own. */
static pid_t pid_in(const struct box *box, const char *name)
{
	char path[SCRATCH_CAP + 16], text[32] = "";
	FILE *file = fopen(scratch_path(path, sizeof(path), box->rig.dir, name), "r");

	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file) || !strchr(text, '\n'))
		text[0] = '\0';
	fclose(file);
	return (pid_t)atoi(text);
}

static void sleeper_init(struct box *box, struct provider_spec spec)
{
	char script[1024];

	/* It leaves a child in its group, and neither ends by SIGTERM. */
	snprintf(script, sizeof(script),
		 "d=$(dirname $0); trap '' TERM\n"
		 "(trap '' TERM; exec sleep 1000) & echo $! > $d/child\n"
		 "echo $$ > $d/leader; echo part; wait");
	box_init_with(box, script, spec);
}

static void test_a_process_is_killed_at_the_deadline_with_what_it_started(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;
	pid_t leader, child;

	sleeper_init(&box, box_spec);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, pid_in(&box, "leader") > 0 && pid_in(&box, "child") > 0);
	leader = pid_in(&box, "leader");
	child = pid_in(&box, "child");
	CHECK(is_alive(leader) && is_alive(child));
	prig_pass(&box.rig, 31 * NS_PER_S);
	CHECK_EQ(call.cnt, 1);
	CHECK_EQ(call.status, SERVICE_TIMEOUT);
	CHECK_EQ(call.len, 0);
	CHECK_SOON(&box.rig, process_cnt(&box) == 0);
	CHECK(!is_alive(leader));
	CHECK_SOON(&box.rig, !is_alive(child) || waitpid(child, NULL, WNOHANG) == child);
	box_fini(&box, &call);
}

static void test_a_caller_that_leaves_and_a_withdrawal_kill_the_process(void)
{
	for (unsigned is_withdrawal = 0; is_withdrawal < 2; is_withdrawal++) {
		struct prig_call call = {.cnt = 0};
		struct box box;
		pid_t leader;

		sleeper_init(&box, box_spec);
		CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
		CHECK_SOON(&box.rig, pid_in(&box, "leader") > 0);
		leader = pid_in(&box, "leader");
		if (is_withdrawal)
			CHECK_EQ(provider_withdraw(box.rig.provider, "box", PROVIDER_MAJOR_ANY,
						   &(struct provider_waiter){prig_done, &box.rig},
						   prig_now(&box.rig)),
				 0);
		else
			service_call_cancel(call.ask);
		CHECK_SOON(&box.rig, process_cnt(&box) == 0);
		CHECK(!is_alive(leader));
		CHECK_EQ(call.cnt, is_withdrawal);
		if (is_withdrawal)
			CHECK_EQ(call.status, SERVICE_UNAVAILABLE);
		box_fini(&box, &call);
	}
}

static void test_no_process_outlives_the_daemon(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;
	pid_t leader;

	sleeper_init(&box, box_spec);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, pid_in(&box, "leader") > 0);
	leader = pid_in(&box, "leader");
	box_fini(&box, &call);
	CHECK(!is_alive(leader));
}

static void test_what_a_program_leaves_behind_does_not_hold_its_reply(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "sleep 1000 & echo reply");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_STR(call.payload, "reply\n");
	CHECK_EQ(process_cnt(&box), 0);
	box_fini(&box, &call);
}

static unsigned answered_cnt(const struct prig_call *calls, unsigned cnt)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < cnt; i++)
		answered += calls[i].cnt;
	return answered;
}

static int first_status(const struct prig_call *calls, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		if (calls[i].cnt)
			return (int)calls[i].status;
	return -1;
}

static void test_calls_wait_for_a_process_and_one_too_many_is_refused(void)
{
	enum { RUNNING = 2, ALL = RUNNING + WAITING_CAP + 1 };
	static struct prig_call calls[ALL];
	struct provider_spec spec = box_spec;
	struct provider_stats stats;
	struct box box;

	spec.concurrency_max = RUNNING;
	sleeper_init(&box, spec);
	for (unsigned i = 0; i < ALL; i++)
		CHECK_EQ(prig_call(&box.rig, &calls[i], "box", "Do", "x", 1), 0);
	/* They arrive in any order, so any of them is the one too many. */
	CHECK_SOON(&box.rig, answered_cnt(calls, ALL) == 1);
	CHECK_EQ(first_status(calls, ALL), SERVICE_UNAVAILABLE);
	CHECK_EQ(process_cnt(&box), RUNNING);
	provider_stats(box.rig.provider, &stats);
	CHECK_EQ(stats.waiting_cnt, WAITING_CAP);
	box_fini(&box, &calls[0]);
	for (unsigned i = 1; i < ALL; i++)
		free(calls[i].payload);
}

static void test_standard_error_is_logged_in_lines_and_not_too_many(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "printf 'one\\n\\n\\033two\\n' >&2");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_OK);
	CHECK_EQ(call.len, 0);
	CHECK_EQ(box.rig.event_cnts[PROVIDER_EVENT_STDERR], 2);
	CHECK_STR(box.rig.event_text, "?two");
	box_fini(&box, &call);
	call = (struct prig_call){.cnt = 0};
	box_init(&box, "i=0; while [ $i -lt 100 ]; do echo $i >&2; i=$((i+1)); done");
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK(box.rig.event_cnts[PROVIDER_EVENT_STDERR] >= PROVIDER_STDERR_PER_S);
	CHECK(box.rig.event_cnts[PROVIDER_EVENT_STDERR] <= 3 * PROVIDER_STDERR_PER_S);
	box_fini(&box, &call);
}

static void test_methods_that_mean_something_to_a_shell_do_not_reach_it(void)
{
	static const char *const methods[] = {"() { :;}; id", "a b", "$(id)", "a;b"};
	struct box box;
	struct prig_call call = {.cnt = 0};

	box_init(&box, "echo run");
	for (unsigned i = 0; i < 4; i++) {
		call.cnt = 0;
		/* Some are refused before they get here. */
		if (prig_call(&box.rig, &call, "box", methods[i], NULL, 0) < 0)
			continue;
		CHECK_SOON(&box.rig, call.cnt == 1);
		CHECK_EQ(call.status, SERVICE_METHOD_NOT_FOUND);
	}
	CHECK_EQ(process_cnt(&box), 0);
	box_fini(&box, &call);
}

static void test_streams_are_refused(void)
{
	struct prig_stream stream = {.body = NULL};
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "exec cat");
	CHECK_EQ(prig_open(&box.rig, &stream, "box", SERVICE_HTTP_METHOD, "", 0), 0);
	prig_run(&box.rig);
	CHECK_EQ(stream.status, SERVICE_METHOD_NOT_FOUND);
	box_fini(&box, &call);
}

static void test_a_program_that_cannot_be_run_withdraws_its_service(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "exec cat");
	CHECK_EQ(chmod(box.program, 0600), 0);
	/* Root may run what any user may: the bits decide for it too. */
	prig_pass(&box.rig, 5 * NS_PER_S);
	CHECK_SOON(&box.rig, prig_view(&box.rig).state == PROVIDER_DOWN);
	CHECK_STR(prig_view(&box.rig).why, "its user may not run it");
	CHECK_EQ(unlink(box.program), 0);
	prig_pass(&box.rig, NS_PER_S);
	CHECK_SOON(&box.rig, strcmp(prig_view(&box.rig).why,
				    "there is no such file, or not for its user") == 0);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", NULL, 0), 0);
	prig_run(&box.rig);
	CHECK_EQ(call.status, SERVICE_UNAVAILABLE);
	scratch_write(box.program, "#!/bin/sh\necho back\n", 20);
	CHECK_EQ(chmod(box.program, 0700), 0);
	prig_pass(&box.rig, NS_PER_S);
	CHECK_SOON(&box.rig, prig_view(&box.rig).state == PROVIDER_READY);
	box_fini(&box, &call);
}

static void test_a_file_that_execve_refuses_is_reported(void)
{
	struct prig_call call = {.cnt = 0};
	struct box box;

	box_init(&box, "exec cat");
	scratch_write(box.program, "#!/no/such/interpreter\n", 23);
	CHECK_EQ(prig_call(&box.rig, &call, "box", "Do", "x", 1), 0);
	CHECK_SOON(&box.rig, call.cnt == 1);
	CHECK_EQ(call.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(box.rig.event_cnts[PROVIDER_EVENT_FAILED], 1);
	CHECK_EQ(process_cnt(&box), 0);
	box_fini(&box, &call);
}

int main(void)
{
	RUN(test_the_payload_goes_in_and_the_reply_comes_out);
	RUN(test_a_program_that_reads_nothing_may_reply);
	RUN(test_exit_codes_are_statuses);
	RUN(test_the_environment_has_the_call_and_nothing_else);
	RUN(test_the_environment_has_the_trace_of_a_call_that_has_one);
	RUN(test_arguments_are_given);
	RUN(test_no_descriptor_of_the_daemon_is_inherited);
	RUN(test_signals_and_limits_are_a_new_programs);
	RUN(test_the_reply_has_a_limit);
	RUN(test_a_process_is_killed_at_the_deadline_with_what_it_started);
	RUN(test_a_caller_that_leaves_and_a_withdrawal_kill_the_process);
	RUN(test_no_process_outlives_the_daemon);
	RUN(test_what_a_program_leaves_behind_does_not_hold_its_reply);
	RUN(test_calls_wait_for_a_process_and_one_too_many_is_refused);
	RUN(test_standard_error_is_logged_in_lines_and_not_too_many);
	RUN(test_methods_that_mean_something_to_a_shell_do_not_reach_it);
	RUN(test_streams_are_refused);
	RUN(test_a_program_that_cannot_be_run_withdraws_its_service);
	RUN(test_a_file_that_execve_refuses_is_reported);
	return check_done();
}

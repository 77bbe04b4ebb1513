/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that only look, asked while memory is short: each n-th allocation fails, alone or for long. */
#include <sys/stat.h>

#include "varlink/node.h"
#include "blobs/link.h"
#include "codec/json_heap.h"
#include "node/node_state.h"
#include "support/check.h"
#include "support/fail_alloc.h"
#include "support/method_rig.h"

/* In the second mode memory is short for so many allocations, in the third for all. */
static const unsigned fail_cnts[] = {1, 40, 1u << 30};

static struct method_rig rig;

/* A node with a share and a get, so that lists have rows. */
static void begin(void)
{
	static const uint8_t bytes[3000] = {1};
	struct link link;
	struct sim_node *node;

	method_rig_init(&rig, 36);
	method_rig_add(&rig);
	node = method_rig_add(&rig);
	method_rig_start(&rig);
	(void)mkdir(sim_path(&rig.sim, "in"), 0755);
	scratch_write(sim_path(&rig.sim, "in/file"), bytes, sizeof(bytes));
	sim_share(rig.node, sim_path(&rig.sim, "in"), &link);
	(void)mkdir(sim_path(&rig.sim, "other"), 0755);
	scratch_write(sim_path(&rig.sim, "other/file"), bytes, sizeof(bytes) - 1);
	sim_share(node, sim_path(&rig.sim, "other"), &link);
	(void)sim_get_start(rig.node, &link, sim_path(&rig.sim, "out"));
	(void)sim_run(&rig.sim, 60 * NS_PER_S, NULL, NULL);
}

static struct {
	bool is_answered;
	char error[64];
	json_t *answer;
} heard;

static void hear(void *arg, const char *error, const json_t *parameters)
{
	const char *last = error ? strrchr(error, '.') + 1 : "";

	(void)arg;
	heard.is_answered = true;
	snprintf(heard.error, sizeof(heard.error), "%s", last);
	heard.answer = json_incref((json_t *)parameters);
}

static bool needs_nothing(const struct varlink_type *type)
{
	for (size_t i = 0; i < type->cnt; i++)
		if (!type->fields[i].is_optional)
			return false;
	return true;
}

/* ask_scarce takes parameters. False when no allocation was the n-th. */
static bool ask_scarce(const char *method, json_t *parameters, unsigned n, unsigned fail_cnt)
{
	struct control_ask ask = {
		.role = rig.role, .method = method, .parameters = parameters, .answered = hear};
	struct control_call *call = NULL;
	bool has_failed;
	int err;

	heard.is_answered = false;
	fail_alloc_arm(n, fail_cnt);
	err = control_ask(rig.node->node->api->control, &ask, rig.sim.now_ns, &call);
	has_failed = fail_alloc_disarm();
	if (err == 0 && call)
		control_ask_leave(call);
	json_decref(ask.parameters);
	(void)json_heap_swap_lost(false);
	return has_failed;
}

/* An answer that comes at once is whole, or says that it is not. */
static void method_step(const struct varlink_method *method)
{
	char field[VARLINK_FIELD_CAP] = "";

	for (size_t mode = 0; mode < sizeof(fail_cnts) / sizeof(fail_cnts[0]); mode++) {
		bool has_failed = true;

		/* Each of the first hundred; of the rows of a long list, some. */
		for (unsigned n = 1; has_failed; n += 1 + n / 100 * (n / 20)) {
			bool is_whole;

			has_failed = ask_scarce(method->name, json_object(), n, fail_cnts[mode]);
			if (!heard.is_answered)
				continue;
			is_whole = heard.error[0]
					   ? strcmp(heard.error, "Failed") == 0 || !has_failed
					   : varlink_check(method->out, heard.answer, field);
			json_decref(heard.answer);
			if (!is_whole)
				printf("# %s, allocation %u, %u fail: %s %s\n", method->name, n,
				       fail_cnts[mode], heard.error, field);
			CHECK(is_whole);
		}
	}
}

static void methods_step(enum control_role role)
{
	unsigned cnt = 0;

	begin();
	rig.role = role;
	for (size_t i = 0; i < API_NODE_METHOD_CNT && !check_failed; i++) {
		if (api_node_methods[i].role != VARLINK_VIEW ||
		    !needs_nothing(api_node_methods[i].in))
			continue;
		method_step(&api_node_methods[i]);
		cnt++;
	}
	/* What was begun ends: a collection of garbage tells no caller when its node closes. */
	(void)sim_run(&rig.sim, 60 * NS_PER_S, NULL, NULL);
	method_rig_fini(&rig);
	CHECK(cnt > 20);
}

static void test_an_admin_gets_a_whole_answer_or_none(void)
{
	methods_step(CONTROL_ADMIN);
}

static void test_a_viewer_gets_a_whole_answer_or_none(void)
{
	methods_step(CONTROL_VIEW);
}

/* Whatever its answer is, also later: the daemon goes on. */
static void test_a_call_about_one_thing_ends_no_daemon(void)
{
	static const struct {
		const char *method, *parameters;
	} rows[] = {
		{"WatchGet", "{\"get_id\":1}"},
		{"ListGetSources", "{\"get_id\":1}"},
		{"SetGet", "{\"get_id\":1,\"priority\":3}"},
		{"SetGet", "{\"get_id\":1,\"exclude\":[\"a\",\"b\"]}"},
		{"SetSeeding", "{\"get_id\":1,\"seeded\":true}"},
		{"PauseGet", "{\"get_id\":1}"},
		{"ResumeGet", "{\"get_id\":1}"},
		{"CancelGet", "{\"get_id\":1}"},
		{"Search", "{\"query\":\"file\"}"},
		{"ShowPolicy", "{}"},
		{"ShowShare", "{\"share\":\"in\"}"},
		{"RemoveShare", "{\"share\":\"none\"}"},
		{"FindService", "{\"name\":\"echo\"}"},
		{"CallService", "{\"name\":\"echo\",\"method\":\"Say\",\"json\":{}}"},
		{"AddShare", "{\"path\":\"/none\"}"},
		{"Get", "{\"link\":\"mesh:none\",\"target\":\"/none\"}"},
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t mode = 0; mode < sizeof(fail_cnts) / sizeof(fail_cnts[0]); mode++) {
			bool has_failed = true;

			for (unsigned n = 1; has_failed; n++) {
				has_failed = ask_scarce(rows[i].method,
							json_loads(rows[i].parameters, 0, NULL), n,
							fail_cnts[mode]);
				if (heard.is_answered)
					json_decref(heard.answer);
				heard.is_answered = false;
				sim_wake(rig.node);
				(void)sim_run(&rig.sim, NS_PER_MS, NULL, NULL);
			}
		}
	CHECK_STR(method_ask(&rig, "ListGets", NULL), "");
	CHECK_EQ(method_cnt(&rig, "gets"), 1);
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_an_admin_gets_a_whole_answer_or_none);
	RUN(test_a_viewer_gets_a_whole_answer_or_none);
	RUN(test_a_call_about_one_thing_ends_no_daemon);
	return check_done();
}

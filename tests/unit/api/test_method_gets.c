/* SPDX-License-Identifier: Apache-2.0 */
/* Get and what is asked about gets, of a share of a second node. */
#include <sys/stat.h>

#include "blobs/link.h"
#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;
static struct link link_of_other;
static char parameters[LINK_TEXT_CAP + 1024];

static void begin(void)
{
	static const uint8_t bytes[300000] = {1};
	struct sim_node *node;

	method_rig_init(&rig, 35);
	method_rig_add(&rig);
	node = method_rig_add(&rig);
	method_rig_start(&rig);
	(void)mkdir(sim_path(&rig.sim, "in"), 0755);
	scratch_write(sim_path(&rig.sim, "in/small"), bytes, 1000);
	scratch_write(sim_path(&rig.sim, "in/big"), bytes, sizeof(bytes));
	sim_share(node, sim_path(&rig.sim, "in"), &link_of_other);
}

static const char *get(const char *target, const char *more)
{
	char text[LINK_TEXT_CAP];

	snprintf(parameters, sizeof(parameters), "{'link':'%s','target':'%s'%s}",
		 blobs_link_write(&link_of_other, text), sim_path(&rig.sim, target), more);
	return method_ask(&rig, "Get", parameters);
}

static const char *ask_of(const char *method, long long id, const char *more)
{
	snprintf(parameters, sizeof(parameters), "{'get_id':%lld%s}", id, more);
	return method_ask(&rig, method, parameters);
}

static void settle(void)
{
	(void)sim_run(&rig.sim, 60 * NS_PER_S, NULL, NULL);
}

static void test_a_get_is_shown_to_its_end(void)
{
	long long id;

	begin();
	CHECK_STR(get("out", ""), "");
	id = method_number(&rig, "get.get_id");
	CHECK(id > 0);
	settle();
	CHECK_STR(method_ask(&rig, "ListGets", NULL), "");
	CHECK_EQ(method_cnt(&rig, "gets"), 1);
	CHECK_EQ(method_number(&rig, "gets.0.get_id"), id);
	CHECK_STR(method_text(&rig, "gets.0.state"), "finished");
	CHECK_EQ(method_number(&rig, "gets.0.bytes"), 301000);
	CHECK(sim_tree_equal(sim_path(&rig.sim, "in"), sim_path(&rig.sim, "out")));
	CHECK_STR(ask_of("WatchGet", id, ""), "");
	CHECK_STR(method_text(&rig, "get.state"), "finished");
	method_rig_fini(&rig);
}

static void test_a_get_is_paused_resumed_and_cancelled(void)
{
	long long id;

	begin();
	sim_crash(&rig.sim.nodes[1]); /* nothing comes, so it goes on */
	(void)get("out", "");
	CHECK_STR(method_ask(&rig, "ListGets", NULL), "");
	CHECK_EQ(method_cnt(&rig, "gets"), 1);
	id = method_number(&rig, "gets.0.get_id");
	CHECK_STR(ask_of("SetGet", id, ",'priority':2"), "");
	CHECK_EQ(method_number(&rig, "get.priority"), 2);
	CHECK_STR(ask_of("ListGetSources", id, ""), "");
	CHECK_STR(ask_of("PauseGet", id, ""), "");
	settle();
	CHECK_STR(method_ask(&rig, "ListGets", NULL), "");
	CHECK_STR(method_text(&rig, "gets.0.state"), "paused");
	CHECK_EQ(method_number(&rig, "gets.0.priority"), 2);
	CHECK_EQ(method_number(&rig, "gets.0.bytes_done"), 0);
	/* It answers when that is stored, as Get; at its end, of a peer that is away, it is a timeout. */
	CHECK_STR(ask_of("ResumeGet", id, ""), "");
	CHECK(strcmp(method_text(&rig, "get.state"), "paused") != 0);
	settle();
	CHECK_STR(ask_of("WatchGet", id, ""), "Timeout");
	CHECK_STR(ask_of("CancelGet", id, ""), "");
	settle();
	CHECK_STR(ask_of("PauseGet", id + 1, ""), "NotFound");
	method_rig_fini(&rig);
}

static void test_a_priority_is_0_to_4(void)
{
	static const char *const rows[] = {"-1", "5", "1000"};
	char more[32];

	begin();
	for (unsigned i = 0; i < 3; i++) {
		snprintf(more, sizeof(more), ",'priority':%s", rows[i]);
		CHECK_STR(get("out", more), "Invalid");
		CHECK_STR(method_text(&rig, "why"), "a priority is 0 to 4");
	}
	CHECK_STR(method_ask(&rig, "ListGets", NULL), "");
	CHECK_EQ(method_cnt(&rig, "gets"), 0);
	CHECK_STR(get("out", ",'priority':0"), "");
	CHECK_EQ(method_number(&rig, "get.priority"), 0);
	CHECK(method_number(&rig, "get.elapsed_ms") < 1000);
	CHECK_STR(get("other", ",'priority':4"), "");
	CHECK_EQ(method_number(&rig, "get.priority"), 4);
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_get_is_shown_to_its_end);
	RUN(test_a_get_is_paused_resumed_and_cancelled);
	RUN(test_a_priority_is_0_to_4);
	return check_done();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft check: how a node is found, step by step. */
#include <stdio.h>
#include <string.h>

#include "command/daemon_client.h"
#include "command/command_show.h"
#include "print/text.h"

/* Room for a column of what the daemon's providers are called. */
#define STEP_WIDTH 10

struct checking {
	struct invocation *inv;
	json_t *verdict;
};

static void print_addresses(const json_t *addresses)
{
	char text[96];
	const json_t *address;
	size_t i;

	json_array_foreach((json_t *)addresses, i, address) printf(
		"%s%s", i ? ", " : " ", text_clean(json_string_value(address), text, sizeof(text)));
}

static void print_step(const struct invocation *inv, const json_t *step)
{
	char name[64], outcome[128], time[TEXT_SHORT_CAP];
	const json_t *record_s = json_object_get(step, "record_s");

	text_clean(field_text(step, "step"), name, sizeof(name));
	text_clean(field_text(step, "outcome"), outcome, sizeof(outcome));
	if (inv->has_terminal_out)
		printf("%-*s  %8s  %s", STEP_WIDTH, name,
		       text_rtt(field_uint(step, "took_us"), time), outcome);
	else
		printf("%s\t%ju\t%s\t", name, (uintmax_t)field_uint(step, "took_us"), outcome);
	print_addresses(json_object_get(step, "addresses"));
	if (record_s && inv->has_terminal_out)
		printf(" (record of %s)", text_time((uint64_t)json_integer_value(record_s), time));
	else if (record_s)
		printf("\t%ju", (uintmax_t)json_integer_value(record_s));
	printf("\n");
	fflush(stdout);
}

static bool check_reply(void *arg, json_t *reply, bool is_last)
{
	struct checking *checking = arg;
	const json_t *step = json_object_get(reply, "step");
	json_t *verdict = json_object_get(reply, "verdict");

	if (checking->inv->is_json)
		text_print_json(reply);
	else if (json_is_object(step))
		print_step(checking->inv, step);
	if (is_last && json_is_object(verdict))
		checking->verdict = json_incref(verdict);
	return true;
}

int run_check(struct invocation *inv)
{
	struct checking checking = {.inv = inv};
	struct client_call call = {
		.method = "CheckPeer", .wants_more = true, .reply = check_reply, .arg = &checking};
	char what[96];
	int status;

	call.parameters = json_pack("{s:s}", "node_id", inv->args[0]);
	if (inv->timeout_ms)
		json_object_set_new(call.parameters, "timeout_ms",
				    json_integer((json_int_t)inv->timeout_ms));
	status = client_call(inv, &call);
	if (status != STATUS_OK || !checking.verdict)
		return status;
	if (!json_is_true(json_object_get(checking.verdict, "reachable"))) {
		snprintf(what, sizeof(what), "%.12s: %s", field_text(checking.verdict, "node_id"),
			 field_text(checking.verdict, "failed_step"));
		status = inv->is_json ? STATUS_FAILED
				      : client_say_error(STATUS_FAILED, what,
							 field_text(checking.verdict, "why"),
							 field_text(checking.verdict, "next"));
	} else if (!inv->is_json && inv->has_terminal_out) {
		printf("%s is found and answers.\n", field_text(checking.verdict, "node_id"));
	}
	json_decref(checking.verdict);
	return status;
}

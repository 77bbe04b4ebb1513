/* SPDX-License-Identifier: Apache-2.0 */
/* weft check: how a node is found, step by step. */
#include <inttypes.h>
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/text.h"

/* Room for a column of what the daemon's providers are called. */
#define STEP_WIDTH 10

static void print_step(const struct invocation *inv, const struct api_check_step *step)
{
	char name[64], outcome[128], time[TEXT_SHORT_CAP], address[96];

	text_clean(step->step, name, sizeof(name));
	text_clean(step->outcome, outcome, sizeof(outcome));
	if (inv->has_terminal_out)
		printf("%-*s  %8s  %s", STEP_WIDTH, name, text_rtt((uint64_t)step->took_us, time),
		       outcome);
	else
		printf("%s\t%" PRId64 "\t%s\t", name, step->took_us, outcome);
	for (size_t i = 0; i < step->addresses.cnt; i++)
		printf("%s%s", i ? ", " : " ",
		       text_clean(step->addresses.rows[i], address, sizeof(address)));
	if (step->has_record_s && inv->has_terminal_out)
		printf(" (record of %s)", text_time((uint64_t)step->record_s, time));
	else if (step->has_record_s)
		printf("\t%" PRId64, step->record_s);
	printf("\n");
	fflush(stdout);
}

static bool check_reply(void *arg, const struct client_reply *reply)
{
	const struct api_check_peer_out *out = reply->out;
	const struct invocation *inv = arg;

	if (inv->is_json)
		text_print_json(reply->json);
	else if (out->step)
		print_step(inv, out->step);
	return true;
}

int run_check(struct invocation *inv)
{
	const struct api_check_peer_in in = {.node_id = inv->args[0],
					     .has_timeout_ms = inv->timeout_ms != 0,
					     .timeout_ms = (int64_t)inv->timeout_ms};
	struct client_call call = {.request = api_check_peer_request(&in),
				   .wants_more = true,
				   .reply = check_reply,
				   .arg = inv};
	const struct api_check_verdict *verdict;
	char what[96];
	int status = client_call(inv, &call);

	if (status != STATUS_OK || !call.last.is_last)
		return status;
	verdict = ((const struct api_check_peer_out *)call.last.out)->verdict;
	if (!verdict)
		return STATUS_OK;
	if (verdict->reachable) {
		if (!inv->is_json && inv->has_terminal_out)
			printf("%s is found and answers.\n", verdict->node_id);
		return STATUS_OK;
	}
	if (inv->is_json)
		return STATUS_FAILED;
	snprintf(what, sizeof(what), "%.12s: %s", verdict->node_id,
		 verdict->failed_step ? verdict->failed_step : "");
	return client_say_error(STATUS_FAILED, what, verdict->why ? verdict->why : "",
				verdict->next);
}

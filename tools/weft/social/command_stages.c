/* SPDX-License-Identifier: Apache-2.0 */
/* weft social reach: a line for each stage, as it ends. */
#include "command/command.h"
#include "command/daemon_client.h"
#include "print/text.h"

struct reaching {
	const struct invocation *inv;
	bool is_reached;
};

static void stage_print(const struct api_reach_stage *stage)
{
	char word[64], result[256];

	printf("%-15s %6lld ms  %s", text_clean(stage->stage, word, sizeof(word)),
	       (long long)stage->took_ms, text_clean(stage->result, result, sizeof(result)));
	if (stage->asked)
		printf(" (%lld asked, %lld know)", (long long)stage->asked,
		       (long long)stage->answered);
	printf("\n");
	fflush(stdout);
}

static bool reach_reply(void *arg, const struct client_reply *reply)
{
	struct reaching *reaching = arg;
	const struct api_reach_person_out *out = reply->out;

	if (reaching->inv->is_json)
		text_print_json(reply->json);
	else if (out->stage)
		stage_print(out->stage);
	if (!out->has_reached)
		return true;
	reaching->is_reached = out->reached;
	/* The stage that found it has no reply of its own. */
	if (!reaching->inv->is_json && out->reached && out->stages.cnt)
		stage_print(&out->stages.rows[out->stages.cnt - 1]);
	return true;
}

int run_social_reach(struct invocation *inv)
{
	const struct api_reach_person_in in = {.person = inv->args[0]};
	struct reaching reaching = {.inv = inv};
	struct client_call call = {.request = api_reach_person_request(&in),
				   .wants_more = true,
				   .reply = reach_reply,
				   .arg = &reaching};
	int status = client_call(inv, &call);

	if (status == STATUS_OK && !reaching.is_reached && !inv->is_json)
		fprintf(stderr,
			"weft: no stage reached the node of %s; "
			"it is tried again by itself if you follow that person\n",
			inv->args[0]);
	return status == STATUS_OK && !reaching.is_reached ? STATUS_NOT_FOUND : status;
}

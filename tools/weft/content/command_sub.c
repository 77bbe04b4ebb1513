/* SPDX-License-Identifier: Apache-2.0 */
/* weft sub: add, show, set, sync. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/output_table.h"

/* It is followed whatever came of the first sync; that there is nothing yet is said with why. */
static void first_revision_tell(const struct api_follow *follow)
{
	if (follow->revision == 0)
		fprintf(stderr,
			"weft: it is followed, but no revision of it is here (%s)%s%s\n"
			"  it is asked for again by itself; weft sub sync asks now\n",
			api_follow_state_type.words[follow->state], follow->detail[0] ? ": " : "",
			follow->detail);
	else if (follow->detail[0])
		fprintf(stderr, "weft: %s\n", follow->detail);
}

int fill_sub_add(const struct invocation *inv, void *parameters)
{
	struct api_add_follow_in *in = parameters;

	API_SET(in, wait, !invocation_option(inv, "no-wait"));
	if (in->wait && inv->has_terminal_err)
		fprintf(stderr, "Waiting for its first revision; Ctrl-C leaves it followed.\n");
	client_catch_interrupt();
	return STATUS_OK;
}

int judge_sub_add(const struct invocation *inv, const void *reply)
{
	const struct api_add_follow_out *out = reply;

	if (!invocation_option(inv, "no-wait"))
		first_revision_tell(&out->follow);
	return STATUS_OK;
}

int fill_sub_set(const struct invocation *inv, void *parameters)
{
	struct api_set_follow_in *in = parameters;
	bool is_ended = invocation_option(inv, "no-get") != NULL;
	bool is_keeping = invocation_option(inv, "no-mirror") != NULL;

	if ((in->get && is_ended) || (in->has_mirror && is_keeping))
		return client_say_error(STATUS_USAGE, "sub set", "that is said and taken back",
					"give one of the two");
	if (is_ended)
		in->get = "";
	if (is_keeping)
		API_SET(in, mirror, false);
	return STATUS_OK;
}

void print_sub_show(const struct invocation *inv, const void *reply)
{
	const struct api_follow *follow = &((const struct api_show_follow_out *)reply)->follow;

	fields_print(inv, follow, api_view_follow_show);
	for (size_t i = 0; i < follow->recommended.cnt; i++)
		printf(inv->has_terminal_out ? "recommends  %s\n" : "recommends\t%s\n",
		       follow->recommended.rows[i]);
	show_part(inv, "revision", TABLE_ROWS(follow->revisions), api_view_revision_list);
}

int fill_sub_sync(const struct invocation *inv, void *in)
{
	(void)inv, (void)in;
	client_catch_interrupt();
	return STATUS_OK;
}

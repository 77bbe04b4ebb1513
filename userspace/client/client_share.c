/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing and getting: the two long calls of content, waited for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

struct transfer {
	const struct weft_get_params *get; /* NULL: a share */
	char *link;			   /* of a share */
	struct weft_error error;
	bool is_done;
	struct ask *ask;
};

static void progress_tell(struct transfer *transfer, json_t *parameters, bool is_last)
{
	struct api_blocks blocks = {0};
	const struct api_get_out *out = api_get_out_read(parameters, &blocks);
	bool goes_on = true;

	if (out)
		goes_on = transfer->get->progress(transfer->get->arg,
						  (uint64_t)out->transfer.bytes_done,
						  (uint64_t)out->transfer.bytes);
	api_blocks_free(&blocks);
	if (goes_on || is_last)
		return;
	client_failure_set(&transfer->error, WEFT_ECANCELLED, "get", "the program stopped waiting",
			   "The get goes on in the daemon.");
	transfer->is_done = true;
	client_ask_cancel(transfer->ask);
}

static void link_keep(struct transfer *transfer, json_t *parameters)
{
	struct api_blocks blocks = {0};
	const struct api_add_share_out *out = api_add_share_out_read(parameters, &blocks);

	transfer->link = out && out->link ? strdup(out->link) : NULL;
	if (!transfer->link)
		client_failure_memory(&transfer->error);
	api_blocks_free(&blocks);
}

static void transfer_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct transfer *transfer = arg;
	json_t *parameters = json_object_get(message, "parameters");

	transfer->is_done = is_last;
	if (error)
		transfer->error = *error;
	else if (transfer->get && transfer->get->progress)
		progress_tell(transfer, parameters, is_last);
	else if (!transfer->get && is_last)
		link_keep(transfer, parameters);
}

/* transfer_run calls a method and waits for its last reply. */
static int transfer_run(struct weft_client *client, struct transfer *transfer,
			const struct ask_params *params, struct weft_error *error)
{
	struct ask_params asked = *params;
	int err;

	asked.wants_more = true;
	asked.fn = transfer_reply;
	asked.arg = transfer;
	err = client_ask_start(client, &asked, &transfer->ask, error);
	if (err < 0)
		return err;
	err = client_ask_run(transfer->ask, &transfer->is_done);
	if (err < 0) {
		client_failure_set(&transfer->error, err, "this program", NULL, NULL);
		client_ask_cancel(transfer->ask);
	}
	if (transfer->error.err < 0 && error)
		*error = transfer->error;
	return transfer->error.err;
}

int weft_share(struct weft_client *client, const struct weft_share_params *params, char **out_link,
	       struct weft_error *error)
{
	const struct api_add_share_in in = {.path = params->path, .title = params->title};
	const struct ask_params asked = {.method = API_ADD_SHARE_METHOD,
					 .parameters = api_add_share_in_write(&in),
					 .timeout_ms = params->timeout_ms};
	struct transfer transfer = {.get = NULL};
	int err = transfer_run(client, &transfer, &asked, error);

	if (err == 0)
		*out_link = transfer.link;
	return err;
}

int weft_get(struct weft_client *client, const struct weft_get_params *params,
	     struct weft_error *error)
{
	const struct api_get_in in = {.link = params->link, .target = params->folder};
	const struct ask_params asked = {.method = API_GET_METHOD,
					 .parameters = api_get_in_write(&in),
					 .timeout_ms = params->timeout_ms};
	struct transfer transfer = {.get = params};

	return transfer_run(client, &transfer, &asked, error);
}

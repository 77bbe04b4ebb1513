/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing and getting: the two long calls of content, waited for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

struct content_ask {
	const struct weft_get_params *get; /* NULL: a share */
	char *link;			   /* of a share */
	struct weft_error error;
	bool is_done;
	struct ask *ask;
};

static void progress_tell(struct content_ask *content_ask, json_t *parameters, bool is_last)
{
	struct varlink_blocks blocks = {0};
	const struct api_get_out *out = api_get_out_read(parameters, &blocks);
	bool goes_on = true;

	if (out)
		goes_on = content_ask->get->progress(content_ask->get->arg,
						     (uint64_t)out->get.bytes_done,
						     (uint64_t)out->get.bytes);
	varlink_blocks_free(&blocks);
	if (goes_on || is_last)
		return;
	client_failure_set(&content_ask->error, WEFT_ECANCELLED, "get",
			   "the program stopped waiting", "The get goes on in the daemon.");
	content_ask->is_done = true;
	client_ask_cancel(content_ask->ask);
}

static void link_keep(struct content_ask *content_ask, json_t *parameters)
{
	struct varlink_blocks blocks = {0};
	const struct api_add_share_out *out = api_add_share_out_read(parameters, &blocks);

	content_ask->link = out && out->link ? strdup(out->link) : NULL;
	if (!content_ask->link)
		client_failure_memory(&content_ask->error);
	varlink_blocks_free(&blocks);
}

static void content_ask_reply(void *arg, json_t *message, const struct weft_error *error,
			      bool is_last)
{
	struct content_ask *content_ask = arg;
	json_t *parameters = json_object_get(message, "parameters");

	content_ask->is_done = is_last;
	if (error)
		content_ask->error = *error;
	else if (content_ask->get && content_ask->get->progress)
		progress_tell(content_ask, parameters, is_last);
	else if (!content_ask->get && is_last)
		link_keep(content_ask, parameters);
}

/* content_ask_run calls a method and waits for its last reply. */
static int content_ask_run(struct weft_client *client, struct content_ask *content_ask,
			   const struct ask_params *params, struct weft_error *error)
{
	struct ask_params asked = *params;
	int err;

	asked.wants_more = true;
	asked.fn = content_ask_reply;
	asked.arg = content_ask;
	err = client_ask_start(client, &asked, &content_ask->ask, error);
	if (err < 0)
		return err;
	err = client_ask_run(content_ask->ask, &content_ask->is_done);
	if (err < 0) {
		client_failure_set(&content_ask->error, err, "this program", NULL, NULL);
		client_ask_cancel(content_ask->ask);
	}
	if (content_ask->error.err < 0 && error)
		*error = content_ask->error;
	return content_ask->error.err;
}

int weft_share(struct weft_client *client, const struct weft_share_params *params, char **out_link,
	       struct weft_error *error)
{
	const struct api_add_share_in in = {.path = params->path, .title = params->title};
	const struct ask_params asked = {.method = API_ADD_SHARE_METHOD,
					 .parameters = api_add_share_in_write(&in),
					 .timeout_ms = params->timeout_ms};
	struct content_ask content_ask = {.get = NULL};
	int err = content_ask_run(client, &content_ask, &asked, error);

	if (err == 0)
		*out_link = content_ask.link;
	return err;
}

int weft_get(struct weft_client *client, const struct weft_get_params *params,
	     struct weft_error *error)
{
	const struct api_get_in in = {.link = params->link, .target = params->folder};
	const struct ask_params asked = {.method = API_GET_METHOD,
					 .parameters = api_get_in_write(&in),
					 .timeout_ms = params->timeout_ms};
	struct content_ask content_ask = {.get = params};

	return content_ask_run(client, &content_ask, &asked, error);
}

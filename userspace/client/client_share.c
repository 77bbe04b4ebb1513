/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing and getting: the two long calls of content, waited for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_call.h"
#include "client/failure.h"

struct transfer {
	weft_progress_fn progress;
	void *arg;
	json_t *last; /* parameters of the last reply */
	struct weft_error error;
	bool is_done;
	struct ask *ask;
};

static uint64_t uint_of(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value < 0 ? 0 : (uint64_t)value;
}

static void transfer_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct transfer *transfer = arg;
	json_t *parameters = json_object_get(message, "parameters");
	const json_t *state = json_object_get(parameters, "transfer");

	transfer->is_done = is_last;
	if (error) {
		transfer->error = *error;
		return;
	}
	if (is_last)
		transfer->last = json_incref(parameters);
	if (transfer->progress && json_is_object(state) &&
	    !transfer->progress(transfer->arg, uint_of(state, "bytes_done"),
				uint_of(state, "bytes")) &&
	    !is_last) {
		client_failure_set(&transfer->error, WEFT_ECANCELLED, "get",
				   "the program stopped waiting", "The get goes on in the daemon.");
		transfer->is_done = true;
		client_ask_cancel(transfer->ask);
	}
}

/* transfer_run calls a method and waits for its last reply, transfer->last. */
static int transfer_run(struct weft_client *client, struct transfer *transfer, const char *method,
			json_t *parameters, int timeout_ms, struct weft_error *error)
{
	struct ask_params params = {.method = method,
				    .parameters = parameters,
				    .wants_more = true,
				    .timeout_ms = timeout_ms,
				    .fn = transfer_reply,
				    .arg = transfer};
	int err = client_ask_start(client, &params, &transfer->ask, error);

	if (err < 0)
		return err;
	err = client_ask_run(client, transfer->ask, &transfer->is_done);
	if (err < 0) {
		client_failure_set(&transfer->error, err, "this program", NULL, NULL);
		client_ask_cancel(transfer->ask);
	}
	if (transfer->error.err < 0 && error)
		*error = transfer->error;
	return transfer->error.err;
}

int weft_share(struct weft_client *client, const char *path, const char *title, int timeout_ms,
	       char **out_link, struct weft_error *error)
{
	json_t *parameters = json_pack("{s:s}", "path", path);
	struct transfer transfer = {.progress = NULL};
	const char *link;
	int err;

	if (parameters && title)
		(void)json_object_set_new(parameters, "title", json_string(title));
	err = transfer_run(client, &transfer, ASK_INTERFACE "AddShare", parameters, timeout_ms,
			   error);
	if (err < 0)
		return err;
	link = json_string_value(json_object_get(transfer.last, "link"));
	*out_link = link ? strdup(link) : NULL;
	json_decref(transfer.last);
	return *out_link ? 0 : client_failure_memory(error);
}

int weft_get(struct weft_client *client, const char *link, const char *folder, int timeout_ms,
	     weft_progress_fn progress, void *arg, struct weft_error *error)
{
	struct transfer transfer = {.progress = progress, .arg = arg};
	int err = transfer_run(client, &transfer, ASK_INTERFACE "Get",
			       json_pack("{s:s, s:s}", "link", link, "target", folder), timeout_ms,
			       error);

	json_decref(transfer.last);
	return err;
}

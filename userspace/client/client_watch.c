/* SPDX-License-Identifier: Apache-2.0 */
/* Any method, and the replies of one that has several, as JSON text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_ask.h"
#include "client/failure.h"
#include "codec/json_heap.h"

/* parameters_read: text of an object, or NULL for none. */
static int parameters_read(const char *text, json_t **out_parameters, struct weft_error *error)
{
	json_t *parameters = NULL;
	int err = 0;

	if (text)
		err = json_heap_load(text, strlen(text), JSON_REJECT_DUPLICATES, &parameters);
	else if (!(parameters = json_object()))
		err = -ENOMEM;
	if (err == -ENOMEM)
		return client_failure_set(error, err, "parameters", "no memory", NULL);
	if (!json_is_object(parameters)) {
		json_decref(parameters);
		return client_failure_set(error, WEFT_EMALFORMED, "parameters",
					  "they are no JSON object", NULL);
	}
	*out_parameters = parameters;
	return 0;
}

int weft_ask(struct weft_client *client, const struct weft_ask_params *params, char **out_json,
	     struct weft_error *error)
{
	struct ask_params asked = {.method = params->method, .timeout_ms = params->timeout_ms};
	json_t *reply;
	int err = parameters_read(params->parameters, &asked.parameters, error);

	if (err == 0)
		err = client_ask_wait(client, &asked, &reply, error);
	if (err < 0)
		return err;
	*out_json = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	return *out_json ? 0 : client_failure_memory(error);
}

struct weft_watch {
	struct ask *ask;
	weft_watch_fn fn;
	void *arg;
	bool is_closed;
};

static void watch_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct weft_watch *watch = arg;
	char *json = NULL;

	if (!error)
		json = json_dumps(json_object_get(message, "parameters"), JSON_COMPACT);
	if (json)
		watch->fn(watch->arg, json, NULL);
	free(json);
	if (is_last && !watch->is_closed)
		watch->fn(watch->arg, NULL, error);
}

int weft_watch_open(struct weft_client *client, const struct weft_watch_params *params,
		    struct weft_watch **out_watch, struct weft_error *error)
{
	struct weft_watch *watch;
	struct ask_params asked = {
		.method = params->method, .wants_more = true, .fn = watch_reply, .gone = free};
	int err = parameters_read(params->parameters, &asked.parameters, error);

	if (err < 0)
		return err;
	watch = calloc(1, sizeof(*watch));
	if (!watch) {
		json_decref(asked.parameters);
		return client_failure_memory(error);
	}
	watch->fn = params->fn;
	watch->arg = params->arg;
	asked.arg = watch;
	err = client_ask_start(client, &asked, &watch->ask, error);
	if (err < 0)
		free(watch);
	else
		*out_watch = watch;
	return err;
}

void weft_watch_close(struct weft_watch *watch)
{
	if (!watch)
		return;
	watch->is_closed = true;
	client_ask_cancel(watch->ask);
}

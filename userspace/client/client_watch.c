/* SPDX-License-Identifier: Apache-2.0 */
/* Any method, and the replies of one that has several, as JSON text. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_call.h"
#include "client/failure.h"
#include "codec/json_heap.h"

#define METHOD_CAP 128

static int method_write(const char *method, char text[static METHOD_CAP], struct weft_error *error)
{
	if (snprintf(text, METHOD_CAP, ASK_INTERFACE "%s", method) < METHOD_CAP)
		return 0;
	return client_failure_set(error, WEFT_EMALFORMED, "method", "its name is too long", NULL);
}

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

int weft_ask(struct weft_client *client, const char *method, const char *parameters, int timeout_ms,
	     char **out_json, struct weft_error *error)
{
	json_t *asked, *reply;
	char name[METHOD_CAP];
	char *text;
	int err = method_write(method, name, error);

	if (err == 0)
		err = parameters_read(parameters, &asked, error);
	if (err == 0)
		err = client_ask_wait(client, name, asked, timeout_ms, &reply, error);
	if (err < 0)
		return err;
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	if (!text)
		return client_failure_memory(error);
	*out_json = text;
	return 0;
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

int weft_watch_open(struct weft_client *client, const char *method, const char *parameters,
		    weft_watch_fn fn, void *arg, struct weft_watch **out_watch,
		    struct weft_error *error)
{
	struct weft_watch *watch;
	char name[METHOD_CAP];
	struct ask_params params = {.method = name,
				    .wants_more = true,
				    .timeout_ms = -1,
				    .fn = watch_reply,
				    .gone = free};
	int err = method_write(method, name, error);

	if (err == 0)
		err = parameters_read(parameters, &params.parameters, error);
	if (err < 0)
		return err;
	watch = calloc(1, sizeof(*watch));
	if (!watch) {
		json_decref(params.parameters);
		return client_failure_memory(error);
	}
	watch->fn = fn;
	watch->arg = arg;
	params.arg = watch;
	err = client_ask_start(client, &params, &watch->ask, error);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* weft version. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/text.h"
#include "weft/client.h"
#include "weft/version.h"

/* daemon_version: a new reference; json_null() where no daemon answers, which is no failure here. */
static int daemon_version(const struct invocation *inv, json_t **out_version)
{
	struct weft_client *client;
	struct weft_error error;
	json_t *reply;
	int status;

	*out_version = json_null();
	if (weft_client_open(inv->socket, client_timeout_ms(inv), &client, &error) < 0)
		return STATUS_OK;
	weft_client_close(client);
	status = client_ask(inv, "Status", NULL, &reply);
	if (status != STATUS_OK)
		return status;
	*out_version = json_incref(json_object_get(reply, "version"));
	json_decref(reply);
	return STATUS_OK;
}

int run_version(struct invocation *inv)
{
	json_t *daemon;
	int status = daemon_version(inv, &daemon);
	json_t *versions = json_pack("{s:s, s:o}", "weft", WEFT_VERSION, "weftd", daemon);

	if (inv->is_json) {
		text_print_json(versions);
	} else {
		printf("weft %s\n", WEFT_VERSION);
		printf("weftd %s\n", json_is_string(daemon) ? json_string_value(daemon) : "-");
	}
	json_decref(versions);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* weft version. */
#include <stdio.h>

#include "command/daemon_client.h"
#include "print/text.h"
#include "weft/client.h"
#include "weft/version.h"

/* daemon_version: *out_version is NULL where no daemon answers, which is no failure here. */
static int daemon_version(const struct invocation *inv, const char **out_version)
{
	const struct api_status_out *reply;
	struct weft_client *client;
	struct weft_error error;
	int status;

	*out_version = NULL;
	if (weft_client_open(inv->socket, client_timeout_ms(inv), &client, &error) < 0)
		return STATUS_OK;
	weft_client_close(client);
	status = client_ask(inv, api_status_request(NULL), &reply);
	if (status == STATUS_OK)
		*out_version = reply->version;
	return status;
}

int run_version(struct invocation *inv)
{
	const char *daemon;
	int status = daemon_version(inv, &daemon);
	json_t *versions;

	if (!inv->is_json) {
		printf("weft %s\nweftd %s\n", WEFT_VERSION, daemon ? daemon : "-");
		return status;
	}
	versions = json_pack("{s:s, s:s?}", "weft", WEFT_VERSION, "weftd", daemon);
	text_print_json(versions);
	json_decref(versions);
	return status;
}

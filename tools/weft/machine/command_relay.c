/* SPDX-License-Identifier: Apache-2.0 */
/* weft relay: connect, grant-use, on, off, reset, revoke. */
#include <string.h>

#include "command/command.h"
#include "command/daemon_client.h"
#include "machine/grant_file.h"
#include "relay/grants/grant_record.h"
#include "relay/grants/grant_revocations.h"

/* The relay is asked, then a flow is opened: each takes a few round trips. */
#define SLOT_TIMEOUT_MS 10000

int fill_relay_grant_use(const struct invocation *inv, void *in)
{
	struct api_use_relay_grant_in *use = in;
	const char *word = inv->args[0];
	char *text = NULL;
	int status;

	use->grant = word;
	if (strncmp(word, RELAY_GRANT_SCHEME, sizeof(RELAY_GRANT_SCHEME) - 1) == 0)
		return STATUS_OK;
	status = grant_file_read(inv, word, &text);
	if (status == STATUS_OK && !text)
		return client_say_error(STATUS_NOT_FOUND, word, "no grant, and no file",
					"a grant begins with " RELAY_GRANT_SCHEME);
	use->grant = text;
	return status;
}

int fill_relay_revoke(const struct invocation *inv, void *in)
{
	struct api_revoke_relay_grants_in *revoke = in;
	const char *word = inv->args[0];
	char *text = NULL;
	int status;

	revoke->list = word;
	if (strncmp(word, RELAY_REVOKE_SCHEME, sizeof(RELAY_REVOKE_SCHEME) - 1) == 0)
		return STATUS_OK;
	status = grant_file_read(inv, word, &text);
	if (status == STATUS_OK && !text)
		return client_say_error(STATUS_NOT_FOUND, word, "no revocation list, and no file",
					"a list begins with " RELAY_REVOKE_SCHEME);
	revoke->list = text;
	return status;
}

int fill_relay_role(const struct invocation *inv, void *in)
{
	struct api_set_relay_role_in *set = in;
	const char *verb = inv->command->verb;

	set->role = strcmp(verb, "reset") == 0 ? "configured" : verb;
	return STATUS_OK;
}

int fill_relay_connect(const struct invocation *inv, void *in)
{
	struct api_connect_relay_slot_in *connect = in;

	connect->has_addresses = true;
	API_SET(connect, timeout_ms, inv->timeout_ms ? (int64_t)inv->timeout_ms : SLOT_TIMEOUT_MS);
	return STATUS_OK;
}

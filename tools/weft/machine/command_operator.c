/* SPDX-License-Identifier: Apache-2.0 */
/* weft relay operator-new and operator-show: on the key's file alone; no daemon is asked. */
#include <stdio.h>

#include "codec/text/zbase32.h"
#include "command/daemon_client.h"
#include "crypto/node_key.h"
#include "machine/grant_file.h"
#include "print/text.h"
#include "varlink/printed.h"

static int key_print(const struct invocation *inv, const struct node_key *key)
{
	char text[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(node_key_public(key), NODE_KEY_LEN, text);
	if (inv->is_json) {
		json_t *json = api_printed_operator_write(&(struct api_printed_operator){text});

		text_print_json(json);
		json_decref(json);
	} else {
		printf("%s\n", text);
	}
	return STATUS_OK;
}

int run_relay_operator_new(struct invocation *inv)
{
	struct node_key *key = NULL;
	int status = grant_file_key_new(inv, inv->args[0], &key);

	if (status == STATUS_OK)
		status = key_print(inv, key);
	node_key_free(key);
	return status;
}

int run_relay_operator_show(struct invocation *inv)
{
	struct node_key *key = NULL;
	int status = grant_file_key_load(inv, inv->args[0], &key);

	if (status == STATUS_OK)
		status = key_print(inv, key);
	node_key_free(key);
	return status;
}

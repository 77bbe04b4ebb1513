/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WEFTD_KEY_SOURCE_H
#define WEFT_WEFTD_KEY_SOURCE_H

#include "weft/err.h"

struct node_config;
struct node_key;

/*
 * weftd_key_source_load finds the node's key. It is in the configured file,
 * else in the credential "node.key" ($CREDENTIALS_DIRECTORY), else in
 * node.key in the state folder. The last one is made at the first start. The
 * state folder is made if it is missing. A passphrase comes from the
 * configured file, else the credential "node.passphrase".
 *
 * Returns 0 with *out_key, or a negative code with a sentence in message.
 * Context: start-up; waits on the disk, and for Argon2id.
 */
#define KEY_SOURCE_MESSAGE_CAP 1536
WEFT_MUST_CHECK
int weftd_key_source_load(const struct node_config *config, struct node_key **out_key,
			  char message[static KEY_SOURCE_MESSAGE_CAP]);
/*
 * weftd_key_source_passphrase: what seals the key file; "" when nothing does. 0, WEFT_EMALFORMED (an
 * empty line) or -errno. The caller wipes it.
 */
#define KEY_SOURCE_PASSPHRASE_CAP 1024
WEFT_MUST_CHECK
int weftd_key_source_passphrase(const struct node_config *config,
				char passphrase[static KEY_SOURCE_PASSPHRASE_CAP],
				char message[static KEY_SOURCE_MESSAGE_CAP]);
/*
 * weftd_key_source_proxy_user: what tcp.proxy is told, "user:password", from the configured file,
 * else the credential "tcp.proxy_user"; "" when there is neither. Errors as above. The caller wipes it.
 */
WEFT_MUST_CHECK
int weftd_key_source_proxy_user(const struct node_config *config,
				char user[static KEY_SOURCE_PASSPHRASE_CAP],
				char message[static KEY_SOURCE_MESSAGE_CAP]);

#endif

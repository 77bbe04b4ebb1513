/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SEALED_KEY_H
#define WEFT_TESTS_SEALED_KEY_H

#include "crypto/node_key.h"

/* sealed_key_new gives the key of seed as a node has it whose key file a passphrase seals. */
WEFT_MUST_CHECK
int sealed_key_new(const uint8_t seed[static NODE_KEY_SEED_LEN], struct node_key **out_key);

#endif

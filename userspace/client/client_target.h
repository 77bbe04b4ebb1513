/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_TARGET_H
#define WEFT_CLIENT_CLIENT_TARGET_H

#include <jansson.h>

#include "weft/client.h"

/*
 * What calls and streams have in common on the control socket: which service
 * is meant, and bytes in JSON, as base64.
 */

/*
 * client_target_json: parameters of CallService and OpenServiceStream; NULL: no
 * memory, or text that is no UTF-8.
 */
json_t *client_target_json(const struct weft_target *target, const char *method,
			   const void *payload, size_t len, int timeout_ms);
/* client_payload_json: NULL: no memory. */
json_t *client_payload_json(const void *payload, size_t len);
/* payload_len_max: room that client_payload_read needs; what is missing is read as empty. */
size_t client_payload_len_max(const json_t *parameters);
WEFT_MUST_CHECK
int client_payload_read(const json_t *parameters, uint8_t *payload, size_t cap, size_t *out_len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_REFUSAL_H
#define WEFT_GATEWAY_REFUSAL_H

#include "gateway/gateway.h"

/* Private to gateway/: what is answered without a route's say. docs/gateway.md lists them. */
extern const struct gateway_error refusal_malformed, refusal_coding, refusal_host, refusal_origin,
	refusal_token, refusal_token_wrong, refusal_pass, refusal_site_origin, refusal_unread,
	refusal_path, refusal_method, refusal_slow, refusal_body, refusal_target,
	refusal_expectation, refusal_rate, refusal_head, refusal_memory, refusal_version,
	refusal_handshake, refusal_handshake_version, refusal_sockets;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_REFUSAL_H
#define WEFT_GATEWAY_REFUSAL_H

#include "gateway/gateway.h"

/* Private to gateway/: what is answered without a route's say. docs/gateway.md lists them. */
extern const struct gateway_error gateway_refusal_malformed, gateway_refusal_coding,
	gateway_refusal_host, gateway_refusal_origin, gateway_refusal_token,
	gateway_refusal_token_wrong, gateway_refusal_pass, gateway_refusal_site_origin,
	gateway_refusal_unread, gateway_refusal_path, gateway_refusal_method, gateway_refusal_slow,
	gateway_refusal_body, gateway_refusal_target, gateway_refusal_expectation,
	gateway_refusal_rate, gateway_refusal_head, gateway_refusal_memory, gateway_refusal_version,
	gateway_refusal_handshake, gateway_refusal_handshake_version, gateway_refusal_sockets;

#endif

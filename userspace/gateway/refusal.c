/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/refusal.h"

const struct gateway_error gateway_refusal_malformed = {
	400, "malformed_request", "This is no HTTP/1.1 request that can be understood.", 0};
const struct gateway_error gateway_refusal_coding = {
	501, "coding_not_implemented", "The only transfer coding that is taken is chunked.", 0};
const struct gateway_error gateway_refusal_host = {
	403, "host_not_allowed",
	"The field Host is none of this gateway's; add it to gateway.hosts if it should be.", 0};
const struct gateway_error gateway_refusal_origin = {
	403, "origin_not_allowed",
	"Pages of this origin may not ask here; add it to gateway.origins if they should.", 0};
const struct gateway_error gateway_refusal_token = {
	401, "token_required",
	"Send the gateway's token as X-Weft-Token or as "
	"Authorization: Bearer; the log of weftd says "
	"in which file it is.",
	0};
const struct gateway_error gateway_refusal_token_wrong = {
	401, "token_required",
	"This is not the gateway's token; the log of weftd says in which file it is.", 0};
const struct gateway_error gateway_refusal_pass = {
	401, "token_required",
	"Open the address that weft service open NAME prints, or send the gateway's token.", 0};
const struct gateway_error gateway_refusal_site_origin = {
	403, "origin_not_allowed",
	"What may change something says the field Origin here, and it is that of this host itself.",
	0};
const struct gateway_error gateway_refusal_unread = {
	400, "malformed_request", "Chunk extensions and trailers are longer than 2 KiB.", 0};
const struct gateway_error gateway_refusal_path = {404, "not_found",
						   "Nothing is served at this path.", 0};
const struct gateway_error gateway_refusal_method = {
	405, "method_not_allowed", "This path does not know the method; see the field Allow.", 0};
const struct gateway_error gateway_refusal_slow = {
	408, "request_timeout",
	"The request was not complete in time: its head within 3 seconds, all of it within 10.", 0};
const struct gateway_error gateway_refusal_body = {413, "payload_too_large",
						   "The body is longer than this path takes.", 0};
const struct gateway_error gateway_refusal_target = {414, "target_too_long",
						     "The target is longer than 2048 bytes.", 0};
const struct gateway_error gateway_refusal_expectation = {
	417, "expectation_failed", "The only expectation that can be met is 100-continue.", 0};
const struct gateway_error gateway_refusal_rate = {
	429, "rate_limited", "This address asks too often; wait a second.", 1};
const struct gateway_error gateway_refusal_head = {
	431, "header_too_large", "The header is longer than 8 KiB or has more than 64 fields.", 0};
const struct gateway_error gateway_refusal_memory = {
	503, "gateway_busy", "Other requests use up the gateway's memory; try again.", 1};
const struct gateway_error gateway_refusal_version = {505, "version_not_supported",
						      "The version is not 1.0 or 1.1.", 0};
const struct gateway_error gateway_refusal_handshake = {
	400, "no_websocket", "This path is a WebSocket; the request does not open one.", 0};
const struct gateway_error gateway_refusal_handshake_version = {
	426, "websocket_version", "The only version of WebSocket that is spoken is 13.", 0};
const struct gateway_error gateway_refusal_sockets = {
	503, "too_many_sockets", "As many WebSockets are open as are served.", 10};

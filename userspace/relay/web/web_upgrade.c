/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request of HTTP: the upgrade to WebSocket at /relay, and the probes that iroh's clients send.
 * A proof in the request spares a round trip. A proof that belongs to another TLS connection is
 * replayed, or a proxy ended TLS: the challenge decides. Home.
 */
#include "relay/web/web_state.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "relay/web/web_proof.h"

#define PROBE_FIELD    "X-Iroh-Challenge"
#define PROBE_TEXT_MAX 64

/* status has its reason; text is the body, and why a request is refused. */
static void answer(struct relay_web_conn *conn, const char *status, const char *field,
		   const char *text)
{
	int len = snprintf((char *)conn->answer, sizeof(conn->answer),
			   "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n%s",
			   status, strlen(text), field, text);

	conn->answer_len = (size_t)len;
	relay_web_conn_close(conn, 0);
}

static void refuse(struct relay_web_conn *conn, const char *status, const char *text)
{
	conn->web->stats.malformed_cnt++;
	answer(conn, status, "", text);
}

/* iroh: 1 to 64 letters, digits, '.', '-' and '_' come back. */
static bool probe_is_good(struct http_text text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_",
			    text.at[i]))
			return false;
	return text.len && text.len <= PROBE_TEXT_MAX;
}

static void answer_probe(struct relay_web_conn *conn, const struct http_request_head *head)
{
	struct http_text probe = http_request_field(head, PROBE_FIELD, 0);
	char field[PROBE_TEXT_MAX + 64] = "";

	if (probe_is_good(probe))
		snprintf(field, sizeof(field), "X-Iroh-Response: response %.*s\r\n", (int)probe.len,
			 probe.at);
	answer(conn, "204 No Content", field, "");
}

static bool version_pick(const struct http_request_head *head, enum relay_web_version *out_version)
{
	for (unsigned version = RELAY_WEB_VERSION_CNT; version-- > 0;) {
		struct http_text field;

		for (unsigned i = 0;
		     (field = http_request_field(head, "Sec-WebSocket-Protocol", i)).at; i++)
			if (http_text_has(field,
					  relay_web_protocol((enum relay_web_version)version))) {
				*out_version = (enum relay_web_version)version;
				return true;
			}
	}
	return false;
}

static bool is_upgrade(const struct http_request_head *head)
{
	return http_text_has(http_request_field(head, "Upgrade", 0), "websocket") &&
	       http_text_has(http_request_field(head, "Connection", 0), "upgrade") &&
	       http_text_is(http_request_field(head, "Sec-WebSocket-Version", 0), "13") &&
	       http_request_field(head, "Sec-WebSocket-Key", 0).len == WEBSOCKET_KEY_CAP - 1;
}

static void challenge(struct relay_web_conn *conn)
{
	random_fill(conn->web->params.random, conn->challenge, sizeof(conn->challenge));
	conn->is_challenge_due = true;
}

static void prove_by_tls(struct relay_web_conn *conn, const struct relay_web_proof *proof)
{
	struct relay_web_stats *stats = &conn->web->stats;
	uint8_t exported[BYTE_CHANNEL_EXPORTER_LEN];
	int rv = conn->channel->ops->exporter(conn->channel, RELAY_WEB_EXPORTER_LABEL, proof->key,
					      exported);

	if (rv == 0)
		rv = relay_web_proof_verify(proof, exported);
	if (rv == 0) {
		stats->proved_tls_cnt++;
		relay_web_conn_prove(conn, proof->key);
	} else if (rv == WEFT_EDAMAGED) {
		relay_web_conn_deny(conn, "the signature does not match the TLS connection");
	} else {
		stats->foreign_proof_cnt++;
		challenge(conn);
	}
}

static void upgrade(struct relay_web_conn *conn, const struct http_request_head *head)
{
	struct http_text key = http_request_field(head, "Sec-WebSocket-Key", 0);
	struct http_text text = http_request_field(head, RELAY_WEB_AUTH_FIELD, 0);
	char nonce[WEBSOCKET_KEY_CAP], accept[WEBSOCKET_ACCEPT_CAP];
	struct relay_web_proof proof;

	memcpy(nonce, key.at, key.len);
	nonce[key.len] = '\0';
	http_websocket_accept(nonce, accept);
	conn->answer_len = (size_t)snprintf(
		(char *)conn->answer, sizeof(conn->answer),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		accept, relay_web_protocol(conn->version));
	conn->is_upgraded = true;
	conn->state = RELAY_WEB_CONN_PROVING;
	relay_web_conn_want_write(conn);
	if (text.at && relay_web_proof_parse(text, &proof) == 0)
		prove_by_tls(conn, &proof);
	else if (text.at)
		relay_web_conn_deny(conn, "the field " RELAY_WEB_AUTH_FIELD " is malformed");
	else
		challenge(conn);
}

static void request_arrived(struct relay_web_conn *conn, const struct http_request_head *head)
{
	if (!head->is_get)
		refuse(conn, "405 Method Not Allowed", "GET alone\n");
	else if (http_text_is(head->target, "/ping") || http_text_is(head->target, "/healthz"))
		answer(conn, "200 OK", "", "ok\n");
	else if (http_text_is(head->target, "/generate_204"))
		answer_probe(conn, head);
	else if (!http_text_is(head->target, "/relay"))
		refuse(conn, "404 Not Found", "the relay is at /relay\n");
	else if (!is_upgrade(head))
		refuse(conn, "426 Upgrade Required", "WebSocket 13 alone\n");
	else if (!version_pick(head, &conn->version))
		refuse(conn, "400 Bad Request",
		       "sub-protocols: mesh-relay-v1, iroh-relay-v2, iroh-relay-v1\n");
	else
		upgrade(conn, head);
}

size_t relay_web_upgrade(struct relay_web_conn *conn)
{
	struct http_request_head head;
	int rv = http_request_head_parse((const char *)conn->in, conn->in_len, &head);

	if (rv > 0)
		request_arrived(conn, &head);
	else if (rv < 0)
		refuse(conn, "400 Bad Request", "malformed\n");
	else if (conn->in_len == sizeof(conn->in))
		refuse(conn, "431 Request Header Fields Too Large", "4096 bytes at most\n");
	return rv > 0 ? (size_t)rv : 0;
}

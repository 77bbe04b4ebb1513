/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/conn.h"
#include "gateway/refusal.h"

#define TOKEN_HEADER "X-Weft-Token"

int gateway_names_parse(const char *text, struct gateway_names *out_names)
{
	struct gateway_names names = {.cnt = 0};

	while (*text) {
		size_t len;

		text += strspn(text, " ,");
		len = strcspn(text, " ,");
		if (!len)
			break;
		if (len >= GATEWAY_NAME_CAP)
			return WEFT_ETOOLARGE;
		if (names.cnt == GATEWAY_NAMES_MAX)
			return WEFT_EFULL;
		memcpy(names.names[names.cnt++], text, len);
		text += len;
	}
	*out_names = names;
	return 0;
}

static bool names_have(const struct gateway_names *names, const char *name)
{
	for (unsigned i = 0; i < names->cnt; i++)
		if (strcasecmp(names->names[i], name) == 0)
			return true;
	return false;
}

static int names_add(struct gateway_names *names, const char *name)
{
	if (names_have(names, name))
		return 0;
	if (names->cnt == GATEWAY_NAMES_MAX)
		return WEFT_EFULL;
	snprintf(names->names[names->cnt++], GATEWAY_NAME_CAP, "%s", name);
	return 0;
}

/* A Host is also named without the port where that is the scheme's own (RFC 9110, 4.2.1). */
static int hosts_add(struct gateway_names *hosts, const char *host, unsigned port)
{
	char name[GATEWAY_NAME_CAP];
	int err;

	snprintf(name, sizeof(name), "%s:%u", host, port);
	err = names_add(hosts, name);
	return err == 0 && port == 80 ? names_add(hosts, host) : err;
}

static int hosts_add_own(struct gateway_names *hosts, const struct addr *listen)
{
	char text[ADDR_TEXT_CAP];
	int err;

	addr_format(listen, text);
	*strrchr(text, ':') = '\0';
	err = hosts_add(hosts, text, listen->port);
	return err == 0 && addr_is_loopback(listen) ? hosts_add(hosts, "localhost", listen->port)
						    : err;
}

int guard_init(struct guard *guard, const struct gateway_params *params, const struct addr *listen)
{
	char origin[GATEWAY_NAME_CAP + 8];
	int err;

	guard->hosts = params->hosts;
	guard->origins = params->origins;
	guard->is_token_always = params->is_token_always;
	memcpy(guard->token, params->token, sizeof(guard->token));
	err = hosts_add_own(&guard->hosts, listen);
	for (unsigned i = 0; i < guard->hosts.cnt && err == 0; i++) {
		snprintf(origin, sizeof(origin), "http://%s", guard->hosts.names[i]);
		err = strlen(origin) < GATEWAY_NAME_CAP ? names_add(&guard->origins, origin)
							: WEFT_ETOOLARGE;
	}
	return err;
}

static bool token_is_right(const struct guard *guard, const char *token)
{
	char padded[GATEWAY_TOKEN_CAP] = {0};
	size_t len = strlen(token);

	/* Compared as a whole, so that its time tells nothing but that a length is impossible. */
	if (len < GATEWAY_TOKEN_LEN_MIN || len >= sizeof(padded))
		return false;
	memcpy(padded, token, len);
	return CRYPTO_memcmp(padded, guard->token, sizeof(padded)) == 0;
}

static bool bearer_is_right(const struct guard *guard, const char *value)
{
	return strncasecmp(value, "Bearer ", 7) == 0 &&
	       token_is_right(guard, value + 7 + strspn(value + 7, " "));
}

static bool has_token(const struct guard *guard, const struct gateway_conn *conn)
{
	unsigned cnt;
	const char *value = conn_header(conn, TOKEN_HEADER, &cnt);

	if (value)
		return cnt == 1 && token_is_right(guard, value);
	value = conn_header(conn, "Authorization", &cnt);
	return value && cnt == 1 && bearer_is_right(guard, value);
}

bool gateway_header_is_secret(const struct gateway_request *request, const char *name,
			      const char *value)
{
	return strcasecmp(name, TOKEN_HEADER) == 0 ||
	       (strcasecmp(name, "Authorization") == 0 &&
		bearer_is_right(request->conn->shared->guard, value));
}

/* needs_token: asked by another site's page, even an open route is guarded. */
static bool needs_token(const struct guard *guard, const struct gateway_conn *conn)
{
	unsigned cnt;
	const char *site = conn_header(conn, "Sec-Fetch-Site", &cnt);

	if (conn->route->access == GATEWAY_GUARDED || guard->is_token_always)
		return true;
	if (!(conn->method & (GATEWAY_GET | GATEWAY_HEAD)))
		return true;
	return site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

const struct gateway_error *guard_judge(const struct guard *guard, const struct gateway_conn *conn)
{
	unsigned cnt;
	const char *host = conn_header(conn, "Host", &cnt);
	const char *origin = conn_header(conn, "Origin", &cnt);

	if (conn->route->access == GATEWAY_PUBLIC)
		return NULL;
	if (!host || !names_have(&guard->hosts, host))
		return &refusal_host;
	if (origin && (cnt > 1 || !names_have(&guard->origins, origin)))
		return &refusal_origin;
	if (conn->method == GATEWAY_OPTIONS)
		return NULL;
	return needs_token(guard, conn) && !has_token(guard, conn) ? &refusal_token : NULL;
}

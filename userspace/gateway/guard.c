/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guard.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/http_conn_state.h"
#include "gateway/page/page_token.h"
#include "gateway/websocket/pass.h"
#include "gateway/refusal.h"

#define TOKEN_HEADER  "X-Weft-Token"
#define SITE_TOP      ".localhost" /* browsers take it for this machine without DNS (RFC 6761, 6.3) */
#define LABEL_LEN_MAX 63

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

static bool has_sites(const struct gateway_route *routes)
{
	for (; routes && routes->path; routes++)
		if (routes->is_site)
			return true;
	return false;
}

int gateway_guard_init(struct guard *guard, const struct gateway_params *params,
		       const struct addr *listen)
{
	char origin[GATEWAY_NAME_CAP + 8];
	int err;

	guard->hosts = params->hosts;
	guard->origins = params->origins;
	guard->is_token_always = params->is_token_always;
	memcpy(guard->token, params->token, sizeof(guard->token));
	err = hosts_add_own(&guard->hosts, listen);
	if (has_sites(params->routes) && addr_is_loopback(listen)) {
		snprintf(guard->site_suffix, sizeof(guard->site_suffix), SITE_TOP ":%u",
			 listen->port);
		guard->is_portless = listen->port == 80;
	}
	for (unsigned i = 0; i < guard->hosts.cnt && err == 0; i++) {
		snprintf(origin, sizeof(origin), "http://%s", guard->hosts.names[i]);
		err = strlen(origin) < GATEWAY_NAME_CAP ? names_add(&guard->origins, origin)
							: WEFT_ETOOLARGE;
	}
	return err;
}

/* The token of the file, or that of a page. */
static bool token_is_right(const struct gateway_conn *conn, const char *token)
{
	char padded[GATEWAY_TOKEN_CAP] = {0};
	size_t len = strlen(token);

	/* Compared as a whole, so that its time tells nothing but that a length is impossible. */
	if (len < GATEWAY_TOKEN_LEN_MIN || len >= sizeof(padded))
		return false;
	memcpy(padded, token, len);
	return CRYPTO_memcmp(padded, conn->shared->guard->token, sizeof(padded)) == 0 ||
	       (conn->shared->page_tokens &&
		gateway_page_token_is(conn->shared->page_tokens, token, conn->now_ns));
}

static bool bearer_is_right(const struct gateway_conn *conn, const char *value)
{
	return token_is_right(conn, value + 7 + strspn(value + 7, " "));
}

static bool is_bearer(const char *value)
{
	return strncasecmp(value, "Bearer ", 7) == 0;
}

static bool cookie_is_right(const struct gateway_conn *conn)
{
	const struct pass_book *book = conn->shared->passes;
	const char *name, *value;

	if (!book || !conn->site[0])
		return false;
	for (unsigned i = 0; gateway_conn_header_at(conn, i, &name, &value); i++)
		if (strcasecmp(name, "Cookie") == 0 &&
		    gateway_pass_is_shown(book, conn->site, value, conn->now_ns))
			return true;
	return false;
}

enum gateway_proof gateway_guard_proof(const struct gateway_conn *conn)
{
	unsigned cnt;
	const char *value = gateway_conn_header(conn, TOKEN_HEADER, &cnt);

	if (value)
		return cnt == 1 && token_is_right(conn, value) ? GATEWAY_PROOF_TOKEN
							       : GATEWAY_PROOF_WRONG;
	value = gateway_conn_header(conn, "Authorization", &cnt);
	if (value && cnt == 1 && is_bearer(value) && bearer_is_right(conn, value))
		return GATEWAY_PROOF_TOKEN;
	if (cookie_is_right(conn))
		return GATEWAY_PROOF_COOKIE;
	return value && is_bearer(value) ? GATEWAY_PROOF_BEARER : GATEWAY_PROOF_NONE;
}

bool gateway_header_is_secret(const struct gateway_request *request, const char *name,
			      const char *value)
{
	return strcasecmp(name, TOKEN_HEADER) == 0 ||
	       (strcasecmp(name, "Authorization") == 0 && is_bearer(value) &&
		bearer_is_right(request->conn, value));
}

bool gateway_token_is(const struct gateway_request *request, const char *text)
{
	return token_is_right(request->conn, text);
}

/* A label of DNS: what a host name has between its points. Returns its length, or 0. */
static size_t label_len(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len && len <= LABEL_LEN_MAX && text[0] != '-' && text[len - 1] != '-' ? len : 0;
}

/* site_is_sound: NAME or NAME.NODE. */
static bool site_is_sound(const char *site)
{
	size_t len = label_len(site);

	if (len && site[len] == '.') {
		site += len + 1;
		len = label_len(site);
	}
	return len && !site[len];
}

static size_t suffix_len(const struct guard *guard, const char *authority, size_t len)
{
	const char *suffix = guard->site_suffix;
	size_t cnt = strlen(suffix);

	if (len > cnt && strcasecmp(authority + len - cnt, suffix) == 0)
		return cnt;
	cnt = strlen(SITE_TOP);
	return guard->is_portless && len > cnt && strcasecmp(authority + len - cnt, SITE_TOP) == 0
		       ? cnt
		       : 0;
}

void gateway_guard_site(const struct guard *guard, const char *authority,
			char out_site[static GATEWAY_SITE_CAP])
{
	size_t len = authority ? strlen(authority) : 0, cnt;

	out_site[0] = '\0';
	if (!guard->site_suffix[0] || !len || names_have(&guard->hosts, authority))
		return;
	cnt = suffix_len(guard, authority, len);
	if (!cnt || len - cnt >= GATEWAY_SITE_CAP)
		return;
	len -= cnt;
	for (size_t i = 0; i < len; i++)
		out_site[i] = authority[i] >= 'A' && authority[i] <= 'Z'
				      ? (char)(authority[i] - 'A' + 'a')
				      : authority[i];
	out_site[len] = '\0';
	if (!site_is_sound(out_site))
		out_site[0] = '\0';
}

static bool is_reading(const struct gateway_conn *conn)
{
	return conn->method & (GATEWAY_GET | GATEWAY_HEAD);
}

/* is_foreign_part: another site's page asks for a part of itself: a picture, a script, a frame. */
static bool is_foreign_part(const struct gateway_conn *conn, bool may_follow)
{
	unsigned cnt;
	const char *site = gateway_conn_header(conn, "Sec-Fetch-Site", &cnt);
	const char *mode, *dest;

	if (!site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0)
		return false;
	mode = gateway_conn_header(conn, "Sec-Fetch-Mode", &cnt);
	dest = gateway_conn_header(conn, "Sec-Fetch-Dest", &cnt);
	/* Following a link there leaves the other page behind. */
	return !may_follow || !mode || strcmp(mode, "navigate") != 0 || !dest ||
	       strcmp(dest, "document") != 0;
}

/* needs_token: asked by another site's page, even an open route is guarded. */
static bool needs_token(const struct guard *guard, const struct gateway_conn *conn)
{
	if (conn->route->access == GATEWAY_STATIC && is_reading(conn))
		return false;
	if (conn->route->access == GATEWAY_GUARDED || guard->is_token_always || !is_reading(conn))
		return true;
	return is_foreign_part(conn, false);
}

/* shows_token_in_form: perhaps; the handler looks. */
static bool shows_token_in_form(const struct gateway_conn *conn)
{
	static const char form[] = "application/x-www-form-urlencoded";
	unsigned cnt;
	const char *type = gateway_conn_header(conn, "Content-Type", &cnt);

	return conn->route->takes_form_token && conn->method == GATEWAY_POST && cnt == 1 &&
	       strncasecmp(type, form, strlen(form)) == 0;
}

static const struct gateway_error *origin_judge(const struct guard *guard,
						const struct gateway_conn *conn)
{
	unsigned cnt;
	const char *origin = gateway_conn_header(conn, "Origin", &cnt);
	const char *own = origin;

	if (!origin)
		return NULL;
	if (conn->site[0])
		own = strncasecmp(origin, "http://", 7) == 0 ? origin + 7 : "";
	if (cnt == 1 && (conn->site[0] ? strcasecmp(own, conn->authority) == 0
				       : names_have(&guard->origins, origin)))
		return NULL;
	return conn->site[0] ? &gateway_refusal_site_origin : &gateway_refusal_origin;
}

/*
 * site_judge: to read is open, as HTTP means it. A request that may change something, and a
 * WebSocket, shows a pass or the token, and says that a page of this very origin asks.
 */
static const struct gateway_error *site_judge(const struct guard *guard,
					      const struct gateway_conn *conn)
{
	unsigned upgrade_cnt, origin_cnt;
	bool has_proof = conn->proof >= GATEWAY_PROOF_COOKIE;

	gateway_conn_header(conn, "Upgrade", &upgrade_cnt);
	gateway_conn_header(conn, "Origin", &origin_cnt);
	if (is_reading(conn) && !upgrade_cnt) {
		if (gateway_pass_is_for(conn) || conn->proof == GATEWAY_PROOF_TOKEN)
			return NULL;
		/* A cookie goes along from other ports of the same name, too. */
		return is_foreign_part(conn, true) || (guard->is_token_always && !has_proof)
			       ? &gateway_refusal_pass
			       : NULL;
	}
	if (!has_proof)
		return &gateway_refusal_pass;
	return origin_cnt == 1 ? NULL : &gateway_refusal_site_origin;
}

/* A bearer that is not the token may be meant for the service behind the route. */
static bool shows_wrong_token(const struct gateway_conn *conn)
{
	if (conn->proof == GATEWAY_PROOF_WRONG)
		return true;
	return conn->proof == GATEWAY_PROOF_BEARER &&
	       !(conn->route && conn->route->passes_authorization);
}

const struct gateway_error *gateway_guard_judge(const struct guard *guard,
						const struct gateway_conn *conn)
{
	const struct gateway_error *refusal;

	if (shows_wrong_token(conn))
		return &gateway_refusal_token_wrong;
	if (!conn->route)
		return &gateway_refusal_path;
	if (conn->route->access == GATEWAY_PUBLIC)
		return NULL;
	if (!conn->site[0] && (!conn->authority || !names_have(&guard->hosts, conn->authority)))
		return &gateway_refusal_host;
	refusal = origin_judge(guard, conn);
	if (refusal || (!conn->site[0] && conn->method == GATEWAY_OPTIONS))
		return refusal;
	if (conn->site[0])
		return site_judge(guard, conn);
	return needs_token(guard, conn) && conn->proof != GATEWAY_PROOF_TOKEN &&
			       !shows_token_in_form(conn)
		       ? &gateway_refusal_token
		       : NULL;
}

/* --- pages --- */

bool gateway_page_redeem(const struct gateway_request *request, const char *code,
			 char out_token[static GATEWAY_TOKEN_CAP])
{
	const struct gateway_conn *conn = request->conn;

	return conn->shared->page_tokens &&
	       gateway_page_code_take(conn->shared->page_tokens, code, conn->now_ns, out_token);
}

bool gateway_page_leave(const struct gateway_request *request)
{
	unsigned cnt;
	const char *value = gateway_conn_header(request->conn, TOKEN_HEADER, &cnt);

	return value && request->conn->shared->page_tokens &&
	       gateway_page_token_end(request->conn->shared->page_tokens, value);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One-time addresses and the cookies that they set. Home worker. */
#include "pass.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "gateway/http_conn_state.h"
#include "gateway/refusal.h"

#define SECRET_LEN    ((PASS_TEXT_CAP - 1) / 2)
#define COOKIE_PREFIX "weft-"

void gateway_pass_book_init(struct pass_book *book, unsigned port)
{
	snprintf(book->cookie, sizeof(book->cookie), COOKIE_PREFIX "%u", port);
}

static void secret_make(struct pass *pass)
{
	uint8_t secret[SECRET_LEN];
	struct random random;

	random_init_system(&random);
	random_fill(&random, secret, sizeof(secret));
	hex_write(secret, sizeof(secret), pass->secret);
}

static bool pass_is_live(const struct pass *pass, const char *site, bool is_opened, uint64_t now_ns)
{
	return pass->is_opened == is_opened && now_ns < pass->expires_ns &&
	       strcmp(pass->site, site) == 0;
}

/* Compared as a whole, so that its time tells nothing but that a length is impossible. */
static bool secret_is(const struct pass *pass, const char *text, size_t len)
{
	return len == PASS_TEXT_CAP - 1 && CRYPTO_memcmp(pass->secret, text, len) == 0;
}

void gateway_pass_make(struct pass_book *book, const char *site, uint64_t now_ns,
		       char out_code[static PASS_TEXT_CAP])
{
	struct pass *first = &book->passes[0];

	/* A place that is free has ended long ago. */
	for (unsigned i = 1; i < PASS_CAP; i++)
		if (book->passes[i].expires_ns < first->expires_ns)
			first = &book->passes[i];
	*first = (struct pass){.expires_ns = now_ns + PASS_CODE_NS};
	snprintf(first->site, sizeof(first->site), "%s", site);
	secret_make(first);
	memcpy(out_code, first->secret, PASS_TEXT_CAP);
}

bool gateway_pass_open(struct pass_book *book, const char *site, const char *code, uint64_t now_ns,
		       char out_value[static PASS_TEXT_CAP])
{
	for (unsigned i = 0; i < PASS_CAP; i++) {
		struct pass *pass = &book->passes[i];

		if (!pass_is_live(pass, site, false, now_ns) ||
		    !secret_is(pass, code, strlen(code)))
			continue;
		pass->is_opened = true;
		pass->expires_ns = now_ns + PASS_NS;
		secret_make(pass);
		memcpy(out_value, pass->secret, PASS_TEXT_CAP);
		return true;
	}
	return false;
}

/* One of several cookies in a field: [begin, begin + len), spaces in front skipped. */
static const char *cookie_next(const char **rest, size_t *out_len)
{
	const char *begin = *rest + strspn(*rest, " \t;");

	*out_len = strcspn(begin, ";");
	*rest = begin + *out_len;
	return *out_len ? begin : NULL;
}

bool gateway_pass_is_shown(const struct pass_book *book, const char *site, const char *cookies,
			   uint64_t now_ns)
{
	size_t name_len = strlen(book->cookie), len;
	const char *cookie;
	bool is_right = false;

	/* Others can put one of the same name beside it, so each counts. */
	while ((cookie = cookie_next(&cookies, &len)) != NULL) {
		if (len <= name_len || cookie[name_len] != '=' ||
		    memcmp(cookie, book->cookie, name_len) != 0)
			continue;
		for (unsigned i = 0; i < PASS_CAP; i++)
			if (pass_is_live(&book->passes[i], site, true, now_ns) &&
			    secret_is(&book->passes[i], cookie + name_len + 1, len - name_len - 1))
				is_right = true;
	}
	return is_right;
}

bool gateway_cookie_is_own(const char *cookie, size_t len)
{
	size_t prefix_len = strlen(COOKIE_PREFIX);
	size_t at = prefix_len;

	while (len && (*cookie == ' ' || *cookie == '\t'))
		cookie++, len--;
	/* The cookies of another node, too, at another port of the same name. */
	if (len < prefix_len || memcmp(cookie, COOKIE_PREFIX, prefix_len) != 0)
		return false;
	while (at < len && cookie[at] >= '0' && cookie[at] <= '9')
		at++;
	return at > prefix_len && (at == len || strchr("= \t", cookie[at]));
}

size_t gateway_cookies_write(const char *cookies, char *out, size_t cap)
{
	const char *cookie;
	size_t at = 0, len;

	while ((cookie = cookie_next(&cookies, &len)) != NULL) {
		if (gateway_cookie_is_own(cookie, len) || at + len + 3 > cap)
			continue;
		if (at)
			at += (size_t)snprintf(out + at, cap - at, "; ");
		memcpy(out + at, cookie, len);
		at += len;
	}
	if (cap)
		out[at] = '\0';
	return at;
}

unsigned gateway_pass_cnt(const struct pass_book *book, uint64_t now_ns)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < PASS_CAP; i++)
		cnt += now_ns < book->passes[i].expires_ns;
	return cnt;
}

int gateway_pass_write(struct pass_book *book, const struct guard *guard, const char *site,
		       uint64_t now_ns, char out_url[static GATEWAY_PASS_URL_CAP])
{
	char authority[GATEWAY_SITE_CAP + sizeof(guard->site_suffix)];
	char own[GATEWAY_SITE_CAP], code[PASS_TEXT_CAP];

	if (!guard->site_suffix[0])
		return WEFT_EREFUSED;
	if (snprintf(authority, sizeof(authority), "%s%s", site, guard->site_suffix) >=
	    (int)sizeof(authority))
		return WEFT_EMALFORMED;
	gateway_guard_site(guard, authority, own);
	if (!own[0])
		return WEFT_EMALFORMED;
	gateway_pass_make(book, own, now_ns, code);
	snprintf(out_url, GATEWAY_PASS_URL_CAP, "http://%s%s" PASS_PATH "%s", own,
		 guard->site_suffix, code);
	return 0;
}

bool gateway_pass_is_for(const struct gateway_conn *conn)
{
	return conn->shared->passes && conn->site[0] &&
	       strncmp(conn->target, PASS_PATH, strlen(PASS_PATH)) == 0;
}

void gateway_pass_answer(struct gateway_conn *conn)
{
	static const struct gateway_error gone = {
		401, "pass_unknown",
		"This address was opened before, or is older than two minutes; weft service open "
		"NAME prints another.",
		0};
	struct pass_book *book = conn->shared->passes;
	char headers[256], value[PASS_TEXT_CAP], cookie[160] = "";
	struct gateway_reply reply = {.status = 303, .headers = headers};

	if (conn->method != GATEWAY_GET) {
		gateway_reply_error(&conn->exchange, &gateway_refusal_method, conn->now_ns);
		return;
	}
	if (gateway_pass_open(book, conn->site, conn->target + strlen(PASS_PATH), conn->now_ns,
			      value)) {
		/* No Domain: of this host alone. */
		snprintf(cookie, sizeof(cookie),
			 "Set-Cookie: %s=%s; Path=/; Max-Age=%u; HttpOnly; SameSite=Strict\r\n",
			 book->cookie, value, (unsigned)(PASS_NS / NS_PER_S));
	} else if (conn->proof != GATEWAY_PROOF_COOKIE) {
		gateway_reply_error(&conn->exchange, &gone, conn->now_ns);
		return;
	}
	snprintf(headers, sizeof(headers), "%sLocation: /\r\nCache-Control: no-store\r\n", cookie);
	gateway_reply(&conn->exchange, &reply, conn->now_ns);
}

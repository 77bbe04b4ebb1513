/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_WEBSOCKET_PASS_H
#define WEFT_GATEWAY_WEBSOCKET_PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/gateway.h"

struct gateway_conn;

/*
 * Private to gateway/: how a browser gets to act as this node at the origin of one service. A
 * pass begins as a code in an address that is opened once, and is a cookie of that origin from
 * then on. Both are kept here alone, so they end with the daemon. A client that
 * holds the token, or may operate the node, can have passes made. When all places are
 * taken, the one that ends first makes room.
 *
 * Cookies know no port (RFC 6265, 8.5): a program of this machine that serves
 * the same name at another port is sent this one, too. So its name has the port in it, it is good
 * for one service, and only while the request's Origin is this gateway's.
 */
#define PASS_CAP      64
#define PASS_TEXT_CAP 65 /* 256 bits in hexadecimal */
#define PASS_CODE_NS  (120ull * 1000000000)
#define PASS_NS	      (12ull * 3600 * 1000000000)
#define PASS_PATH     "/.weft/open/"

struct pass {
	char site[GATEWAY_SITE_CAP]; /* "": free */
	char secret[PASS_TEXT_CAP];
	uint64_t expires_ns;
	bool is_opened; /* the secret is the cookie's, no more the code */
};

struct pass_book {
	struct pass passes[PASS_CAP];
	char cookie[24]; /* its name */
};

void gateway_pass_book_init(struct pass_book *book, unsigned port);
/* gateway_pass_make writes a code for site, which gateway_guard_site has read. */
void gateway_pass_make(struct pass_book *book, const char *site, uint64_t now_ns,
		       char out_code[static PASS_TEXT_CAP]);
/* gateway_pass_open takes the code, once, and gives the cookie's value for it. */
bool gateway_pass_open(struct pass_book *book, const char *site, const char *code, uint64_t now_ns,
		       char out_value[static PASS_TEXT_CAP]);
/* gateway_pass_is_shown: one of the cookies in a field's value is a pass for site. */
bool gateway_pass_is_shown(const struct pass_book *book, const char *site, const char *cookies,
			   uint64_t now_ns);
unsigned gateway_pass_cnt(const struct pass_book *book, uint64_t now_ns);

/*
 * gateway_pass_write makes a pass for site and writes the address that opens it. Returns 0,
 * WEFT_EREFUSED (services have no hosts) or WEFT_EMALFORMED (site can be no host).
 */
struct guard;
WEFT_MUST_CHECK
int gateway_pass_write(struct pass_book *book, const struct guard *guard, const char *site,
		       uint64_t now_ns, char out_url[static GATEWAY_PASS_URL_CAP]);

/* gateway_pass_is_for: conn's request opens a pass; gateway_pass_answer answers it. */
bool gateway_pass_is_for(const struct gateway_conn *conn);
void gateway_pass_answer(struct gateway_conn *conn);

#endif

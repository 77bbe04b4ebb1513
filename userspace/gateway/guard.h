/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_GUARD_H
#define WEFT_GATEWAY_GUARD_H

#include "gateway/gateway.h"

/*
 * Private to gateway/: which clients may ask. A web page that is open in a browser can send
 * requests to this machine under its own name (Origin). By a DNS answer that changes, it can send
 * them under a name of its own (Host). Another user of this machine can connect. So Host and Origin
 * are compared with lists. A client that changes anything shows the token, which no page and no
 * other user can read.
 */
struct guard {
	struct gateway_names hosts;
	struct gateway_names origins;
	char site_suffix[24]; /* ".localhost:PORT"; "": services have no hosts of their own */
	bool is_portless;     /* ".localhost" alone is meant, too */
	char token[GATEWAY_TOKEN_CAP];
	bool is_token_always;
};

/* gateway_guard_init: listen is where the gateway listens, its port known. 0, or WEFT_EFULL. */
WEFT_MUST_CHECK
int gateway_guard_init(struct guard *guard, const struct gateway_params *params,
		       const struct addr *listen);

/*
 * gateway_guard_site: whether authority is a service's own host, NAME.localhost or NAME.NODE.localhost;
 * then out_site is what stands in front, in lower case, else "".
 */
void gateway_guard_site(const struct guard *guard, const char *authority,
			char out_site[static GATEWAY_SITE_CAP]);
enum gateway_proof gateway_guard_proof(const struct gateway_conn *conn);

/* gateway_guard_judge: NULL: the request of conn may go to its route; else what it is answered by. */
const struct gateway_error *gateway_guard_judge(const struct guard *guard,
						const struct gateway_conn *conn);

#endif

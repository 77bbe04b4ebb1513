/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_REPLY_H
#define WEFT_GATEWAY_REPLY_H

#include "gateway/http_conn_state.h"

/* Private to gateway/: what a connection writes by itself. */

/* reply_continue lets a client go on that waits before it sends its body (RFC 9110, 10.1.1). */
void reply_continue(struct gateway_conn *conn);
/* reply_options tells what the route can do, to scripts of other origins as well. */
void reply_options(struct gateway_conn *conn);
/* reply_switch says 101 with the proof of the handshake (RFC 6455, 4.2.2). */
void reply_switch(struct gateway_conn *conn, const char *accept);
/* reply_switch_as says 101 with the fields of who is behind us. */
void reply_switch_as(struct gateway_conn *conn, const char *headers);

#endif

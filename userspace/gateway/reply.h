/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_REPLY_H
#define WEFT_GATEWAY_REPLY_H

#include "gateway/conn.h"

/* Private to gateway/: what a connection writes. */

/* reply_continue lets a client go on that waits before it sends its body (RFC 9110, 10.1.1). */
void reply_continue(struct gateway_conn *conn);
/* reply_refusal is an error that no route had a say in, told in one sentence. */
void reply_refusal(struct gateway_conn *conn, unsigned status, uint64_t now_ns);
/* reply_options tells what the route can do, to scripts of other origins as well. */
void reply_options(struct gateway_conn *conn, uint64_t now_ns);

/* conn.c */
void conn_start_request(struct gateway_conn *conn);

#endif

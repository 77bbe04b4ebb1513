/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_REPLY_H
#define WEFT_GATEWAY_REPLY_H

struct gateway_conn;

/* Private to gateway/: what a connection writes by itself. */

/* gateway_reply_continue lets a client go on that waits before it sends its body (RFC 9110, 10.1.1). */
void gateway_reply_continue(struct gateway_conn *conn);
/* gateway_reply_options tells what the route can do, to scripts of other origins as well. */
void gateway_reply_options(struct gateway_conn *conn);
/* gateway_reply_switch says 101 with the proof of the handshake (RFC 6455, 4.2.2). */
void gateway_reply_switch(struct gateway_conn *conn, const char *accept);
/* gateway_reply_switch_as says 101 with the fields of the service. */
void gateway_reply_switch_as(struct gateway_conn *conn, const char *headers);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_SOCKET_PROGRAM_SOCKET_H
#define WEFT_PROVIDER_SOCKET_PROGRAM_SOCKET_H

#include <stddef.h>

#include "service/service.h"

/*
 * Private to provider/: calls (program_socket.c) and streams (program_socket_stream.c) of an offer
 * whose program listens on a unix socket and speaks net.weft.Service; ctx is the offer.
 */
extern const struct service_handler provider_socket_handler;

/* socket_{call,stream}_len: of one in the pools of the provider. */
size_t provider_socket_call_len(void);
size_t provider_socket_stream_len(void);

/* program_socket_stream.c */
void provider_socket_stream_open(void *ctx, struct service_channel *channel,
				 const struct service_input *input, uint64_t now_ns);

#endif

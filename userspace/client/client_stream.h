/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_STREAM_H
#define WEFT_CLIENT_CLIENT_STREAM_H

#include "client/varlink.h"
#include "weft/client.h"

/*
 * client_stream_accept makes a stream of a connection on which the upgrade was just
 * answered; *varlink is taken on success. NULL: no memory.
 */
struct weft_stream *client_stream_accept(struct weft_client *client, struct varlink *varlink,
					 const struct weft_stream_events *events, void *arg);

#endif

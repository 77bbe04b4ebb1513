/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_CHANNEL_H
#define WEFT_TCP_TCP_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_channel.h"
#include "weft/err.h"

struct poller;
struct tcp_passed;

/*
 * TLS connections that an engine passed on (tcp_engine_params.pass), as channels of bytes on home's
 * poller. The speaker bounds how many there are: what it does not want is closed at once.
 */
struct tcp_channels;

struct tcp_channels_params {
	struct poller *poller;
	unsigned channel_cap;
	const struct byte_channel_events *events; /* the speaker's */
	void *ctx;				  /* of opened */
};
/* tcp_channels_open: 0, -ENOMEM or WEFT_EFULL. close: the speaker has closed all; takes NULL. */
WEFT_MUST_CHECK
int tcp_channels_open(const struct tcp_channels_params *params, struct tcp_channels **out_channels);
void tcp_channels_close(struct tcp_channels *channels);
/* tcp_channels_take takes what passed owns in any case. */
void tcp_channels_take(struct tcp_channels *channels, const struct tcp_passed *passed,
		       uint64_t now_ns);

#endif

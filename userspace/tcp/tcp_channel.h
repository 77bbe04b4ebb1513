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

/* How channels are dialled. */
struct tcp_channel_dials {
	struct addr proxy;	/* an HTTP proxy for the Internet; ADDR_NONE: none */
	const char *proxy_user; /* user:password there, copied; NULL: none */
	const char *ca_file;	/* "": the machine's authorities */
};

struct tcp_channels_params {
	struct poller *poller;
	unsigned channel_cap;
	const struct byte_channel_events *events; /* the speaker's */
	void *ctx;				  /* of opened */
	const struct tcp_channel_dials *dials;	  /* NULL: none is dialled */
};
/* tcp_channels_open: 0, -ENOMEM or WEFT_EFULL. close: the speaker has closed all; takes NULL. */
WEFT_MUST_CHECK
int tcp_channels_open(const struct tcp_channels_params *params, struct tcp_channels **out_channels);
void tcp_channels_close(struct tcp_channels *channels);
/* tcp_channels_take takes what passed owns in any case. */
void tcp_channels_take(struct tcp_channels *channels, const struct tcp_passed *passed,
		       uint64_t now_ns);

/*
 * tcp_channels_dial begins to connect, by TLS of HTTP. opened follows, or lost, which says why. The
 * speaker bounds how long that may take, and may close the channel at once. Nothing of target is
 * used after the call. 0, -errno, or WEFT_EFULL.
 */
struct tcp_channel_target {
	struct addr addr;
	const char *name;   /* the certificate is of this host; NULL: */
	const uint8_t *key; /* it has this key, of 32 bytes */
	void *user;	    /* the channel's */
};
WEFT_MUST_CHECK
int tcp_channels_dial(struct tcp_channels *channels, const struct tcp_channel_target *target,
		      struct byte_channel **out_channel);

#endif

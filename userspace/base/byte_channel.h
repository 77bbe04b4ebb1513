/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_BYTE_CHANNEL_H
#define WEFT_BASE_BYTE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

/*
 * The seam between TLS connections of peers that speak another protocol than the mesh (tcp/) and
 * the part that speaks it. The carrier implements the ops, the speaker the events. A channel
 * belongs to the carrier and is gone when close returns, also within an event of it. No op raises
 * an event.
 */
struct byte_channel;

#define BYTE_CHANNEL_WRITE_MAX	  16384 /* one record of TLS (RFC 8446 5.1) */
#define BYTE_CHANNEL_EXPORTER_LEN 32

struct byte_channel_ops {
	/*
	 * write takes all of data, which is BYTE_CHANNEL_WRITE_MAX bytes at most. 1: and more now;
	 * 0: and no more before writable; negative: the connection is lost, close it.
	 */
	int (*write)(struct byte_channel *channel, const void *data, size_t len);
	/* read: whether input is wanted. Bytes that were read already still come. */
	void (*read)(struct byte_channel *channel, bool is_wanted);
	/* shut: nothing follows. The peer's end is waited for by the speaker. */
	void (*shut)(struct byte_channel *channel);
	void (*close)(struct byte_channel *channel);
	/* exporter: of TLS (RFC 8446 7.5), BYTE_CHANNEL_EXPORTER_LEN bytes by a context of 32. */
	int (*exporter)(struct byte_channel *channel, const char *label, const uint8_t *context,
			uint8_t *out);
};
struct byte_channel {
	const struct byte_channel_ops *ops;
	void *user; /* the speaker's */
	struct addr remote;
	const char *why; /* it was lost, a static sentence; NULL: its peer ended it */
};

struct byte_channel_events {
	/*
	 * opened sets channel->user; of a channel that was dialled the dial did. False: it is not
	 * wanted, and the carrier ends it.
	 */
	bool (*opened)(void *ctx, struct byte_channel *channel, uint64_t now_ns);
	/* input: data may be changed in place. */
	void (*input)(struct byte_channel *channel, uint8_t *data, size_t len, uint64_t now_ns);
	void (*writable)(struct byte_channel *channel, uint64_t now_ns);
	/* lost: the peer ended the connection, or it broke. The speaker closes the channel. */
	void (*lost)(struct byte_channel *channel, uint64_t now_ns);
};

#endif

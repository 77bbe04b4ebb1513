/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_SOCKETS_CHANNEL_SOCKET_H
#define WEFT_SERVICE_SOCKETS_CHANNEL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread/poller.h"
#include "base/timer.h"
#include "service/service.h"

struct heap;

/*
 * A stream of a service joined to a stream socket: bytes both ways, the end of each direction on
 * its own. Each message of the stream is a part of the bytes, and its bounds mean nothing. An empty
 * message is no byte: the provider says by one that it is ready.
 *
 * Push-back: nothing is read from the socket while the channel takes nothing. Bytes of the channel
 * count as used when the socket has taken them. What the socket does not take waits in memory: at
 * most what the channel's window lets the sender send. Home worker.
 *
 * The sender of a stream can fill the heap when the receiver does not read. A heap without room ends
 * that stream alone, and other streams notice nothing before.
 */
struct channel_socket;
struct channel_socket_owner {
	/* The provider took the stream (asker only), or says that it is ready. NULL: not told. */
	void (*opened)(struct channel_socket *socket, const uint8_t *provider, uint64_t now_ns);
	void (*marked)(struct channel_socket *socket, uint64_t now_ns);
	/* The last event: channel and descriptor are closed. answer: how the stream ended. */
	void (*over)(struct channel_socket *socket, const struct service_answer *answer,
		     uint64_t now_ns);
};

struct channel_socket {
	/* Set by the owner. */
	const struct channel_socket_owner *owner;
	struct service_channel *channel; /* NULL: it has ended */
	struct poller *poller;
	struct timer_wheel *timers;
	struct heap *memory;
	/* Read by the owner. */
	uint64_t moved_ns; /* when a byte moved last */
	/* Private. */
	struct poller_watch watch;
	struct timer timer;
	unsigned interest;
	bool is_started, is_hung;
	bool is_watched;  /* by the poller, for interest and for the hang-up */
	bool is_blocked;  /* the channel takes nothing now */
	bool is_in_ended; /* the socket sends nothing more, and the channel has all of it */
	bool has_finish;  /* the other side sends nothing more */
	bool is_shut;	  /* the socket was told that */
	bool is_marked;
	uint8_t *held; /* came, and the socket has not taken it: [held_begin, held_end) */
	size_t held_begin, held_end, held_cap;
	size_t read_len; /* read from the socket, and the channel has not taken it */
	uint8_t read[SERVICE_COPY_LEN_MAX];
};

/* The events of the channel; its arg is the socket. */
extern const struct service_channel_events service_channel_socket_events;

/* service_channel_socket_init: without a channel and a descriptor; bytes that come are held. */
void service_channel_socket_init(struct channel_socket *socket);
/* service_channel_socket_start takes fd, which does not block. No event comes inside of it. */
void service_channel_socket_start(struct channel_socket *socket, int fd, uint64_t now_ns);
/* service_channel_socket_end ends the stream with status and text; no event follows. */
void service_channel_socket_end(struct channel_socket *socket, enum service_status status,
				const char *text);

#endif

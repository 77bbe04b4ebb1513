/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_VARLINK_H
#define WEFT_CLIENT_VARLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "weft/err.h"

/*
 * A connection that speaks varlink, as the calling or as the called
 * side: JSON objects, each with a NUL behind it, and after an upgrade bytes.
 * Never waits.
 */
struct varlink_buffer {
	char *data;
	size_t begin, end, cap;
};

struct varlink {
	int fd;
	struct varlink_buffer in, out;
	size_t scanned;	 /* bytes of in, from begin, that have no NUL */
	bool has_passed; /* passed came, and was not taken yet */
	int passed;
};

/* A daemon gone mad should not take our memory too. */
#define VARLINK_MESSAGE_LEN_MAX (256u << 20)

#define VARLINK_PATH_SYSTEM "/run/weft/control.sock"
/* client_varlink_path: where the daemon of this user is, else where the system's is; named may be NULL. */
#define VARLINK_PATH_CAP 256
const char *client_varlink_path(const char *named, char path[static VARLINK_PATH_CAP]);
/*
 * client_varlink_connect waits at most timeout_ms (-1: without end) when the other
 * side is slow to accept. 0, -ENAMETOOLONG, -errno; -EAGAIN: not accepted in
 * time.
 */
WEFT_MUST_CHECK
int client_varlink_connect(struct varlink *varlink, const char *path, int timeout_ms);
/* client_varlink_adopt: fd is ours and non-blocking. */
void client_varlink_adopt(struct varlink *varlink, int fd);
void client_varlink_close(struct varlink *varlink);
/* client_varlink_is_fresh: nothing waits on an idle connection, its end neither. */
bool client_varlink_is_fresh(const struct varlink *varlink);

/*
 * client_varlink_send queues a message, client_varlink_send_bytes two parts, whole or not at
 * all. 0, -ENOMEM, WEFT_ETOOLARGE.
 */
WEFT_MUST_CHECK
int client_varlink_send(struct varlink *varlink, const json_t *message);
WEFT_MUST_CHECK
int client_varlink_send_bytes(struct varlink *varlink, const void *head, size_t head_len,
			      const void *data, size_t len);
/* client_varlink_backlog_len: queued and not sent. */
size_t client_varlink_backlog_len(const struct varlink *varlink);
/* client_varlink_flush sends what it can. 0 or -errno, and again when it is called again. */
int client_varlink_flush(struct varlink *varlink);
/* client_varlink_fill reads once. Bytes read, 0 at the end, -EAGAIN, -ENOMEM, WEFT_ETOOLARGE, -errno. */
WEFT_MUST_CHECK
int client_varlink_fill(struct varlink *varlink);
/*
 * client_varlink_take gives the next message, which the caller owns. 1, 0 (none is
 * whole), WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int client_varlink_take(struct varlink *varlink, json_t **out_message);
/* client_varlink_take_fd gives the descriptor that came with the last message, or -1. */
int client_varlink_take_fd(struct varlink *varlink);
/* varlink_{peek,skip}: bytes that came. */
size_t client_varlink_peek(const struct varlink *varlink, const uint8_t **out_data);
void client_varlink_skip(struct varlink *varlink, size_t len);

#endif

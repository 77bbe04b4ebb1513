/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a varlink connection: queued, sent, read, cut into messages. */
#include "client/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "codec/json_heap.h"

#define BUFFER_CAP_FIRST 4096
#define FILL_ROOM_MIN	 65536

const char *client_varlink_path(const char *named, char path[static VARLINK_PATH_CAP])
{
	static const struct {
		const char *variable, *below;
	} usual[] = {
		{"XDG_RUNTIME_DIR", "weft/control.sock"},
		{"XDG_STATE_HOME", "weft/control.sock"},
		{"HOME", ".local/state/weft/control.sock"},
	};

	if (!named)
		named = getenv("WEFT_SOCKET");
	if (named && *named)
		return named;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		const char *base = getenv(usual[i].variable);

		if (base && *base == '/' &&
		    snprintf(path, VARLINK_PATH_CAP, "%s/%s", base, usual[i].below) <
			    VARLINK_PATH_CAP &&
		    access(path, F_OK) == 0)
			return path;
	}
	return VARLINK_PATH_SYSTEM;
}

int client_varlink_connect(struct varlink *varlink, const char *path, int timeout_ms)
{
	struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, err;

	json_heap_begin();
	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A daemon that hangs accepts no connection from its queue, so connecting waits too. */
	if (timeout_ms >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	err = connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ? -errno : 0;
	if (err == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		err = -errno;
	if (err < 0) {
		close(fd);
		return err;
	}
	client_varlink_adopt(varlink, fd);
	return 0;
}

void client_varlink_adopt(struct varlink *varlink, int fd)
{
	*varlink = (struct varlink){.fd = fd};
}

void client_varlink_close(struct varlink *varlink)
{
	if (varlink->fd >= 0)
		close(varlink->fd);
	if (varlink->has_passed)
		close(varlink->passed);
	free(varlink->in.data);
	free(varlink->out.data);
	*varlink = (struct varlink){.fd = -1};
}

bool client_varlink_is_fresh(const struct varlink *varlink)
{
	char byte;

	return recv(varlink->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN &&
	       varlink->in.begin == varlink->in.end;
}

/* buffer_reserve makes room for len bytes at the end. */
static int buffer_reserve(struct varlink_buffer *buffer, size_t len)
{
	size_t used = buffer->end - buffer->begin;
	size_t cap = buffer->cap ? buffer->cap : BUFFER_CAP_FIRST;
	char *data;

	if (buffer->cap - buffer->end >= len)
		return 0;
	if (buffer->begin) {
		memmove(buffer->data, buffer->data + buffer->begin, used);
		buffer->begin = 0;
		buffer->end = used;
	}
	while (cap - used < len)
		cap *= 2;
	if (cap == buffer->cap)
		return 0;
	if (cap > 2u * VARLINK_MESSAGE_LEN_MAX)
		return WEFT_ETOOLARGE;
	data = realloc(buffer->data, cap);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->cap = cap;
	return 0;
}

int client_varlink_send_bytes(struct varlink *varlink, const void *head, size_t head_len,
			      const void *data, size_t len)
{
	int err = buffer_reserve(&varlink->out, head_len + len);

	if (err < 0)
		return err;
	memcpy(varlink->out.data + varlink->out.end, head, head_len);
	if (len)
		memcpy(varlink->out.data + varlink->out.end + head_len, data, len);
	varlink->out.end += head_len + len;
	return 0;
}

int client_varlink_send(struct varlink *varlink, const json_t *message)
{
	/* A message that something is missing of says something else. */
	char *text = json_heap_swap_lost(false) ? NULL : json_dumps(message, JSON_COMPACT);
	int err = text ? client_varlink_send_bytes(varlink, text, strlen(text) + 1, NULL, 0)
		       : -ENOMEM;

	free(text);
	return err;
}

size_t client_varlink_backlog_len(const struct varlink *varlink)
{
	return varlink->out.end - varlink->out.begin;
}

int client_varlink_flush(struct varlink *varlink)
{
	while (client_varlink_backlog_len(varlink)) {
		ssize_t n = send(varlink->fd, varlink->out.data + varlink->out.begin,
				 client_varlink_backlog_len(varlink), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		varlink->out.begin += (size_t)n;
	}
	varlink->out.begin = varlink->out.end = 0;
	return 0;
}

/* fd_keep takes the descriptor that came with bytes; of more than one, the last. */
static void fd_keep(struct varlink *varlink, struct msghdr *message)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
		    head->cmsg_len != CMSG_LEN(sizeof(int)))
			continue;
		if (varlink->has_passed)
			close(varlink->passed);
		memcpy(&varlink->passed, CMSG_DATA(head), sizeof(int));
		varlink->has_passed = true;
	}
}

/* varlink_recv: as recv, and a descriptor that comes with the bytes. */
static ssize_t varlink_recv(struct varlink *varlink, char *room, size_t cap)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {room, cap};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(varlink->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n > 0)
		fd_keep(varlink, &message);
	return n;
}

int client_varlink_take_fd(struct varlink *varlink)
{
	bool has_passed = varlink->has_passed;

	varlink->has_passed = false;
	return has_passed ? varlink->passed : -1;
}

int client_varlink_fill(struct varlink *varlink)
{
	struct varlink_buffer *in = &varlink->in;
	ssize_t n;
	int err;

	if (in->end - in->begin > VARLINK_MESSAGE_LEN_MAX)
		return WEFT_ETOOLARGE;
	err = buffer_reserve(in, FILL_ROOM_MIN);
	if (err < 0)
		return err;
	do {
		n = varlink_recv(varlink, in->data + in->end, FILL_ROOM_MIN);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	in->end += (size_t)n;
	return (int)n;
}

int client_varlink_take(struct varlink *varlink, json_t **out_message)
{
	struct varlink_buffer *in = &varlink->in;
	size_t len = in->end - in->begin;
	const char *text, *nul;
	json_t *message = NULL;
	int err;

	if (len == varlink->scanned)
		return 0;
	text = in->data + in->begin;
	nul = memchr(text + varlink->scanned, '\0', len - varlink->scanned);
	varlink->scanned = len;
	if (!nul)
		return 0;
	err = json_heap_load(text, (size_t)(nul - text), JSON_REJECT_DUPLICATES, &message);
	client_varlink_skip(varlink, (size_t)(nul - text) + 1);
	if (err == -ENOMEM)
		return err;
	if (!json_is_object(message)) {
		json_decref(message);
		return WEFT_EMALFORMED;
	}
	*out_message = message;
	return 1;
}

size_t client_varlink_peek(const struct varlink *varlink, const uint8_t **out_data)
{
	if (varlink->in.end != varlink->in.begin)
		*out_data = (const uint8_t *)varlink->in.data + varlink->in.begin;
	return varlink->in.end - varlink->in.begin;
}

void client_varlink_skip(struct varlink *varlink, size_t len)
{
	varlink->in.begin += len;
	varlink->scanned = 0;
	if (varlink->in.begin == varlink->in.end)
		varlink->in.begin = varlink->in.end = 0;
}

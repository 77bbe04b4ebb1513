/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon says to the client library, in pieces whose length the first byte gives. Each NUL
 * ends one message, an object or nothing of the kind; what is behind the last is still there.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "client/varlink.h"

#define INPUT_LEN_MAX 65536 /* a socket takes it whole */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned messages_take(struct varlink *varlink)
{
	unsigned cnt = 0;
	json_t *message;
	int err;

	while ((err = client_varlink_take(varlink, &message))) {
		weft_assert(err == 1 || err == WEFT_EMALFORMED);
		if (err == 1) {
			weft_assert(json_is_object(message));
			json_decref(message);
		}
		cnt++;
	}
	return cnt;
}

static void check_pieces(struct varlink *varlink, int fd, const uint8_t *data, size_t len,
			 size_t piece_len)
{
	size_t since_nul = 0;
	const uint8_t *rest;
	unsigned want_cnt = 0, cnt = 0;

	for (size_t at = 0; at < len; at += piece_len) {
		size_t part = len - at < piece_len ? len - at : piece_len;

		weft_assert(send(fd, data + at, part, 0) == (ssize_t)part);
		weft_assert(client_varlink_fill(varlink) == (int)part);
		cnt += messages_take(varlink);
	}
	for (size_t i = 0; i < len; i++) {
		want_cnt += data[i] == '\0';
		since_nul = data[i] == '\0' ? 0 : since_nul + 1;
	}
	weft_assert(cnt == want_cnt);
	weft_assert(client_varlink_peek(varlink, &rest) == since_nul);
	weft_assert(!since_nul || memcmp(rest, data + len - since_nul, since_nul) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct varlink varlink;
	int fds[2];

	if (len < 1 || len > INPUT_LEN_MAX)
		return 0;
	weft_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	client_varlink_adopt(&varlink, fds[0]);
	check_pieces(&varlink, fds[1], data + 1, len - 1, data[0] * 8u + 1);
	client_varlink_close(&varlink);
	close(fds[1]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SOCKET_RIG_H
#define WEFT_TESTS_SOCKET_RIG_H

#include "provider_rig.h"

#include <jansson.h>

#include "codec/text/base64.h"
#include "codec/pipe_frame.h"
#include "codec/text/zbase32.h"

/* A program of the test's on a unix socket, which speaks net.weft.Service. */
#define HEAR_CAP (3u << 20)

struct desk {
	struct prig rig;
	struct prig_program program;
	char *heard;
};

static const struct provider_spec desk_spec = {
	.name = "desk",
	.version = "1.0.0",
	.kind = PROVIDER_SOCKET,
};

static inline void desk_init_with(struct desk *desk, struct provider_spec spec)
{
	prig_init(&desk->rig);
	desk->heard = malloc(HEAR_CAP);
	program_listen_unix(&desk->program, &desk->rig);
	spec.target = desk->program.target;
	weft_assert(prig_publish(&desk->rig, &spec) == 0);
	close(program_accept(&desk->rig, &desk->program));
	weft_assert(prig_view(&desk->rig).state == PROVIDER_READY);
}

static inline void desk_init(struct desk *desk)
{
	desk_init_with(desk, desk_spec);
}

static inline void desk_fini(struct desk *desk)
{
	close(desk->program.listener);
	free(desk->heard);
	prig_fini(&desk->rig);
}

static inline uint64_t memory_used(const struct desk *desk)
{
	struct provider_stats stats;

	provider_stats(desk->rig.provider, &stats);
	return stats.memory_used_len;
}

/* The program takes a request: a connection, and the message that came on it. */
static inline int desk_take(struct desk *desk, json_t **out_request)
{
	int fd = program_accept(&desk->rig, &desk->program);
	size_t len = 0;

	weft_assert(fd >= 0);
	for (unsigned i = 0; i < 2000 && !memchr(desk->heard, '\0', len); i++) {
		ssize_t n = recv(fd, desk->heard + len, HEAR_CAP - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			prig_turn(&desk->rig, NS_PER_MS);
	}
	*out_request = json_loads(desk->heard, JSON_REJECT_DUPLICATES, NULL);
	weft_assert(*out_request && desk->heard[len - 1] == '\0');
	return fd;
}

static inline void desk_reply(struct desk *desk, int fd, const char *text)
{
	program_say(fd, text, strlen(text) + 1);
	prig_run(&desk->rig);
}

static inline const char *param(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(json_object_get(request, "parameters"), name));
}

#endif

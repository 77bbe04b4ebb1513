/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SERVE_RIG_H
#define WEFT_TESTS_SERVE_RIG_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "blobs/content_message.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"
#include "support/content_duo.h"

/* A duo of which A shares a folder and B asks by hand; one for each program. */
#define BIG_LEN	  (3u * BLAKE3_CHUNK_LEN + 12345)
#define REPLY_CAP (BLAKE3_CHUNK_LEN + 8192)

static struct duo duo;
static struct link shared;
static uint8_t bytes[BIG_LEN];

/* One question to A and its answer. */
struct question {
	struct mesh_request *request;
	uint8_t buf[REPLY_CAP];
	bool is_answered;
	int err;
	enum mesh_code code;
	uint64_t not_before_ns;
	size_t len;
};

static inline void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct question *q = arg;

	(void)now_ns;
	q->is_answered = true;
	q->err = reply->err;
	q->code = reply->code;
	q->not_before_ns = reply->not_before_ns;
	q->len = reply->payload_len;
}

static inline void ask_raw(struct question *q, unsigned type, const void *payload, size_t len)
{
	struct mesh_ask ask = {
		.type = type,
		.payload = payload,
		.payload_len = len,
		.reply_buf = q->buf,
		.reply_cap = sizeof(q->buf),
		.timeout_ns = 60 * NS_PER_S,
		.reply = on_reply,
		.arg = q,
	};

	q->is_answered = false;
	(void)!duo_ops()->ask(&duo.nodes[DUO_B].mesh, &ask, duo.now_ns, &q->request);
}

static inline void ask(struct question *q, unsigned type, const uint8_t *id, uint64_t first,
		       uint64_t cnt)
{
	struct message_request request = {.first = first, .cnt = cnt};
	uint8_t payload[MESSAGE_REQUEST_CAP];
	size_t len;

	memcpy(request.id, id, sizeof(request.id));
	len = blobs_message_request_write(type, &request, payload);
	ask_raw(q, type, payload, len);
}

static inline bool answered(struct question *q)
{
	for (unsigned i = 0; i < 1000 && !q->is_answered; i++)
		(void)duo_turn(&duo);
	return q->is_answered;
}

static inline void hash_of(size_t len, uint64_t seed, uint8_t id[32])
{
	struct random random;

	random_init_seeded(&random, seed);
	random_fill(&random, bytes, len);
	blake3_hash(bytes, len, id);
}

/* An hour old, so that its stamp can be trusted. */
static inline void file_make(const char *name, size_t len, uint64_t seed, uint8_t id[32])
{
	struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};

	hash_of(len, seed, id);
	scratch_write(duo_path(&duo, name), bytes, len);
	utimensat(AT_FDCWD, duo_path(&duo, name), times, 0);
}

static uint8_t big_id[32], small_id[32], private_id[32];

static inline bool duo_begin(void)
{
	duo_init(&duo);
	mkdir(duo_path(&duo, "in"), 0755);
	mkdir(duo_path(&duo, "private"), 0755);
	file_make("private/x", 500, 5, private_id);
	file_make("in/small", 1000, 1, small_id);
	file_make("in/big", BIG_LEN, 2, big_id);
	return duo_share(&duo, duo_path(&duo, "in"), &shared);
}

#endif

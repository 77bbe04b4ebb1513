/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_TWINS_H
#define WEFT_TESTS_BPF_TWINS_H

#include "base/arena.h"
#include "bpf/support/program.h"
#include "net/ingress/tables.h"

/*
 * The BPF program and its native twin with the same tables. Every frame
 * goes to both; what they say of it must be one thing.
 */
#define TWINS_SESSION_CAP 4096
#define TWINS_BAN_CAP	  64
#define TWINS_WALL_S	  1800000000ull /* when the monotonic clock says 0 */

struct twins {
	struct program program;
	struct weft_tables native;
	struct arena arena;
	bool has_program; /* else the native one alone */
};

/* What both said. */
struct twins_verdict {
	enum weft_reason reason;
	struct program_result result; /* of the program */
};

/* twins_open: NULL, or why this machine runs no BPF program; native is there either way. Frames come by packet_device. */
const char *twins_open(struct twins *twins);
void twins_close(struct twins *twins);

/* twins_reset empties what datagrams fill: buckets, counters, proven addresses, bans. */
void twins_reset(struct twins *twins);
void twins_set_config(struct twins *twins, const struct weft_config *config);
void twins_set_cid_keys(struct twins *twins, const struct weft_cid_keys *keys);
void twins_set_token_keys(struct twins *twins, const struct weft_token_keys *keys);
void twins_set_locals(struct twins *twins, const struct weft_locals *locals);
void twins_set_device(struct twins *twins, const struct weft_device *device);
void twins_set_now(struct twins *twins, uint64_t now_ns);
void twins_ban(struct twins *twins, const struct weft_endpoint *addr, unsigned prefix_len,
	       uint64_t expires_ns);
/* twins_put_session: source is the path of a session. */
void twins_put_session(struct twins *twins, const struct weft_endpoint *source,
		       uint64_t expires_ns);
/* twins_prove: source showed a Retry's token now. */
void twins_prove(struct twins *twins, const struct weft_endpoint *source);

/*
 * twins_set_krpc_...: what DHT questions are answered from, as
 * net/ingress/krpc_table_writer.h writes it; without a network's id nothing is answered.
 */
void twins_set_krpc_id(struct twins *twins, enum weft_krpc_family family, const uint8_t *id);
void twins_set_krpc_token_key(struct twins *twins, const uint64_t key[2]);
void twins_set_krpc_nodes(struct twins *twins, enum weft_krpc_family family, unsigned bucket,
			  const uint8_t *compact, unsigned cnt);
void twins_set_krpc_held(struct twins *twins, const uint8_t *key, bool is_held);
/* twins_set_reply_keys: of our own questions, by whose transaction ids replies are known. */
void twins_set_reply_keys(struct twins *twins, const struct weft_krpc_reply_keys *keys);
/* twins_krpc_answer: what the native one answers to the question it judged last. */
void twins_krpc_answer(struct twins *twins, const struct weft_endpoint *asker,
		       struct weft_krpc_draft *out_draft);

/*
 * twins_judge gives the frame to both and compares. Returns NULL, or what
 * they differ in. Counters say which reason the program had.
 */
const char *twins_judge(struct twins *twins, const uint8_t *frame, size_t len,
			struct twins_verdict *out_verdict);
/* twins_judge_native: the native one alone; payload_len of facts is there for who wants it. */
enum weft_reason twins_judge_native(struct twins *twins, const uint8_t *frame, size_t len);
/* twins_compare_tables: NULL, or which table's contents differ. */
const char *twins_compare_tables(struct twins *twins);

/* twins_config: generous rates, samples on, the wall clock of TWINS_WALL_S. */
struct weft_config twins_config(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_BPF_PARITY_RIG_H
#define WEFT_TESTS_BPF_PARITY_RIG_H

#include "base/memory/arena.h"
#include "bpf/support/program.h"
#include "net/ingress/tables.h"

/*
 * The BPF program and its native build with the same tables. Every frame
 * goes to both; what they say of it must be one thing.
 */
#define PARITY_RIG_SESSION_CAP 4096
#define PARITY_RIG_BAN_CAP     64
#define PARITY_RIG_WALL_S      1800000000ull /* when the monotonic clock says 0 */

struct parity_rig {
	struct program program;
	struct weft_tables native;
	struct arena arena;
	bool has_program; /* else the native one alone */
};

/* By which frames come, and may leave: the program's test run has loopback's number. */
#define PARITY_RIG_IFINDEX 1

/* What both said. */
struct parity_rig_verdict {
	enum weft_reason reason;
	struct program_result result; /* of the program */
};

/* parity_rig_open: NULL, or why this machine runs no BPF program; native is there either way. Frames come by packet_device. */
const char *parity_rig_open(struct parity_rig *rig);
void parity_rig_close(struct parity_rig *rig);

/* parity_rig_reset empties what datagrams fill: buckets, counters, proven addresses, bans. */
void parity_rig_reset(struct parity_rig *rig);
void parity_rig_set_config(struct parity_rig *rig, const struct weft_config *config);
void parity_rig_set_cid_keys(struct parity_rig *rig, const struct weft_cid_keys *keys);
void parity_rig_set_token_keys(struct parity_rig *rig, const struct weft_token_keys *keys);
void parity_rig_set_locals(struct parity_rig *rig, const struct weft_locals *locals);
void parity_rig_set_device(struct parity_rig *rig, const struct weft_device *device);
void parity_rig_set_now(struct parity_rig *rig, uint64_t now_ns);
void parity_rig_ban(struct parity_rig *rig, const struct weft_endpoint *addr, unsigned prefix_len,
		    uint64_t expires_ns);
/* parity_rig_put_session: source is the path of a session. */
void parity_rig_put_session(struct parity_rig *rig, const struct weft_endpoint *source,
			    uint64_t expires_ns);
/* parity_rig_prove: source showed a Retry's token now. */
void parity_rig_prove(struct parity_rig *rig, const struct weft_endpoint *source);

/*
 * parity_rig_set_krpc_...: what DHT questions are answered from, as
 * net/ingress/krpc_table_writer.h writes it; without a network's id nothing is answered.
 */
void parity_rig_set_krpc_id(struct parity_rig *rig, enum weft_krpc_family family,
			    const uint8_t *id);
void parity_rig_set_krpc_token_key(struct parity_rig *rig, const uint64_t key[2]);
void parity_rig_set_krpc_nodes(struct parity_rig *rig, enum weft_krpc_family family,
			       unsigned bucket, const uint8_t *compact, unsigned cnt);
void parity_rig_set_krpc_held(struct parity_rig *rig, const uint8_t *key, bool is_held);
/* parity_rig_set_reply_keys: of our own questions, by whose transaction ids replies are known. */
void parity_rig_set_reply_keys(struct parity_rig *rig, const struct weft_krpc_reply_keys *keys);
/* parity_rig_krpc_answer: what the native one answers to the question it judged last. */
void parity_rig_krpc_answer(struct parity_rig *rig, const struct weft_endpoint *asker,
			    struct weft_krpc_draft *out_draft);

/*
 * parity_rig_set_relay_...: relay keys, a flow, a grant, as they are. Without keys this node is no
 * relay. parity_rig_relayed writes what the native build makes of the frame that it judged RELAYED
 * last, and returns its length.
 */
void parity_rig_set_relay_keys(struct parity_rig *rig, const struct weft_relay_keys *keys);
void parity_rig_set_relay_flow(struct parity_rig *rig, unsigned idx,
			       const struct weft_relay_flow *flow);
void parity_rig_set_relay_grant(struct parity_rig *rig, unsigned idx,
				const struct weft_relay_grant *grant);
size_t parity_rig_relayed(struct parity_rig *rig, const uint8_t *frame, size_t len, uint8_t *out);

/*
 * parity_rig_judge gives the frame to both and compares. Returns NULL, or what
 * they differ in. Counters say which reason the program had.
 */
const char *parity_rig_judge(struct parity_rig *rig, const uint8_t *frame, size_t len,
			     struct parity_rig_verdict *out_verdict);
/* parity_rig_judge_native: the native one alone; payload_len of facts is optional. */
enum weft_reason parity_rig_judge_native(struct parity_rig *rig, const uint8_t *frame, size_t len);
/* parity_rig_compare_relay: NULL, or that relay tables differ; compare_tables looks at them too. */
const char *parity_rig_compare_relay(struct parity_rig *rig);
/* parity_rig_compare_tables: NULL, or which table's contents differ. */
const char *parity_rig_compare_tables(struct parity_rig *rig);

/* parity_rig_config: generous rates, samples on, the wall clock of PARITY_RIG_WALL_S. */
struct weft_config parity_rig_config(void);

#endif

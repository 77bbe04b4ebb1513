/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVE_H
#define WEFT_BLOBS_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct blobs_member;
struct blobs_stats;
struct blobs_traffic;
struct message_holder;
struct chunk_buffers;
struct in_progress;
struct upload_limits;
struct serve;

/*
 * Answers to peers: manifests, chunks, chunk lists and range proofs, and which of these are
 * here. It serves the content that a share or a get of this node makes reachable, and nothing
 * else. Bytes in the page cache are read on the worker, others in a job. They are read into
 * buffers that are lent to streams until the peers have acknowledged them. A chunk that several
 * ask for at once is read once.
 *
 * blobs_serve_new registers the message handlers. Home worker.
 */
WEFT_MUST_CHECK
int blobs_serve_new(struct blobs *content, struct serve **out_serve);
void blobs_serve_free(struct serve *serve);
/* blobs_serve_buffers: the 256 KiB buffers of blobs_config.chunk_buffer_cnt; gets borrow from them. */
struct chunk_buffers *blobs_serve_buffers(struct serve *serve);
/*
 * blobs_serve_note_member: another server of this node learned of it. blobs_serve_member_cnt: of
 * id, lately. blobs_serve_members writes at most HOLDERS_MAX of those into out, and returns how
 * many.
 */
void blobs_serve_note_member(struct serve *serve, const struct blobs_member *member,
			     uint64_t now_ns);
unsigned blobs_serve_member_cnt(const struct serve *serve, const uint8_t id[static 32]);
unsigned blobs_serve_members(struct serve *serve, const uint8_t id[static 32], uint64_t now_ns,
			     struct message_holder *out);
void blobs_serve_set_limits(struct serve *serve, const struct upload_limits *limits,
			    uint64_t now_ns);
/* blobs_serve_credits_changed: more may go than before, or less. */
void blobs_serve_credits_changed(struct serve *serve);
void blobs_serve_fill_traffic(const struct serve *serve, uint64_t now_ns,
			      struct blobs_traffic *traffic);
/* blobs_serve_gives: as blobs_gives. */
bool blobs_serve_gives(struct serve *serve, const uint8_t content_id[static 32],
		       const uint8_t key[static 32]);
/* blobs_serve_now_ns: the last time that a caller passed. */
uint64_t blobs_serve_now_ns(const struct serve *serve);
/* blobs_serve_in_progress: what gets are fetching and may be served already. */
struct in_progress *blobs_serve_in_progress(struct serve *serve);
/* blobs_serve_forget_files closes descriptors kept open: a share was removed or a file forgotten. */
void blobs_serve_forget_files(struct serve *serve);
/*
 * blobs_serve_fill_stats adds served_*, shared_read_cnt, read_byte_cnt, refused_busy_cnt,
 * changed_cnt and chunk_buffer_used_cnt.
 */
void blobs_serve_fill_stats(const struct serve *serve, struct blobs_stats *stats);

#endif

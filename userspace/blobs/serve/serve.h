/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVE_H
#define WEFT_BLOBS_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct content;
struct content_member;
struct content_stats;
struct content_traffic;
struct message_holder;
struct chunk_buffers;
struct in_progress;
struct upload_limits;
struct serve;

/*
 * Answers to peers: manifests, chunks, chunk lists, range proofs, of what a
 * share or a get of ours makes reachable and of nothing else, and which of it
 * is here. Bytes in the page cache are read on the worker, others in a job,
 * into buffers that are lent to streams until the peers have acknowledged
 * them; a chunk that several ask for at once is read once.
 *
 * serve_new registers the message handlers. Home worker.
 */
WEFT_MUST_CHECK
int serve_new(struct content *content, struct serve **out_serve);
void serve_free(struct serve *serve);
/* serve_footprint: bytes of one worker with so many chunk buffers, touched as they are used. */
size_t serve_footprint(uint32_t chunk_buffer_cnt);
/* serve_buffers: the 256 KiB buffers of content_config.chunk_buffer_cnt; gets borrow from them. */
struct chunk_buffers *serve_buffers(struct serve *serve);
/*
 * serve_note_member: another server of this node heard of it. serve_member_cnt: of id, lately.
 * serve_members writes at most HOLDERS_MAX of those into out, and returns how many.
 */
void serve_note_member(struct serve *serve, const struct content_member *member, uint64_t now_ns);
unsigned serve_member_cnt(const struct serve *serve, const uint8_t id[static 32]);
unsigned serve_members(struct serve *serve, const uint8_t id[static 32], uint64_t now_ns,
		       struct message_holder *out);
void serve_set_limits(struct serve *serve, const struct upload_limits *limits, uint64_t now_ns);
/* serve_credits_changed: more may go than before, or less. */
void serve_credits_changed(struct serve *serve);
void serve_fill_traffic(const struct serve *serve, uint64_t now_ns,
			struct content_traffic *traffic);
/* serve_gives: as content_gives. */
bool serve_gives(struct serve *serve, const uint8_t content_id[static 32],
		 const uint8_t key[static 32]);
/* serve_now_ns: as far as it was told. */
uint64_t serve_now_ns(const struct serve *serve);
/* serve_in_progress: what gets are fetching and may be served already. */
struct in_progress *serve_in_progress(struct serve *serve);
/* serve_forget_files closes descriptors kept open: a share was removed or a file forgotten. */
void serve_forget_files(struct serve *serve);
/*
 * serve_fill_stats adds served_*, shared_read_cnt, read_byte_cnt, refused_busy_cnt, changed_cnt
 * and chunk_buffer_used_cnt.
 */
void serve_fill_stats(const struct serve *serve, struct content_stats *stats);

#endif

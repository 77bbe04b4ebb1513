/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_SERVE_SERVE_H
#define WEFT_CONTENT_SERVE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct content;
struct content_stats;
struct chunk_buffers;
struct serve;

/*
 * Answers to peers: manifests, chunks, chunk lists, range proofs, of what a
 * share or a get of ours makes reachable and of nothing else. Bytes in the
 * page cache are read on the worker, others in a job, into buffers that are
 * lent to the stream until the peer has acknowledged them.
 *
 * serve_new registers the message handlers. Home worker.
 */
WEFT_MUST_CHECK
int serve_new(struct content *content, struct serve **out_serve);
void serve_free(struct serve *serve);
/* serve_buffers: the 256 KiB buffers of content_config.chunk_buffer_cnt; gets borrow from them. */
struct chunk_buffers *serve_buffers(struct serve *serve);
/* serve_forget_files closes descriptors kept open: a share was removed or a file forgotten. */
void serve_forget_files(struct serve *serve);
/* serve_fill_stats adds served_*, refused_busy_cnt, changed_cnt and chunk_buffer_used_cnt. */
void serve_fill_stats(const struct serve *serve, struct content_stats *stats);

#endif

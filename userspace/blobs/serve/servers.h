/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVERS_H
#define WEFT_BLOBS_SERVE_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "blobs/blobs.h"

/*
 * Serving on several workers. Home does all of blobs.h. A server on each other worker only
 * answers peers, from the content that home's shares and gets make reachable. It reads the
 * store, writes nothing, and knows no share, import or get. Home orders and servers report, both
 * by messages whose function the other thread runs (base/thread/mailbox.h). node wires them to
 * worker/.
 */
struct blobs_servers;
struct mailbox_message;
struct timer_wheel;

struct blobs_servers_params {
	struct blobs *home;
	struct timer_wheel *timers;
	unsigned cnt; /* servers, from worker 1 on */
	/* Posts a message that server idx runs, with its struct blobs. False: no room. */
	bool (*order)(void *ctx, unsigned idx, const struct mailbox_message *message);
	/* Messages that can be repeated are not to be posted to server idx now. */
	bool (*is_crowded)(void *ctx, unsigned idx);
	void *ctx;
};

/*
 * blobs_servers_start gives every server what is in force, for the first time; until then
 * nothing is posted. blobs_servers_free takes NULL. All of them, and what servers report, are for
 * home's thread. new: 0 or -ENOMEM.
 */
WEFT_MUST_CHECK
int blobs_servers_new(const struct blobs_servers_params *params,
		      struct blobs_servers **out_servers);
void blobs_servers_start(struct blobs_servers *servers, uint64_t now_ns);
void blobs_servers_free(struct blobs_servers *servers);
/*
 * blobs_servers_spread_served hands every server the new list of what peers may read, and
 * blobs_servers_configure what a reload may change. False: not all have it, try again soon.
 */
bool blobs_servers_spread_served(struct blobs_servers *servers);
bool blobs_servers_configure(struct blobs_servers *servers, const struct blobs_config *config);
/* blobs_servers_limits_changed: servers get the limits, each its part, in this turn or the next. */
void blobs_servers_limits_changed(struct blobs_servers *servers);
/* blobs_servers_spread_member: home learned of member, and passes it to all servers. */
void blobs_servers_spread_member(struct blobs_servers *servers, const struct blobs_member *member);
/* blobs_servers_{stats,traffic}: of server idx, a fraction of a second old when it is busy. */
const struct blobs_stats *blobs_servers_stats(const struct blobs_servers *servers, unsigned idx);
const struct blobs_traffic *blobs_servers_traffic(const struct blobs_servers *servers,
						  unsigned idx);

/* blobs_server_new: as blobs_new, of a server. Context: the server's thread, as all below. */
WEFT_MUST_CHECK
int blobs_server_new(const struct blobs_params *params, struct blobs **out_server);
/* blobs_server_report posts what was served, and figures: some times a second, when there are any. */
void blobs_server_report(struct blobs *server, uint64_t now_ns);
/* blobs_server_report_file: the file changed, or, with is_changed false, can be trusted by now. */
struct object_file;
void blobs_server_report_file(struct blobs *server, bool is_changed,
			      const struct object_file *file);
/* blobs_server_report_member: a peer said that it serves content. */
void blobs_server_report_member(struct blobs *server, const struct blobs_member *member);

/* blobs_served_copy: of what peers may read now. NULL: no memory; try again in a later turn. */
struct served_index *blobs_served_copy(struct blobs *content);
/* blobs_take_served takes served_index: server answers from it from now on. */
void blobs_take_served(struct blobs *server, struct served_index *served_index);
/* blobs_in_progress_copy: of what gets are fetching. NULL: no memory, or no descriptors. */
struct in_progress *blobs_in_progress_copy(struct blobs *content);
void blobs_in_progress_free(struct in_progress *in_progress);
/*
 * blobs_read_usage_changes: what server sent since the last call; returns how many were set.
 * blobs_note_usage: it did.
 */
unsigned blobs_read_usage_changes(struct blobs *server,
				  struct blobs_usage out_usages[static 2 * BLOBS_USAGE_MAX]);
void blobs_note_usage(struct blobs *content, const struct blobs_usage *usage, uint64_t now_ns);
/* blobs_note_served: of the files of a manifest len bytes were sent. Home. */
void blobs_note_served(struct blobs *content, const uint8_t manifest_id[static 32], uint64_t len);

#endif

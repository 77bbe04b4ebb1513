/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_MESSAGE_H
#define WEFT_WORKER_WORKER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "blobs/blobs.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "firewall/arrivals_report.h"
#include "workers.h"
#include "quic/quic.h"
#include "weft/err.h"
#include "weft/fastpath.h"

/*
 * Private to workers*.c: what home and the other workers say to each other. A
 * message is allocated by who writes it and freed by who reads it. They are
 * few: one goes with a session, a finding about a file, an order, and
 * figures, of all sessions and of unvalidated sources too, some times a second; never
 * with a packet or a chunk.
 */
struct ban_set;
struct in_progress;
struct served_index;
struct ring;

/* Messages under way each way between home and one worker. Power of two. */
#define WORKER_MESSAGE_CNT_MAX WORKERS_REPORT_MAX
/* Proven paths that go together: those of all connections are told again and again. */
#define WORKER_MESSAGE_PATHS_MAX 32
/* Sessions whose figures go together. */
#define WORKER_MESSAGE_SESSIONS_MAX 32

enum worker_message_kind {
	WORKER_MESSAGE_SERVED_INDEX, /* orders */
	WORKER_MESSAGE_IN_PROGRESS,
	WORKER_MESSAGE_LIMITS,
	WORKER_MESSAGE_CONFIGURE,
	WORKER_MESSAGE_BANS,
	WORKER_MESSAGE_POLICY,
	WORKER_MESSAGE_CAPS,
	WORKER_MESSAGE_SHARES,
	WORKER_MESSAGE_WALL,
	WORKER_MESSAGE_ROTATE_CIDS,
	WORKER_MESSAGE_WAKE,
	WORKER_MESSAGE_HOLD,
	WORKER_MESSAGE_ADD_QUEUE,
	WORKER_MESSAGE_REMOVE_QUEUE,
	WORKER_MESSAGE_MTU,
	WORKER_MESSAGE_STOP,
	WORKER_MESSAGE_MEMBER,	/* both ways */
	WORKER_MESSAGE_SESSION, /* reports */
	WORKER_MESSAGE_SESSIONS,
	WORKER_MESSAGE_ARRIVALS,
	WORKER_MESSAGE_FAILURE,
	WORKER_MESSAGE_PATHS,
	WORKER_MESSAGE_FINDING,
	WORKER_MESSAGE_SERVED,
	WORKER_MESSAGE_USAGES,
	WORKER_MESSAGE_SAMPLE,
	WORKER_MESSAGE_FIGURES,
	WORKER_MESSAGE_QUEUE_LEFT,
};

struct worker_message {
	enum worker_message_kind kind;
	union {
		struct served_index *served_index; /* the message's until taken */
		struct ban_set *bans;		   /* likewise */
		struct in_progress *in_progress;   /* likewise */
		struct {
			uint64_t values[BLOBS_LIMIT_CNT];
			uint64_t upload_part;
			struct blobs_credit credits[BLOBS_ZONE_CNT];
		} limits;
		struct blobs_member member;
		struct {
			unsigned cnt; /* of struct blobs_usage, that follow the message */
		} usages;
		struct weft_config policy;
		uint32_t caps;
		struct {
			uint32_t cnt; /* of struct mesh_share, that follow the message */
		} shares;
		struct {
			unsigned device;
			uint32_t mtu;
		} mtu;
		struct {
			struct workers_queue at;
			int err; /* of a report: why it was not taken */
		} queue;
		struct {
			struct quic_config quic;
			struct mesh_config mesh;
			struct blobs_config content;
		} config;
		struct {
			uint64_t wall_s, now_ns;
		} wall;
		struct {
			struct mesh_peer_info peer;
			bool is_up;
		} session;
		struct {
			unsigned cnt; /* of struct mesh_peer_info, that follow the message */
		} sessions;
		struct arrivals_changes arrivals; /* its changes follow the message */
		struct mesh_failure failure;
		struct {
			unsigned cnt;
			struct addr remotes[WORKER_MESSAGE_PATHS_MAX];
		} paths;
		struct {
			bool is_changed;
			size_t len;
		} finding; /* its bytes follow the message */
		struct {
			uint8_t manifest_id[32];
			uint64_t len;
		} served;
		struct weft_sample sample;
		struct worker_figures figures;
		struct udp_hold hold;
	};
	_Alignas(8) uint8_t bytes[];
};

/* worker_message_new: with room for bytes_len bytes; NULL: no memory. worker_message_free takes NULL. */
struct worker_message *worker_message_new(enum worker_message_kind kind, size_t bytes_len);
void worker_message_free(struct worker_message *message);

/*
 * One way between two threads, bounded. The writer posts and has lost_cnt,
 * the reader takes; fd, an eventfd that may be many mailboxes', wakes the
 * reader.
 */
struct mailbox {
	struct ring *messages;
	int fd;
	uint64_t lost_cnt;
};

/* worker_mailbox_init borrows fd. 0 or -ENOMEM. worker_mailbox_fini frees what was not read; takes a zeroed one. */
WEFT_MUST_CHECK
int worker_mailbox_init(struct mailbox *mailbox, int fd);
void worker_mailbox_fini(struct mailbox *mailbox);
/*
 * worker_mailbox_post takes message in any case. False: the mailbox is full, or message
 * NULL (no memory for one); counted, and the message freed.
 */
bool worker_mailbox_post(struct mailbox *mailbox, struct worker_message *message);
/* worker_mailbox_take: the oldest message, the caller's from now on, or NULL. */
struct worker_message *worker_mailbox_take(struct mailbox *mailbox);
/* worker_mailbox_fill: about how many wait. */
unsigned worker_mailbox_fill(const struct mailbox *mailbox);
/* worker_mailbox_wake and worker_mailbox_rest: the reader's fd becomes readable, and is not any more. */
void worker_mailbox_wake(int fd);
void worker_mailbox_rest(int fd);

#endif

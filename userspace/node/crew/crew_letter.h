/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_CREW_LETTER_H
#define WEFT_NODE_CREW_LETTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "content/content.h"
#include "mesh/mesh.h"
#include "net/packet_io.h"
#include "node/policy/arrivals_report.h"
#include "node/crew/crew.h"
#include "quic/quic.h"
#include "weft/err.h"
#include "weft/fastpath.h"

/*
 * Private to crew*.c: what home and the other workers say to each other. A
 * letter is allocated by who writes it and freed by who reads it. They are
 * few: one goes with a session, a finding about a file, an order, and
 * figures, of all sessions and of strangers too, some times a second; never
 * with a packet or a chunk.
 */
struct ban_set;
struct partials;
struct reach;
struct ring;

/* Letters under way each way between home and one worker. Power of two. */
#define LETTER_CNT_MAX CREW_REPORT_MAX
/* Proven paths that go together: those of all connections are told again and again. */
#define LETTER_PATHS_MAX 32
/* Sessions whose figures go together. */
#define LETTER_SESSIONS_MAX 32

enum letter_kind {
	LETTER_REACH, /* orders */
	LETTER_PARTIALS,
	LETTER_LIMITS,
	LETTER_CONFIGURE,
	LETTER_BANS,
	LETTER_POLICY,
	LETTER_CAPS,
	LETTER_SHARES,
	LETTER_WALL,
	LETTER_ROTATE_CIDS,
	LETTER_WAKE,
	LETTER_HOLD,
	LETTER_ADD_QUEUE,
	LETTER_REMOVE_QUEUE,
	LETTER_MTU,
	LETTER_STOP,
	LETTER_MEMBER,	/* both ways */
	LETTER_SESSION, /* reports */
	LETTER_SESSIONS,
	LETTER_ARRIVALS,
	LETTER_FAILURE,
	LETTER_PATHS,
	LETTER_FINDING,
	LETTER_SERVED,
	LETTER_USAGES,
	LETTER_SAMPLE,
	LETTER_FIGURES,
	LETTER_QUEUE_LEFT,
};

struct letter {
	enum letter_kind kind;
	union {
		struct reach *reach;	   /* the letter's until taken */
		struct ban_set *bans;	   /* likewise */
		struct partials *partials; /* likewise */
		struct {
			uint64_t values[CONTENT_LIMIT_CNT];
			uint64_t upload_part;
			struct content_credit credits[CONTENT_ZONE_CNT];
		} limits;
		struct content_member member;
		struct {
			unsigned cnt; /* of struct content_usage, that follow the letter */
		} usages;
		struct weft_config policy;
		uint32_t caps;
		struct {
			uint32_t cnt; /* of struct mesh_share, that follow the letter */
		} shares;
		struct {
			unsigned device;
			uint32_t mtu;
		} mtu;
		struct {
			struct crew_queue at;
			int err; /* of a report: why it was not taken */
		} queue;
		struct {
			struct quic_config quic;
			struct mesh_config mesh;
			struct content_config content;
		} config;
		struct {
			uint64_t wall_s, now_ns;
		} wall;
		struct {
			struct mesh_peer_info peer;
			bool is_up;
		} session;
		struct {
			unsigned cnt; /* of struct mesh_peer_info, that follow the letter */
		} sessions;
		struct arrivals_changes arrivals; /* its changes follow the letter */
		struct mesh_failure failure;
		struct {
			unsigned cnt;
			struct addr remotes[LETTER_PATHS_MAX];
		} paths;
		struct {
			bool is_changed;
			size_t len;
		} finding; /* its bytes follow the letter */
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

/* letter_new: with room for bytes_len bytes; NULL: no memory. letter_free takes NULL. */
struct letter *letter_new(enum letter_kind kind, size_t bytes_len);
void letter_free(struct letter *letter);

/*
 * One way between two threads, bounded. The writer posts and has lost_cnt,
 * the reader takes; fd, an eventfd that may be many mailboxes', wakes the
 * reader.
 */
struct mailbox {
	struct ring *letters;
	int fd;
	uint64_t lost_cnt;
};

/* mailbox_init borrows fd. 0 or -ENOMEM. mailbox_fini frees what was not read; takes a zeroed one. */
WEFT_MUST_CHECK
int mailbox_init(struct mailbox *mailbox, int fd);
void mailbox_fini(struct mailbox *mailbox);
/*
 * mailbox_post takes letter in any case. False: the mailbox is full, or letter
 * NULL (no memory for one); counted, and the letter freed.
 */
bool mailbox_post(struct mailbox *mailbox, struct letter *letter);
/* mailbox_take: the oldest letter, the caller's from now on, or NULL. */
struct letter *mailbox_take(struct mailbox *mailbox);
/* mailbox_fill: about how many wait. */
unsigned mailbox_fill(const struct mailbox *mailbox);
/* mailbox_wake and mailbox_rest: the reader's fd becomes readable, and is not any more. */
void mailbox_wake(int fd);
void mailbox_rest(int fd);

#endif

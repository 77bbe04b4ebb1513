/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_BLOBS_STATE_H
#define WEFT_BLOBS_BLOBS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "scope.h"
#include "blobs.h"
#include "blobs/rates/hours.h"
#include "blobs/months.h"
#include "blobs/traffic_limits.h"
#include "retainer.h"

/*
 * The state that the files of blobs/ share. Each object below has one file that owns it; blobs.c
 * makes them in this order and frees them in reverse.
 *
 *	shares	 share_table.c   what is offered
 *	imports	 import.c  trees being hashed
 *	serve	 serve.c   answers to peers; registers the message handlers
 *	swarms	 swarm.c   the peers that gets and readers ask
 *	gets	 get.c     what is being fetched; blobs_get_* are in there
 *	readers	 read.c    parts of files for programs of this machine
 *	scrub	 scrub.c   files here, read again slowly
 *	gc	 gc.c      sweeping; while it runs (is_sweeping) no import and
 *			   no get may start: they answer WEFT_EBUSY
 */
struct object_file;
struct shares;
struct imports;
struct serve;
struct swarms;
struct gets;
struct readers;
struct scrub;
struct gc;
struct served_index;
struct scope;

/* A list of what peers may read that is being made. */
struct served_filling {
	struct blobs *content;
	struct served_index *served_index;
};

struct blobs {
	struct blobs_params params;
	struct shares *shares;
	struct imports *imports;
	struct serve *serve;
	struct swarms *swarms;
	struct gets *gets;
	struct readers *readers;
	uint64_t streamed_byte_cnt; /* that came for readers */
	struct scrub *scrub;
	struct gc *gc;
	bool (*is_blocked)(void *ctx, const uint8_t content_id[static 32]); /* NULL: none is */
	void *blocker;
	struct blobs_retainer holders[BLOBS_HOLDERS_MAX];
	unsigned holder_cnt;
	unsigned unheld_cnt;		   /* manifests on their way into the store (retainer.h) */
	struct served_index *served_index; /* what serve answers from */
	bool is_served_stale;		   /* shares or gets changed since it was made */
	bool is_scope_absent;		   /* of some manifest: it is not stored yet */
	uint64_t served_index_ns;	   /* when it was made */
	struct blobs_limits limits;
	struct hours hours;
	struct months months;
	struct blobs_credit credits[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT];
	bool has_upload_part; /* of the limit of all uploads, this worker may send upload_part */
	uint64_t upload_part;
	struct zones zones;
	struct blind_keys blinds; /* as of blinds_ns, once there were some (blinds.c) */
	uint64_t blinds_ns;
	bool has_blinds;
	bool is_sweeping;
	bool is_server; /* all but serve and served_index are NULL */
};

/*
 * blobs_forget_file is for the part that finds that a file is no longer the one that was hashed
 * (serve.c). The file stops being a location, durably and soon, and the shares it belongs to
 * count it.
 */
void blobs_forget_file(struct blobs *content, const struct object_file *file);

/*
 * blobs_trust_file is for the part that verified the whole of a file with a racy record
 * (serve.c). The file's stamp is trusted from now on, durably and soon.
 */
void blobs_trust_file(struct blobs *content, const struct object_file *file);

/*
 * blobs_limits_apply: the limits changed. Requests to other nodes are taken of the limit of
 * downloads. blobs_download_ns says when bytes may be asked for (now_ns: at once).
 * blobs_download_take says that len bytes are asked for, and blobs_download_settle that len of
 * the taken ones came. A source's own limit is blobs_limit(content, BLOBS_LIMIT_DOWNLOAD_PEER),
 * for a struct byte_bucket of the source. blobs_price is the price of traffic with an address.
 * The cheaper of two nodes that have the same content is asked.
 */
void blobs_limits_apply(struct blobs *content, uint64_t now_ns);
uint64_t blobs_limit(const struct blobs *content, enum blobs_limit which);
uint64_t blobs_download_ns(const struct blobs *content, uint64_t now_ns);
void blobs_download_take(struct blobs *content, uint64_t len, uint64_t now_ns);
void blobs_download_settle(struct blobs *content, uint64_t taken_len, uint64_t len,
			   uint64_t now_ns);
unsigned blobs_price(const struct blobs *content, const struct addr *addr);
enum blobs_zone blobs_zone_of(const struct blobs *content, const struct addr *addr);

/* blobs_served_index: what peers may read now; borrowed until the next turn. */
struct served_index *blobs_served_index(struct blobs *content);

/* blobs_is_blocked: this content is not to be fetched (blobs_set_blocker). */
bool blobs_is_blocked(const struct blobs *content, const uint8_t content_id[static 32]);

/* blobs_wall_s: seconds since 1970; 0 without a clock. */
uint64_t blobs_wall_s(const struct blobs *content);
/* blobs_utc_offset_s: seconds that local time is ahead of UTC at wall_s. */
int64_t blobs_utc_offset_s(const struct blobs *content, uint64_t wall_s);

/*
 * blobs_served_changed is for share_table.c, get.c and holders: what peers may read is
 * not what it was.
 */
void blobs_served_changed(struct blobs *content);
/*
 * blobs_scope_set is for those that fill a list: what they add next has the scope of the
 * manifest of id. 0 or -ENOMEM.
 */
WEFT_MUST_CHECK
int blobs_scope_set(struct served_filling *filling, const uint8_t id[static 32]);
/* blobs_admits: the node of key may read what is bound to the community of id. */
bool blobs_admits(const struct blobs *content, const uint8_t id[static 32],
		  const uint8_t key[static MESH_KEY_LEN]);
/*
 * blinds.c: ids that strict communities alone may read are blinded (scope.h) in requests.
 *
 * blobs_unblind: the id that a request names, and the community whose members it is for;
 *     false: none that this node can tell. blobs_is_blind: ids bound to that community alone are
 *     answered under their blinded names only.
 * blobs_ways_to: how to name what has this scope (NULL: not known yet) to the node of
 *     peer_key, one after the other until it has it. Borrowed until the next call about keys.
 * blobs_name writes id in one of these ways; returns the length, 32 or BLIND_ID_LEN.
 */
#define BLOBS_WAYS_MAX 16u
struct blobs_ways {
	unsigned cnt;				      /* at least 1 */
	const struct blind_key *keys[BLOBS_WAYS_MAX]; /* NULL: the id itself */
};
bool blobs_unblind(struct blobs *content, const uint8_t blind[static BLIND_ID_LEN], uint64_t now_ns,
		   uint8_t out_id[static 32], uint8_t out_community[static 32]);
bool blobs_is_blind(struct blobs *content, const uint8_t community[static 32], uint64_t now_ns);
void blobs_ways_to(struct blobs *content, const struct scope *scope,
		   const uint8_t peer_key[static MESH_KEY_LEN], uint64_t now_ns,
		   struct blobs_ways *out_ways);
size_t blobs_name(const struct blobs_ways *ways, unsigned way, const uint8_t id[static 32],
		  uint8_t out_name[static BLIND_ID_LEN]);
/* blobs_scope_of: of a manifest that is here; false: it is not, or cannot be read. */
bool blobs_scope_of(const struct blobs *content, const uint8_t manifest_id[static 32],
		    struct scope *out_scope);

/* blobs_collect_served brings the shares' counts of served bytes up to date. */
void blobs_collect_served(struct blobs *content);

/* blobs_tell hands an event to node/; fields that are not set are zero. */
void blobs_tell(struct blobs *content, const struct blobs_event *event);
void blobs_tell_sent(struct blobs *content, const uint8_t *key, uint64_t len);

#endif

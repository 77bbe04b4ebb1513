/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_RATES_H
#define WEFT_BLOBS_RATES_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/* Limits of uploads and downloads, and what was sent: a part of blobs.h. Home worker. */
struct blobs;

/*
 * Limits that can be set while the node runs; blobs_limit_name gives the
 * words for people. Those of bytes are per second, 0: none; slots 0: as many
 * as there can be.
 */
enum blobs_limit {
	BLOBS_LIMIT_UPLOAD, /* of all that is not free (blobs/rates/zones.h) */
	BLOBS_LIMIT_DOWNLOAD,
	BLOBS_LIMIT_UPLOAD_PEER, /* of each peer */
	BLOBS_LIMIT_DOWNLOAD_PEER,
	BLOBS_LIMIT_UPLOAD_SLOTS, /* peers each worker serves at a time, at most BLOBS_SLOTS_MAX */
	BLOBS_LIMIT_UPLOAD_MONTH, /* bytes of a month, with the Internet */
	BLOBS_LIMIT_DOWNLOAD_MONTH,
	BLOBS_LIMIT_UPLOAD_MONTH_LAN, /* with the LAN, and with networks that are free */
	BLOBS_LIMIT_DOWNLOAD_MONTH_LAN,
	BLOBS_LIMIT_CNT,
};
/* LAN: an address that is not global, or whose network is free (blobs/rates/zones.h). */
enum blobs_zone { BLOBS_LAN, BLOBS_INTERNET, BLOBS_ZONE_CNT };
#define BLOBS_MONTH_MAX (1ull << 60)
enum blobs_direction { BLOBS_UPLOADS, BLOBS_DOWNLOADS, BLOBS_DIRECTION_CNT };
#define BLOBS_RATE_MAX	125000000000ull /* bytes per second, a Tbit/s */
#define BLOBS_SLOTS_MAX 1024u

/*
 * Limits. A limit that is set is in force once it is durable, and kept over restarts; reset goes
 * back to the configuration. done is called then, or with what went wrong: nothing has changed
 * then. set returns 0, WEFT_ETOOLARGE (blobs_limit_max), or what store_submit returns. After an
 * error nothing has changed, either.
 */
const char *blobs_limit_name(enum blobs_limit which);
uint64_t blobs_limit_max(enum blobs_limit which);
struct blobs_limit_view {
	uint64_t value;	   /* that was set, or is configured */
	uint64_t in_force; /* the least of it and of what a timetable says now */
	uint64_t configured;
	bool is_kept; /* it was set; else value is configured */
};
void blobs_limit_show(const struct blobs *content, enum blobs_limit which,
		      struct blobs_limit_view *out_view);
WEFT_MUST_CHECK
int blobs_limit_set(struct blobs *content, enum blobs_limit which, uint64_t value,
		    void (*done)(void *arg, int err), void *arg);
WEFT_MUST_CHECK
int blobs_limit_reset(struct blobs *content, enum blobs_limit which,
		      void (*done)(void *arg, int err), void *arg);
/*
 * Timetables of the rates of all uploads and of all downloads (blobs/rates/timetable.h): the
 * least of the limit and of the entry in force holds. They are set, kept and reset (text NULL)
 * as limits are; WEFT_EMALFORMED: blobs_timetable_parse refuses text. The texts of a view are
 * borrowed until the next turn.
 */
struct blobs_timetable_view {
	const char *text, *configured;
	bool is_kept;
	const char *entry; /* in force, entry_len bytes of text; NULL: none is */
	size_t entry_len;
	uint64_t per_s;	      /* that it says; 0: none, or no limit */
	uint64_t next_s;      /* when another is, in seconds since 1970; 0: not within eight days */
	int64_t utc_offset_s; /* that the times of its entries are ahead of UTC now */
};
const char *blobs_timetable_name(enum blobs_direction direction);
void blobs_timetable_show(struct blobs *content, enum blobs_direction direction,
			  struct blobs_timetable_view *out_view);
WEFT_MUST_CHECK
int blobs_timetable_set(struct blobs *content, enum blobs_direction direction, const char *text,
			void (*done)(void *arg, int err), void *arg);
/*
 * Caps of a month, of each direction and zone. blobs_month_limit is the limit that says how many
 * bytes. Counted are the bytes of files in chunks and ranges with their proofs, sent to peers
 * and asked of them, while there is a cap. used: granted in this month. So up to QUOTA_BURST_LEN
 * of each worker, or a second of its rate, did not go yet.
 */
struct blobs_month_view {
	uint64_t used;
	uint64_t glide_per_s; /* 0: it does not hold yet, or the cap is reached */
	bool is_reached;
	uint64_t end_s; /* of the month, in seconds since 1970; 0: not known */
};
enum blobs_limit blobs_month_limit(enum blobs_direction direction, enum blobs_zone zone);
void blobs_month_show(const struct blobs *content, enum blobs_direction direction,
		      enum blobs_zone zone, struct blobs_month_view *out_view);

/* The rates at which this worker sends and home receives, of the last ten seconds or so. */
struct blobs_traffic {
	uint64_t upload_per_s, download_per_s; /* bytes; of free traffic as well */
	uint64_t peer_upload_per_s;	       /* of the peer that has most */
	uint32_t upload_slot_cnt;	       /* in use lately */
	uint32_t upload_waiting_cnt;	       /* requests that a limit holds */
	uint64_t upload_refused_cnt;	       /* deferred, since start */
	uint64_t upload_charged_cnt; /* bytes that took of the limit of all, since start */
	uint64_t upload_taken[BLOBS_ZONE_CNT]; /* of credits */
};
void blobs_traffic(const struct blobs *content, uint64_t now_ns, struct blobs_traffic *out_traffic);

/* The bytes sent, by peer and by content: those of which most went lately. */
enum blobs_usage_kind { BLOBS_USAGE_PEER, BLOBS_USAGE_CONTENT };
struct blobs_usage {
	enum blobs_usage_kind kind;
	uint8_t key[32]; /* of the peer, or the content id */
	uint64_t byte_cnt, chunk_cnt;
	uint64_t per_s; /* bytes, of the last ten seconds or so; blobs_usages_next only */
};
#define BLOBS_USAGE_MAX 256u /* of a kind */
/* A blobs_usage_iter walks those of a kind, in no order; false: behind the last. */
struct usage_entry;
struct blobs_usage_iter {
	const struct blobs *content;
	enum blobs_usage_kind kind;
	uint64_t now_ns;
	const struct usage_entry *entry; /* NULL: before the first */
};
bool blobs_usages_next(struct blobs_usage_iter *iter, struct blobs_usage *out_usage);

#endif

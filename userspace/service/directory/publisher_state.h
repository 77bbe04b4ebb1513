/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_PUBLISHER_STATE_H
#define WEFT_SERVICE_DIRECTORY_PUBLISHER_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "publisher.h"
#include "service/limits/window.h"

/*
 * The publisher's objects, private to service/: publisher.c has the offers, publication.c
 * brings each on its way.
 */
/* The two puts of a round. */
enum { RUN_BY_NAME, RUN_BY_ID, RUN_CNT };

enum publication_phase {
	PUBLICATION_DUE,    /* timer: it is published */
	PUBLICATION_SAVING, /* its sequence number is being stored */
	PUBLICATION_SAVED,  /* timer, at once: it is put, or err says why not */
	PUBLICATION_PUTTING,
};

struct service_publication {
	struct service_publisher *publisher;
	enum publication_phase phase;
	struct timer timer;
	struct service_descriptor
		descriptor; /* as it is or will be put; borrows text and methods */
	char text[SERVICE_METADATA_LEN_MAX];
	char methods[SERVICE_READ_ONLY_LEN_MAX]; /* the read-only ones */
	bool is_changed;			 /* since it was signed */
	bool is_held_back;
	bool was_put;	       /* some node may hold a descriptor of it */
	uint64_t held_until_s; /* when the last such that is not gone is over; wall clock */
	struct overlay_run *runs[RUN_CNT];
	int err; /* of the last round */
	unsigned stored_cnt;
};

struct service_publisher {
	struct service_publisher_params params;
	struct arena arena;
	struct pool publications;
	struct service_window published;
	struct peer_places places;
	uint64_t first_ns; /* nothing is put before */
	bool is_leaving;
	uint64_t seq; /* the last one used */
	struct service_publisher_stats stats;
};

void service_publication_init(struct service_publication *publication,
			      struct service_publisher *publisher, uint32_t major);
/* service_publication_release forgets a publication without anything left to put. */
void service_publication_release(struct service_publication *publication);
/*
 * service_publication_change: published at at_ns or before; another round follows the one under
 * way.
 */
void service_publication_change(struct service_publication *publication, uint64_t at_ns);
/* service_publication_hurry: the next round is now, if that is of use (publisher.h). */
void service_publication_hurry(struct service_publication *publication, uint64_t now_ns);
/*
 * service_publication_date: if the clock says now that it is of another time, it is changed at
 * once.
 */
void service_publication_date(struct service_publication *publication, uint64_t now_ns);
/* service_publication_stop cancels the puts under way. */
void service_publication_stop(struct service_publication *publication);

/* service_publisher_load_seq reads the last sequence number used. 0 or -errno. */
WEFT_MUST_CHECK
int service_publisher_load_seq(struct service_publisher *publisher);

#endif

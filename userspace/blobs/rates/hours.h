/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_HOURS_H
#define WEFT_BLOBS_RATES_HOURS_H

#include "base/timer.h"
#include "blobs/blobs.h"

/*
 * The timetables of a node (blobs_timetable_* in blobs.h): the entry that is in force. The wall
 * clock is read each second while there is a timetable. So a clock that is set, a zone that is
 * put forward and a machine that slept take effect within a second. Without a clock no entry is
 * in force. Home.
 */
struct hours_table {
	char configured[TIMETABLE_TEXT_CAP];
	char kept[TIMETABLE_TEXT_CAP];
	bool is_kept;
	struct timetable table;	       /* of the text in force */
	int entry;		       /* index, or TIMETABLE_NONE */
	char told[TIMETABLE_TEXT_CAP]; /* the entry of the last event */
};

struct hours {
	struct timer timer;
	struct hours_table tables[BLOBS_DIRECTION_CNT];
};

/* blobs_hours_init takes what is configured, and what was kept has to be in tables before. */
void blobs_hours_init(struct blobs *content, uint64_t now_ns);
void blobs_hours_fini(struct blobs *content);
/* blobs_hours_changed: a text is another; blobs_hours_configure: those that are configured are. */
void blobs_hours_changed(struct blobs *content, uint64_t now_ns);
void blobs_hours_configure(struct blobs *content, const struct blobs_config *config,
			   uint64_t now_ns);
/* blobs_hours_text: in force. blobs_hours_per_s: what the entry says, or 0: nothing. */
const char *blobs_hours_text(const struct hours_table *table);
uint64_t blobs_hours_per_s(const struct blobs *content, enum blobs_direction direction);

#endif

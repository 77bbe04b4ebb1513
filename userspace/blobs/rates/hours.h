/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_HOURS_H
#define WEFT_BLOBS_RATES_HOURS_H

#include "base/timer.h"
#include "blobs/blobs.h"

/*
 * The timetables of a node (content_timetable_* in blobs.h): which entry is in
 * force. The wall clock is read each second while there is a timetable, so a clock
 * that is set, a zone that is put forward and a machine that slept take effect
 * within a second. Without a clock no entry is in force. Home.
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
	struct hours_table tables[CONTENT_DIRECTION_CNT];
};

/* hours_init takes what is configured, and what was kept has to be in tables before. */
void hours_init(struct content *content, uint64_t now_ns);
void hours_fini(struct content *content);
/* hours_changed: a text is another; hours_configure: those that are configured are. */
void hours_changed(struct content *content, uint64_t now_ns);
void hours_configure(struct content *content, const struct content_config *config, uint64_t now_ns);
/* hours_text: in force. hours_per_s: what the entry says, or 0: nothing. */
const char *hours_text(const struct hours_table *table);
uint64_t hours_per_s(const struct content *content, enum content_direction direction);

#endif

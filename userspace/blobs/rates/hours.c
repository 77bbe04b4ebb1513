/* SPDX-License-Identifier: Apache-2.0 */
/* Which entry of a timetable is in force, and the blobs_timetable_show of blobs.h. */
#include "hours.h"

#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "blobs/blobs_state.h"

#define LOOK_NS	     NS_PER_S
#define MONDAY_SHIFT 3 /* 1970-01-01 was a Thursday */

static unsigned local_of(void *ctx, uint64_t wall_s)
{
	const struct blobs *content = ctx;
	int64_t local_s = (int64_t)wall_s + blobs_utc_offset_s(content, wall_s) +
			  MONDAY_SHIFT * (int64_t)TIMETABLE_DAY_MIN * 60;

	return (unsigned)(local_s / 60 % TIMETABLE_WEEK_MIN);
}

const char *blobs_hours_text(const struct hours_table *table)
{
	return table->is_kept ? table->kept : table->configured;
}

uint64_t blobs_hours_per_s(const struct blobs *content, enum blobs_direction direction)
{
	const struct hours_table *table = &content->hours.tables[direction];

	return table->entry == TIMETABLE_NONE ? 0 : table->table.entries[table->entry].per_s;
}

static void entry_write(const struct hours_table *table, char text[static TIMETABLE_TEXT_CAP])
{
	const struct timetable_entry *entry =
		table->entry == TIMETABLE_NONE ? NULL : &table->table.entries[table->entry];

	snprintf(text, TIMETABLE_TEXT_CAP, "%.*s", entry ? (int)entry->text_len : 0,
		 blobs_hours_text(table) + (entry ? entry->text_off : 0));
}

/* True when the entry in force differs from the last reported one; it is reported now. */
static bool table_look(struct blobs *content, struct hours_table *table, uint64_t wall_s)
{
	char text[TIMETABLE_TEXT_CAP];

	table->entry = wall_s ? blobs_timetable_at(&table->table, local_of(content, wall_s))
			      : TIMETABLE_NONE;
	entry_write(table, text);
	if (strcmp(text, table->told) == 0)
		return false;
	memcpy(table->told, text, sizeof(text));
	return true;
}

static void entry_tell(struct blobs *content, enum blobs_direction direction)
{
	const char *told = content->hours.tables[direction].told;
	char text[TIMETABLE_TEXT_CAP + 32];

	snprintf(text, sizeof(text), "%s: %s", blobs_timetable_name(direction),
		 told[0] ? told : "no entry");
	blobs_tell(content, &(struct blobs_event){.kind = BLOBS_RATE_CHANGED, .text = text});
}

static void hours_look(struct blobs *content, bool is_due, uint64_t now_ns)
{
	struct hours *hours = &content->hours;
	uint64_t wall_s = blobs_wall_s(content);
	bool is_other[BLOBS_DIRECTION_CNT], has_any = false;

	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		is_other[i] = table_look(content, &hours->tables[i], wall_s);
		is_due |= is_other[i];
		has_any |= hours->tables[i].table.cnt > 0;
	}
	timer_set(content->params.timers, &hours->timer, has_any ? now_ns + LOOK_NS : TIMER_NEVER);
	if (!is_due)
		return;
	blobs_limits_apply(content, now_ns);
	if (content->params.on_limits_changed && !content->limits.is_stopped)
		content->params.on_limits_changed(content->params.ctx);
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++)
		if (is_other[i] && !content->limits.is_stopped)
			entry_tell(content, (enum blobs_direction)i);
}

static void hours_due(struct timer *timer, uint64_t now_ns)
{
	hours_look(container_of(timer, struct blobs, hours.timer), false, now_ns);
}

/* The texts were checked where they came from; what is wrong all the same is none. */
static void tables_parse(struct hours *hours)
{
	struct timetable_fault fault;

	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		struct hours_table *table = &hours->tables[i];

		if (blobs_timetable_parse(blobs_hours_text(table), &table->table, &fault) < 0)
			table->table.cnt = 0;
		table->entry = TIMETABLE_NONE;
	}
}

void blobs_hours_init(struct blobs *content, uint64_t now_ns)
{
	timer_init(&content->hours.timer, hours_due);
	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++)
		memcpy(content->hours.tables[i].configured, content->params.config.timetables[i],
		       TIMETABLE_TEXT_CAP);
	tables_parse(&content->hours);
	hours_look(content, false, now_ns);
}

void blobs_hours_fini(struct blobs *content)
{
	timer_cancel(content->params.timers, &content->hours.timer);
}

void blobs_hours_changed(struct blobs *content, uint64_t now_ns)
{
	tables_parse(&content->hours);
	hours_look(content, true, now_ns);
}

void blobs_hours_configure(struct blobs *content, const struct blobs_config *config,
			   uint64_t now_ns)
{
	bool is_other = false;

	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		char *configured = content->hours.tables[i].configured;

		is_other |= strcmp(configured, config->timetables[i]) != 0;
		memcpy(configured, config->timetables[i], TIMETABLE_TEXT_CAP);
	}
	if (is_other)
		blobs_hours_changed(content, now_ns);
}

/* --- for people --- */

const char *blobs_timetable_name(enum blobs_direction direction)
{
	return direction == BLOBS_UPLOADS ? "upload-timetable" : "download-timetable";
}

void blobs_timetable_show(struct blobs *content, enum blobs_direction direction,
			  struct blobs_timetable_view *out_view)
{
	const struct hours_table *table = &content->hours.tables[direction];
	const char *text = blobs_hours_text(table);
	uint64_t wall_s = blobs_wall_s(content);

	*out_view = (struct blobs_timetable_view){
		.text = text,
		.configured = table->configured,
		.is_kept = table->is_kept,
		.per_s = blobs_hours_per_s(content, direction),
		.utc_offset_s = blobs_utc_offset_s(content, wall_s),
		.next_s = wall_s ? blobs_timetable_next(&table->table, wall_s, local_of, content)
				 : 0};
	if (table->entry == TIMETABLE_NONE)
		return;
	out_view->entry = text + table->table.entries[table->entry].text_off;
	out_view->entry_len = table->table.entries[table->entry].text_len;
}

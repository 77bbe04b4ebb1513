/* SPDX-License-Identifier: Apache-2.0 */
#include "roster_page.h"

#include <string.h>

#include "community/community_state.h"

/* Room that a page's own fields take, and a record's head. */
#define PAGE_HEAD_LEN	128u
#define RECORD_HEAD_LEN 3u

static enum community_cursor_kind cursor_kind(enum listing_kind kind)
{
	switch (kind) {
	case LISTING_MEMBERS:
		return COMMUNITY_CURSOR_MEMBERS;
	case LISTING_EVENTS:
		return COMMUNITY_CURSOR_EVENTS;
	default:
		return COMMUNITY_CURSOR_SHARES;
	}
}

/* The part of a question that must be the same from page to page. */
static struct community_cursor_scope scope_of(const struct listing *listing, uint8_t question[3])
{
	question[0] = (uint8_t)listing->kind;
	question[1] = (uint8_t)listing->first_bucket;
	question[2] = (uint8_t)listing->last_bucket;
	return (struct community_cursor_scope){
		.key = listing->community->all->cursor_key,
		.kind = cursor_kind(listing->kind),
		.id = listing->community->roster.id,
		.asker = listing->asker,
		.question = question,
		.question_len = listing->kind == LISTING_EVENTS ? 0 : 3,
	};
}

static void cursor_make(struct listing *listing, const uint8_t *place)
{
	struct community_cursor cursor = {.issued_s = listing->wall_s};
	uint8_t question[3];
	struct community_cursor_scope scope = scope_of(listing, question);

	memcpy(cursor.place, place, sizeof(cursor.place));
	community_cursor_write(&scope, &cursor, listing->cursor);
	listing->page.cursor = (struct community_bytes){listing->cursor, sizeof(listing->cursor)};
}

static void event_place(uint64_t event, uint8_t place[static COMMUNITY_PLACE_LEN])
{
	struct writer w = writer_of(place, COMMUNITY_PLACE_LEN);

	memset(place, 0, COMMUNITY_PLACE_LEN);
	writer_be64(&w, event);
}

void community_listing_events_cursor(const struct community *community, const uint8_t *asker,
				     uint64_t event, uint8_t out[static COMMUNITY_CURSOR_LEN])
{
	struct listing listing = {.community = community,
				  .kind = LISTING_EVENTS,
				  .asker = asker,
				  .wall_s = community_wall_s(community->all)};
	uint8_t place[COMMUNITY_PLACE_LEN];

	event_place(event, place);
	cursor_make(&listing, place);
	memcpy(out, listing.cursor, sizeof(listing.cursor));
}

int community_listing_begin(struct listing *listing, const uint8_t *bytes, size_t len)
{
	struct community_cursor cursor;
	uint8_t question[3];
	struct community_cursor_scope scope = scope_of(listing, question);
	int err;

	listing->wall_s = community_wall_s(listing->community->all);
	memset(listing->place, 0, sizeof(listing->place));
	if (listing->kind != LISTING_EVENTS)
		listing->place[0] = (uint8_t)listing->first_bucket;
	if (len == 0)
		return 0;
	err = community_cursor_parse(&scope, bytes, len, listing->wall_s, &cursor);
	if (err < 0)
		return err;
	memcpy(listing->place, cursor.place, sizeof(listing->place));
	/* Kept as it is while nothing happens, so that the asker need not store another. */
	if (listing->wall_s < cursor.issued_s + COMMUNITY_EVENTS_LIFE_S / 2) {
		memcpy(listing->cursor, bytes, sizeof(listing->cursor));
		listing->page.cursor =
			(struct community_bytes){listing->cursor, sizeof(listing->cursor)};
	}
	return 0;
}

/* --- filling --- */

static bool page_has_room(const struct listing *listing, size_t len)
{
	const struct community_page *page = &listing->page;

	return page->member_cnt + page->share_cnt < listing->limit &&
	       listing->len + RECORD_HEAD_LEN + len <= COMMUNITY_PAGE_LEN_MAX - PAGE_HEAD_LEN;
}

static void page_add(struct listing *listing, enum roster_kind kind, const struct roster_row *row)
{
	struct community_page *page = &listing->page;
	struct community_bytes record = {row->record, row->len};

	if (kind == ROSTER_MEMBER)
		page->members[page->member_cnt++] = record;
	else
		page->shares[page->share_cnt++] = record;
	listing->len += RECORD_HEAD_LEN + row->len;
}

struct filling {
	struct listing *listing;
	struct store_snapshot *snapshot;
	enum roster_kind kind;
};

/* A share counts while the node that announced it is a member. */
static bool announcer_counts(const struct filling *filling, const struct roster_row *row,
			     bool is_own)
{
	const struct listing *listing = filling->listing;
	const struct community *community = listing->community;
	struct community_share share;
	struct roster_row member;

	if (community_share_parse(row->record, row->len, &share) < 0)
		return false;
	if (community_roster_is_expelled(&community->roster, share.key))
		return false;
	if (is_own)
		return memcmp(share.key, community->all->own_key, COMMUNITY_KEY_LEN) == 0;
	return community_roster_get(filling->snapshot, community->roster.id, ROSTER_MEMBER,
				    share.key, &member) == 0 &&
	       member.is_live && member.until_s > listing->wall_s;
}

static bool row_counts(const struct filling *filling, const struct roster_row *row)
{
	const struct listing *listing = filling->listing;
	bool is_own = listing->kind == LISTING_OWN_SHARES;

	if (row->until_s <= listing->wall_s || ((listing->is_live_only || is_own) && !row->is_live))
		return false;
	if (filling->kind == ROSTER_MEMBER)
		return !community_roster_is_expelled(&listing->community->roster, row->key);
	return (!listing->is_live_only && !is_own) || announcer_counts(filling, row, is_own);
}

/* False: the page is full, or the last bucket was listed. */
static bool fill_row(struct filling *filling, const struct roster_row *row)
{
	struct listing *listing = filling->listing;

	if (row->key[0] > listing->last_bucket)
		return false;
	if (!row_counts(filling, row))
		return true;
	if (!page_has_room(listing, row->len)) {
		cursor_make(listing, row->key);
		listing->page.has_more = true;
		return false;
	}
	page_add(listing, filling->kind, row);
	return true;
}

/*
 * The record of an event. A share's record stands behind that of the announcing member, if the
 * member's own event is yet to come. So a reader of the page in order knows the member first.
 */
static bool fill_event_row(struct filling *filling, const struct roster_row *row)
{
	struct listing *listing = filling->listing;
	struct community_share share;
	struct roster_row member;
	bool is_before = false;

	if (filling->kind == ROSTER_SHARE &&
	    community_share_parse(row->record, row->len, &share) == 0 &&
	    community_roster_get(filling->snapshot, listing->community->roster.id, ROSTER_MEMBER,
				 share.key, &member) == 0)
		is_before = member.event > row->event && member.until_s > listing->wall_s;
	for (unsigned i = 0; is_before && i < listing->page.member_cnt; i++)
		is_before = listing->page.members[i].data != member.record;
	if (!page_has_room(listing, row->len + (is_before ? RECORD_HEAD_LEN + member.len : 0)) ||
	    listing->page.member_cnt + listing->page.share_cnt + is_before >= listing->limit)
		return false;
	if (is_before)
		page_add(listing, ROSTER_MEMBER, &member);
	page_add(listing, filling->kind, row);
	return true;
}

static bool fill_event(struct filling *filling, const struct roster_event *event)
{
	struct listing *listing = filling->listing;
	uint8_t place[COMMUNITY_PLACE_LEN];
	struct roster_row row;

	filling->kind = event->kind;
	event_place(event->number, place);
	if (community_roster_get(filling->snapshot, listing->community->roster.id, event->kind,
				 event->key, &row) == 0 &&
	    row.event == event->number && row.until_s > listing->wall_s &&
	    !fill_event_row(filling, &row)) {
		cursor_make(listing, place);
		listing->page.has_more = true;
		return false;
	}
	event_place(event->number + 1, place);
	memcpy(listing->place, place, sizeof(place));
	return true;
}

static int fill_events(struct listing *listing, struct filling *filling)
{
	struct cursor c = cursor_of(listing->place, sizeof(listing->place));
	uint64_t from = cursor_be64(&c), at;
	struct roster_event event;
	struct roster_iter iter;
	int err;

	community_roster_events(&iter, filling->snapshot, listing->community->roster.id, from);
	while (community_roster_event_next(&iter, &event) && fill_event(filling, &event))
		;
	err = community_roster_end(&iter);
	c = cursor_of(listing->place, sizeof(listing->place));
	at = cursor_be64(&c);
	if (err == 0 && !listing->page.has_more && (at != from || !listing->page.cursor.data))
		cursor_make(listing, listing->place);
	return err;
}

static void fill_own(struct filling *filling)
{
	const struct community *community = filling->listing->community;
	const struct own_shares *own = &community->shares;
	struct roster_row row;

	for (unsigned i = community_own_shares_find(own, filling->listing->place); i < own->cnt;
	     i++)
		if (community_roster_get(filling->snapshot, community->roster.id, ROSTER_SHARE,
					 own->ids[i], &row) == 0 &&
		    !fill_row(filling, &row))
			return;
}

int community_listing_fill(struct listing *listing, struct store_snapshot *snapshot)
{
	struct filling filling = {.listing = listing,
				  .snapshot = snapshot,
				  .kind = listing->kind == LISTING_MEMBERS ? ROSTER_MEMBER
									   : ROSTER_SHARE};
	struct roster_iter iter;
	struct roster_row row;

	if (listing->kind == LISTING_EVENTS)
		return fill_events(listing, &filling);
	/* That of the page before holds no more. */
	listing->page.cursor = (struct community_bytes){0};
	if (listing->kind == LISTING_OWN_SHARES) {
		fill_own(&filling);
		return 0;
	}
	community_roster_walk(&iter, snapshot, listing->community->roster.id, filling.kind,
			      listing->place);
	while (community_roster_next(&iter, &row) && fill_row(&filling, &row))
		;
	return community_roster_end(&iter);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room. Own and wanted posts, and pinned ones, have all places that the shares of unknown people
 * leave. Where they are full, the author with most wanted posts loses the oldest of them. It loses it to
 * another author that has two fewer, or to a later one of its own. The shares of unknown people are
 * fair pools (base/fair/fair_units.h): by network, then by author.
 */
#include "base/assert.h"
#include "base/container_of.h"
#include "social/keep/post_store_state.h"

#define LEVEL_CNT     3u /* family, network, author */
#define NETWORK_LEVEL 1u
#define MARGIN	      2u  /* as in base/fair/fair_victim.c */
#define HOSTED_PART   4u  /* of the places, and of the room */
#define PINNED_PART   2u  /* of the places of own and wanted posts */
#define WAY_MAX	      64u /* wanted posts that go for one, at most */
#define FIT_MAX                                                                                    \
	512u /* posts that go at once when the quota falls; further ones with the next sweep */

static void path_of(void *ctx, const struct fair_holding *of, struct fair_path *out_path)
{
	const struct post_store *posts = ctx;
	const struct post_holding *holding = container_of(of, const struct post_holding, holding);
	const struct fair_units *units =
		holding->entry->share == POST_HOSTED ? &posts->hosted : &posts->addressed;

	if (holding->source.family == ADDR_NONE) {
		fair_path_start(holding->class, out_path);
	} else {
		fair_path_of_addr(&units->places.paths, &holding->source, holding->class, out_path);
		out_path->level_cnt = NETWORK_LEVEL + 1;
	}
	fair_path_add(&units->places.paths, out_path, posts->authors[holding->entry->author].key,
		      NODE_KEY_LEN);
}

static uint32_t hosted_unit_cap(const struct posts_config *config)
{
	uint64_t by_room = config->room_len / HOSTED_PART / POSTS_UNIT_LEN;
	uint32_t by_cnt = config->post_cap / HOSTED_PART;

	return by_room < by_cnt ? (uint32_t)by_room : by_cnt;
}

static int share_init(struct post_store *posts, struct fair_units *units, const char *name,
		      uint32_t unit_cap)
{
	const struct fair_units_config config = {
		.fair = {.name = name,
			 .cap_cnt = unit_cap,
			 .kind = FAIR_LASTING,
			 .level_cnt = LEVEL_CNT,
			 .parts = FAIR_PEER_PARTS},
		.unit_len = POSTS_UNIT_LEN,
		.site = posts->params.ground->site,
		.path_of = path_of,
		.ctx = posts,
	};

	return fair_units_init(units, &posts->arena, &config);
}

static void quota_update(struct post_store *posts)
{
	struct post_quota *quota = &posts->quota;
	uint64_t room = posts->params.config.room_len / HOSTED_PART;
	uint32_t factor = posts->params.config.quota_factor;

	quota->hosted_max =
		factor && quota->own_len > room / factor ? room : quota->own_len * factor;
	posts->hosted.len_max = posts->is_loading ? UINT64_MAX : quota->hosted_max;
}

int social_posts_room_init(struct post_store *posts)
{
	const struct posts_config *config = &posts->params.config;
	uint32_t hosted_cap = hosted_unit_cap(config), addressed_cap;
	int err;

	addressed_cap = POSTS_ADDRESSED_LEN / POSTS_UNIT_LEN;
	if (addressed_cap > config->post_cap / HOSTED_PART)
		addressed_cap = config->post_cap / HOSTED_PART;
	posts->wanted_cap = config->post_cap - hosted_cap - addressed_cap;
	if ((err = share_init(posts, &posts->hosted, "posts kept for others", hosted_cap)) < 0 ||
	    (err = share_init(posts, &posts->addressed, "posts of unknown people", addressed_cap)) <
		    0)
		return err;
	quota_update(posts);
	/* Two more: newcomers whose room is not free yet. */
	return pool_init(&posts->holdings, &posts->arena, sizeof(struct post_holding),
			 hosted_cap + addressed_cap + 2);
}

/* --- own and wanted posts --- */

struct share_count {
	uint64_t *len;
	uint32_t *cnt;
};

static struct share_count count_of(struct post_store *posts, const struct post_entry *entry)
{
	struct post_quota *quota = &posts->quota;

	if (entry->share == POST_OWN)
		return (struct share_count){&quota->own_len, &quota->own_cnt};
	if (entry->is_pinned)
		return (struct share_count){&quota->pinned_len, &quota->pinned_cnt};
	if (entry->share == POST_WANTED)
		return (struct share_count){&quota->wanted_len, &quota->wanted_cnt};
	if (entry->share == POST_ADDRESSED)
		return (struct share_count){&quota->addressed_len, &quota->addressed_cnt};
	return (struct share_count){&quota->hosted_len, &quota->hosted_cnt};
}

static bool is_wanted(const struct post_entry *entry)
{
	return entry->share == POST_WANTED && !entry->is_pinned;
}

static uint32_t author_largest(const struct post_store *posts)
{
	uint32_t largest = 0;

	for (uint32_t i = 1; i < posts->author_used; i++)
		if (posts->authors[i].ref_cnt &&
		    (!largest || posts->authors[i].wanted_cnt > posts->authors[largest].wanted_cnt))
			largest = i;
	return largest;
}

/* The oldest wanted post of author; NULL: none is durable. */
static struct post_entry *oldest_of(const struct post_store *posts, uint32_t author)
{
	struct post_place place = {0};
	const struct post_row *row;

	while ((row = social_index_next(&posts->index, &place))) {
		struct post_entry *entry;

		if (row->author != author || social_row_share(row) != POST_WANTED)
			continue;
		entry = social_posts_entry(posts, row->id);
		if (entry && is_wanted(entry))
			return entry;
	}
	return NULL;
}

/* false: entry's author is the one that has most, and entry is none of the later ones. */
static bool one_gives_way(struct post_store *posts, const struct post_entry *entry, uint64_t now_ns)
{
	uint32_t author = author_largest(posts), own_cnt = posts->authors[entry->author].wanted_cnt;
	uint32_t most = author ? posts->authors[author].wanted_cnt : 0;
	struct post_entry *oldest;

	if (entry->share == POST_WANTED && most < own_cnt + MARGIN)
		author = entry->author;
	oldest = author ? oldest_of(posts, author) : NULL;
	if (!oldest || (author == entry->author && entry->share == POST_WANTED &&
			oldest->time_ms >= entry->time_ms))
		return false;
	posts->stats.evicted_cnt++;
	social_posts_drop(posts, oldest, now_ns);
	return true;
}

bool social_posts_pin_fits(const struct post_store *posts, const struct post_entry *entry)
{
	const struct post_quota *quota = &posts->quota;

	return quota->pinned_cnt < posts->wanted_cap / PINNED_PART &&
	       quota->pinned_len + entry->len <= posts->params.config.room_len;
}

static bool is_full(const struct post_store *posts, const struct post_entry *entry)
{
	const struct post_quota *quota = &posts->quota;

	return quota->own_cnt + quota->wanted_cnt + quota->pinned_cnt >= posts->wanted_cap ||
	       (is_wanted(entry) && quota->wanted_len + entry->len > posts->params.config.room_len);
}

/* --- shares of unknown people --- */

static struct fair_units *units_of(struct post_store *posts, const struct post_entry *entry)
{
	return entry->share == POST_HOSTED ? &posts->hosted : &posts->addressed;
}

static void holding_drop(struct post_store *posts, struct post_entry *entry)
{
	fair_units_release(units_of(posts, entry), &entry->holding->holding);
	pool_release(&posts->holdings, entry->holding);
	entry->holding = NULL;
}

static bool holding_take(struct post_store *posts, struct post_entry *entry,
			 const struct post_record *record, uint64_t now_ns)
{
	struct post_holding *holding = pool_acquire(&posts->holdings);
	struct fair_holding *gone;
	struct list_node leaving;
	bool is_taken;

	if (!holding)
		return false;
	*holding = (struct post_holding){
		.entry = entry, .source = record->source, .class = record->class};
	fair_holding_init(&holding->holding);
	list_init(&leaving);
	entry->holding = holding;
	is_taken = fair_units_take(units_of(posts, entry), &holding->holding, entry->len, &leaving,
				   now_ns);
	if (!is_taken) {
		pool_release(&posts->holdings, holding);
		entry->holding = NULL;
	}
	while ((gone = fair_units_leaving(&leaving))) {
		posts->stats.evicted_cnt++;
		social_posts_drop(posts, container_of(gone, struct post_holding, holding)->entry,
				  now_ns);
	}
	return is_taken;
}

bool social_posts_room_take(struct post_store *posts, struct post_entry *entry,
			    const struct post_record *record, uint64_t now_ns)
{
	bool is_of_others = entry->share == POST_ADDRESSED || entry->share == POST_HOSTED;
	struct share_count count;

	if (is_of_others && !entry->is_pinned) {
		if (!holding_take(posts, entry, record, now_ns))
			return false;
	} else {
		if (is_wanted(entry) && entry->len > posts->params.config.room_len)
			return false;
		for (unsigned i = 0; is_full(posts, entry); i++)
			if (i == WAY_MAX || !one_gives_way(posts, entry, now_ns))
				return false;
	}
	count = count_of(posts, entry);
	*count.len += entry->len;
	++*count.cnt;
	posts->authors[entry->author].wanted_cnt += is_wanted(entry);
	if (entry->share == POST_OWN)
		quota_update(posts);
	return true;
}

void social_posts_room_release(struct post_store *posts, struct post_entry *entry)
{
	struct share_count count = count_of(posts, entry);

	if (entry->holding)
		holding_drop(posts, entry);
	*count.len -= entry->len;
	--*count.cnt;
	posts->authors[entry->author].wanted_cnt -= is_wanted(entry);
	if (entry->share == POST_OWN)
		quota_update(posts);
}

void social_posts_room_fit(struct post_store *posts, uint64_t now_ns)
{
	struct fair_holding *holding;

	for (unsigned i = 0; i < FIT_MAX && (holding = fair_units_over(&posts->hosted)); i++) {
		posts->stats.evicted_cnt++;
		social_posts_drop(posts, container_of(holding, struct post_holding, holding)->entry,
				  now_ns);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair shares: takes, evictions and refusals of slots, and when a slot without
 * progress is overdue. The tree of accounts is base/fair/fair_tree.c, the choice
 * of a victim fair_victim.c. Each pool belongs to one worker. Nothing here closes
 * an object: the owner of a victim does.
 */
#include "fair.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "fair_tree.h"
#include "base/siphash_bytes.h"

#define PARTS_WHOLE	  16u
#define SECOND_NS	  1000000000ull
#define MEDIAN_START_NS	  100000000ull
#define MEDIAN_NS_MIN	  1000000ull
#define MEDIAN_NS_MAX	  30000000000ull
#define NOT_BEFORE_MS_MAX 30000u
#define POLL_OVERDUE_MAX  64u /* and by one fair_overdue, which is called again */
#define REFUSAL_CELLS	  1024u
#define REFUSAL_ROW_NS	  (60 * SECOND_NS) /* a later refusal begins a new row */
#define SHARE_LEVEL	  1u		   /* a path with a share parts below the family */
#define SHARE_STEP	  0x9e3779b97f4a7c15ull

/*
 * Refusals in a row of a leaf that holds nothing, in a hashed place. Two
 * leaves that meet there forget each other's row, which shortens a wait.
 */
struct fair_refusal {
	uint64_t id;
	uint64_t at_ns;
	uint32_t cnt;
};

const char *fair_class_name(enum fair_class class)
{
	static const char *const names[FAIR_CLASS_CNT] = {"unknown", "known", "useful", "chosen"};

	return names[class];
}

static uint32_t floor_of(const struct fair_config *config, unsigned class)
{
	return (uint32_t)((uint64_t)config->cap_cnt * config->parts[class] / PARTS_WHOLE);
}

static int config_check(const struct fair_config *config)
{
	unsigned part_cnt = 0;

	if (config->cap_cnt == 0)
		return WEFT_ETOOSMALL;
	if (config->level_cnt == 0 || config->level_cnt > FAIR_LEVEL_MAX)
		return WEFT_ETOOLARGE;
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		part_cnt += config->parts[i];
		if (config->parts[i] > 0 && floor_of(config, i) == 0)
			return WEFT_ETOOSMALL;
	}
	return part_cnt > PARTS_WHOLE ? WEFT_ETOOLARGE : 0;
}

int fair_init(struct fair *fair, struct arena *arena, const struct fair_config *config,
	      const uint64_t secret[2])
{
	int err = config_check(config);

	memset(fair, 0, sizeof(*fair));
	if (err < 0)
		return err;
	fair->config = *config;
	fair->secret[0] = secret[0];
	fair->secret[1] = secret[1];
	fair->median_ns = MEDIAN_START_NS;
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		list_init(&fair->by_progress[i]);
		fair->floor_cnts[i] = floor_of(config, i);
	}
	fair->refusals = arena_alloc(arena, REFUSAL_CELLS * sizeof(struct fair_refusal));
	if (!fair->refusals)
		return WEFT_EFULL;
	return fair_tree_init(fair, arena);
}

void fair_set_poll(struct fair *fair, fair_poll_fn poll)
{
	fair->poll = poll;
}

/* A clock that goes back stands still here, so the lists stay in order. */
static uint64_t time_pass(struct fair *fair, uint64_t now_ns)
{
	if (now_ns > fair->now_ns)
		fair->now_ns = now_ns;
	return fair->now_ns;
}

static bool is_roomy(const struct fair *fair)
{
	uint32_t tenth = fair->config.cap_cnt / 10;

	return fair->config.cap_cnt - fair->held_cnt >= (tenth > 0 ? tenth : 1);
}

/* Busy ends when a tenth was free for one second. */
static void busy_update(struct fair *fair)
{
	if (!is_roomy(fair))
		fair->roomy_since_ns = 0;
	else if (fair->roomy_since_ns == 0)
		fair->roomy_since_ns = fair->now_ns > 0 ? fair->now_ns : 1;
	else if (fair->now_ns - fair->roomy_since_ns >= SECOND_NS)
		fair->is_busy = false;
}

/*
 * The median moves by steps of a sixteenth towards each sample, so half
 * of the samples lie on either side. One asker moves it in proportion to
 * its samples.
 */
static void median_note(struct fair *fair, uint64_t took_ns)
{
	uint64_t step = fair->median_ns / 16;

	if (took_ns > fair->median_ns && fair->median_ns + step <= MEDIAN_NS_MAX)
		fair->median_ns += step;
	else if (took_ns < fair->median_ns && fair->median_ns - step >= MEDIAN_NS_MIN)
		fair->median_ns -= step;
}

static struct fair_refusal *refusal_of(struct fair *fair, const struct fair_path *path)
{
	return &fair->refusals[path->ids[path->level_cnt - 1] % REFUSAL_CELLS];
}

static void refusal_note(struct fair *fair, const struct fair_path *path)
{
	struct fair_refusal *refusal = refusal_of(fair, path);
	uint64_t id = path->ids[path->level_cnt - 1];

	if (refusal->id != id || fair->now_ns - refusal->at_ns > REFUSAL_ROW_NS)
		*refusal = (struct fair_refusal){.id = id};
	refusal->at_ns = fair->now_ns;
	refusal->cnt += refusal->cnt < NOT_BEFORE_MS_MAX;
}

static void refusal_forget(struct fair *fair, const struct fair_path *path)
{
	struct fair_refusal *refusal = refusal_of(fair, path);

	if (refusal->id == path->ids[path->level_cnt - 1])
		refusal->cnt = 0;
}

/* Useful peers hold their part and no more of it as such. */
static enum fair_class class_of(const struct fair *fair, const struct fair_path *path)
{
	if (path->class == FAIR_USEFUL &&
	    fair->classes[FAIR_USEFUL]->held_cnt >= fair->floor_cnts[FAIR_USEFUL])
		return FAIR_KNOWN;
	return path->class;
}

static void item_remove(struct fair *fair, struct fair_item *item)
{
	list_unlink(&item->by_progress);
	if (fair->latest == item)
		fair->latest = NULL;
	else
		fair_tree_remove(fair, item);
	item->is_held = false;
	fair->held_cnt--;
}

static void item_put(struct fair *fair, const struct fair_path *path, enum fair_class class,
		     struct fair_item *item)
{
	item->class = (uint8_t)class;
	item->is_held = true;
	fair->latest = item;
	fair->latest_path = *path;
	if (!item->is_resting)
		list_push_back(&fair->by_progress[class], &item->by_progress);
	fair->held_cnt++;
}

static uint32_t path_held(struct fair *fair, const struct fair_path *path, unsigned level)
{
	const struct fair_account *account = fair_tree_lookup(fair, path, level, path->class);

	return account ? account->held_cnt : 0;
}

/*
 * The branch with number idx of a path with a share. Ids are keyed hashes,
 * so a sum with an odd constant meets no other account's but by chance.
 */
static struct fair_path path_branch(const struct fair_path *path, unsigned idx)
{
	struct fair_path branch = *path;

	for (unsigned level = SHARE_LEVEL; level < path->level_cnt; level++)
		branch.ids[level] += idx * SHARE_STEP;
	return branch;
}

/*
 * Where a take of path goes: the branch of its share that holds least, made in *room, its own
 * among equals. The tree is settled.
 */
static const struct fair_path *path_least(struct fair *fair, const struct fair_path *path,
					  struct fair_path *room)
{
	unsigned least_idx = 0;
	uint32_t least_cnt;

	if (path->share_cnt <= 1 || path->level_cnt <= SHARE_LEVEL)
		return path;
	weft_assert(path->share_cnt <= FAIR_SHARE_MAX);
	least_cnt = path_held(fair, path, SHARE_LEVEL);
	for (unsigned i = 1; i < path->share_cnt && least_cnt > 0; i++) {
		const struct fair_path branch = path_branch(path, i);
		uint32_t cnt = path_held(fair, &branch, SHARE_LEVEL);

		if (cnt >= least_cnt)
			continue;
		least_idx = i;
		least_cnt = cnt;
	}
	*room = path_branch(path, least_idx);
	return room;
}

struct fair_item *fair_victim(struct fair *fair, const struct fair_path *path, uint64_t now_ns)
{
	struct fair_path branch;

	time_pass(fair, now_ns);
	fair_tree_settle(fair);
	if (fair->held_cnt == 0)
		return NULL;
	return fair_victim_find(fair, path_least(fair, path, &branch), class_of(fair, path));
}

struct fair_item *fair_victim_within(struct fair *fair, const struct fair_path *path,
				     uint64_t now_ns)
{
	enum fair_class class;

	time_pass(fair, now_ns);
	fair_tree_settle(fair);
	class = class_of(fair, path);
	return fair_victim_below(fair, fair_tree_lookup(fair, path, 0, class), 1, path, class);
}

void fair_evict(struct fair *fair, struct fair_item *item, uint64_t now_ns)
{
	weft_assert(item->is_held);
	time_pass(fair, now_ns);
	fair->evicted_cnts[item->class]++;
	item_remove(fair, item);
	busy_update(fair);
}

bool fair_may_take(struct fair *fair, const struct fair_path *path, uint64_t now_ns)
{
	return fair->held_cnt < fair->config.cap_cnt || fair_victim(fair, path, now_ns) != NULL;
}

void fair_refuse(struct fair *fair, const struct fair_path *path, uint64_t now_ns)
{
	time_pass(fair, now_ns);
	fair_tree_settle(fair);
	fair->is_busy = true;
	fair->refused_cnts[class_of(fair, path)]++;
	refusal_note(fair, path);
}

uint32_t fair_held(struct fair *fair, const struct fair_path *path, unsigned level)
{
	struct fair_path branch;

	fair_tree_settle(fair);
	return path_held(fair, path_least(fair, path, &branch), level);
}

enum fair_verdict fair_take(struct fair *fair, const struct fair_path *path, struct fair_item *item,
			    uint64_t now_ns, struct fair_item **out_victim)
{
	const struct fair_path *least;
	struct fair_path branch;
	struct fair_item *victim = NULL;
	enum fair_class class;

	weft_assert(!item->is_held);
	weft_assert(path->level_cnt >= 1 && path->level_cnt <= fair->config.level_cnt);
	time_pass(fair, now_ns);
	fair_tree_settle(fair);
	class = class_of(fair, path);
	least = path_least(fair, path, &branch);
	if (fair->held_cnt == fair->config.cap_cnt) {
		fair->is_busy = true;
		victim = fair_victim_find(fair, least, class);
		if (!victim) {
			fair_refuse(fair, path, now_ns);
			return FAIR_BUSY;
		}
		fair->evicted_cnts[victim->class]++;
		item_remove(fair, victim);
	}
	*item = (struct fair_item){.taken_at_ns = fair->now_ns, .progress_at_ns = fair->now_ns};
	list_init(&item->by_progress);
	item_put(fair, least, class, item);
	fair->taken_cnt++;
	refusal_forget(fair, path);
	busy_update(fair);
	if (!victim)
		return FAIR_TAKEN;
	*out_victim = victim;
	return FAIR_TAKEN_FROM;
}

static void item_progress(struct fair *fair, struct fair_item *item)
{
	item->unit_cnt = 0;
	item->has_progressed = true;
	item->progress_at_ns = fair->now_ns;
	list_unlink(&item->by_progress);
	if (!item->is_resting)
		list_push_back(&fair->by_progress[item->class], &item->by_progress);
}

void fair_move(struct fair *fair, struct fair_item *item, const struct fair_path *path,
	       uint64_t now_ns)
{
	struct fair_path branch;

	weft_assert(item->is_held);
	time_pass(fair, now_ns);
	fair_tree_settle(fair);
	item_remove(fair, item);
	item_put(fair, path_least(fair, path, &branch), class_of(fair, path), item);
	/* Counts as progress, so the list stays in the order of time. */
	item_progress(fair, item);
}

void fair_progress(struct fair *fair, struct fair_item *item, uint32_t units, uint64_t now_ns)
{
	uint64_t second_cnt;

	if (!item->is_held || item->is_resting)
		return;
	time_pass(fair, now_ns);
	second_cnt = (fair->now_ns - item->progress_at_ns) / SECOND_NS + 1;
	item->unit_cnt = units > FAIR_WHOLE - item->unit_cnt ? FAIR_WHOLE : item->unit_cnt + units;
	if (units != FAIR_WHOLE && item->unit_cnt < second_cnt * FAIR_RATE_PER_S)
		return;
	item_progress(fair, item);
	if (fair->latest == item)
		return;
	fair_tree_settle(fair);
	fair_tree_touch(fair, item);
}

static void item_rest(struct fair *fair, struct fair_item *item, bool is_resting, uint64_t now_ns)
{
	if (!item->is_held || item->is_resting == is_resting)
		return;
	time_pass(fair, now_ns);
	if (fair->latest == item) {
		item->is_resting = is_resting;
	} else {
		fair_tree_settle(fair);
		fair_tree_rest(fair, item, is_resting);
	}
	item_progress(fair, item);
}

void fair_wait_own(struct fair *fair, struct fair_item *item, uint64_t now_ns)
{
	item_rest(fair, item, true, now_ns);
}

void fair_wait_peer(struct fair *fair, struct fair_item *item, uint64_t now_ns)
{
	item_rest(fair, item, false, now_ns);
}

void fair_press(struct fair *fair, uint64_t now_ns)
{
	fair->pressed_until_ns = time_pass(fair, now_ns) + fair->config.busy_ns + SECOND_NS;
}

static uint64_t deadline_ns(const struct fair *fair)
{
	return fair_is_hurried(fair) ? fair->config.busy_ns : fair->config.idle_ns;
}

void fair_release(struct fair *fair, struct fair_item *item, uint64_t now_ns)
{
	bool is_overdue;

	if (!item->is_held)
		return;
	time_pass(fair, now_ns);
	if (fair->latest != item)
		fair_tree_settle(fair);
	is_overdue = !item->is_resting && deadline_ns(fair) > 0 &&
		     fair->now_ns - item->progress_at_ns >= deadline_ns(fair);
	fair->overdue_cnt += is_overdue;
	/* A slot that never moved is no measure of how long the work takes. */
	if (item->has_progressed && !is_overdue)
		median_note(fair, fair->now_ns - item->taken_at_ns);
	item_remove(fair, item);
	busy_update(fair);
}

/* The item of a class that expires whose progress is oldest, or NULL. */
static struct fair_item *stalest_item(struct fair *fair)
{
	unsigned class_cnt = fair->config.spares_acquainted ? FAIR_UNKNOWN + 1 : FAIR_CLASS_CNT;
	struct fair_item *oldest = NULL;

	for (unsigned i = 0; i < class_cnt; i++) {
		struct list_node *first = fair->by_progress[i].next;
		struct fair_item *item = container_of(first, struct fair_item, by_progress);

		if (first != &fair->by_progress[i] &&
		    (!oldest || item->progress_at_ns < oldest->progress_at_ns))
			oldest = item;
	}
	return oldest;
}

struct fair_item *fair_overdue(struct fair *fair, uint64_t now_ns, uint64_t *out_next_ns)
{
	time_pass(fair, now_ns);
	busy_update(fair);
	*out_next_ns = UINT64_MAX;
	if (deadline_ns(fair) == 0)
		return NULL;
	for (unsigned i = 0; i < POLL_OVERDUE_MAX; i++) {
		struct fair_item *item = stalest_item(fair);

		if (!item)
			return NULL;
		*out_next_ns = item->progress_at_ns + deadline_ns(fair);
		if (*out_next_ns > fair->now_ns)
			return NULL;
		if (!fair->poll || !fair->poll(item, fair->now_ns))
			return item;
	}
	return NULL;
}

uint32_t fair_not_before_ms(struct fair *fair, const struct fair_path *path, uint64_t now_ns)
{
	const struct fair_refusal *refusal = refusal_of(fair, path);
	bool is_own = refusal->id == path->ids[path->level_cnt - 1];
	uint64_t row = is_own ? refusal->cnt : 1;
	uint64_t draw[2] = {fair->draw_cnt++, time_pass(fair, now_ns)};
	uint64_t jitter = siphash(fair->secret, draw, sizeof(draw)) % 1024 + 512; /* of 1024 */
	uint64_t wait_ms = fair->median_ns / 1000 * (1 + row) / 1000 * jitter / 1024;

	if (wait_ms > NOT_BEFORE_MS_MAX)
		return NOT_BEFORE_MS_MAX;
	return wait_ms > 0 ? (uint32_t)wait_ms : 1;
}

bool fair_may_hold(struct fair *fair, const struct fair_path *path, uint32_t free_cnt)
{
	uint32_t factor = 1;
	enum fair_class class;

	fair_tree_settle(fair);
	class = class_of(fair, path);
	if (free_cnt == 0 || class == FAIR_CHOSEN)
		return free_cnt > 0;
	/* The widest level is the family, which all of one kind of address share. */
	for (unsigned level = path->level_cnt; level-- > 1;) {
		const struct fair_account *account = fair_tree_lookup(fair, path, level, class);

		if (account && account->held_cnt >= (uint64_t)free_cnt * factor)
			return false;
		factor = factor == 1 ? 3 : 7;
	}
	return true;
}

int fair_reserve(struct fair *fair, enum fair_class class, uint32_t cnt)
{
	uint64_t sum = cnt;

	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++)
		sum += i == class ? 0 : fair->floor_cnts[i];
	if (sum > fair->config.cap_cnt)
		return WEFT_ETOOLARGE;
	fair->floor_cnts[class] = cnt;
	return 0;
}

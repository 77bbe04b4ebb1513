/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fair shares against a slow model: flat arrays that are counted anew for
 * each take. The two must agree on every verdict and on every victim, and
 * the properties that hold for all pools are checked on the way.
 */
#include "base/memory/arena.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/fair/fair_tree.h"
#include "base/random.h"
#include "support/check.h"

#define MS	  1000000ull
#define STEP_CNT  250000u /* of each of four pools: a million in all */
#define LEVEL_CNT 4u
#define LEAF_CNT  (2u * 3 * 2 * 3) /* families, networks, addresses, keys */
#define ITEM_CNT  80u
#define CAP	  48u
#define GRACE_MIN (100 * MS)
#define GRACE_MAX (2000 * MS)

static const uint64_t secret[2] = {3, 4};
static const unsigned level_widths[LEVEL_CNT] = {2, 2 * 3, 2 * 3 * 2, LEAF_CNT};

struct model_item {
	struct fair_item item;
	bool is_in;
	bool is_resting;
	unsigned class;
	unsigned leaf;
	uint64_t seq; /* when it was placed last; the greatest is the freshest */
	uint64_t progress_at_ns;
};

struct model {
	struct fair fair;
	struct arena arena;
	struct random random;
	struct fair_paths paths;
	struct model_item items[ITEM_CNT];
	uint64_t account_seqs[FAIR_CLASS_CNT][LEVEL_CNT][LEAF_CNT];
	uint32_t held_cnts[FAIR_CLASS_CNT][LEVEL_CNT][LEAF_CNT];
	uint32_t owing_cnts[FAIR_CLASS_CNT][LEVEL_CNT][LEAF_CNT];
	uint32_t class_cnts[FAIR_CLASS_CNT];
	uint32_t floor_cnts[FAIR_CLASS_CNT];
	/* Given back with nothing else in between, an item leaves no trace in the order of accounts. */
	struct model_item *latest;
	uint64_t latest_seqs[LEVEL_CNT]; /* of its accounts, before it came */
	uint64_t seq;
	uint64_t now_ns;
	uint64_t grace_ns;
	bool is_work;
};

static struct model model;

static unsigned account_of(unsigned leaf, unsigned level)
{
	return leaf / (LEAF_CNT / level_widths[level]);
}

static struct fair_path path_of(unsigned leaf, unsigned class)
{
	struct fair_path path;

	fair_path_start(class, &path);
	for (unsigned level = 0; level < LEVEL_CNT; level++) {
		unsigned account = account_of(leaf, level);

		fair_path_add(&model.paths, &path, &account, sizeof(account));
	}
	return path;
}

static void model_count(void)
{
	memset(model.held_cnts, 0, sizeof(model.held_cnts));
	memset(model.owing_cnts, 0, sizeof(model.owing_cnts));
	memset(model.class_cnts, 0, sizeof(model.class_cnts));
	for (unsigned i = 0; i < ITEM_CNT; i++) {
		const struct model_item *item = &model.items[i];

		if (!item->is_in)
			continue;
		model.class_cnts[item->class]++;
		for (unsigned level = 0; level < LEVEL_CNT; level++) {
			unsigned account = account_of(item->leaf, level);

			model.held_cnts[item->class][level][account]++;
			model.owing_cnts[item->class][level][account] += !item->is_resting;
		}
	}
}

static uint64_t model_held(void)
{
	uint64_t cnt = 0;

	for (unsigned i = 0; i < ITEM_CNT; i++)
		cnt += model.items[i].is_in;
	return cnt;
}

/* A placement of item and of all its accounts, newest last. */
static void model_place(struct model_item *item, bool with_item)
{
	model.seq++;
	if (with_item)
		item->seq = model.seq;
	for (unsigned level = 0; level < LEVEL_CNT; level++)
		model.account_seqs[item->class][level][account_of(item->leaf, level)] = model.seq;
}

static void model_place_latest(struct model_item *item)
{
	for (unsigned level = 0; level < LEVEL_CNT; level++)
		model.latest_seqs[level] =
			model.account_seqs[item->class][level][account_of(item->leaf, level)];
	model.latest = item;
	model_place(item, true);
}

static void model_take_back(struct model_item *item)
{
	if (model.latest != item) {
		model_place(item, false);
		model.latest = NULL;
		return;
	}
	for (unsigned level = 0; level < LEVEL_CNT; level++)
		model.account_seqs[item->class][level][account_of(item->leaf, level)] =
			model.latest_seqs[level];
	model.latest = NULL;
}

static void model_read(struct fair_view *out_view)
{
	fair_read(&model.fair, out_view);
	model.latest = NULL;
}

static void model_progress(struct model_item *item)
{
	if (model.latest != item)
		model.latest = NULL;
	item->progress_at_ns = model.now_ns;
	if (model.is_work)
		model_place(item, true);
}

static unsigned model_class(unsigned class)
{
	return class == FAIR_USEFUL && model.class_cnts[class] >= model.floor_cnts[class]
		       ? FAIR_KNOWN
		       : class;
}

static unsigned model_payer(unsigned own)
{
	unsigned payer = own;
	uint32_t most = 0;

	if (model.class_cnts[own] >= model.floor_cnts[own]) {
		for (unsigned i = own; i-- > 0;)
			if (model.class_cnts[i] > model.floor_cnts[i])
				payer = i;
		return payer;
	}
	for (unsigned i = FAIR_CLASS_CNT; i-- > 0;) {
		if (i != own && model.class_cnts[i] > model.floor_cnts[i] &&
		    model.class_cnts[i] - model.floor_cnts[i] >= most) {
			most = model.class_cnts[i] - model.floor_cnts[i];
			payer = i;
		}
	}
	return payer;
}

/* Whether account a goes before b, of one count. */
static bool account_goes_first(unsigned class, unsigned level, unsigned a, unsigned b)
{
	bool a_owes = model.owing_cnts[class][level][a] > 0;
	bool b_owes = model.owing_cnts[class][level][b] > 0;
	uint64_t a_seq = model.account_seqs[class][level][a];
	uint64_t b_seq = model.account_seqs[class][level][b];

	if (!model.is_work)
		return a_seq > b_seq;
	return a_owes != b_owes ? a_owes : a_seq < b_seq;
}

/* The child of parent at level that pays, or LEAF_CNT when there is none. */
static unsigned model_largest_child(unsigned class, unsigned level, unsigned parent)
{
	unsigned best = LEAF_CNT;

	for (unsigned i = 0; i < level_widths[level]; i++) {
		uint32_t cnt = model.held_cnts[class][level][i];
		uint32_t best_cnt = best < LEAF_CNT ? model.held_cnts[class][level][best] : 0;

		if (cnt == 0 ||
		    (level > 0 && i / (level_widths[level] / level_widths[level - 1]) != parent))
			continue;
		if (cnt > best_cnt ||
		    (cnt == best_cnt && account_goes_first(class, level, i, best)))
			best = i;
	}
	return best;
}

static bool item_goes_first(const struct model_item *a, const struct model_item *b)
{
	if (!model.is_work)
		return a->seq > b->seq;
	if (a->is_resting != b->is_resting)
		return !a->is_resting;
	return a->is_resting ? a->seq > b->seq : a->seq < b->seq;
}

static struct model_item *model_leaf_item(unsigned class, unsigned leaf)
{
	struct model_item *best = NULL;

	for (unsigned i = 0; i < ITEM_CNT; i++) {
		struct model_item *item = &model.items[i];

		if (item->is_in && item->class == class && item->leaf == leaf &&
		    (!best || item_goes_first(item, best)))
			best = item;
	}
	return best;
}

static struct model_item *model_largest(unsigned class, unsigned level, unsigned parent)
{
	for (; level < LEVEL_CNT; level++)
		parent = model_largest_child(class, level, parent);
	return model_leaf_item(class, parent);
}

static struct model_item *if_stale(struct model_item *item)
{
	if (!model.is_work || !item || item->is_resting ||
	    model.now_ns - item->progress_at_ns < model.grace_ns)
		return NULL;
	return item;
}

static struct model_item *model_victim(unsigned leaf, unsigned class)
{
	struct model_item *stale = NULL;
	unsigned parent = 0;
	uint32_t own_cnt = 1;

	if (model_payer(class) != class)
		return model_largest(model_payer(class), 0, 0);
	for (unsigned level = 0; own_cnt > 0 && level < LEVEL_CNT; level++) {
		unsigned own = account_of(leaf, level);
		unsigned top = model_largest_child(class, level, parent);

		own_cnt = model.held_cnts[class][level][own];
		if (top == LEAF_CNT)
			return NULL;
		if (model.held_cnts[class][level][top] >= own_cnt + 2)
			return model_largest(class, level, parent);
		if (model.held_cnts[class][level][top] > own_cnt)
			stale = if_stale(model_largest(class, level, parent));
		parent = own;
	}
	return stale || own_cnt == 0 ? stale : if_stale(model_leaf_item(class, leaf));
}

/* Where the two paths part, the victim's branch held most and more than the asker's. */
static void check_share(const struct model_item *victim, unsigned leaf, unsigned class)
{
	unsigned level = 0;

	CHECK(model.class_cnts[class] < model.floor_cnts[class] || victim->class <= class);
	if (victim->class != class) {
		CHECK(model.class_cnts[victim->class] > model.floor_cnts[victim->class]);
		return;
	}
	while (level < LEVEL_CNT && account_of(victim->leaf, level) == account_of(leaf, level))
		level++;
	if (level == LEVEL_CNT)
		return;
	for (unsigned i = 0; i < level_widths[level]; i++)
		if (level == 0 || i / (level_widths[level] / level_widths[level - 1]) ==
					  account_of(leaf, level - 1))
			CHECK(model.held_cnts[class][level][account_of(victim->leaf, level)] >=
			      model.held_cnts[class][level][i] + (i == account_of(leaf, level)));
}

static struct model_item *random_item(bool is_in)
{
	unsigned first = (unsigned)random_below(&model.random, ITEM_CNT);

	for (unsigned i = 0; i < ITEM_CNT; i++) {
		struct model_item *item = &model.items[(first + i) % ITEM_CNT];

		if (item->is_in == is_in)
			return item;
	}
	return NULL;
}

/* Low numbers are more likely, so accounts differ in size. */
static unsigned random_leaf(void)
{
	unsigned a = (unsigned)random_below(&model.random, LEAF_CNT);
	unsigned b = (unsigned)random_below(&model.random, LEAF_CNT);

	return a < b ? a : b;
}

static void step_take(void)
{
	struct model_item *item = random_item(false);
	unsigned leaf = random_leaf();
	unsigned class = (unsigned)random_below(&model.random, FAIR_CLASS_CNT);
	struct fair_path path = path_of(leaf, class);
	bool is_full = model_held() == CAP;
	struct model_item *victim = NULL;
	struct fair_item *got = NULL;
	struct fair_view view;
	enum fair_verdict verdict;
	uint64_t visit_cnt;

	model_count();
	model_read(&view);
	visit_cnt = model.fair.visit_cnt;
	model.grace_ns = 2 * view.median_ns;
	if (model.grace_ns < GRACE_MIN)
		model.grace_ns = GRACE_MIN;
	if (model.grace_ns > GRACE_MAX)
		model.grace_ns = GRACE_MAX;
	class = model_class(class);
	if (is_full)
		victim = model_victim(leaf, class);
	verdict = fair_take(&model.fair, &path, &item->item, model.now_ns, &got);
	CHECK(model.fair.visit_cnt - visit_cnt <= 8 * LEVEL_CNT);
	CHECK_EQ(verdict, !is_full ? FAIR_TAKEN : victim ? FAIR_TAKEN_FROM : FAIR_BUSY);
	if (verdict == FAIR_BUSY) {
		CHECK(model.class_cnts[class] >= model.floor_cnts[class]);
		return;
	}
	if (victim) {
		CHECK(got == &victim->item);
		CHECK(!fair_item_holds(got));
		check_share(victim, leaf, class);
		victim->is_in = false;
		model_place(victim, false);
	}
	item->is_in = true;
	item->is_resting = false;
	item->class = class;
	item->leaf = leaf;
	item->progress_at_ns = model.now_ns;
	model_place_latest(item);
}

static void step_move(struct model_item *item)
{
	unsigned leaf = random_leaf();
	unsigned class = (unsigned)random_below(&model.random, FAIR_CLASS_CNT);
	struct fair_path path = path_of(leaf, class);

	item->is_in = false;
	model_count();
	model_place(item, false);
	item->is_in = true;
	item->class = model_class(class);
	item->leaf = leaf;
	item->progress_at_ns = model.now_ns;
	model_place_latest(item);
	fair_move(&model.fair, &item->item, &path, model.now_ns);
}

static void step_rest(struct model_item *item)
{
	bool is_resting = random_below(&model.random, 2);

	if (is_resting)
		fair_wait_own(&model.fair, &item->item, model.now_ns);
	else
		fair_wait_peer(&model.fair, &item->item, model.now_ns);
	if (item->is_resting == is_resting)
		return;
	item->is_resting = is_resting;
	model_progress(item);
}

static void step_release(struct model_item *item)
{
	model_take_back(item);
	item->is_in = false;
	fair_release(&model.fair, &item->item, model.now_ns);
	fair_release(&model.fair, &item->item, model.now_ns);
}

static void step_overdue(void)
{
	uint64_t next_ns, oldest_ns = UINT64_MAX;
	struct fair_item *overdue = fair_overdue(&model.fair, model.now_ns, &next_ns);
	struct fair_view view;
	uint64_t deadline_ns;

	model_read(&view);
	deadline_ns = view.is_busy ? model.fair.config.busy_ns : model.fair.config.idle_ns;
	for (unsigned i = 0; i < ITEM_CNT; i++)
		if (model.items[i].is_in && !model.items[i].is_resting &&
		    model.items[i].progress_at_ns < oldest_ns)
			oldest_ns = model.items[i].progress_at_ns;
	CHECK_EQ(overdue != NULL,
		 oldest_ns != UINT64_MAX && model.now_ns - oldest_ns >= deadline_ns);
	if (overdue) {
		struct model_item *item = container_of(overdue, struct model_item, item);

		CHECK_EQ(item->progress_at_ns, oldest_ns);
		step_release(item);
	} else {
		CHECK_EQ(next_ns, oldest_ns == UINT64_MAX ? UINT64_MAX : oldest_ns + deadline_ns);
	}
}

static void check_node(const struct fair_account *node, uint32_t *out_held, uint32_t *out_owing)
{
	uint32_t held = 0, owing = 0, child_cnt = 0, before = 0;

	for (struct list_node *at = node->ranks.next; at != &node->ranks; at = at->next) {
		struct fair_rank *rank = container_of(at, struct fair_rank, by_held);
		struct list_node *sides[] = {&rank->owing, &rank->resting};

		CHECK(rank->held_cnt > before);
		CHECK(!list_is_empty(sides[0]) || !list_is_empty(sides[1]));
		before = rank->held_cnt;
		for (unsigned side = 0; side < 2; side++) {
			for (struct list_node *in = sides[side]->next; in != sides[side];
			     in = in->next) {
				struct fair_account *child =
					container_of(in, struct fair_account, by_rank);
				uint32_t child_held = 0, child_owing = 0;

				CHECK(child->rank == rank && child->parent == node);
				CHECK_EQ(child->held_cnt, rank->held_cnt);
				check_node(child, &child_held, &child_owing);
				held += child_held;
				owing += child_owing;
				child_cnt++;
			}
		}
	}
	for (struct list_node *at = node->owing.next; at != &node->owing; at = at->next) {
		held++;
		owing += !container_of(at, struct fair_item, by_leaf)->is_resting;
	}
	for (struct list_node *at = node->resting.next; at != &node->resting; at = at->next)
		held++;
	CHECK_EQ(node->held_cnt, held);
	CHECK_EQ(node->owing_cnt, owing);
	CHECK_EQ(node->child_cnt, child_cnt);
	*out_held = held;
	*out_owing = owing;
}

static void check_tree(void)
{
	struct fair_view view;
	uint32_t sum = 0;

	model_count();
	model_read(&view); /* the item taken last is in the tree from now on */
	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		uint32_t held = 0, owing = 0;

		check_node(model.fair.classes[i], &held, &owing);
		CHECK_EQ(held, model.class_cnts[i]);
		sum += held;
	}
	CHECK_EQ(model.fair.held_cnt, sum);
}

static void model_step(void)
{
	uint64_t draw = random_below(&model.random, 100);
	struct model_item *item = random_item(true);

	if (draw < 45 || !item) {
		step_take();
	} else if (draw < 58) {
		step_release(item);
	} else if (draw < 70) {
		fair_progress(&model.fair, &item->item, FAIR_WHOLE, model.now_ns);
		if (!item->is_resting)
			model_progress(item);
	} else if (draw < 84) {
		step_rest(item);
	} else if (draw < 90) {
		step_move(item);
	} else if (draw < 92) {
		step_overdue();
	} else {
		/* Sometimes a clock goes back; the pool's then stands still. */
		if (draw < 99)
			model.now_ns += random_below(&model.random, 80 * MS);
		else
			fair_progress(&model.fair, &item->item, 1, model.now_ns / 2);
	}
}

static void model_run(enum fair_kind kind, uint64_t seed)
{
	static const struct fair_config rows[] = {
		{.parts = FAIR_PEER_PARTS},
		{.parts = {3, 0, 1, 8}},
	};
	struct fair_config config = rows[seed % 2];

	config.name = "model";
	config.kind = kind;
	config.cap_cnt = CAP;
	config.level_cnt = LEVEL_CNT;
	config.idle_ns = 20000 * MS;
	config.busy_ns = 3000 * MS;
	memset(&model, 0, sizeof(model));
	model.paths.secret[0] = seed;
	model.is_work = kind == FAIR_WORK;
	model.now_ns = 1000 * MS;
	random_init_seeded(&model.random, seed);
	if (arena_open(&model.arena, ARENA_GROWS) < 0 ||
	    fair_init(&model.fair, &model.arena, &config, secret) < 0)
		abort();
	memcpy(model.floor_cnts, model.fair.floor_cnts, sizeof(model.floor_cnts));
	for (unsigned step = 0; step < STEP_CNT && !check_failed; step++) {
		model_step();
		if (step % 256 == 0)
			check_tree();
		if (check_failed)
			printf("# seed %llu step %u\n", (unsigned long long)seed, step);
	}
	arena_close(&model.arena);
}

static void test_a_pool_of_work_agrees_with_the_model(void)
{
	for (uint64_t seed = 1; seed <= 2; seed++)
		model_run(FAIR_WORK, seed);
}

static void test_a_standing_pool_agrees_with_the_model(void)
{
	for (uint64_t seed = 3; seed <= 4; seed++)
		model_run(FAIR_LASTING, seed);
}

int main(void)
{
	RUN(test_a_pool_of_work_agrees_with_the_model);
	RUN(test_a_standing_pool_agrees_with_the_model);
	return check_done();
}

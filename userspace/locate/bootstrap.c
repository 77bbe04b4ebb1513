/* SPDX-License-Identifier: Apache-2.0 */
#include "bootstrap.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/text/zbase32.h"
#include "mesh/seam.h"
#include "mainline.h"
#include "locate.h"
#include "store/store.h"

/* Where a list lies in the database of facts: this, and its issuer in z-base-32. */
#define ROW_PREFIX     "bootstrap:"
#define ROW_PREFIX_LEN (sizeof(ROW_PREFIX) - 1)
#define ROW_KEY_CAP    (ROW_PREFIX_LEN + ZBASE32_KEY_TEXT_CAP)

/* Peers of earlier runs are asked first. */
#define FIRST_LOOK_NS	(2 * NS_PER_S)
#define LOOK_NS		(5 * NS_PER_S)
#define LOOK_SELDOM_NS	(300 * NS_PER_S)
#define DIALS_MAX	3
#define DIAL_TIMEOUT_NS (10 * NS_PER_S)

struct bootstrap {
	struct locate *locate;
	struct timer timer;
	uint64_t pause_ns; /* to the next round of dials */
	uint64_t dial_at_ns;
	unsigned next_idx; /* entry to be dialled next, counted through all lists */
	unsigned dial_cnt; /* under way */
	struct bootstrap_list lists[BOOTSTRAP_LISTS_MAX];
	unsigned list_cnt;
};

static char *row_key(const uint8_t issuer[static 32], char key[static ROW_KEY_CAP])
{
	memcpy(key, ROW_PREFIX, ROW_PREFIX_LEN);
	zbase32_write(issuer, 32, key + ROW_PREFIX_LEN);
	return key;
}

static uint64_t wall_s(const struct locate *locate)
{
	return locate_wall_us(locate) / 1000000;
}

static bool is_in_use(const struct bootstrap *bootstrap, const struct bootstrap_list *list)
{
	return list->entry_cnt && list->expires_s > wall_s(bootstrap->locate);
}

const struct bootstrap_list *locate_bootstrap_list_at(const struct bootstrap *bootstrap,
						      unsigned idx)
{
	return idx < bootstrap->list_cnt ? &bootstrap->lists[idx] : NULL;
}

const struct bootstrap_list *locate_bootstrap_list_of(const struct bootstrap *bootstrap,
						      const uint8_t issuer[static 32])
{
	for (unsigned i = 0; i < bootstrap->list_cnt; i++)
		if (memcmp(bootstrap->lists[i].issuer, issuer, 32) == 0)
			return &bootstrap->lists[i];
	return NULL;
}

static bool has_addr(const struct addr *addrs, unsigned cnt, const struct addr *addr)
{
	for (unsigned i = 0; i < cnt; i++)
		if (addr_equal(&addrs[i], addr))
			return true;
	return false;
}

unsigned locate_bootstrap_addrs(const struct bootstrap *bootstrap, struct addr *addrs, unsigned cap)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < bootstrap->list_cnt; i++) {
		const struct bootstrap_list *list = &bootstrap->lists[i];

		for (unsigned j = 0; is_in_use(bootstrap, list) && j < list->entry_cnt; j++)
			if (cnt < cap && !has_addr(addrs, cnt, &list->entries[j].addr))
				addrs[cnt++] = list->entries[j].addr;
	}
	return cnt;
}

/* --- dialling --- */

/* The idx-th entry of all lists in use that names a node, counted round; NULL: there is none. */
static const struct bootstrap_entry *entry_at(const struct bootstrap *bootstrap, unsigned idx)
{
	const struct bootstrap_entry *found[BOOTSTRAP_LISTS_MAX * BOOTSTRAP_ENTRIES_MAX];
	unsigned cnt = 0;

	for (unsigned i = 0; i < bootstrap->list_cnt; i++) {
		const struct bootstrap_list *list = &bootstrap->lists[i];

		for (unsigned j = 0; is_in_use(bootstrap, list) && j < list->entry_cnt; j++) {
			const struct bootstrap_entry *entry = &list->entries[j];

			if (entry->has_key &&
			    memcmp(entry->key, bootstrap->locate->own_key, sizeof(entry->key)) != 0)
				found[cnt++] = entry;
		}
	}
	return cnt ? found[idx % cnt] : NULL;
}

static void dialled(void *arg, int err, const uint8_t *actual_key)
{
	struct bootstrap *bootstrap = arg;

	(void)actual_key;
	bootstrap->dial_cnt--;
	log_debug("a node of a bootstrap list %s", err < 0 ? "did not answer" : "answered");
}

static void dial_next(struct bootstrap *bootstrap)
{
	const struct locate_params *params = &bootstrap->locate->params;
	const struct bootstrap_entry *entry = entry_at(bootstrap, bootstrap->next_idx++);
	struct mesh_peer peer = {.addr_cnt = 1};

	if (!entry)
		return;
	peer.addrs = &entry->addr;
	memcpy(peer.key, entry->key, sizeof(peer.key));
	bootstrap->dial_cnt++;
	if (params->dial(params->ctx, &peer, DIAL_TIMEOUT_NS, dialled, bootstrap) < 0)
		bootstrap->dial_cnt--;
}

static void look(struct timer *timer, uint64_t now_ns)
{
	struct bootstrap *bootstrap = container_of(timer, struct bootstrap, timer);
	const struct locate_params *params = &bootstrap->locate->params;

	if (!bootstrap->list_cnt || params->mainline->is_only)
		return;
	if (!params->is_alone(params->ctx)) {
		bootstrap->pause_ns = LOOK_NS;
		bootstrap->dial_at_ns = now_ns;
	} else if (now_ns >= bootstrap->dial_at_ns) {
		while (bootstrap->dial_cnt < DIALS_MAX && entry_at(bootstrap, 0)) {
			unsigned was = bootstrap->dial_cnt;

			dial_next(bootstrap);
			if (bootstrap->dial_cnt == was)
				break; /* no room for a dial now */
		}
		bootstrap->dial_at_ns = now_ns + bootstrap->pause_ns;
		if (bootstrap->pause_ns < LOOK_SELDOM_NS)
			bootstrap->pause_ns *= 2;
	}
	timer_set(bootstrap->locate->params.timers, timer, now_ns + LOOK_NS);
}

/* The lists are others now: what they name is asked at once. */
static void lists_changed(struct bootstrap *bootstrap)
{
	struct locate *locate = bootstrap->locate;

	bootstrap->pause_ns = LOOK_NS;
	bootstrap->dial_at_ns = 0;
	timer_set(locate->params.timers, &bootstrap->timer, locate_now_ns(locate));
	locate_mainline_ways_changed(locate->mainline);
}

/* --- keeping --- */

static void written(void *arg, int err)
{
	struct bootstrap_write write = *(struct bootstrap_write *)arg;

	free(arg);
	if (write.done)
		write.done(write.arg, err);
}

/* value NULL: the row of issuer goes. */
static int row_write(struct bootstrap *bootstrap, const uint8_t issuer[static 32],
		     const uint8_t *value, size_t len, struct bootstrap_write with)
{
	struct store *store = bootstrap->locate->params.store;
	struct store_batch *batch = store_batch_new(store);
	struct bootstrap_write *write = malloc(sizeof(*write));
	char key[ROW_KEY_CAP];
	int err = -ENOMEM;

	row_key(issuer, key);
	if (!batch || !write)
		goto free_write;
	*write = with;
	if (value)
		store_batch_put(batch, STORE_META, store_key(key, strlen(key)), value, len);
	else
		store_batch_delete(batch, STORE_META, store_key(key, strlen(key)));
	err = store_submit(store, batch, written, write);
	if (err == 0)
		return 0;
free_write:
	free(write);
	if (batch)
		store_batch_free(batch);
	return err;
}

static struct bootstrap_list *place_of(struct bootstrap *bootstrap, const uint8_t issuer[static 32])
{
	for (unsigned i = 0; i < bootstrap->list_cnt; i++)
		if (memcmp(bootstrap->lists[i].issuer, issuer, 32) == 0)
			return &bootstrap->lists[i];
	return bootstrap->list_cnt < BOOTSTRAP_LISTS_MAX ? &bootstrap->lists[bootstrap->list_cnt]
							 : NULL;
}

static void place_fill(struct bootstrap *bootstrap, struct bootstrap_list *place,
		       const struct bootstrap_list *list)
{
	if (place == &bootstrap->lists[bootstrap->list_cnt])
		bootstrap->list_cnt++;
	*place = *list;
}

int locate_bootstrap_put(struct bootstrap *bootstrap, const struct bootstrap_list *list,
			 const uint8_t *bytes, size_t len, struct bootstrap_write write)
{
	const struct bootstrap_list *there = locate_bootstrap_list_of(bootstrap, list->issuer);
	struct bootstrap_list *place = place_of(bootstrap, list->issuer);
	int err;

	if (there && there->serial >= list->serial)
		return locate_bootstrap_list_equal(there, list) ? WEFT_EEXISTS : WEFT_ESTALE;
	if (!place)
		return WEFT_EFULL;
	err = row_write(bootstrap, list->issuer, bytes, len, write);
	if (err < 0)
		return err;
	place_fill(bootstrap, place, list);
	lists_changed(bootstrap);
	return 0;
}

int locate_bootstrap_remove(struct bootstrap *bootstrap, const uint8_t issuer[static 32],
			    struct bootstrap_write write)
{
	struct bootstrap_list *place = place_of(bootstrap, issuer);
	int err;

	if (!locate_bootstrap_list_of(bootstrap, issuer))
		return WEFT_EABSENT;
	err = row_write(bootstrap, issuer, NULL, 0, write);
	if (err < 0)
		return err;
	*place = bootstrap->lists[--bootstrap->list_cnt];
	lists_changed(bootstrap);
	return 0;
}

static int lists_load(struct bootstrap *bootstrap)
{
	struct store_iter iter = store_iter_fresh(bootstrap->locate->params.store, STORE_META,
						  store_key(ROW_PREFIX, ROW_PREFIX_LEN));
	struct bootstrap_list list;
	struct store_item item;

	while (store_iter_next(&iter, &item) && item.key_len >= ROW_PREFIX_LEN &&
	       memcmp(item.key, ROW_PREFIX, ROW_PREFIX_LEN) == 0 &&
	       bootstrap->list_cnt < BOOTSTRAP_LISTS_MAX) {
		if (locate_bootstrap_list_parse(item.value, item.value_len, &list) < 0)
			log_warn("a stored bootstrap list is not readable and not used: %.*s",
				 (int)item.key_len, (const char *)item.key);
		else
			place_fill(bootstrap, &bootstrap->lists[bootstrap->list_cnt], &list);
	}
	return store_iter_end(&iter);
}

int locate_bootstrap_open(struct locate *locate)
{
	struct bootstrap *bootstrap = calloc(1, sizeof(*bootstrap));
	int err;

	if (!bootstrap)
		return -ENOMEM;
	locate->bootstrap = bootstrap;
	bootstrap->locate = locate;
	bootstrap->pause_ns = LOOK_NS;
	bootstrap->next_idx = (unsigned)random_u64(locate->params.random) & 0xffff;
	timer_init(&bootstrap->timer, look);
	if ((err = lists_load(bootstrap)) < 0)
		return err;
	if (bootstrap->list_cnt)
		timer_set(locate->params.timers, &bootstrap->timer,
			  locate_now_ns(locate) + FIRST_LOOK_NS);
	return 0;
}

void locate_bootstrap_stop(struct bootstrap *bootstrap)
{
	if (bootstrap)
		timer_cancel(bootstrap->locate->params.timers, &bootstrap->timer);
}

void locate_bootstrap_free(struct bootstrap *bootstrap)
{
	if (!bootstrap)
		return;
	bootstrap->locate->bootstrap = NULL;
	free(bootstrap);
}

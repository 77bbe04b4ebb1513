/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trusted endorsers, those that lie near them, and what endorsements count for. Levels are made
 * anew as a whole: distances by a walk in breadth from the trusted endorsers, then the highest
 * endorsement of each subject. A table of 8,192 takes a millisecond.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "endorse_state.h"
#include "weft/bytes.h"

/* --- trust --- */

static const struct endorse_trusted *trust_find(const struct endorse_book *book, uint32_t service,
						const uint8_t *address)
{
	uint8_t name[ENDORSE_SUBJECT_LEN];

	offers_endorse_subject_name(service, address, name);
	return map_lookup(&book->by_trust, name);
}

unsigned offers_endorse_trust_in(const struct endorse_book *book, uint32_t service,
				 const uint8_t *address)
{
	const struct endorse_trusted *trusted = trust_find(book, service, address);

	if (!trusted)
		trusted = trust_find(book, ENDORSE_EACH_SERVICE, address);
	if (trusted)
		return trusted->trust.level_max;
	/* What this node vouches for it believes. */
	return memcmp(address, book->own_address, sizeof(book->own_address)) == 0;
}

bool offers_endorse_trusts(const struct endorse_book *book, const uint8_t *key)
{
	const struct endorse_trusted *trusted = NULL;

	while ((trusted = pool_next(&book->trusted, trusted)))
		if (memcmp(trusted->trust.key, key, NODE_KEY_LEN) == 0)
			return true;
	return false;
}

bool offers_endorse_trust_put(struct endorse_book *book, const struct endorse_trust *trust)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], name[ENDORSE_SUBJECT_LEN];
	struct endorse_trusted *trusted;
	int err;

	offers_address(trust->key, address);
	offers_endorse_subject_name(trust->service, address, name);
	trusted = map_lookup(&book->by_trust, name);
	if (!trusted) {
		trusted = pool_acquire(&book->trusted);
		if (!trusted)
			return false;
		memcpy(trusted->name, name, sizeof(name));
		err = map_put(&book->by_trust, trusted->name, trusted);
		weft_assert(err == 0);
	}
	trusted->trust = *trust;
	book->is_due = true;
	return true;
}

static void trust_delete(struct endorse_book *book, struct endorse_trusted *trusted)
{
	map_delete(&book->by_trust, trusted->name);
	pool_release(&book->trusted, trusted);
	book->is_due = true;
}

/* Places of an endorser that is trusted, or not any more, are of another class. */
static void rows_move(struct endorse_book *book)
{
	struct endorse_row *row = NULL;

	while ((row = pool_next(&book->rows, row)))
		offers_endorse_row_move(book, row, book->places.fair.now_ns);
}

int offers_endorse_trust(struct endorse_book *book, const struct endorse_trust *trust,
			 void (*done)(void *arg, int err), void *arg)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	weft_assert(trust->level_max >= 1 && trust->level_max <= ENDORSEMENT_LEVEL_MAX);
	offers_address(trust->key, address);
	if (!trust_find(book, trust->service, address) &&
	    book->trusted.used_cnt == book->trusted.cap_cnt)
		return WEFT_EFULL;
	if (!offers_endorse_keep_has_room(book))
		return WEFT_EBUSY;
	(void)offers_endorse_trust_put(book, trust);
	offers_endorse_trust_write(book, trust, book->places.fair.now_ns);
	offers_endorse_keep_wait(book, done, arg);
	rows_move(book);
	return 0;
}

int offers_endorse_distrust(struct endorse_book *book, const struct endorse_trust *trust,
			    void (*done)(void *arg, int err), void *arg)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], name[ENDORSE_SUBJECT_LEN];
	struct endorse_trusted *trusted;

	offers_address(trust->key, address);
	offers_endorse_subject_name(trust->service, address, name);
	trusted = map_lookup(&book->by_trust, name);
	if (!trusted)
		return WEFT_EABSENT;
	if (!offers_endorse_keep_has_room(book))
		return WEFT_EBUSY;
	offers_endorse_trust_delete(book, trust, book->places.fair.now_ns);
	offers_endorse_keep_wait(book, done, arg);
	trust_delete(book, trusted);
	rows_move(book);
	return 0;
}

bool offers_endorse_trust_at(const struct endorse_book *book, unsigned idx,
			     struct endorse_trust *out_trust)
{
	const struct endorse_trusted *trusted = NULL;

	do {
		trusted = pool_next(&book->trusted, trusted);
	} while (trusted && idx-- > 0);
	if (trusted)
		*out_trust = trusted->trust;
	return trusted != NULL;
}

/* --- what an endorsement counts for --- */

unsigned offers_endorse_counts(const struct endorse_row *row)
{
	const struct endorsement said = {.is_seed_form = row->is_seed_form, .level = row->level};
	const struct endorse_subject *endorser = row->endorser;
	unsigned level;

	if (row->level == 0 || endorser->distance > ENDORSE_DISTANCE_MAX)
		return 0;
	if (!endorser->trust)
		return 1;
	level = offers_endorsement_level(&said, endorser->trust > 1);
	return level < endorser->trust ? level : endorser->trust;
}

void offers_endorse_touch(struct endorse_book *book, const struct endorse_row *row)
{
	book->is_due |= row->endorser->distance <= ENDORSE_DISTANCE_MAX;
	if (row->expires_s < book->expires_s)
		book->expires_s = row->expires_s;
}

/* --- settling --- */

static void subject_queue(struct list_node *queue, struct endorse_subject *subject,
			  uint8_t distance, struct endorse_row *way)
{
	subject->distance = distance;
	subject->way = way;
	list_push_back(queue, &subject->queued);
}

static void distances_begin(struct endorse_book *book, struct list_node *queue)
{
	struct endorse_subject *subject = NULL;

	while ((subject = pool_next(&book->subjects, subject))) {
		uint32_t service = weft_load_le32(subject->name);

		subject->trust = (uint8_t)offers_endorse_trust_in(book, service, subject->name + 4);
		subject->distance = ENDORSE_FAR;
		subject->way = NULL;
		if (subject->trust)
			subject_queue(queue, subject, 0, NULL);
	}
}

static void distances_count(struct endorse_book *book)
{
	struct list_node queue;
	struct endorse_subject *subject;

	list_init(&queue);
	distances_begin(book, &queue);
	while ((subject = list_first(&queue, struct endorse_subject, queued))) {
		list_unlink(&subject->queued);
		if (subject->distance == ENDORSE_DISTANCE_MAX)
			continue;
		for (struct list_node *node = subject->given.next; node != &subject->given;
		     node = node->next) {
			struct endorse_row *row =
				container_of(node, struct endorse_row, of_endorser);

			if (row->level > 0 && row->provider->distance == ENDORSE_FAR)
				subject_queue(&queue, row->provider,
					      (uint8_t)(subject->distance + 1), row);
		}
	}
}

/* Rows that count come before those that do not: a look at the first few finds them. */
static void move_to_front(struct list_node *head, struct list_node *node)
{
	list_unlink(node);
	list_push_back(head->next, node);
}

static void levels_make(struct endorse_book *book)
{
	struct endorse_subject *subject = NULL;

	while ((subject = pool_next(&book->subjects, subject))) {
		unsigned level = 0;

		for (struct list_node *node = subject->received.next, *next;
		     node != &subject->received; node = next) {
			struct endorse_row *row =
				container_of(node, struct endorse_row, of_provider);
			unsigned counts = offers_endorse_counts(row);

			next = node->next;
			level = counts > level ? counts : level;
			if (counts == 0)
				continue;
			move_to_front(&subject->received, node);
			if (!row->is_own && !list_is_empty(&row->of_own))
				move_to_front(&book->about, &row->of_own);
		}
		book->has_changed |= level != subject->level;
		subject->level = (uint8_t)level;
	}
}

/* When it counts no more, or goes. */
static uint64_t row_end_s(const struct endorse_row *row)
{
	return row->level > 0 ? row->expires_s : row->until_s + ENDORSE_SHOWN_S;
}

static void rows_expire(struct endorse_book *book, uint64_t now_s, uint64_t now_ns)
{
	struct endorse_row *row = NULL;
	uint64_t expires_s = UINT64_MAX;

	while ((row = pool_next(&book->rows, row))) {
		if (row->until_s + ENDORSE_SHOWN_S <= now_s) {
			offers_endorse_row_drop(book, row, now_ns);
			continue;
		}
		/* It says why a level fell. An older word that lasts longer could also come back. */
		if (row->expires_s <= now_s && row->level > 0) {
			offers_endorse_touch(book, row);
			offers_endorse_row_expire(row);
			book->stats.expired_cnt++;
		}
		if (row_end_s(row) < expires_s)
			expires_s = row_end_s(row);
	}
	book->expires_s = expires_s;
}

bool offers_endorse_settle(struct endorse_book *book, uint64_t now_s, uint64_t now_ns)
{
	bool has_changed;

	if (book->expires_s <= now_s)
		rows_expire(book, now_s, now_ns);
	if (book->is_due) {
		book->is_due = false;
		book->settled_ns = now_ns;
		book->stats.settled_cnt++;
		distances_count(book);
		levels_make(book);
	}
	offers_endorse_keep_expire(book, now_ns);
	has_changed = book->has_changed;
	book->has_changed = false;
	return has_changed;
}

uint64_t offers_endorse_next_ns(const struct endorse_book *book, uint64_t now_s, uint64_t now_ns)
{
	uint64_t next_ns = offers_endorse_keep_next_ns(book), settle_ns, wait_s;

	settle_ns = book->settled_ns + ENDORSE_SETTLE_NS;
	if ((book->is_due || book->has_changed) && settle_ns < next_ns)
		next_ns = settle_ns;
	if (next_ns < now_ns)
		next_ns = now_ns;
	wait_s = book->expires_s > now_s ? book->expires_s - now_s : 0;
	if (wait_s < (UINT64_MAX - now_ns) / NS_PER_S && now_ns + wait_s * NS_PER_S < next_ns)
		next_ns = now_ns + wait_s * NS_PER_S;
	return next_ns;
}

unsigned offers_endorse_level(const struct endorse_book *book, uint32_t service,
			      const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	const struct endorse_subject *subject = offers_endorse_subject(book, service, address);

	return subject ? subject->level : 0;
}

unsigned offers_endorse_cnt(const struct endorse_book *book, uint32_t service,
			    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	const struct endorse_subject *subject = offers_endorse_subject(book, service, address);

	return subject ? subject->received_cnt : 0;
}

unsigned offers_endorse_expired_cnt(const struct endorse_book *book, uint32_t service,
				    const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	const struct endorse_subject *subject = offers_endorse_subject(book, service, address);

	return subject ? subject->expired_cnt : 0;
}

unsigned offers_endorse_claimed(const struct endorse_book *book, uint32_t service,
				const uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	const struct endorse_subject *subject = offers_endorse_subject(book, service, address);
	unsigned level = 0, look_cnt = 0;

	if (!subject)
		return 0;
	for (struct list_node *node = subject->received.next;
	     node != &subject->received && look_cnt < ENDORSE_LOOK_MAX;
	     node = node->next, look_cnt++) {
		const struct endorse_row *row = container_of(node, struct endorse_row, of_provider);

		level = row->level > level ? row->level : level;
	}
	return level;
}

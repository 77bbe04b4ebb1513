/* SPDX-License-Identifier: Apache-2.0 */
#include "members.h"

#include <string.h>

/* IDs that a member serves; each has at least one member. */
#define NETWORK_BITS_IPV4 24u
#define NETWORK_BITS_IPV6 48u

struct member_id {
	uint8_t id[32];
	struct list_node members; /* the least recently reported member first */
	unsigned cnt;
};

struct member {
	struct list_node seen_node, id_node;
	struct member_id *of;
	uint64_t seen_ns;
	struct blobs_member told;
};

struct id_key {
	uint8_t id[32], key[32];
};

int blobs_members_init(struct members *members, struct arena *arena, const uint64_t secret[2])
{
	int err = pool_init(&members->pool, arena, sizeof(struct member), MEMBERS_MAX);

	list_init(&members->seen);
	if (!err)
		err = pool_init(&members->ids, arena, sizeof(struct member_id), MEMBERS_MAX);
	if (!err)
		err = map_init(&members->by_id, arena, 32, MEMBERS_MAX, secret);
	if (!err)
		err = map_init(&members->by_id_key, arena, sizeof(struct id_key), MEMBERS_MAX,
			       secret);
	return err;
}

static struct id_key id_key_of(const struct blobs_member *told)
{
	struct id_key key;

	memcpy(key.id, told->id, sizeof(key.id));
	memcpy(key.key, told->key, sizeof(key.key));
	return key;
}

static void member_forget(struct members *members, struct member *member)
{
	struct id_key key = id_key_of(&member->told);
	struct member_id *of = member->of;

	(void)map_delete(&members->by_id_key, &key);
	list_unlink(&member->seen_node);
	list_unlink(&member->id_node);
	pool_release(&members->pool, member);
	if (--of->cnt > 0)
		return;
	(void)map_delete(&members->by_id, of->id);
	pool_release(&members->ids, of);
}

void blobs_members_expire(struct members *members, uint64_t now_ns)
{
	while (!list_is_empty(&members->seen)) {
		struct member *oldest = container_of(members->seen.next, struct member, seen_node);

		if (oldest->seen_ns + MEMBERS_LIFE_NS > now_ns)
			return;
		member_forget(members, oldest);
	}
}

static bool network_is_same(const struct addr *a, const struct addr *b)
{
	unsigned bits = a->family == ADDR_IPV4 ? NETWORK_BITS_IPV4 : NETWORK_BITS_IPV6;
	struct addr a_key = addr_prefix_key(a, bits), b_key = addr_prefix_key(b, bits);

	return addr_equal(&a_key, &b_key);
}

/* The member of the id that makes room for one more of that network; NULL: none. */
static struct member *network_oldest(const struct member_id *of, const struct addr *from)
{
	struct member *oldest = NULL;
	unsigned cnt = 0;

	if (!addr_is_global(from))
		return NULL;
	for (struct list_node *node = of->members.next; node != &of->members; node = node->next) {
		struct member *member = container_of(node, struct member, id_node);

		if (!network_is_same(&member->told.from, from))
			continue;
		cnt++;
		if (!oldest || member->seen_ns < oldest->seen_ns)
			oldest = member;
	}
	return cnt < MEMBERS_OF_NETWORK_MAX ? NULL : oldest;
}

static struct member *id_oldest(const struct member_id *of)
{
	struct member *oldest = NULL;

	for (struct list_node *node = of->members.next; node != &of->members; node = node->next) {
		struct member *member = container_of(node, struct member, id_node);

		if (!oldest || member->seen_ns < oldest->seen_ns)
			oldest = member;
	}
	return oldest;
}

static void room_make(struct members *members, const struct blobs_member *told)
{
	struct member_id *of = map_lookup(&members->by_id, told->id);
	struct member *leaves = of ? network_oldest(of, &told->from) : NULL;

	if (!leaves && of && of->cnt == MEMBERS_OF_ID_MAX)
		leaves = id_oldest(of);
	if (!leaves && members->pool.used_cnt == members->pool.cap_cnt) {
		leaves = container_of(members->seen.next, struct member, seen_node);
		members->evicted_cnt++;
	}
	if (leaves)
		member_forget(members, leaves);
}

static struct member_id *id_acquire(struct members *members, const uint8_t *id)
{
	struct member_id *of = map_lookup(&members->by_id, id);

	if (of)
		return of;
	of = pool_acquire(&members->ids);
	if (!of)
		return NULL;
	memcpy(of->id, id, sizeof(of->id));
	list_init(&of->members);
	if (map_put(&members->by_id, id, of) == 0)
		return of;
	pool_release(&members->ids, of);
	return NULL;
}

/* room_make left room for one, and there are as many ids as members at most. */
static void member_add(struct members *members, const struct blobs_member *told, uint64_t now_ns)
{
	struct id_key key = id_key_of(told);
	struct member_id *of = id_acquire(members, told->id);
	struct member *member = of ? pool_acquire(&members->pool) : NULL;

	if (!member || map_put(&members->by_id_key, &key, member) < 0)
		return;
	member->of = of;
	member->told = *told;
	member->seen_ns = now_ns;
	of->cnt++;
	list_push_back(&members->seen, &member->seen_node);
	list_push_back(&of->members, &member->id_node);
}

void blobs_members_note(struct members *members, const struct blobs_member *told, uint64_t now_ns)
{
	struct id_key key = id_key_of(told);
	struct member *member;

	blobs_members_expire(members, now_ns);
	member = map_lookup(&members->by_id_key, &key);
	if (!member) {
		room_make(members, told);
		member_add(members, told, now_ns);
		return;
	}
	member->told = *told;
	member->seen_ns = now_ns;
	list_unlink(&member->seen_node);
	list_push_back(&members->seen, &member->seen_node);
}

unsigned blobs_members_cnt(const struct members *members, const uint8_t id[static 32])
{
	const struct member_id *of = map_lookup(&members->by_id, id);

	return of ? of->cnt : 0;
}

unsigned blobs_members_list(struct members *members, const uint8_t id[static 32],
			    const uint8_t but_key[static 32],
			    struct message_holder out[static HOLDERS_MAX])
{
	struct member_id *of = map_lookup(&members->by_id, id);
	unsigned cnt = 0;

	for (unsigned left = of ? of->cnt : 0; left > 0 && cnt < HOLDERS_MAX; left--) {
		struct member *member = container_of(of->members.next, struct member, id_node);
		struct message_holder *told = &out[cnt];

		list_unlink(&member->id_node);
		list_push_back(&of->members, &member->id_node);
		if (memcmp(member->told.key, but_key, 32) == 0)
			continue;
		memcpy(told->key, member->told.key, sizeof(told->key));
		told->addr_cnt = member->told.addr_cnt;
		memcpy(told->addrs, member->told.addrs, told->addr_cnt * sizeof(told->addrs[0]));
		cnt++;
	}
	return cnt;
}

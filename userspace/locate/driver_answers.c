/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between dht/, which makes lists of nodes, and the maps that the XDP
 * program reads them from. There are two sets of keys that may be held, of
 * the last DHT_HELD_NS and of the period before; the program has both.
 */
#include "driver_answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/ingress/krpc_table_writer.h"
#include "dht/dht.h"

struct driver_answers {
	uint64_t next_ns;    /* of a turn that does something */
	uint64_t generation; /* of the dht, that the tables have */
	uint64_t turned_ns;  /* when the sets were last changed for each other */
	unsigned newer;	     /* which of them is of the last DHT_HELD_NS */
	bool is_on[DHT_FAMILY_CNT];
	uint64_t held[2][WEFT_KRPC_HELD_WORD_CNT];
};

size_t locate_driver_answers_footprint(void)
{
	return sizeof(struct driver_answers);
}

int locate_driver_answers_new(const struct dht_config *config, uint64_t now_ns,
			      struct driver_answers **out_answers)
{
	struct driver_answers *answers = calloc(1, sizeof(*answers));

	if (!answers)
		return -ENOMEM;
	answers->turned_ns = now_ns;
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		answers->is_on[net] = config->is_on[net];
	*out_answers = answers;
	return 0;
}

void locate_driver_answers_free(struct driver_answers *answers)
{
	free(answers);
}

/* The whole set: of new tables, or when one of the two was emptied. */
static void held_write(const struct driver_answers *answers, const struct weft_krpc_tables *tables)
{
	for (unsigned i = 0; i < WEFT_KRPC_HELD_WORD_CNT; i++)
		net_krpc_tables_set_held_word(tables, i, answers->held[0][i] | answers->held[1][i]);
}

static bool held_turn(struct driver_answers *answers, uint64_t now_ns)
{
	if (now_ns < answers->turned_ns + DHT_HELD_NS)
		return false;
	answers->turned_ns = now_ns;
	answers->newer = !answers->newer;
	memset(answers->held[answers->newer], 0, sizeof(answers->held[0]));
	return true;
}

void locate_driver_answers_held(struct driver_answers *answers, const struct kad_id *key,
				const struct weft_krpc_tables *tables, uint64_t now_ns)
{
	struct weft_krpc_id id = {.words = {0, 0, 0}};
	uint32_t bit;

	memcpy(id.bytes, key->bytes, WEFT_KRPC_ID_LEN);
	bit = weft_krpc_held_bit(&id);
	if (held_turn(answers, now_ns) && tables)
		held_write(answers, tables);
	answers->held[answers->newer][bit / 64] |= 1ull << bit % 64;
	if (tables)
		net_krpc_tables_set_held_word(
			tables, bit / 64, answers->held[0][bit / 64] | answers->held[1][bit / 64]);
}

static void nodes_write(const struct dht *dht, const struct weft_krpc_tables *tables,
			enum dht_net net)
{
	enum weft_krpc_family family = (enum weft_krpc_family)net;

	for (unsigned bucket = 0; bucket < WEFT_KRPC_BUCKET_CNT; bucket++) {
		const uint8_t *nodes;
		size_t len = dht_blob(dht, net, bucket, &nodes);

		net_krpc_tables_set_nodes(tables, family, bucket, nodes,
					  (unsigned)(len / weft_krpc_node_len(family)));
	}
}

/*
 * Returns whether the tables have net as it is. An id that this node no longer has goes in this
 * turn, and the new one comes in the next.
 */
static bool net_write(const struct dht *dht, const struct weft_krpc_tables *tables,
		      enum dht_net net)
{
	enum weft_krpc_family family = (enum weft_krpc_family)net;
	const uint8_t *told = net_krpc_tables_id(tables, family);
	const uint8_t *own = dht_own_id(dht, net)->bytes;

	if (told && memcmp(told, own, WEFT_KRPC_ID_LEN) != 0) {
		net_krpc_tables_set_id(tables, family, NULL);
		return false;
	}
	nodes_write(dht, tables, net);
	net_krpc_tables_set_id(tables, family, own);
	return true;
}

void locate_driver_answers_turn(struct driver_answers *answers, const struct dht *dht,
				const struct weft_krpc_tables *tables, uint64_t now_ns)
{
	uint64_t key[2];
	bool is_new, is_told = true;

	if (!tables || now_ns < answers->next_ns)
		return;
	answers->next_ns = now_ns + WEFT_KRPC_REST_NS;
	net_krpc_tables_set_reply_keys(tables, dht_reply_keys(dht));
	/* The program answers for an id alone. */
	if (dht_is_read_only(dht)) {
		locate_driver_answers_stop(tables);
		return;
	}
	is_new = !net_krpc_tables_id(tables, WEFT_KRPC_IPV4) &&
		 !net_krpc_tables_id(tables, WEFT_KRPC_IPV6);
	if (held_turn(answers, now_ns) || is_new)
		held_write(answers, tables);
	if (!is_new && answers->generation == dht_blob_generation(dht))
		return;
	dht_token_key(dht, key);
	net_krpc_tables_set_token_key(tables, key);
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++)
		if (answers->is_on[net])
			is_told &= net_write(dht, tables, (enum dht_net)net);
	answers->generation = is_told ? dht_blob_generation(dht) : dht_blob_generation(dht) - 1;
}

void locate_driver_answers_stop(const struct weft_krpc_tables *tables)
{
	if (!tables)
		return;
	net_krpc_tables_set_id(tables, WEFT_KRPC_IPV4, NULL);
	net_krpc_tables_set_id(tables, WEFT_KRPC_IPV6, NULL);
}

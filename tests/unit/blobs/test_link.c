/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/link.h"

#include <ctype.h>

#include "codec/text/zbase32.h"
#include "crypto/blake3/blake3.h"
#include "support/check.h"

static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";

static struct link link_example(unsigned addr_cnt)
{
	struct link link = {.kind = LINK_COLLECTION, .places.addr_cnt = addr_cnt};

	for (unsigned i = 0; i < 32; i++) {
		link.manifest_id[i] = (uint8_t)(7 * i + 1);
		link.node_key[i] = (uint8_t)(250 - 3 * i);
	}
	for (unsigned i = 0; i < addr_cnt; i++) {
		struct addr *addr = &link.places.addrs[i];

		addr->family = i % 2 ? ADDR_IPV6 : ADDR_IPV4;
		addr->port = (uint16_t)(7000 + i);
		for (unsigned k = 0; k < (i % 2 ? 16u : 4u); k++)
			addr->ip[k] = (uint8_t)(i + k + 1);
	}
	return link;
}

static void test_written_link_is_read_back(void)
{
	for (unsigned cnt = 0; cnt <= LINK_ADDRS_MAX; cnt++) {
		struct link link = link_example(cnt), got;
		char text[LINK_TEXT_CAP];

		CHECK_EQ(blobs_link_parse(blobs_link_write(&link, text), &got), 0);
		CHECK_MEM(&got, &link, sizeof(link));
	}
}

static void test_white_space_around_a_link_is_ignored(void)
{
	struct link link = link_example(1), got;
	char text[LINK_TEXT_CAP], spaced[LINK_TEXT_CAP + 8];

	snprintf(spaced, sizeof(spaced), " \t%s\r\n", blobs_link_write(&link, text));
	CHECK_EQ(blobs_link_parse(spaced, &got), 0);
	CHECK_MEM(&got, &link, sizeof(link));
}

static void test_every_changed_letter_is_noticed(void)
{
	struct link link = link_example(2), got;
	char text[LINK_TEXT_CAP];

	blobs_link_write(&link, text);
	for (size_t i = 5; text[i]; i++) {
		char kept = text[i];

		for (size_t k = 0; k < 32; k++) {
			int err;

			text[i] = alphabet[k];
			err = blobs_link_parse(text, &got);
			if (alphabet[k] == kept)
				CHECK_EQ(err, 0);
			else
				CHECK(err == WEFT_EDAMAGED || err == WEFT_ETOOSMALL ||
				      err == WEFT_EMALFORMED);
		}
		text[i] = kept;
	}
}

static void test_changed_letter_of_an_id_is_called_damage(void)
{
	struct link link = link_example(1), got;
	char text[LINK_TEXT_CAP];

	blobs_link_write(&link, text);
	text[30] = text[30] == 'y' ? 'b' : 'y';
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_EDAMAGED);
}

static void test_cut_link_is_called_too_short(void)
{
	struct link link = link_example(2), got;
	char text[LINK_TEXT_CAP];
	size_t len;

	len = strlen(blobs_link_write(&link, text));
	for (size_t cut = len - 1; cut >= 5; cut--) {
		text[cut] = '\0';
		CHECK_EQ(blobs_link_parse(text, &got), WEFT_ETOOSMALL);
	}
	for (size_t cut = 4; cut > 0; cut--) {
		text[cut] = '\0';
		CHECK_EQ(blobs_link_parse(text, &got), WEFT_EUNKNOWN);
	}
	CHECK_EQ(blobs_link_parse("", &got), WEFT_EABSENT);
	CHECK_EQ(blobs_link_parse(" \n", &got), WEFT_EABSENT);
}

static void test_case_does_not_matter(void)
{
	struct link link = link_example(2), got;
	char text[LINK_TEXT_CAP];

	blobs_link_write(&link, text);
	memcpy(text, "MeSH:", 5);
	CHECK_EQ(blobs_link_parse(text, &got), 0);
	for (char *at = text; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	CHECK_EQ(blobs_link_parse(text, &got), 0);
	CHECK_MEM(&got, &link, sizeof(link));
}

/* A link whose bytes are given, with a check that holds. */
static void link_of_bytes(uint8_t *bytes, size_t len, char *text)
{
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_hash(bytes, len, hash);
	memcpy(bytes + len, hash, 4);
	strcpy(text, "mesh:");
	zbase32_write(bytes, len + 4, text + 5);
}

static void test_foreign_kinds_and_forms_are_refused(void)
{
	uint8_t bytes[2000] = {LINK_COLLECTION};
	char text[LINK_TEXT_CAP + 100], whole[LINK_TEXT_CAP];
	struct link link = link_example(0), got;

	CHECK_EQ(blobs_link_parse("magnet:?xt=urn:btih:0", &got), WEFT_EUNKNOWN);
	CHECK_EQ(blobs_link_parse("mesh", &got), WEFT_EUNKNOWN);

	bytes[0] = 4;
	link_of_bytes(bytes, 66, text);
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_ENEWER);

	bytes[0] = LINK_COLLECTION;
	link_of_bytes(bytes, 66, text);
	CHECK_EQ(blobs_link_parse(text, &got), 0);

	bytes[65] = LINK_ADDRS_MAX + 1; /* addresses, one too many */
	for (unsigned i = 0; i < LINK_ADDRS_MAX + 1; i++)
		bytes[66 + 7 * i] = ADDR_IPV4;
	link_of_bytes(bytes, 66 + 7 * (LINK_ADDRS_MAX + 1), text);
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_EMALFORMED);

	memset(bytes + 65, 0, 100);
	bytes[65] = 1;
	bytes[66] = 5; /* a family that is none */
	link_of_bytes(bytes, 66 + 7, text);
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_EMALFORMED);

	blobs_link_write(&link, whole);
	snprintf(text, sizeof(text), "%sy", whole);
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_ETOOLARGE);
	snprintf(text, sizeof(text), "%.20s!%s", whole, whole + 21);
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_EMALFORMED);
	memset(text, 'y', sizeof(text) - 1);
	memcpy(text, "mesh:", 5);
	text[sizeof(text) - 1] = '\0';
	CHECK_EQ(blobs_link_parse(text, &got), WEFT_ETOOLARGE);
}

/* A link of a share or community with all hints there is room for. */
static struct link hinted_example(enum link_kind kind, unsigned node_cnt, unsigned addr_cnt,
				  unsigned relay_cnt)
{
	struct link collection = link_example(addr_cnt);
	struct link link = {.kind = (uint8_t)kind,
			    .node_cnt = (uint8_t)node_cnt,
			    .relay_cnt = (uint8_t)relay_cnt};

	for (unsigned i = 0; i < 32; i++) {
		link.public_key[i] = (uint8_t)(3 * i + 9);
		if (kind == LINK_COMMUNITY)
			link.community_id[i] = (uint8_t)(200 - i);
	}
	for (unsigned i = 0; i < node_cnt; i++) {
		struct link_node *node = &link.nodes[i];

		memset(node->key, (int)(i + 1), sizeof(node->key));
		node->places = collection.places;
	}
	for (unsigned i = 0; i < relay_cnt; i++)
		memset(link.relays[i], (int)('a' + i), LINK_URL_LEN_MAX);
	return link;
}

static void test_hints_are_read_back(void)
{
	for (unsigned kind = LINK_SHARE; kind <= LINK_COMMUNITY; kind++)
		for (unsigned nodes = 0; nodes <= LINK_NODES_MAX; nodes++)
			for (unsigned relays = 0; relays <= LINK_RELAYS_MAX; relays++) {
				struct link link = hinted_example(kind, nodes, 2 * nodes, relays);
				struct link got;
				char text[LINK_TEXT_CAP];

				CHECK_EQ(blobs_link_parse(blobs_link_write(&link, text), &got), 0);
				CHECK_MEM(&got, &link, sizeof(link));
			}
}

static void test_the_bare_link_of_a_share_is_short(void)
{
	struct link link = hinted_example(LINK_SHARE, 0, 0, 0);
	char text[LINK_TEXT_CAP];

	CHECK_EQ(strlen(blobs_link_write(&link, text)), 5 + 63);
}

static void test_every_cut_of_a_hinted_link_is_noticed(void)
{
	struct link link = hinted_example(LINK_COMMUNITY, 2, 3, 1), got;
	char text[LINK_TEXT_CAP];

	for (size_t cut = strlen(blobs_link_write(&link, text)) - 1; cut >= 5; cut--) {
		text[cut] = '\0';
		CHECK_EQ(blobs_link_parse(text, &got), WEFT_ETOOSMALL);
	}
}

static int hinted_parse(uint8_t *bytes, size_t len)
{
	char text[LINK_TEXT_CAP];
	struct link got;

	link_of_bytes(bytes, len, text);
	return blobs_link_parse(text, &got);
}

static void test_hints_beyond_the_limits_are_refused(void)
{
	uint8_t bytes[1400] = {LINK_SHARE};

	/* kind, key, node count, relay count */
	CHECK_EQ(hinted_parse(bytes, 35), 0);
	bytes[33] = LINK_NODES_MAX;
	CHECK_EQ(hinted_parse(bytes, 35 + 4 * 33), 0);
	bytes[33] = LINK_NODES_MAX + 1;
	CHECK_EQ(hinted_parse(bytes, 35 + 5 * 33), WEFT_EMALFORMED);
	bytes[33] = 1;
	bytes[34 + 32] = LINK_ADDRS_MAX + 1;
	CHECK_EQ(hinted_parse(bytes, 35 + 33 + 9 * 7), WEFT_EMALFORMED);

	memset(bytes + 1, 0, sizeof(bytes) - 1);
	memset(bytes + 35, 'u', 4);
	bytes[34] = 1;
	bytes[35] = 3;
	CHECK_EQ(hinted_parse(bytes, 35 + 4), 0);
	bytes[35] = 0; /* a URL of nothing */
	CHECK_EQ(hinted_parse(bytes, 35 + 1), WEFT_EMALFORMED);
	bytes[35] = 3;
	bytes[37] = '\n';
	CHECK_EQ(hinted_parse(bytes, 35 + 4), WEFT_EMALFORMED);
	bytes[37] = 0;
	CHECK_EQ(hinted_parse(bytes, 35 + 4), WEFT_EMALFORMED);
	bytes[34] = LINK_RELAYS_MAX + 1;
	CHECK_EQ(hinted_parse(bytes, 35 + 3 * 4), WEFT_EMALFORMED);
}

/* All the hints there are, in a share's or community's link, and in that of a collection. */
static struct link relayed_example(enum link_kind kind, unsigned addr_cnt, unsigned via_cnt)
{
	struct link link = kind == LINK_COLLECTION ? link_example(addr_cnt)
						   : hinted_example(kind, LINK_NODES_MAX, addr_cnt,
								    LINK_RELAYS_MAX);

	for (unsigned i = 0; i <= LINK_NODES_MAX; i++) {
		struct peer_places *places = i ? &link.nodes[i - 1].places : &link.places;

		if ((i > 0) == (kind == LINK_COLLECTION))
			continue;
		places->via_cnt = via_cnt;
		for (unsigned k = 0; k < via_cnt; k++) {
			places->vias[k].addr = link_example(2).places.addrs[1];
			memset(places->vias[k].key, (int)(16 * i + k), 32);
		}
	}
	return link;
}

static void test_relays_of_nodes_are_read_back(void)
{
	struct link got;
	char text[LINK_TEXT_CAP];

	for (unsigned kind = LINK_COLLECTION; kind <= LINK_COMMUNITY; kind++)
		for (unsigned cnt = 0; cnt <= PEER_VIAS_MAX; cnt++) {
			struct link link = relayed_example(kind, LINK_ADDRS_MAX - cnt, cnt);

			CHECK_EQ(blobs_link_parse(blobs_link_write(&link, text), &got), 0);
			CHECK_MEM(&got, &link, sizeof(link));
		}
}

static void test_the_last_addresses_make_room_for_relays(void)
{
	struct link link = relayed_example(LINK_COLLECTION, LINK_ADDRS_MAX, PEER_VIAS_MAX), got;
	char text[LINK_TEXT_CAP];

	CHECK_EQ(blobs_link_parse(blobs_link_write(&link, text), &got), 0);
	CHECK_EQ(got.places.addr_cnt, LINK_ADDRS_MAX - PEER_VIAS_MAX);
	got.places.addr_cnt = LINK_ADDRS_MAX;
	memcpy(got.places.addrs, link.places.addrs, sizeof(got.places.addrs));
	CHECK(peer_places_equal(&got.places, &link.places));
}

static void test_every_cut_of_a_link_with_relays_is_noticed(void)
{
	struct link link = relayed_example(LINK_SHARE, 1, PEER_VIAS_MAX), got;
	char text[LINK_TEXT_CAP];

	for (size_t cut = strlen(blobs_link_write(&link, text)) - 1; cut >= 5; cut--) {
		text[cut] = '\0';
		CHECK_EQ(blobs_link_parse(text, &got), WEFT_ETOOSMALL);
	}
}

static void test_relays_beyond_the_limits_are_refused(void)
{
	uint8_t bytes[512] = {LINK_COLLECTION};
	enum { HEAD = 66, RELAY = 1 + 4 + 2 + 32 };

	/* The count of addresses is the last byte of the head. */
	for (unsigned cnt = 1; cnt <= PEER_VIAS_MAX + 1; cnt++) {
		bytes[HEAD - 1] = (uint8_t)cnt;
		bytes[HEAD + (cnt - 1) * RELAY] = 0x80 | ADDR_IPV4;
		CHECK_EQ(hinted_parse(bytes, HEAD + cnt * RELAY),
			 cnt <= PEER_VIAS_MAX ? 0 : WEFT_EMALFORMED);
	}
	bytes[HEAD - 1] = 1;
	bytes[HEAD] = 0x80 | 5;
	CHECK_EQ(hinted_parse(bytes, HEAD + RELAY), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_written_link_is_read_back);
	RUN(test_white_space_around_a_link_is_ignored);
	RUN(test_every_changed_letter_is_noticed);
	RUN(test_case_does_not_matter);
	RUN(test_changed_letter_of_an_id_is_called_damage);
	RUN(test_cut_link_is_called_too_short);
	RUN(test_foreign_kinds_and_forms_are_refused);
	RUN(test_hints_are_read_back);
	RUN(test_the_bare_link_of_a_share_is_short);
	RUN(test_every_cut_of_a_hinted_link_is_noticed);
	RUN(test_hints_beyond_the_limits_are_refused);
	RUN(test_relays_of_nodes_are_read_back);
	RUN(test_the_last_addresses_make_room_for_relays);
	RUN(test_every_cut_of_a_link_with_relays_is_noticed);
	RUN(test_relays_beyond_the_limits_are_refused);
	return check_done();
}

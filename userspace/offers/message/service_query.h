/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_MESSAGE_SERVICE_QUERY_H
#define WEFT_OFFERS_MESSAGE_SERVICE_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "offers/message/service_message.h"
#include "weft/err.h"

/*
 * The payloads of a Query and of a Response (docs/wire/offers.md). Neither
 * names the consumer: the token, drawn for each query, leads an answer back.
 *
 *	Query	 0 token 16 | 1 filters, a map of the schema's | 2 most results? | 245 schema?
 *	Response 0 token 16 | 1 [[Announce, newest Update?]] | 2 more? | 3 [endorsement]?
 *
 * A Query of OFFERS_ANY_SERVICE has 1 [[service, filters]] instead. The first
 * relay makes a Query for each service of it. A Response has whole messages as
 * they were received. Each is proved by its own signature, and an answer from a
 * cache is the same as the provider's. Key 245 names the schema of OFFERS_CUSTOM_SERVICE, as
 * in an Announce of it, and is there alone.
 *
 * Pure, and thread-safe.
 */
#define SERVICE_QUERY_TOKEN_LEN	     16u
#define SERVICE_QUERY_LEN_MAX	     4096u /* of the payload, as a flood multiplies it */
#define SERVICE_QUERY_PARTS_MAX	     4u
#define SERVICE_QUERY_RESULTS_MAX    100u /* of one Response; a Query for more is one for so many */
#define SERVICE_QUERY_RESULTS_USUAL  20u
#define SERVICE_QUERY_SCHEMA_LEN_MAX 32u

#define SERVICE_RESPONSE_ENDORSEMENTS_MAX    64u
#define SERVICE_RESPONSE_ENDORSEMENT_LEN_MAX 512u /* any endorsement fits */
/* An Announce, and its Update if there is one, that are longer together are in no Response. */
#define SERVICE_RESPONSE_ENTRY_LEN_MAX 65500u

/* A Query for one service, whole. */
#define SERVICE_QUERY_MESSAGE_LEN_MAX (SERVICE_MESSAGE_HEAD_LEN + SERVICE_QUERY_LEN_MAX)

/* Pointers borrow the payload, in all of these. */
struct service_query_part {
	uint32_t service;
	const uint8_t *filters; /* one map in deterministic CBOR */
	size_t filters_len;
};

struct service_query {
	const uint8_t *token; /* SERVICE_QUERY_TOKEN_LEN */
	struct service_query_part parts[SERVICE_QUERY_PARTS_MAX];
	unsigned part_cnt;
	unsigned result_max; /* in [1, SERVICE_QUERY_RESULTS_MAX] */
	const char *schema;  /* of OFFERS_CUSTOM_SERVICE; NULL, 0: not said */
	size_t schema_len;   /* at most SERVICE_QUERY_SCHEMA_LEN_MAX */
};

struct service_response_entry {
	const uint8_t *announce;
	size_t announce_len;
	const uint8_t *update; /* NULL, 0: there is none */
	size_t update_len;
};

struct service_response_endorsement {
	const uint8_t *bytes;
	size_t len;
};

struct service_response {
	const uint8_t *token; /* SERVICE_QUERY_TOKEN_LEN */
	struct service_response_entry entries[SERVICE_QUERY_RESULTS_MAX];
	unsigned entry_cnt;
	bool has_more;
	struct service_response_endorsement endorsements[SERVICE_RESPONSE_ENDORSEMENTS_MAX];
	unsigned endorsement_cnt;
	size_t len; /* of the payload at most */
};

/*
 * offers_query_parse reads the payload of msg, a Query. Filters are checked
 * for their form alone. Returns 0, WEFT_EMALFORMED, or WEFT_ETOOLARGE.
 * offers_query_write writes one for service, with one part, or with the parts of
 * OFFERS_ANY_SERVICE, by ascending services.
 */
WEFT_MUST_CHECK
int offers_query_parse(const struct service_message *msg, struct service_query *out_query);
void offers_query_write(struct writer *w, uint32_t service, const struct service_query *query);
/*
 * offers_query_part_write writes the Query for the service of a part alone. msg is a Query for
 * several, whose payload is query. Token and outer fields are the same, so each relay that expands
 * it makes the same bytes. Returns their number; it is no longer than msg was.
 */
size_t offers_query_part_write(const struct service_message *msg, const struct service_query *query,
			       unsigned part, uint8_t out[static SERVICE_QUERY_MESSAGE_LEN_MAX]);

/*
 * offers_response_parse reads the payload of msg, a Response. Each entry is an Announce
 * of the message's service, and an Update of the same provider. Their
 * payloads and signatures are not looked at. Returns 0 or WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int offers_response_parse(const struct service_message *msg, struct service_response *out_response);

/*
 * offers_response_init begins an answer to token. offers_response_add_entry and
 * offers_response_add_endorsement take what fits: false, and nothing added, where the
 * payload would be too long or has enough of them. offers_response_write writes the
 * payload. Bytes are borrowed until then.
 */
void offers_response_init(struct service_response *response, const uint8_t *token);
bool offers_response_add_entry(struct service_response *response,
			       const struct service_response_entry *entry);
bool offers_response_add_endorsement(struct service_response *response, const uint8_t *bytes,
				     size_t len);
void offers_response_write(struct writer *w, const struct service_response *response);

#endif

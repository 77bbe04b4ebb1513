/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_H
#define WEFT_OFFERS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

/*
 * A schema says what the offers of one service have (fields), and by what they are found
 * (filters). It is INI text, weft-schema(5), which the operator or a followed share brings; no
 * peer sends one. offers_schema_parse compiles it. Payloads and queries of peers are then read
 * by it:
 *
 *	payload bytes -> offers_schema_read ------> struct schema_record --+
 *	query bytes ---> offers_schema_query_read -> struct schema_query --+-> offers_schema_match
 *
 * Texts of records and queries point into the bytes or words that they were read from, which
 * therefore live as long. Neither struct is copied: its values point into itself.
 */

/* Text of 4 KiB describes a large service; 64 KiB bound what a file can cost. */
#define SCHEMA_TEXT_LEN_MAX 65536
#define SCHEMA_FIELDS_MAX   32
#define SCHEMA_FILTERS_MAX  16
#define SCHEMA_CHOICES_MAX  64	/* of a field */
#define SCHEMA_CHOICES_ALL  512 /* of a schema */
#define SCHEMA_NAME_CAP	    33	/* of a service, field, filter or choice, with its NUL */
#define SCHEMA_VERSION_MAX  127 /* the low bits of a message's version */
/* Keys of a payload's map: 0 and those from 240 on are the layer's. */
#define SCHEMA_KEY_MAX 239
/* Values of one list, and of all fields together. */
#define SCHEMA_ITEMS_MAX	64
#define SCHEMA_ITEMS_ALL	256
#define SCHEMA_MEMBERS		16   /* values that one filter names */
#define SCHEMA_POSTCODE_LEN_MAX 10   /* bytes */
#define SCHEMA_GEOHASH_LEN_MAX	5    /* letters: a square of 5 km */
#define SCHEMA_TEXT_CHARS	8000 /* most characters that a text field may ask for */

/* Core ids are fixed; every other service has an id made of its name. */
#define SCHEMA_ID_CUSTOM 0xffffu     /* experiments, each with its own name */
#define SCHEMA_ID_ANY	 0xfffffffeu /* a query of several services */

/* What is wrong with a schema, a payload or a word, and the next step; else texts are empty. */
struct schema_fault {
	unsigned line; /* of the schema's text; 0: none */
	char field[SCHEMA_NAME_CAP];
	char what[192];
	char next[192];
};

enum schema_type {
	SCHEMA_NUMBER,	 /* int64 */
	SCHEMA_CHOICE,	 /* one of words that are numbered from 1 */
	SCHEMA_CHOICES,	 /* several of them */
	SCHEMA_TEXT,	 /* UTF-8; line ends are its only control characters */
	SCHEMA_WORDS,	 /* several short texts */
	SCHEMA_TIME,	 /* seconds since 1970 */
	SCHEMA_TIMES,	 /* several */
	SCHEMA_FLAG,	 /* yes or no */
	SCHEMA_POSTCODE, /* at most 10 capitals, digits, blanks and hyphens */
	SCHEMA_GEOHASH,	 /* at most 5 letters */
	SCHEMA_URL,	 /* http or https */
	SCHEMA_HASH,	 /* 32 bytes */
	SCHEMA_TYPE_CNT,
};

/* How a filter's value is compared with a field; with a list, one member that fits suffices. */
enum schema_comparison {
	SCHEMA_EQUAL,
	SCHEMA_AT_MOST,	 /* inclusive, as all bounds */
	SCHEMA_AT_LEAST, /* */
	SCHEMA_BETWEEN,
	SCHEMA_PREFIX,
	SCHEMA_ANY_OF, /* of up to SCHEMA_MEMBERS */
	SCHEMA_ALL_OF, /* of them; the field is a list */
	SCHEMA_COMPARISON_CNT,
};

struct schema_choice {
	const char *word, *label;
};

#define SCHEMA_NO_COLUMN 0xff
struct schema_field {
	const char *name, *label, *help, *unit; /* never NULL; help and unit may be "" */
	enum schema_type type;
	uint8_t key;	/* of the payload's map */
	uint8_t since;	/* a required field is missed from this version on */
	uint8_t column; /* of the index (schema_keys.h), or SCHEMA_NO_COLUMN */
	uint8_t decimals;
	bool is_required;
	bool is_listed; /* a column of tables of offers */
	/*
	 * Of a number the least and the greatest; of texts their characters. A number with
	 * decimals is sent times 10^decimals, and these are, too.
	 */
	int64_t min, max;
	unsigned item_max; /* of lists */
	unsigned choice_cnt;
	const struct schema_choice *choices; /* by their numbers, from 0 */
};

struct schema_filter {
	const char *name, *label, *help;
	enum schema_comparison comparison;
	uint8_t key;   /* of the query's map */
	uint8_t field; /* index of fields */
};

/* A compiled schema: read only, so threads may share it. */
struct schema {
	uint32_t id;
	uint8_t version, min_verification;
	bool takes_seed_form; /* messages whose signature covers the payload alone are accepted */
	uint16_t ttl_hours;   /* of an offer, if its publisher names none */
	/* of a session; 0: as the node says */
	uint16_t announces_per_min, queries_per_min, reserves_per_min;
	const char *name, *title, *description;
	struct schema_field fields[SCHEMA_FIELDS_MAX]; /* by ascending key */
	unsigned field_cnt;
	struct schema_filter filters[SCHEMA_FILTERS_MAX]; /* by ascending key */
	unsigned filter_cnt;
	uint8_t columns[SCHEMA_FILTERS_MAX]; /* the fields that filters name, once each */
	unsigned column_cnt;
};

/*
 * offers_schema_parse compiles text. Returns 0 with *out to be freed by offers_schema_free, or
 * WEFT_EMALFORMED, WEFT_ETOOLARGE or -ENOMEM with *fault. It allocates once: at start, and when
 * the operator adds a schema.
 */
WEFT_MUST_CHECK
int offers_schema_parse(const char *text, size_t len, struct schema **out,
			struct schema_fault *fault);
void offers_schema_free(struct schema *schema);

/* offers_schema_id_of_name: that of the core's list, else the one made of the name (lower case). */
uint32_t offers_schema_id_of_name(const char *name);
/* offers_schema_type_name, offers_schema_comparison_name: the words of the text form. */
const char *offers_schema_type_name(enum schema_type type);
const char *offers_schema_comparison_name(enum schema_comparison comparison);
/* offers_schema_is_list: values of the type have several items. */
bool offers_schema_is_list(enum schema_type type);
/* offers_schema_field_named, offers_schema_filter_named: the index, or -1. */
int offers_schema_field_named(const struct schema *schema, const char *name, size_t len);
int offers_schema_filter_named(const struct schema *schema, const char *name, size_t len);

/* Numbers, choices, times and flags are numbers; the others have text, or a hash's bytes. */
struct schema_item {
	int64_t number;
	const char *text; /* borrowed, not NUL-terminated; NULL of numbers */
	size_t len;
};
enum schema_state {
	SCHEMA_ABSENT,
	SCHEMA_PRESENT,
	SCHEMA_REMOVED, /* an update's null */
};
struct schema_value {
	enum schema_state state;
	unsigned item_cnt; /* 1 unless a list */
	const struct schema_item *items;
};
struct schema_pool {
	struct schema_item items[SCHEMA_ITEMS_ALL];
	unsigned item_cnt;
	/* What words become when they are read: capitals of postcodes, bytes of hashes. */
	char bytes[SCHEMA_FIELDS_MAX * 32 + SCHEMA_ITEMS_ALL];
	size_t byte_cnt;
};

/* The values of an offer, by the index of their field. */
struct schema_record {
	struct schema_value values[SCHEMA_FIELDS_MAX];
	bool is_update; /* fields may be missing, and may be removed */
	struct schema_pool pool;
};

struct schema_payload {
	const uint8_t *bytes;
	size_t len;
	uint8_t version; /* of the message, without its top bit */
	bool may_name;	 /* text keys, fields by name, are allowed: the seed form */
	bool is_update;
};

/*
 * offers_schema_read reads the fields of a payload, and checks types, ranges and what is
 * required. Keys that are unknown or the layer's are skipped. Of a newer version only the types
 * are checked. Returns 0 or WEFT_EMALFORMED with *fault, which names the field.
 */
WEFT_MUST_CHECK
int offers_schema_read(const struct schema *schema, const struct schema_payload *payload,
		       struct schema_record *out, struct schema_fault *fault);

/* offers_schema_record_init: no value yet; for offers_schema_value_from_text. */
void offers_schema_record_init(struct schema_record *record, bool is_update);
/*
 * offers_schema_value_from_text reads FIELD=VALUE of a command into record. Members of lists are
 * separated by commas. An empty value removes the field, in an update alone. word lives as long
 * as record.
 */
WEFT_MUST_CHECK
int offers_schema_value_from_text(const struct schema *schema, const char *word,
				  struct schema_record *record, struct schema_fault *fault);
/* offers_schema_check: the record has what is required. */
WEFT_MUST_CHECK
int offers_schema_check(const struct schema *schema, const struct schema_record *record,
			struct schema_fault *fault);
/*
 * offers_schema_record_merge puts what an update has over record, which then points into the
 * update and its bytes, too. Returns 0, or WEFT_EMALFORMED when it removes a required field;
 * record is then as it was.
 */
WEFT_MUST_CHECK
int offers_schema_record_merge(const struct schema *schema, struct schema_record *record,
			       const struct schema_record *update, struct schema_fault *fault);
/*
 * offers_schema_fields_write writes a payload's keys from 1 to 239 without the map's head, and
 * offers_schema_fields_cnt says how many there are.
 */
unsigned offers_schema_fields_cnt(const struct schema_record *record);
void offers_schema_fields_write(const struct schema *schema, const struct schema_record *record,
				struct writer *w);
/*
 * offers_schema_value_print writes what offers_schema_value_from_text would read. A text that
 * does not fit is cut, between two characters. Returns buf.
 */
const char *offers_schema_value_print(const struct schema_field *field,
				      const struct schema_value *value, char *buf, size_t cap);
/*
 * offers_schema_number_print writes a number or a bound of the field as a user types it. With
 * one decimal, 25 is written 2.5. Returns buf.
 */
#define SCHEMA_NUMBER_CAP 48
const char *offers_schema_number_print(const struct schema_field *field, int64_t number,
				       char buf[static SCHEMA_NUMBER_CAP]);

/* offers_schema_text_trim takes off a character that is cut at the end of UTF-8 text. */
void offers_schema_text_trim(char *text);

/* The values of a query, by the index of their filter. */
struct schema_query {
	struct schema_value values[SCHEMA_FILTERS_MAX];
	/* The map has filters of a newer schema: answers are a superset, which the asker filters. */
	bool has_unknown;
	struct schema_pool pool;
};

/* offers_schema_query_init: everything matches. */
void offers_schema_query_init(struct schema_query *query);
/*
 * offers_schema_query_from_text reads FILTER=VALUE of a command: 900; a,b of any-of and
 * all-of; 1..5 of between, of which either end may be missing. word lives as long as query.
 */
WEFT_MUST_CHECK
int offers_schema_query_from_text(const struct schema *schema, const char *word,
				  struct schema_query *query, struct schema_fault *fault);
/* offers_schema_query_write writes the map of filters. */
void offers_schema_query_write(const struct schema *schema, const struct schema_query *query,
			       struct writer *w);
/* offers_schema_query_read reads such a map, which may be a peer's. */
WEFT_MUST_CHECK
int offers_schema_query_read(const struct schema *schema, const uint8_t *bytes, size_t len,
			     struct schema_query *out, struct schema_fault *fault);

/* offers_schema_match: every filter of the query fits. A field that is missing does not fit. */
bool offers_schema_match(const struct schema *schema, const struct schema_record *record,
			 const struct schema_query *query);

#endif

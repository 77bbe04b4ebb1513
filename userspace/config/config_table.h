/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONFIG_CONFIG_TABLE_H
#define WEFT_CONFIG_CONFIG_TABLE_H

#include "config/config.h"

/* Private to config*.c: the table of keys, values as text, what is kept for a reload. */
enum config_type {
	CONFIG_PATH, /* absolute */
	CONFIG_NAME,
	CONFIG_COUNT,
	CONFIG_SIZE,	 /* bytes: 64M; K, M, G, T are powers of 1024 */
	CONFIG_RATE,	 /* bytes per second: 10mbit; B kbit mbit gbit, powers of 1000 */
	CONFIG_DURATION, /* nanoseconds: 10s; ns us ms s m h d */
	CONFIG_SECONDS,	 /* the same text, kept in seconds */
	CONFIG_BOOL,	 /* yes or no */
	CONFIG_BOOL_NOT, /* the field says the opposite of the key */
	CONFIG_CHOICE,	 /* a word; the field is min + its place */
	CONFIG_ADDRS,	 /* up to 8, separated by commas */
	CONFIG_SITE,	 /* PREFIX/BITS:LENGTH, or empty */
	CONFIG_PROXY,	 /* http://ADDRESS:PORT, or empty */
	CONFIG_WAYS,	 /* transports, first to last: mesh/session/ways.h */
	CONFIG_LINES,	 /* PATH[:BAUD][@KEY] of up to TCP_LINES_MAX, separated by commas */
};

struct config_key {
	const char *section;
	const char *key;
	enum config_type type;
	size_t off, len;     /* of the field in struct node_config */
	size_t cnt_off;	     /* of the count, CONFIG_ADDRS */
	uint64_t min, max;   /* inclusive, in the field's unit */
	const char *choices; /* "cubic bbr" */
	bool is_live;
	const char *doc;
};

extern const struct config_key config_keys[];
extern const unsigned config_key_cnt;

/*
 * config_value_parse reads text into key's field of config; with
 * is_appended, to the list that is there. Returns 0, or WEFT_EMALFORMED or
 * WEFT_ETOOLARGE with a reason in why.
 */
WEFT_MUST_CHECK
int config_value_parse(const struct config_key *key, const char *text, bool is_appended,
		       struct node_config *config, char why[static CONFIG_WHY_CAP]);
/* config_value_format writes the text that parse reads; returns text. */
const char *config_value_format(const struct config_key *key, const struct node_config *config,
				char text[static CONFIG_VALUE_CAP]);
/*
 * config_rate_parse and config_rate_format: a rate as the table's values of
 * CONFIG_RATE are written, for those that are set elsewhere. False: it is none.
 * config_size_parse and config_size_format: the same of CONFIG_SIZE.
 */
bool config_rate_parse(const char *text, uint64_t *out_per_s);
const char *config_rate_format(uint64_t per_s, char *text, size_t cap);
bool config_size_parse(const char *text, uint64_t *out_len);
const char *config_size_format(uint64_t len, char *text, size_t cap);
/* config_range_format: "1 to 1000", "1s to 10m", "yes or no", for messages and the manual. */
const char *config_range_format(const struct config_key *key, char text[static CONFIG_WHY_CAP]);

/* Where a configuration came from. */
struct config_origin {
	char *file; /* NULL: the default one */
	struct config_override *overrides;
	unsigned override_cnt;
	struct node_config live; /* as config, with what reloads changed */
	char **pending;		 /* per key; NULL: nothing waits for a restart */
	char *sources[];	 /* per key; NULL: default */
};

/* config_defaults fills what the modules and this machine suggest; config is zero before. */
void config_defaults(struct node_config *config);
/* config_file_default: the user's own file where there is one, else CONFIG_FILE_DEFAULT. */
const char *config_file_default(char path[static CONFIG_PATH_CAP]);
/*
 * config_read_{files,overrides} read what config's origin names into
 * config. Errors as config_load's, with the sentence in message.
 */
WEFT_MUST_CHECK
int config_read_files(struct node_config *config, char message[static CONFIG_MESSAGE_CAP]);
WEFT_MUST_CHECK
int config_read_overrides(struct node_config *config, char message[static CONFIG_MESSAGE_CAP]);
/* config_message_set writes into a message of CONFIG_MESSAGE_CAP bytes. */
void config_message_set(char *message, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of weft.conf, once: what reads it, prints it, checks it and
 * documents it is made from this table. Its rows are in keys_*.def, by subject.
 * Defaults are not here: they are the modules' own (<module>_config_defaults)
 * and config.c's.
 */
#include "config/config_table.h"

#include "base/monotonic.h"
#include "base/log.h"

#define FIELD(field) offsetof(struct node_config, field), sizeof(((struct node_config *)0)->field)
#define KIB	     1024ull
#define MIB	     (1024 * KIB)
#define GIB	     (1024 * MIB)
#define TIB	     (1024 * GIB)
#define DAY_NS	     (86400 * NS_PER_S)

#define TEXT(s, k, t, field, docs)                                                                 \
	{s,    k,     t,   FIELD(field), 0, 0, sizeof(((struct node_config *)0)->field) - 1,       \
	 NULL, false, docs}
#define NUMBER(s, k, t, field, low, high, docs)                                                    \
	{s, k, t, FIELD(field), 0, low, high, NULL, false, docs}
/* LIVE: a reload applies it, for what begins afterwards; the module's configure takes the field. */
#define LIVE(s, k, t, field, low, high, docs)                                                      \
	{s, k, t, FIELD(field), 0, low, high, NULL, true, docs}
#define LIMIT(k, field, low, docs)                                                                 \
	LIVE("limits", k, CONFIG_COUNT, fastpath.limits.field, low, LIMITS_RATE_MAX, docs)
/* clang-format off */
#define ADDRS(s, k, field, field_cnt, low, docs)                                                   \
	{s, k, CONFIG_ADDRS, FIELD(field), offsetof(struct node_config, field_cnt), low,           \
	 CONFIG_ADDRS_MAX, NULL, false, docs}
/* clang-format on */

#define WAYS(k, field, docs) {"transport", k, CONFIG_WAYS, FIELD(field), 0, 0, 0, NULL, true, docs}

/* A row of service/limits.def: what its unit is read as, how its sentence begins, when it applies. */
#define TYPE_COUNT	    CONFIG_COUNT
#define TYPE_BYTES	    CONFIG_SIZE
#define TYPE_DURATION	    CONFIG_DURATION
#define TYPE_CALLS_PER_MIN  CONFIG_COUNT
#define TYPE_UNITS	    CONFIG_COUNT
#define TYPE_UNITS_PER_MIN  CONFIG_COUNT
#define TYPE_PER_MIN	    CONFIG_COUNT
#define BEGIN_COUNT	    "How many "
#define BEGIN_BYTES	    "Bytes "
#define BEGIN_DURATION	    "Time "
#define BEGIN_CALLS_PER_MIN "Calls a minute "
#define BEGIN_UNITS	    "Units "
#define BEGIN_UNITS_PER_MIN "Units a minute "
#define BEGIN_PER_MIN	    "A minute, so many "
#define IS_LIVE		    true
#define IS_FIXED	    false
#define SERVICE_LIMIT(field, key, value, low, high, unit, change, text)                            \
	{"service",   key,                                                                         \
	 TYPE_##unit, FIELD(fabric.service.limits.field),                                          \
	 0,	      low,                                                                         \
	 high,	      NULL,                                                                        \
	 IS_##change, BEGIN_##unit text "."},

const struct config_key config_keys[] = {
#include "keys_links.def"
#include "keys_network.def"
#include "service/limits.def"
#include "keys_content.def"
#include "keys_social.def"
};

const unsigned config_key_cnt = sizeof(config_keys) / sizeof(config_keys[0]);

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_LOG_H
#define WEFT_BASE_LOG_H

#include <stdbool.h>

/*
 * The log sink: the one mutable global beside the stop flag. Only node/,
 * control/ and gateway/ log above debug. No addresses, no payloads, no
 * keys: peers are named by their NodeId's first eight letters.
 */
enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* log_init: stderr with <n> prefixes when journald reads it, plain text else. */
void log_init(enum log_level max_level);
/* log_is_on: lines of level are written; ask before making a costly one. */
bool log_is_on(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_write(LOG_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_write(LOG_DEBUG, __VA_ARGS__)

#endif

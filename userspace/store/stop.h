/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_STOP_H
#define WEFT_STORE_STOP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The way to end a long walk. is_due is called before each page of a database, record of a segment
 * and block of bytes, on the walk's thread. True ends the walk with WEFT_ECANCELLED. read_len: the
 * bytes read since the call before, for a display of progress.
 */
struct store_stop {
	bool (*is_due)(void *arg, size_t read_len);
	void *arg;
};

/* stop_is_due: stop may be NULL, then a walk runs to its end. */
static inline bool stop_is_due(const struct store_stop *stop, size_t read_len)
{
	return stop && stop->is_due(stop->arg, read_len);
}

#endif

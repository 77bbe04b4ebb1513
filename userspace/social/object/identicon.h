/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_IDENTICON_H
#define WEFT_SOCIAL_OBJECT_IDENTICON_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/node_key.h"

/*
 * A picture of a key, for people that have none: an SVG of 5 by 5 cells, mirrored at the middle column.
 * BLAKE3 of the key says which cells are filled and with which colour, so a key has one picture
 * everywhere.
 *
 * Thread-safe.
 */
#define IDENTICON_SIDE	   5u
#define IDENTICON_TEXT_CAP 640u

/* social_identicon_cell: whether the cell of column and row, both from 0, is filled. */
int social_identicon_cell(const uint8_t key[static NODE_KEY_LEN], unsigned column, unsigned row);
/* social_identicon_write: the SVG, with a NUL; returns out. */
const char *social_identicon_write(const uint8_t key[static NODE_KEY_LEN],
				   char out[static IDENTICON_TEXT_CAP]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_KNOCK_H
#define WEFT_NODE_KNOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct addr;
struct knocks;
struct random;

/* Knocks that wait for an answer at once; the oldest makes room for one more. */
#define KNOCK_CNT 8

/*
 * node_knock asks whether anybody is at remote; mesh_knocked of the node that
 * is ctx is told, if there is an answer at all. Nobody is asked while a link is down.
 */
void node_knock(void *ctx, const struct addr *remote);
/* knocks_close takes NULL. */
void knocks_close(struct knocks *knocks);

/*
 * A knock, as bytes: the start of a connection of a version that nobody has,
 * which any server answers by naming its own (RFC 9000 6.1, 15). knock_is_answer:
 * that is what answer is, and it repeats the ids of knock.
 */
#define KNOCK_LEN 1200
void knock_write(uint8_t out_knock[static KNOCK_LEN], struct random *random);
bool knock_is_answer(const uint8_t knock[static KNOCK_LEN], const uint8_t *answer, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_TCP_SPEAKER_H
#define WEFT_TESTS_TCP_SPEAKER_H

#include "support/tcp_net.h"

/*
 * What the nodes of a tcp_net do with their connections. Each is recorded. A stream that arrives is
 * compared with the pattern and answered by its length.
 */
extern const struct transport_events tcp_speaker; /* ctx: struct tcp_node */

/* tcp_speaker_init writes the pattern. */
void tcp_speaker_init(void);
/* tcp_speaker_conn takes the next record of node for conn. */
struct tcp_test_conn *tcp_speaker_conn(struct tcp_node *node, struct transport_conn *conn);

#endif

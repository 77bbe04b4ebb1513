/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_NET_LIBRARY_H
#define WEFT_NET_NET_LIBRARY_H

#include "base/base_library.h"

/* net_libraries gives those that packets and names take. Any thread. */
#define NET_LIBRARY_CNT 6
void net_libraries(struct library out[static NET_LIBRARY_CNT]);

/* Called by a static libelf alone; xdp/elf_tree.c has the reason why they are here. */
struct eu_search_tree;
void eu_search_tree_init(struct eu_search_tree *tree);
void eu_search_tree_fini(struct eu_search_tree *tree, void (*free_node)(void *node));

#endif

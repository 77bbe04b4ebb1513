/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NET_XDP_ELF_TREE_H
#define WEFT_NET_XDP_ELF_TREE_H

/* Called by a static libelf alone; elf_tree.c has the reason why they are here. */
struct eu_search_tree;
void eu_search_tree_init(struct eu_search_tree *tree);
void eu_search_tree_fini(struct eu_search_tree *tree, void (*free_node)(void *node));

#endif

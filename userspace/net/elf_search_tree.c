/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two functions that the static libelf of elfutils 0.192 (Debian 13) calls
 * and does not hold (sourceware bug 32293; 0.193 has them). They keep a
 * tree of elf_getdata_rawchunk, which libbpf does not use, so there is
 * nothing to keep. Weak: where libelf holds them, its own are taken as
 * soon as something needs the tree.
 */
struct search_tree;

void eu_search_tree_init(struct search_tree *tree, int (*compare)(const void *, const void *));
void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *));

__attribute__((weak)) void eu_search_tree_init(struct search_tree *tree,
					       int (*compare)(const void *, const void *))
{
	(void)tree, (void)compare;
}

__attribute__((weak)) void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *))
{
	(void)tree, (void)free_node;
}

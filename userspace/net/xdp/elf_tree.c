/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two functions that Debian 13's libelf.a (0.192) calls and that no package
 * has as an archive. They are in libeu.a, which elfutils builds and does not
 * install. libbpf needs libelf, so without these nothing that loads a BPF
 * object could be linked statically.
 *
 * The tree holds what elf_getdata_rawchunk was asked for. libbpf never calls
 * that, the tree lies in memory that libelf has zeroed, and so there is
 * nothing to set up or to take down.
 */
#include "net/net_library.h"

void eu_search_tree_init(struct eu_search_tree *tree)
{
	(void)tree;
}

void eu_search_tree_fini(struct eu_search_tree *tree, void (*free_node)(void *node))
{
	(void)tree;
	(void)free_node;
}

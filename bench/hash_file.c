/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_file plain|tree FILE hashes FILE as b3sum does, from a mapping: plain
 * in one go; tree by its 256 KiB chunks. tree folds their chaining values
 * into the root, as an import does. Prints the hash.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "crypto/blake3/blake3.h"

static void hash_tree(const uint8_t *data, size_t len, uint8_t *out)
{
	struct blake3_chunk_tree tree;
	uint8_t cv[BLAKE3_HASH_LEN];

	blake3_chunk_tree_init(&tree);
	for (size_t off = 0; off < len; off += BLAKE3_CHUNK_LEN) {
		size_t step = len - off < BLAKE3_CHUNK_LEN ? len - off : BLAKE3_CHUNK_LEN;

		blake3_subtree(data + off, step, off / BLAKE3_LEAF_LEN, len <= BLAKE3_CHUNK_LEN,
			       cv);
		blake3_chunk_tree_push(&tree, cv);
	}
	blake3_chunk_tree_finish(&tree, out);
}

int main(int argc, char **argv)
{
	uint8_t out[BLAKE3_HASH_LEN];
	const uint8_t *data;
	struct stat st;
	int fd;

	if (argc != 3)
		return 2;
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
		return 1;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return 1;
	if (strcmp(argv[1], "tree") == 0)
		hash_tree(data, (size_t)st.st_size, out);
	else
		blake3_hash(data, (size_t)st.st_size, out);
	for (size_t i = 0; i < sizeof(out); i++)
		printf("%02x", out[i]);
	printf("\n");
	return 0;
}

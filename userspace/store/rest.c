/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that the store thread gives back once there is nothing to commit. Two kinds are
 * counted as resident and not needed. Pages of the database that a commit looked at stay mapped
 * (RssFile). They are page cache, which the kernel takes back under pressure, but the number does
 * not show that. And malloc keeps the memory of a large import's batches (RssAnon). LMDB itself
 * keeps the dirty pages of its largest commit for ever; that is bounded by how much one commit
 * takes (thread.c, content's import).
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "store/store_state.h"

/*
 * LMDB does not report where its map is. Among the shared mappings of this process only that one is
 * of the file's inode. The device is not compared: some file systems show another one in maps than
 * in stat.
 */
bool store_map_find(const struct env *env, void **out_start, size_t *out_len)
{
	uintptr_t start, end;
	bool is_found = false;
	char line[512], mode;
	struct stat st;
	uint64_t inode;
	FILE *maps;
	int fd;

	if (mdb_env_get_fd(env->lmdb, &fd) != MDB_SUCCESS || fstat(fd, &st) < 0)
		return false;
	maps = fopen("/proc/self/maps", "re");
	while (maps && !is_found && fgets(line, sizeof(line), maps))
		is_found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*3c%c %*s %*s %" SCNu64, &start,
				  &end, &mode, &inode) == 4 &&
			   mode == 's' && inode == st.st_ino;
	if (maps)
		fclose(maps);
	if (is_found) {
		*out_start = (void *)start;
		*out_len = end - start;
	}
	return is_found;
}

void store_rest(struct store *store)
{
	void *start;
	size_t len;

	/* A shared mapping loses nothing by this: what is read again is mapped again. */
	if (store_map_find(&store->env, &start, &len))
		(void)madvise(start, len, MADV_DONTNEED);
	(void)malloc_trim(0);
}

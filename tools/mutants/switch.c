/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "switch.h"

/*
 * The switch of tools/mutate's mutants, linked into every program of its
 * build. WEFT_MUTANT names the mutant that is on. WEFT_MUTANTS_REACHED names
 * a file of REACHED_CAP zeros. Each mutant whose place is executed leaves a
 * one there, and so does each function that is entered, in forked processes
 * too. Threads write the same byte value, so no order matters.
 */
#define REACHED_CAP 65536

static unsigned char unwatched[REACHED_CAP];

unsigned weft_mutant_on;
unsigned char *weft_mutants_reached = unwatched;

/* Before any constructor of a test program. */
__attribute__((constructor(101))) static void switch_start(void)
{
	const char *number = getenv("WEFT_MUTANT");
	const char *path = getenv("WEFT_MUTANTS_REACHED");

	if (number)
		weft_mutant_on = (unsigned)strtoul(number, NULL, 10);
	if (path) {
		int fd = open(path, O_RDWR | O_CLOEXEC);
		void *map = mmap(NULL, REACHED_CAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (map != MAP_FAILED)
			weft_mutants_reached = map;
		if (fd >= 0)
			close(fd);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into weftd-scarce with --wrap, so that every object of the program,
 * those of the libraries too, allocates through here. Which allocations
 * fail stands in the file $WEFT_SCARCE, a struct scarce, which the test
 * maps, too: it arms and disarms while weftd runs. All threads count.
 *
 * OpenSSL's own allocations never fail: it has places that cannot report it.
 */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/alloc_wrap.h"

void *__real_malloc(size_t len);
void *__real_realloc(void *block, size_t len);
int __real_posix_memalign(void **out_block, size_t align, size_t len);
void *__wrap_realloc(void *block, size_t len);
void *__wrap_reallocarray(void *block, size_t cnt, size_t len);
int __wrap_posix_memalign(void **out_block, size_t align, size_t len);

extern const char __executable_start[];

/* Read and written by support/scarce.py: u64 each, native order. */
#define FRAME_CAP 24
struct scarce {
	_Atomic uint64_t asked_cnt;  /* allocations since armed */
	_Atomic uint64_t first;	     /* the first that fails, from 1; 0: not armed */
	_Atomic uint64_t fail_cnt;   /* that one and those behind it */
	_Atomic uint64_t failed_cnt; /* that did */
	_Atomic uint64_t frame_cnt;  /* of the first that failed, in this program */
	_Atomic uint64_t frames[FRAME_CAP];
};

static struct scarce *scarce;
static _Thread_local bool is_spared;

static void place_note(void)
{
	void *frames[FRAME_CAP];
	int cnt;

	is_spared = true;
	cnt = backtrace(frames, FRAME_CAP);
	is_spared = false;
	for (int i = 0; i < cnt; i++)
		scarce->frames[i] =
			(uint64_t)((uintptr_t)frames[i] - (uintptr_t)__executable_start);
	scarce->frame_cnt = (uint64_t)cnt;
}

bool alloc_is_refused(void)
{
	uint64_t first, at;

	if (is_spared || !scarce || (first = scarce->first) == 0)
		return false;
	at = atomic_fetch_add(&scarce->asked_cnt, 1) + 1;
	if (at < first || at - first >= scarce->fail_cnt)
		return false;
	if (atomic_fetch_add(&scarce->failed_cnt, 1) == 0)
		place_note();
	errno = ENOMEM;
	return true;
}

void *__wrap_reallocarray(void *block, size_t cnt, size_t len)
{
	size_t whole;

	if (__builtin_mul_overflow(cnt, len, &whole)) {
		errno = ENOMEM;
		return NULL;
	}
	return __wrap_realloc(block, whole);
}

int __wrap_posix_memalign(void **out_block, size_t align, size_t len)
{
	return alloc_is_refused() ? ENOMEM : __real_posix_memalign(out_block, align, len);
}

static void *openssl_malloc(size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return __real_malloc(len);
}

static void *openssl_realloc(void *block, size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return __real_realloc(block, len);
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file, (void)line;
	free(block);
}

/* Before main and so before OpenSSL's first allocation. */
__attribute__((constructor)) static void scarce_open(void)
{
	const char *path = getenv("WEFT_SCARCE");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		_exit(125);
	at = mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED ||
	    !CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
		_exit(125);
	scarce = at;
}

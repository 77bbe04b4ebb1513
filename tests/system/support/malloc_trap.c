/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into weftd-trap with --wrap, so that every object of the program, those of the libraries
 * too, allocates through here. What a worker asks for inside node_run is counted by caller. So is
 * what a job asks for that reads the answer to a peer. The counts are in a file that the test maps
 * too: $WEFT_TRAP, a struct trap. OpenSSL is given functions of its own, which count its live bytes
 * on every thread.
 */
#include <fcntl.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct node;
struct serve_call;

void *__real_malloc(size_t len);
void *__real_calloc(size_t cnt, size_t len);
void *__real_realloc(void *block, size_t len);
int __real_node_run(struct node *node);
int __real_blobs_serve_call_work(struct serve_call *call, bool is_waiting);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t cnt, size_t len);
void *__wrap_realloc(void *block, size_t len);
int __wrap_node_run(struct node *node);
int __wrap_blobs_serve_call_work(struct serve_call *call, bool is_waiting);

/* Read by test_malloc_trap.py: u64 each, native order. */
#define CALLER_CAP 4096
struct trap {
	_Atomic uint64_t openssl_live_len;
	_Atomic uint64_t openssl_call_cnt; /* inside node_run */
	struct {
		_Atomic uint64_t address; /* of the instruction after the call, in the file */
		_Atomic uint64_t cnt;
	} callers[CALLER_CAP]; /* by hash of the address; the last takes what has no room */
};

extern const char __executable_start[]; /* where the file is loaded */

static struct trap *trap;
static _Thread_local bool is_worker;
/* volatile: the compiler knows realloc and would drop a store that only realloc's stand-in reads. */
static _Thread_local volatile bool is_openssl;

static void caller_count(uint64_t address)
{
	unsigned at = (unsigned)((address * 0x9e3779b97f4a7c15ull) >> 52);

	for (; at < CALLER_CAP - 1; at++) {
		uint64_t seen = 0;

		if (atomic_compare_exchange_strong(&trap->callers[at].address, &seen, address) ||
		    seen == address)
			break;
	}
	trap->callers[at].cnt++;
}

static void call_count(void *caller)
{
	if (!trap || !is_worker)
		return;
	if (is_openssl)
		trap->openssl_call_cnt++;
	else
		caller_count((uint64_t)((uintptr_t)caller - (uintptr_t)__executable_start));
}

void *__wrap_malloc(size_t len)
{
	call_count(__builtin_return_address(0));
	return __real_malloc(len);
}

void *__wrap_calloc(size_t cnt, size_t len)
{
	call_count(__builtin_return_address(0));
	return __real_calloc(cnt, len);
}

void *__wrap_realloc(void *block, size_t len)
{
	call_count(__builtin_return_address(0));
	return __real_realloc(block, len);
}

static void *openssl_realloc(void *block, size_t len, const char *file, int line)
{
	size_t before = block ? malloc_usable_size(block) : 0;
	void *moved;

	(void)file;
	(void)line;
	is_openssl = true;
	moved = realloc(block, len);
	is_openssl = false;
	if (moved)
		trap->openssl_live_len += malloc_usable_size(moved) - before;
	return moved;
}

static void *openssl_malloc(size_t len, const char *file, int line)
{
	return openssl_realloc(NULL, len, file, line);
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	if (block)
		trap->openssl_live_len -= malloc_usable_size(block);
	free(block);
}

/* Before main and so before OpenSSL's first allocation. */
__attribute__((constructor)) static void trap_open(void)
{
	const char *path = getenv("WEFT_TRAP");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *at;

	if (fd < 0 || ftruncate(fd, sizeof(*trap)) < 0)
		_exit(125);
	at = mmap(NULL, sizeof(*trap), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		_exit(125);
	trap = at;
	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free))
		_exit(125);
}

int __wrap_node_run(struct node *node)
{
	int err;

	is_worker = true;
	err = __real_node_run(node);
	is_worker = false;
	return err;
}

int __wrap_blobs_serve_call_work(struct serve_call *call, bool is_waiting)
{
	bool was_worker = is_worker;
	int err;

	is_worker = true;
	err = __real_blobs_serve_call_work(call, is_waiting);
	is_worker = was_worker;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB trusts its pages: a damaged one can end in an assertion or a
 * signal, and with it the process that looks. So a child looks first,
 * through an environment of its own, and what becomes of it is the
 * finding: before the walk of a check at every key and value, before the
 * environment is opened at the databases that a start reads.
 *
 * The child opens without a lock, or a crash would leave its place in the
 * table of readers taken. Nobody writes at a start; beside a check, the
 * snapshot that the caller holds keeps the pages from being used again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store_state.h"

#define PATH_CAP 4096
/* A damaged page may lead in circles: at 100 MB/s this is a database of 60 GB. */
#define CPU_MAX_S 600

/* Which database the child is at; shared with it. */
struct probe_seen {
	volatile unsigned db; /* enum store_db, STORE_DB_CNT: segments */
};

static void child_confine(void)
{
	const struct rlimit no_core = {0, 0}, cpu = {CPU_MAX_S, CPU_MAX_S};
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)setrlimit(RLIMIT_CPU, &cpu);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		(void)signal(deadly[i], SIG_DFL);
	/* What LMDB says when it gives up would look like the daemon's own words. */
	if (null_fd >= 0)
		(void)dup2(null_fd, STDERR_FILENO);
}

static int database_read(MDB_txn *txn, const char *name)
{
	volatile uint8_t sink = 0;
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_dbi dbi;
	int err = mdb_dbi_open(txn, name, 0, &dbi);

	if (err == MDB_SUCCESS)
		err = mdb_cursor_open(txn, dbi, &cursor);
	if (err != MDB_SUCCESS)
		return err;
	while ((err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
		for (size_t i = 0; i < key.mv_size; i++)
			sink ^= ((const uint8_t *)key.mv_data)[i];
		for (size_t i = 0; i < value.mv_size; i++)
			sink ^= ((const uint8_t *)value.mv_data)[i];
	}
	return err == MDB_NOTFOUND ? MDB_SUCCESS : err;
}

/* The small ones, which are read whole before the daemon is ready. */
static bool is_read_at_start(unsigned db)
{
	return db == STORE_META || db == STORE_PEERS || db == STORE_SHARES || db == STORE_GETS ||
	       db == STORE_BANS || db == STORE_DB_CNT;
}

struct probe {
	const char *dir;
	enum probe_scope scope;
	struct probe_seen *seen;
};

static int databases_look(void *arg)
{
	const struct probe *probe = arg;
	char path[PATH_CAP];
	MDB_env *lmdb;
	MDB_txn *txn;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/db", probe->dir) >= sizeof(path))
		return ENAMETOOLONG;
	if ((err = mdb_env_create(&lmdb)) || (err = mdb_env_set_maxdbs(lmdb, STORE_DB_CNT + 1)) ||
	    (err = mdb_env_open(lmdb, path, MDB_RDONLY | MDB_NOLOCK, 0)) ||
	    (err = mdb_txn_begin(lmdb, NULL, MDB_RDONLY, &txn)))
		return err;
	for (unsigned db = 0; db <= STORE_DB_CNT && err == MDB_SUCCESS; db++) {
		if (probe->scope == PROBE_START && !is_read_at_start(db))
			continue;
		probe->seen->db = db;
		err = database_read(txn, db < STORE_DB_CNT ? env_databases[db].name : "segments");
		/* An older schema had it not, and a new store has none. */
		if (err == MDB_NOTFOUND)
			err = MDB_SUCCESS;
	}
	return err;
}

/* 0, or how the child ended. */
static int child_outcome(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : WEFT_EDAMAGED;
}

int probe_child(int (*look)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		child_confine();
		/* What the system refuses, or a file that is not there, is no damage. */
		_exit(look(arg) >= 0 ? 0 : 1);
	}
	return pid < 0 ? -errno : child_outcome(pid);
}

int store_probe(const char *dir, enum probe_scope scope, const char **out_db)
{
	struct probe_seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct probe probe = {.dir = dir, .scope = scope, .seen = seen};
	int err;

	if (seen == MAP_FAILED)
		return -errno;
	err = probe_child(databases_look, &probe);
	*out_db = seen->db < STORE_DB_CNT ? env_databases[seen->db].name : "segments";
	(void)munmap(seen, sizeof(*seen));
	return err;
}

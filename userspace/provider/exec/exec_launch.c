/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a start from an offer and a call: the program's user, its environment, its three pipes. */
#include "exec_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "exec.h"
#include "launcher.h"

#define ENV_CAP	 8
#define ID_MAX	 4294967294ul
#define GRACE_MS 5000 /* the launcher's own limit is later than the provider's */

static void ends_close(const int ends[static LAUNCH_FD_CNT])
{
	for (unsigned i = 0; i < LAUNCH_FD_CNT; i++)
		if (ends[i] >= 0)
			close(ends[i]);
}

static int pipes_open(int ours[static LAUNCH_FD_CNT], int theirs[static LAUNCH_FD_CNT])
{
	int err;

	for (unsigned i = 0; i < LAUNCH_FD_CNT; i++)
		ours[i] = theirs[i] = -1;
	for (unsigned i = 0; i < LAUNCH_FD_CNT; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0)
			goto close_ends;
		ours[i] = ends[i == EXEC_IN];
		theirs[i] = ends[i != EXEC_IN];
		if (fcntl(ours[i], F_SETFL, O_NONBLOCK) < 0)
			goto close_ends;
	}
	return 0;
close_ends:
	err = -errno;
	ends_close(ours);
	ends_close(theirs);
	return err;
}

/* The environment by which a program learns its call. */
struct environment {
	char service[SERVICE_NAME_LEN_MAX + 16], method[SERVICE_METHOD_LEN_MAX + 16];
	char caller[80], correlation[64], ms_left[40];
	char trace[SERVICE_TRACE_TEXT_CAP + 16];
	const char *list[ENV_CAP];
	unsigned cnt;
};

static void environment_init(struct environment *env, const struct offer *offer,
			     const struct exec_call *call, uint64_t left_ns)
{
	char key[ZBASE32_TEXT_LEN(MESH_KEY_LEN) + 1], correlation[2 * SERVICE_KEY_LEN + 1];
	char trace[SERVICE_TRACE_TEXT_CAP];

	snprintf(env->service, sizeof(env->service), "WEFT_SERVICE=%s", offer->spec.view.name);
	snprintf(env->method, sizeof(env->method), "WEFT_METHOD=%s", call->method);
	snprintf(env->caller, sizeof(env->caller), "WEFT_CALLER=%s",
		 zbase32_write(call->caller->key, MESH_KEY_LEN, key));
	snprintf(env->correlation, sizeof(env->correlation), "WEFT_CORRELATION=%s",
		 hex_write(call->caller->correlation, SERVICE_KEY_LEN, correlation));
	snprintf(env->ms_left, sizeof(env->ms_left), "WEFT_MS_LEFT=%llu",
		 (unsigned long long)(left_ns / NS_PER_MS));
	env->list[0] = "PATH=/usr/local/bin:/usr/bin:/bin";
	env->list[1] = "LANG=C.UTF-8";
	env->list[2] = env->service;
	env->list[3] = env->method;
	env->list[4] = env->caller;
	env->list[5] = env->correlation;
	env->list[6] = env->ms_left;
	env->cnt = 7;
	if (!call->caller->has_trace)
		return;
	/*
	 * The name is that of OpenTelemetry ("Environment Variables as Context Propagation
	 * Carriers").
	 */
	snprintf(env->trace, sizeof(env->trace), "TRACEPARENT=%s",
		 service_trace_write(&call->caller->trace, trace));
	env->list[env->cnt++] = env->trace;
}

/* number_read: false: name is none. */
static bool number_read(const char *name, unsigned long *out_number)
{
	char *end;

	if (*name < '0' || *name > '9')
		return false;
	errno = 0;
	*out_number = strtoul(name, &end, 10);
	return !*end && errno == 0 && *out_number < ID_MAX;
}

/*
 * user_find looks name up in /etc/passwd, for a static program cannot load libc's name services.
 * A number that the file does not know is a user with the group of that number. The function
 * reads a small file, at a publish and before a program is started. 0, WEFT_EABSENT, -errno.
 */
static int user_find(const char *name, uint32_t *out_uid, uint32_t *out_gid)
{
	unsigned long number = 0;
	bool is_number = number_read(name, &number), is_found = false;
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *user;

	if (!file && !is_number)
		return -errno;
	while (file && !is_found && (user = fgetpwent(file)) != NULL) {
		is_found = is_number ? user->pw_uid == number : strcmp(user->pw_name, name) == 0;
		if (is_found) {
			*out_uid = user->pw_uid;
			*out_gid = user->pw_gid;
		}
	}
	if (file)
		fclose(file);
	if (is_found)
		return 0;
	if (!is_number)
		return WEFT_EABSENT;
	*out_uid = *out_gid = (uint32_t)number;
	return 0;
}

/*
 * user_choose: the offer's user, else the user nobody if the launcher may change users, else
 * weftd's.
 */
static int user_choose(const struct offer *offer, struct launch_start *start)
{
	const struct provider_spec *view = &offer->spec.view;
	const struct launch_ready *ready = provider_launcher_ready(offer->provider->launcher);

	start->uid = start->gid = LAUNCH_USER_SAME;
	if (view->user)
		return user_find(view->user, &start->uid, &start->gid);
	if (view->is_unconfined || !ready || !ready->can_change_user)
		return 0;
	return user_find("nobody", &start->uid, &start->gid);
}

static int start_init(const struct offer *offer, struct launch_start *start)
{
	const struct provider_spec *view = &offer->spec.view;

	*start = (struct launch_start){
		.flags = view->is_unconfined ? LAUNCH_UNCONFINED : 0,
		.memory_len_max = view->memory_len_max ? view->memory_len_max : EXEC_MEMORY_LEN,
		.cpu_s_max = (uint32_t)(provider_offer_timeout_ns(offer) / NS_PER_S + 1),
		.argv_cnt = view->args_cnt + 1,
		.argv = {view->target},
	};
	for (unsigned i = 0; i < view->args_cnt; i++)
		start->argv[i + 1] = view->args[i];
	return user_choose(offer, start);
}

int provider_exec_launch(const struct offer *offer, const struct exec_call *call, uint64_t now_ns,
			 int out_files[static LAUNCH_FD_CNT])
{
	uint64_t deadline_ns = call->caller->deadline_ns;
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	int ours[LAUNCH_FD_CNT], theirs[LAUNCH_FD_CNT];
	struct environment env;
	struct launch_start start;
	int err = start_init(offer, &start);

	if (err == 0)
		err = pipes_open(ours, theirs);
	if (err < 0)
		return err;
	environment_init(&env, offer, call, left_ns);
	memcpy(start.envp, env.list, env.cnt * sizeof(env.list[0]));
	start.envp_cnt = env.cnt;
	start.id = call->id;
	start.life_ms = (uint32_t)(left_ns / NS_PER_MS) + GRACE_MS;
	err = provider_launcher_start(offer->provider->launcher, &start, theirs);
	ends_close(theirs);
	if (err < 0)
		ends_close(ours);
	else
		memcpy(out_files, ours, sizeof(ours));
	return err;
}

int provider_exec_launch_check(const struct offer *offer)
{
	struct launch_start start;
	int err = start_init(offer, &start);

	if (err < 0)
		return err;
	start.id = EXEC_CHECK_ID | pool_handle_of(&offer->provider->offers, offer);
	start.flags |= LAUNCH_CHECK;
	start.life_ms = GRACE_MS;
	return provider_launcher_check(offer->provider->launcher, &start);
}

const char *provider_exec_confine_fault(const struct provider *provider,
					const struct provider_spec *spec)
{
	const struct launch_ready *ready = provider_launcher_ready(provider->launcher);
	uint32_t uid, gid;

	if (!ready)
		return provider_exec_error_fault(WEFT_ECLOSED);
	if (spec->user && user_find(spec->user, &uid, &gid) < 0)
		return "there is no such user in /etc/passwd";
	if (spec->user && uid != geteuid() && !ready->can_change_user)
		return "this daemon may start no program as another user: that takes root, or "
		       "CAP_SETUID and CAP_SETGID";
	if (spec->user && uid != geteuid() && (uid == 0 || gid == 0))
		return "only a daemon of root starts programs as root";
	if (spec->is_unconfined || (spec->user && uid != geteuid()) || ready->can_hide ||
	    (!spec->user && ready->can_change_user))
		return NULL;
	return "the program would share the daemon's user and see its key: this system "
	       "gives us no other user and no private mount namespace; offer it with "
	       "--unconfined if it may";
}

const char *provider_exec_launch_fault(const struct launch_end *end)
{
	switch (end->step) {
	case LAUNCH_STEP_FORK:
		return "the system refused another process";
	case LAUNCH_STEP_HIDE:
		return "the system refused the private view of files that keeps our key from it";
	case LAUNCH_STEP_USER:
		return "the system refused to run it as its user";
	case LAUNCH_STEP_FILES:
	case LAUNCH_STEP_LIMITS:
	case LAUNCH_STEP_PRIVILEGES:
		return "its limits could not be set";
	default:
		break;
	}
	switch (end->err) {
	case ENOENT:
		return "there is no such file, or not for its user";
	case EACCES:
	case EPERM:
		return "its user may not run it";
	case ENOMEM:
		return "its memory limit is less than it takes to start";
	default:
		return "the system cannot run this file";
	}
}

const char *provider_exec_error_fault(int err)
{
	switch (err) {
	case WEFT_ECLOSED:
		return "the process that starts programs has ended: restart weftd";
	case WEFT_EBUSY:
		return "the process that starts programs does not keep up";
	case WEFT_EABSENT:
		return "its user is not in /etc/passwd";
	default:
		return "it cannot be started";
	}
}

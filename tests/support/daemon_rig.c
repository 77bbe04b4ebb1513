/* SPDX-License-Identifier: Apache-2.0 */
#include "support/daemon_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "varlink/node.h"
#include "client/client_ask.h"
#include "support/check.h"
#include "support/json_path.h"

#define WAIT_NS	  (20 * NS_PER_S)
#define PAUSE_MS  10
#define ASK_MS	  20000
#define WORDS_CAP 32
#define BODY_CAP  (16u << 20)
/* No public node is asked, unless a test names one. */
#define CONFIG_OWN "[dht]\nbootstrap =\nprivate = yes\n"

/* userspace/weftd/weftd.c; in system tests alone. */
__attribute__((weak)) int weftd_main(int argc, char **argv);

static void bail(const char *what)
{
	printf("# daemon_rig: %s\n", what);
	exit(1);
}

void daemon_pause(void)
{
	(void)poll(NULL, 0, PAUSE_MS);
}

static bool wait_more(uint64_t deadline_ns)
{
	if (clock_monotonic_ns() >= deadline_ns)
		return false;
	daemon_pause();
	return true;
}

/* The child ends with the test, whatever becomes of that. */
static pid_t daemon_fork(const char *const *words, int out_fd)
{
	static char *argv[WORDS_CAP + 1];
	int argc = 1;
	pid_t pid;

	fflush(NULL);
	argv[0] = (char *)"weftd";
	for (; *words && argc < WORDS_CAP; words++)
		argv[argc++] = (char *)*words;
	argv[argc] = NULL;
	pid = fork();
	if (pid < 0)
		bail("no child");
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(out_fd, STDOUT_FILENO);
	(void)dup2(out_fd, STDERR_FILENO);
	exit(weftd_main ? weftd_main(argc, argv) : 127);
}

/* Returns the child's exit status; -1: by a signal, or it was killed here. */
static int daemon_wait(pid_t pid)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int status = 0;
	pid_t done;

	while ((done = waitpid(pid, &status, WNOHANG)) == 0 && wait_more(deadline_ns))
		;
	if (done == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	return done == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int daemon_run(const char *const *words, char *out, size_t cap)
{
	int fd = memfd_create("out", MFD_CLOEXEC), status;
	ssize_t len;

	if (fd < 0)
		bail("no memory");
	status = daemon_wait(daemon_fork(words, fd));
	len = pread(fd, out, cap - 1, 0);
	out[len > 0 ? len : 0] = '\0';
	close(fd);
	return status;
}

const char *daemon_path(struct daemon_rig *rig, const char *name)
{
	static char paths[4][512];
	static unsigned next;

	return scratch_path(paths[next++ % 4], sizeof(paths[0]), rig->dir, name);
}

const char *daemon_file(struct daemon_rig *rig, const char *name, const void *data, size_t len)
{
	char folder[512];
	const char *path = daemon_path(rig, name);

	for (const char *slash = strchr(path + strlen(rig->dir) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		(void)mkdir(folder, 0755);
	}
	scratch_write(path, data, len);
	return path;
}

static size_t file_read(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, cap - 1);

	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	return len > 0 ? (size_t)len : 0;
}

static const char *log_text(struct daemon_rig *rig)
{
	static char text[1 << 20];

	(void)file_read(daemon_path(rig, "log"), text, sizeof(text));
	return text;
}

bool daemon_logged(struct daemon_rig *rig, const char *text)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	while (!strstr(log_text(rig), text))
		if (!wait_more(deadline_ns))
			return false;
	return true;
}

/* The last one that the log names: each start writes another. */
static void web_find(struct daemon_rig *rig)
{
	const char *at = log_text(rig), *found = NULL;
	char *end;

	while ((at = strstr(at, "gateway: http://127.0.0.1:")) != NULL)
		found = at += strlen("gateway: http://127.0.0.1:");
	rig->web_port = found ? (unsigned short)strtoul(found, NULL, 10) : 0;
	(void)file_read(daemon_path(rig, "state/gateway.token"), rig->token, sizeof(rig->token));
	end = strchr(rig->token, '\n');
	if (end)
		*end = '\0';
}

static void answer_clear(struct daemon_rig *rig)
{
	json_decref(rig->answer);
	rig->answer = NULL;
	rig->error[0] = '\0';
}

static bool is_ready(struct daemon_rig *rig)
{
	struct weft_error error;

	if (!rig->client &&
	    weft_client_open(daemon_path(rig, "control.sock"), ASK_MS, &rig->client, &error) < 0)
		return false;
	return strcmp(daemon_ask(rig, "GetNodeId", NULL), "") == 0;
}

void daemon_again(struct daemon_rig *rig, const char *const *more)
{
	char config[512], state[512], control[512];
	const char *words[WORDS_CAP] = {"--config",  config,  "--state",  state,
					"--control", control, "--listen", "127.0.0.1:0"};
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int fd = open(daemon_path(rig, "log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	unsigned cnt = 8;

	snprintf(config, sizeof(config), "%s", daemon_path(rig, "weft.conf"));
	snprintf(state, sizeof(state), "%s", daemon_path(rig, "state"));
	snprintf(control, sizeof(control), "%s", daemon_path(rig, "control.sock"));
	while (more && *more && cnt < WORDS_CAP - 1)
		words[cnt++] = *more++;
	rig->pid = daemon_fork(words, fd);
	close(fd);
	while (!is_ready(rig)) {
		int status;

		if (waitpid(rig->pid, &status, WNOHANG) != 0 || !wait_more(deadline_ns)) {
			printf("%s\n", log_text(rig));
			(void)kill(rig->pid, SIGKILL);
			bail("weftd does not answer");
		}
	}
	web_find(rig);
}

void daemon_start(struct daemon_rig *rig, const char *config)
{
	char text[4096];

	memset(rig, 0, sizeof(*rig));
	scratch_make(rig->dir);
	snprintf(text, sizeof(text), "%s%s", strstr(config, "bootstrap") ? "" : CONFIG_OWN, config);
	scratch_write(daemon_path(rig, "weft.conf"), text, strlen(text));
	daemon_again(rig, NULL);
}

int daemon_stop(struct daemon_rig *rig)
{
	int status = 0;

	if (rig->client)
		weft_client_close(rig->client);
	rig->client = NULL;
	if (rig->pid) {
		kill(rig->pid, SIGTERM);
		status = daemon_wait(rig->pid);
	}
	rig->pid = 0;
	return status;
}

void daemon_fini(struct daemon_rig *rig)
{
	if (check_failed)
		printf("# %s\n", log_text(rig));
	(void)daemon_stop(rig);
	answer_clear(rig);
	free(rig->head);
	scratch_remove(rig->dir);
}

/* ' is ", and %s the daemon's folder. */
static char *parameters_of(struct daemon_rig *rig, const char *text)
{
	size_t cap = strlen(text) + 8 * sizeof(rig->dir), len = 0;
	char *made = calloc(1, cap);

	if (!made)
		bail("no memory");
	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 's') {
			len += (size_t)snprintf(made + len, cap - len, "%s", rig->dir);
			text++;
		} else {
			made[len++] = (char)(*text == '\'' ? '"' : *text);
		}
	}
	return made;
}

/* One call under way: every reply it got. */
struct asked {
	json_t *replies;
	bool is_done;
};

static void asked_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct asked *asked = arg;

	(void)error;
	if (message)
		json_array_append(asked->replies, message);
	asked->is_done = is_last;
}

/* Returns all replies, none without the daemon's; the caller frees them. */
static json_t *replies_of(struct daemon_rig *rig, const char *method, const char *parameters,
			  bool wants_more)
{
	struct asked asked = {.replies = json_array()};
	char *text = parameters_of(rig, parameters ? parameters : "{}");
	char name[96];
	struct ask *ask;
	const struct ask_params params = {.method = name,
					  .parameters = json_loads(text, 0, NULL),
					  .wants_more = wants_more,
					  .timeout_ms = ASK_MS,
					  .fn = asked_told,
					  .arg = &asked};

	snprintf(name, sizeof(name), "%s.%s",
		 api_node_method(method) ? api_node_method(method)->interface : API_NODE_INTERFACE,
		 method);
	if (!params.parameters)
		bail(text);
	free(text);
	if (!rig->client)
		json_decref(params.parameters);
	else if (client_ask_start(rig->client, &params, &ask, NULL) == 0)
		(void)client_ask_run(ask, &asked.is_done);
	return asked.replies;
}

static void error_take(struct daemon_rig *rig, const json_t *message)
{
	const char *error = json_string_value(json_object_get(message, "error"));
	const char *dot = error ? strrchr(error, '.') : NULL;

	snprintf(rig->error, sizeof(rig->error), "%s", dot ? dot + 1 : "");
}

const char *daemon_ask(struct daemon_rig *rig, const char *method, const char *parameters)
{
	json_t *replies = replies_of(rig, method, parameters, false);
	const json_t *message = json_array_get(replies, 0);

	answer_clear(rig);
	rig->answer = json_incref(json_object_get(message, "parameters"));
	if (message)
		error_take(rig, message);
	else
		snprintf(rig->error, sizeof(rig->error), "no answer");
	json_decref(replies);
	return rig->error;
}

const char *daemon_ask_more(struct daemon_rig *rig, const char *method, const char *parameters)
{
	json_t *replies = replies_of(rig, method, parameters, true), *message;
	json_t *all = json_array();
	size_t i;

	answer_clear(rig);
	snprintf(rig->error, sizeof(rig->error), "%s", json_array_size(replies) ? "" : "no answer");
	json_array_foreach(replies, i, message)
	{
		json_array_append(all, json_object_get(message, "parameters"));
		error_take(rig, message);
	}
	rig->answer = json_pack("{s:o}", "replies", all);
	json_decref(replies);
	return rig->error;
}

const char *daemon_askf(struct daemon_rig *rig, const char *method, const char *fmt, ...)
{
	char parameters[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(parameters, sizeof(parameters), fmt, args);
	va_end(args);
	return daemon_ask(rig, method, parameters);
}

const json_t *daemon_at(const struct daemon_rig *rig, const char *path)
{
	return json_path_at(rig->answer, path);
}

const char *daemon_text(const struct daemon_rig *rig, const char *path)
{
	return json_path_text(rig->answer, path);
}

long long daemon_number(const struct daemon_rig *rig, const char *path)
{
	return json_path_number(rig->answer, path);
}

size_t daemon_cnt(const struct daemon_rig *rig, const char *path)
{
	return json_array_size(daemon_at(rig, path));
}

bool daemon_until(struct daemon_rig *rig, const char *method, const char *parameters,
		  const char *path, const char *text, long long number)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	do {
		(void)daemon_ask(rig, method, parameters);
		if (text ? strcmp(daemon_text(rig, path), text) == 0
			 : daemon_number(rig, path) == number)
			return true;
	} while (wait_more(deadline_ns));
	return false;
}

bool daemon_ask_until(struct daemon_rig *rig, const char *method, const char *path,
		      const char *text, long long number)
{
	return daemon_until(rig, method, NULL, path, text, number);
}

void daemon_print(const struct daemon_rig *rig)
{
	char *text = rig->answer ? json_dumps(rig->answer, JSON_COMPACT) : NULL;

	printf("# %s %s\n# %d %s\n", rig->error, text ? text : "no answer", rig->status,
	       rig->head ? rig->head : "no head");
	if (rig->body)
		printf("# %.2000s\n", rig->body);
	free(text);
}

/* --- HTTP --- */

int daemon_connect(const struct daemon_rig *rig)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(rig->web_port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval wait = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void http_clear(struct daemon_rig *rig)
{
	free(rig->head);
	rig->head = rig->body = NULL;
	rig->body_len = 0;
	rig->status = 0;
}

/* head and body share one buffer; the head ends with its last CRLF. */
static void http_take(struct daemon_rig *rig, char *text, size_t len)
{
	char *end = memmem(text, len, "\r\n\r\n", 4);

	rig->head = text;
	if (!end || strncmp(text, "HTTP/1.1 ", 9) != 0)
		return;
	rig->status = atoi(text + 9);
	end[2] = '\0';
	rig->body = end + 4;
	rig->body_len = len - (size_t)(rig->body - text);
}

static char *http_read(int fd, size_t *out_len)
{
	size_t cap = 65536, len = 0;
	char *text = malloc(cap + 1);
	ssize_t took;

	while (text && (took = read(fd, text + len, cap - len)) > 0) {
		len += (size_t)took;
		if (len == cap && cap < BODY_CAP)
			text = realloc(text, (cap *= 2) + 1);
	}
	if (!text)
		bail("no memory");
	text[len] = '\0';
	*out_len = len;
	return text;
}

int daemon_http(struct daemon_rig *rig, const char *method, const char *path, const char *headers,
		const char *body)
{
	int fd = daemon_connect(rig);
	size_t len;
	char *text;

	http_clear(rig);
	if (fd < 0)
		return 0;
	dprintf(fd, "%s %s HTTP/1.1\r\n", method, path);
	if (!headers || !strcasestr(headers, "Host:"))
		dprintf(fd, "Host: 127.0.0.1:%u\r\n", rig->web_port);
	if (body)
		dprintf(fd, "Content-Length: %zu\r\n", strlen(body));
	dprintf(fd, "Connection: close\r\n%s\r\n%s", headers ? headers : "", body ? body : "");
	text = http_read(fd, &len);
	close(fd);
	http_take(rig, text, len);
	return rig->status;
}

int daemon_http_get(struct daemon_rig *rig, const char *path, const char *headers)
{
	return daemon_http(rig, "GET", path, headers, NULL);
}

const char *daemon_http_error(struct daemon_rig *rig)
{
	static char name[64];
	json_t *body = rig->body ? json_loads(rig->body, 0, NULL) : NULL;
	const char *error = json_string_value(json_object_get(body, "error"));
	const char *dot = error ? strrchr(error, '.') : NULL;

	if (dot)
		error = dot + 1;
	snprintf(name, sizeof(name), "%s", error ? error : "");
	json_decref(body);
	return name;
}

const char *daemon_header(struct daemon_rig *rig, const char *name)
{
	static char value[512];
	char line[80];
	const char *at;

	snprintf(line, sizeof(line), "\r\n%s: ", name);
	at = rig->head ? strcasestr(rig->head, line) : NULL;
	if (!at)
		return "";
	at += strlen(line);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler of deadly signals. Everything it needs is looked up before:
 * the image's place, its build id, the bounds of each thread's stack. In
 * the handler there are only writes to memory of its own and async-signal-
 * safe calls. The state is global because a signal has no argument.
 *
 * Return addresses are found without unwinding: words of the stack that
 * point behind a call instruction of the program. Some are left over from
 * calls that ended; none is more than a place in the program.
 */
#include "crash.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The kernel asks for 11 KiB where AMX is saved; the handler itself uses less than 1 KiB. */
#define HANDLER_STACK_LEN 32768

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_ARMED false
#else
#define IS_ARMED true
#endif

static struct {
	const char *version;
	char build[CRASH_BUILD_CAP];
	uintptr_t base;
	uintptr_t text_begin, text_end;	    /* [begin, end) */
	uintptr_t region_begin, region_end; /* [begin, end) */
	const char *region_hint, *hint;
	const char *note_file;
	int note_line;
	int fd;
	int is_dying; /* one thread reports, the others wait for the end */
	char text[CRASH_REPORT_CAP];
	unsigned len;
} crash = {.fd = -1};

static _Thread_local struct {
	char name[CRASH_THREAD_CAP];
	uintptr_t stack_begin, stack_end; /* [begin, end) */
	_Alignas(16) char handler_stack[HANDLER_STACK_LEN];
} own;

static const struct {
	int number;
	const char *name;
} deadly[] = {
	{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGILL, "SIGILL"},
	{SIGFPE, "SIGFPE"},   {SIGABRT, "SIGABRT"},
};
#define DEADLY_CNT (sizeof(deadly) / sizeof(deadly[0]))

/* ------------------------------------------------------------- text, signal-safe */

static void put(const char *text)
{
	while (*text && crash.len < sizeof(crash.text))
		crash.text[crash.len++] = *text++;
}

static void put_number(uint64_t number, unsigned base)
{
	char digits[24];
	unsigned at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	put(&digits[at]);
}

static void put_field(const char *name, uint64_t number)
{
	put(name);
	put_number(number, 10);
	put("\n");
}

static bool is_text(uintptr_t address)
{
	return address >= crash.text_begin && address < crash.text_end;
}

static void put_offset(const char *name, uintptr_t address)
{
	put(name);
	if (is_text(address)) {
		put("+0x");
		put_number(address - crash.base, 16);
	} else {
		put("outside");
	}
	put("\n");
}

static void text_write(int fd)
{
	(void)!write(fd, crash.text, crash.len);
	crash.len = 0;
}

/* ------------------------------------------------------------------ the program */

struct place {
	uintptr_t pc, sp;
};

static struct place place_of(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (struct place){(uintptr_t)context->uc_mcontext.gregs[REG_RIP],
			      (uintptr_t)context->uc_mcontext.gregs[REG_RSP]};
#elif defined(__aarch64__)
	return (struct place){context->uc_mcontext.pc, context->uc_mcontext.sp};
#else
	(void)context;
	return (struct place){0, 0};
#endif
}

/* is_return: a call instruction ends at address. */
static bool is_return(uintptr_t address)
{
	const uint8_t *code = (const uint8_t *)address;

	if (!is_text(address) || address - crash.text_begin < 8)
		return false;
#if defined(__x86_64__)
	/* E8 rel32; FF /2 with a register, an 8-bit or a 32-bit displacement. */
	return code[-5] == 0xe8 || (code[-2] == 0xff && (code[-1] & 0x38) == 0x10) ||
	       (code[-3] == 0xff && (code[-2] & 0xf8) == 0x50) ||
	       (code[-6] == 0xff && ((code[-5] & 0xf8) == 0x90 || code[-5] == 0x15));
#elif defined(__aarch64__)
	uint32_t word;

	memcpy(&word, code - 4, sizeof(word));
	return word >> 26 == 0x25 || (word & 0xfffffc1f) == 0xd63f0000; /* bl, blr */
#else
	(void)code;
	return false;
#endif
}

static void put_returns(uintptr_t sp)
{
	unsigned cnt = 0;

	sp = (sp + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
	if (sp < own.stack_begin || sp >= own.stack_end)
		return;
	for (; sp + sizeof(uintptr_t) <= own.stack_end && cnt < CRASH_RETURNS_MAX;
	     sp += sizeof(uintptr_t)) {
		uintptr_t word = *(const uintptr_t *)sp;

		if (!is_return(word))
			continue;
		put_offset("return ", word);
		cnt++;
	}
}

/* ------------------------------------------------------------------- the handler */

static const char *signal_name(int number)
{
	for (unsigned i = 0; i < DEADLY_CNT; i++)
		if (deadly[i].number == number)
			return deadly[i].name;
	return "a signal";
}

static const char *hint_of(const siginfo_t *info)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	bool is_fault =
		info->si_code > 0 && (info->si_signo == SIGBUS || info->si_signo == SIGSEGV);

	if (is_fault && address >= crash.region_begin && address < crash.region_end)
		return crash.region_hint;
	return crash.hint;
}

static void say(const siginfo_t *info, const char *thread, uintptr_t pc)
{
	put("weftd: died of ");
	put(signal_name(info->si_signo));
	put(" in thread ");
	put(thread);
	if (crash.note_file) {
		put(" (");
		put(crash.note_file);
		put(":");
		put_number((uint64_t)crash.note_line, 10);
		put(")");
	}
	put(", build ");
	put(crash.build);
	put_offset(" at ", pc);
	if (hint_of(info)) {
		crash.len -= crash.len > 0; /* the line goes on */
		put(": ");
		put(hint_of(info));
		put("\n");
	}
	text_write(STDERR_FILENO);
}

static void report_head(const siginfo_t *info, const char *thread, uintptr_t pc)
{
	struct timespec now = {0};

	clock_gettime(CLOCK_REALTIME, &now);
	put(CRASH_REPORT_MAGIC "\nversion ");
	put(crash.version);
	put("\nbuild ");
	put(crash.build);
	put("\n");
	put_field("died_at ", (uint64_t)now.tv_sec);
	put("signal ");
	put(signal_name(info->si_signo));
	put("\n");
	/* From 1 the kernel's reason; what another process sent has none. */
	if (info->si_code > 0)
		put_field("code ", (uint64_t)info->si_code);
	else if (info->si_pid != getpid())
		put_field("sender ", (uint64_t)info->si_pid);
	put("thread ");
	put(thread);
	put("\n");
	if (crash.note_file) {
		put("invariant ");
		put(crash.note_file);
		put_field(":", (uint64_t)crash.note_line);
	}
	put_offset("pc ", pc);
}

static void on_deadly(int number, siginfo_t *info, void *context)
{
	struct place place = place_of(context);

	while (__atomic_exchange_n(&crash.is_dying, 1, __ATOMIC_RELAXED))
		pause();
	if (!own.name[0])
		(void)prctl(PR_GET_NAME, own.name, 0, 0, 0);
	say(info, own.name, place.pc);
	if (crash.fd >= 0) {
		report_head(info, own.name, place.pc);
		text_write(crash.fd);
		/* A stack that cannot be read ends the process here: what is written stays. */
		put_returns(place.sp);
		put("end\n");
		text_write(crash.fd);
	}
	/* SA_RESETHAND: it kills now, as it would have. */
	raise(number);
}

/* ------------------------------------------------------------------------ before */

static void build_read(const char *note, size_t len)
{
	size_t off = 0;

	while (len - off >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) header;
		size_t name_off = off + sizeof(header), data_off;

		memcpy(&header, note + off, sizeof(header));
		data_off = name_off + (header.n_namesz + 3u) / 4 * 4;
		off = data_off + (header.n_descsz + 3u) / 4 * 4;
		if (off > len)
			return;
		if (header.n_type != NT_GNU_BUILD_ID || header.n_namesz != 4 ||
		    memcmp(note + name_off, "GNU", 4) != 0)
			continue;
		for (unsigned i = 0; i < header.n_descsz && 2 * i + 2 < CRASH_BUILD_CAP; i++)
			snprintf(crash.build + 2ul * i, 3, "%02x", (uint8_t)note[data_off + i]);
		return;
	}
}

/* The first object is the program itself, and the only one where it is static. */
static int image_read(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	crash.base = info->dlpi_addr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			crash.text_begin = begin;
			crash.text_end = begin + part->p_memsz;
		} else if (part->p_type == PT_NOTE && !crash.build[0]) {
			build_read((const char *)begin, part->p_memsz);
		}
	}
	return 1;
}

bool crash_arm(const char *version)
{
	struct sigaction action = {.sa_sigaction = on_deadly,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};

	if (!IS_ARMED)
		return false;
	crash.version = version;
	dl_iterate_phdr(image_read, NULL);
	if (!crash.build[0])
		memcpy(crash.build, "unknown", 8);
	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < DEADLY_CNT; i++)
		sigaddset(&action.sa_mask, deadly[i].number);
	for (unsigned i = 0; i < DEADLY_CNT; i++)
		(void)sigaction(deadly[i].number, &action, NULL);
	return true;
}

void crash_region(const void *begin, size_t len, const char *hint)
{
	crash.region_begin = (uintptr_t)begin;
	crash.region_end = begin ? crash.region_begin + len : 0;
	crash.region_hint = hint;
}

void crash_hint(const char *hint)
{
	crash.hint = hint;
}

void crash_report_to(int fd)
{
	crash.fd = fd;
}

void crash_thread_begin(const char *name)
{
	const stack_t stack = {.ss_sp = own.handler_stack, .ss_size = sizeof(own.handler_stack)};
	pthread_attr_t attr;
	sigset_t set;
	void *begin;
	size_t len;

	snprintf(own.name, sizeof(own.name), "%s", name);
	/* The first thread's name is the process's: it stays the program's. */
	if (gettid() != getpid())
		(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	if (!IS_ARMED)
		return;
	/* A fault whose signal is blocked kills without a report. */
	sigemptyset(&set);
	for (unsigned i = 0; i < DEADLY_CNT; i++)
		sigaddset(&set, deadly[i].number);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)sigaltstack(&stack, NULL);
	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	if (pthread_attr_getstack(&attr, &begin, &len) == 0) {
		own.stack_begin = (uintptr_t)begin;
		own.stack_end = (uintptr_t)begin + len;
	}
	pthread_attr_destroy(&attr);
}

void crash_note(const char *file, int line)
{
	crash.note_file = file;
	crash.note_line = line;
}

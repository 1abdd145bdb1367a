// SPDX-License-Identifier: Apache-2.0
#include "view/signals.h"

#include <signal.h>

#include "elf/elf_image.h"

enum { REALTIME_LAST = 64 };

struct code_name {
	int number; // 0 = any signal
	int code;
	const char *name;
};

// include/uapi/asm-generic/siginfo.h of Linux 6.12.
static const struct code_name code_names[] = {
	{0, 0, "SI_USER"},
	{0, 0x80, "SI_KERNEL"},
	{0, -1, "SI_QUEUE"},
	{0, -2, "SI_TIMER"},
	{0, -3, "SI_MESGQ"},
	{0, -4, "SI_ASYNCIO"},
	{0, -5, "SI_SIGIO"},
	{0, -6, "SI_TKILL"},
	{0, -7, "SI_DETHREAD"},
	{0, -60, "SI_ASYNCNL"},
	{SIGILL, 1, "ILL_ILLOPC"},
	{SIGILL, 2, "ILL_ILLOPN"},
	{SIGILL, 3, "ILL_ILLADR"},
	{SIGILL, 4, "ILL_ILLTRP"},
	{SIGILL, 5, "ILL_PRVOPC"},
	{SIGILL, 6, "ILL_PRVREG"},
	{SIGILL, 7, "ILL_COPROC"},
	{SIGILL, 8, "ILL_BADSTK"},
	{SIGILL, 9, "ILL_BADIADDR"},
	{SIGFPE, 1, "FPE_INTDIV"},
	{SIGFPE, 2, "FPE_INTOVF"},
	{SIGFPE, 3, "FPE_FLTDIV"},
	{SIGFPE, 4, "FPE_FLTOVF"},
	{SIGFPE, 5, "FPE_FLTUND"},
	{SIGFPE, 6, "FPE_FLTRES"},
	{SIGFPE, 7, "FPE_FLTINV"},
	{SIGFPE, 8, "FPE_FLTSUB"},
	{SIGFPE, 14, "FPE_FLTUNK"},
	{SIGFPE, 15, "FPE_CONDTRAP"},
	{SIGSEGV, 1, "SEGV_MAPERR"},
	{SIGSEGV, 2, "SEGV_ACCERR"},
	{SIGSEGV, 3, "SEGV_BNDERR"},
	{SIGSEGV, 4, "SEGV_PKUERR"},
	{SIGSEGV, 5, "SEGV_ACCADI"},
	{SIGSEGV, 6, "SEGV_ADIDERR"},
	{SIGSEGV, 7, "SEGV_ADIPERR"},
	{SIGSEGV, 8, "SEGV_MTEAERR"},
	{SIGSEGV, 9, "SEGV_MTESERR"},
	{SIGSEGV, 10, "SEGV_CPERR"},
	{SIGBUS, 1, "BUS_ADRALN"},
	{SIGBUS, 2, "BUS_ADRERR"},
	{SIGBUS, 3, "BUS_OBJERR"},
	{SIGBUS, 4, "BUS_MCEERR_AR"},
	{SIGBUS, 5, "BUS_MCEERR_AO"},
	{SIGTRAP, 1, "TRAP_BRKPT"},
	{SIGTRAP, 2, "TRAP_TRACE"},
	{SIGTRAP, 3, "TRAP_BRANCH"},
	{SIGTRAP, 4, "TRAP_HWBKPT"},
	{SIGTRAP, 5, "TRAP_UNK"},
	{SIGTRAP, 6, "TRAP_PERF"},
	{SIGCHLD, 1, "CLD_EXITED"},
	{SIGCHLD, 2, "CLD_KILLED"},
	{SIGCHLD, 3, "CLD_DUMPED"},
	{SIGCHLD, 4, "CLD_TRAPPED"},
	{SIGCHLD, 5, "CLD_STOPPED"},
	{SIGCHLD, 6, "CLD_CONTINUED"},
	{SIGPOLL, 1, "POLL_IN"},
	{SIGPOLL, 2, "POLL_OUT"},
	{SIGPOLL, 3, "POLL_MSG"},
	{SIGPOLL, 4, "POLL_ERR"},
	{SIGPOLL, 5, "POLL_PRI"},
	{SIGPOLL, 6, "POLL_HUP"},
	{SIGSYS, 1, "SYS_SECCOMP"},
	{SIGSYS, 2, "SYS_USER_DISPATCH"},
};

static const char *const names[REALTIME_LAST + 1] = {
	NULL,	     "SIGHUP",	"SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
	"SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
	"SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
	"SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
	"SIG32",     "SIG33",	"SIG34",     "SIG35",	"SIG36",    "SIG37",   "SIG38",	  "SIG39",
	"SIG40",     "SIG41",	"SIG42",     "SIG43",	"SIG44",    "SIG45",   "SIG46",	  "SIG47",
	"SIG48",     "SIG49",	"SIG50",     "SIG51",	"SIG52",    "SIG53",   "SIG54",	  "SIG55",
	"SIG56",     "SIG57",	"SIG58",     "SIG59",	"SIG60",    "SIG61",   "SIG62",	  "SIG63",
	"SIG64",
};

static const char *name_of_code(int number, int code)
{
	for (size_t i = 0; i < sizeof(code_names) / sizeof(code_names[0]); i++)
		if (code_names[i].code == code &&
		    (code_names[i].number == number || code_names[i].number == 0))
			return code_names[i].name;
	return NULL;
}

struct strobe_signal signal_from_number(int number)
{
	struct strobe_signal signal = {.sender_uid = -1};
	if (number < 1 || number > REALTIME_LAST)
		return signal;
	signal.number = number;
	signal.name = names[number];
	return signal;
}

const char *strobe_signal_name(int number)
{
	return number < 1 || number > REALTIME_LAST ? NULL : names[number];
}

bool signal_from_siginfo(const uint8_t *bytes, size_t size, bool wide, struct strobe_signal *ret)
{
	// signo, errno, code as ints; then, aligned to a pointer, a union per kind.
	size_t rest = wide ? 16 : 12;
	unsigned word = wide ? 8 : 4;
	if (size < rest + 8)
		return false;
	*ret = signal_from_number((int32_t)elf_number(bytes, 4));
	if (!ret->number)
		return true;
	ret->code = (int32_t)elf_number(bytes + 8, 4);
	ret->code_name = name_of_code(ret->number, ret->code);
	int n = ret->number;
	bool fault = n == SIGSEGV || n == SIGBUS || n == SIGILL || n == SIGFPE || n == SIGTRAP;
	if (fault && ret->code > 0 && ret->code != SI_KERNEL) {
		ret->has_address = true;
		ret->address = elf_number(bytes + rest, word);
	} else if (ret->code == SI_USER || ret->code == SI_QUEUE || ret->code == SI_TKILL ||
		   (n == SIGCHLD && ret->code > 0)) {
		ret->sender_pid = (int32_t)elf_number(bytes + rest, 4);
		ret->sender_uid = (int32_t)elf_number(bytes + rest + 4, 4);
	}
	return true;
}

// SPDX-License-Identifier: Apache-2.0
// Stacks of real programs, compiled here, against what gdb says of the same core; and where gdb is
// at a loss, against what the source says.

#include <inttypes.h>
#include <strobe/stack.h>
#include <unistd.h>

#include "base/text.h"
#include "check.h"

enum { FRAMES_COMPARED = 500 };

static char directory[] = "/tmp/strobe-stack-XXXXXX";
static bool made; // the directory

static const char truth_script[] =
	"import gdb\n"
	"for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.ptid[1]):\n"
	"    thread.switch()\n"
	"    frame, left = gdb.newest_frame(), 500\n"
	"    print('THREAD', thread.ptid[1])\n"
	"    while frame and left:\n"
	"        signal = frame.type() == gdb.SIGTRAMP_FRAME\n"
	"        name = '<signal>' if signal else (frame.name() or '?' '?')\n"
	"        print('FRAME 0x%x %s' % (frame.pc(), name.split('(')[0]))\n"
	"        frame, left = frame.older(), left - 1\n";

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	struct text command = {0};
	va_list args;
	va_start(args, format);
	text_printf(&command, "cd %s && ", directory);
	text_vprintf(&command, format, args);
	va_end(args);
	int status = system(text_string(&command));
	text_fini(&command);
	return status;
}

static void write_file(const char *name, const char *contents)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	CHECK(file);
	fputs(contents, file);
	CHECK(fclose(file) == 0);
}

static void need(const char *tool)
{
	char command[64];
	snprintf(command, sizeof(command), "command -v %s >/dev/null", tool);
	if (system(command) != 0)
		SKIP("%s is not installed", tool);
}

static void make_core(const char *compile, const char *extension, const char *source)
{
	need("gdb");
	char name[32];
	CHECK(made || mkdtemp(directory));
	made = true;
	snprintf(name, sizeof(name), "p.%s", extension);
	write_file(name, source);
	write_file("truth.py", truth_script);
	CHECK_EQUAL(run("%s -w -o p p.%s", compile, extension), 0);
	// gdb makes the core, so that the machine's core_pattern does not matter. Faults that a
	// program handles itself are passed on; it ends in abort().
	run("rm -f core; gdb -nx -batch -ex 'handle SIGSEGV %s' -ex run -ex 'gcore core' ./p "
	    ">/dev/null 2>&1 </dev/null",
	    strstr(source, "sigaltstack") ? "nostop noprint pass" : "stop");
	if (run("test -s core") != 0)
		SKIP("gdb cannot run programs here");
}

static void open_core(struct strobe_view **view, struct strobe_symbols **symbols)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/core", directory);
	CHECK_OK(strobe_view_open(path, NULL, view));
	CHECK_OK(strobe_symbols_open(*view, symbols));
}

/** The frames of all threads by tid, as the script writes them. */
static void describe(struct strobe_symbols *symbols, struct text *ret)
{
	const struct strobe_view *view = strobe_symbols_view(symbols);
	size_t count = strobe_view_thread_count(view);
	for (int last = 0; count--;) {
		size_t next = SIZE_MAX; // the smallest tid above `last`
		for (size_t i = 0; i < strobe_view_thread_count(view); i++) {
			int tid = strobe_view_thread(view, i)->tid;
			if (tid > last &&
			    (next == SIZE_MAX || tid < strobe_view_thread(view, next)->tid))
				next = i;
		}
		if (next == SIZE_MAX)
			break;
		last = strobe_view_thread(view, next)->tid;
		text_printf(ret, "THREAD %d\n", last);
		struct strobe_stack_options options = {sizeof(options), FRAMES_COMPARED, false};
		struct strobe_stack *stack;
		CHECK_OK(strobe_stack_open(symbols, next, &options, &stack));
		for (size_t i = 0; i < strobe_stack_frame_count(stack); i++) {
			const struct strobe_frame *frame = strobe_stack_frame(stack, i);
			const char *name = frame->function ? frame->function : "??";
			text_printf(ret, "FRAME 0x%" PRIx64 " %.*s\n", frame->pc,
				    frame->signal_frame ? 8 : (int)strcspn(name, "("),
				    frame->signal_frame ? "<signal>" : name);
		}
		strobe_stack_close(stack);
	}
}

static void compare_with_gdb(const char *compile, const char *extension, const char *source)
{
	make_core(compile, extension, source);
	char command[160], line[4096];
	struct text truth = {0}, ours = {0};
	snprintf(command, sizeof(command),
		 "cd %s && gdb -nx -batch -x truth.py ./p core 2>/dev/null </dev/null", directory);
	FILE *pipe = popen(command, "r");
	CHECK(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		if (strncmp(line, "THREAD ", 7) == 0 || strncmp(line, "FRAME ", 6) == 0)
			text_append(&truth, line);
	}
	pclose(pipe);
	CHECK(strstr(text_string(&truth), "FRAME"));
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	open_core(&view, &symbols);
	describe(symbols, &ours);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	CHECK_STRING(text_string(&ours), text_string(&truth));
	text_fini(&ours);
	text_fini(&truth);
}

/** Checks the first frames of the first thread: "f[trust] g[trust]". */
static void check_frames(const char *compile, const char *source, const char *expected,
			 enum strobe_stack_stop stop)
{
	make_core(compile, "c", source);
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_stack *stack;
	open_core(&view, &symbols);
	CHECK_OK(strobe_stack_open(symbols, 0, NULL, &stack));
	struct text text = {0};
	for (size_t i = 0; i < strobe_stack_frame_count(stack); i++) {
		const struct strobe_frame *frame = strobe_stack_frame(stack, i);
		text_printf(&text, "%s%s[%s]", i ? " " : "",
			    frame->function ? frame->function : "??", frame->trust_name);
	}
	if (strlen(text_string(&text)) > strlen(expected) && stop == STROBE_STOP_LIMIT)
		text_truncate(&text, strlen(expected));
	else
		CHECK_EQUAL(strobe_stack_stop(stack), stop);
	CHECK_STRING(text_string(&text), expected);
	CHECK(strlen(strobe_stack_stop_text(stack)) > 5);
	text_fini(&text);
	strobe_stack_close(stack);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
}

static const char recursion[] =
	"#include <stdlib.h>\n"
	"int depth(int n) { volatile int x = n; if (!n) abort(); return depth(n - 1) + x; }\n"
	"int main() { return depth(200); }\n";

static void recursion_agrees(void)
{
	compare_with_gdb("gcc -g -O0", "c", recursion);
}

static const char alternate_stack[] =
	"#include <signal.h>\n#include <stdlib.h>\n"
	"__attribute__((noinline)) void inner(int *p) { *(volatile int *)p = 1; }\n"
	"void handler(int s) { abort(); }\n"
	"int main() { static char room[65536];\n"
	"stack_t st = {.ss_sp = room, .ss_size = sizeof room}; sigaltstack(&st, 0);\n"
	"struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};\n"
	"sigaction(SIGSEGV, &sa, 0); inner(0); return 0; }\n";

static void alternate_stack_agrees(void)
{
	compare_with_gdb("gcc -g -O0", "c", alternate_stack);
	compare_with_gdb("gcc -g -O2 -static", "c", alternate_stack);
}

static const char inlined[] =
	"#include <stdlib.h>\n"
	"static inline __attribute__((always_inline)) void c3(int x) { if (x) abort(); }\n"
	"static inline __attribute__((always_inline)) void b2(int x) { c3(x + 1); }\n"
	"__attribute__((noinline)) void a1(int x) { b2(x); }\n"
	"int main(int c, char **v) { a1(c); return 0; }\n";

static void inlined_agrees(void)
{
	compare_with_gdb("gcc -g -O2", "c", inlined);
	compare_with_gdb("gcc -g -O2 -gdwarf-4 -static-pie", "c", inlined);
	compare_with_gdb("gcc -O2 -s", "c", inlined);
}

static void clang_agrees(void)
{
	need("clang");
	compare_with_gdb("clang -g -O2", "c", inlined);
}

static const char null_call[] = "void (*volatile fn)(void) = (void (*)(void))ADDRESS;\n"
				"__attribute__((noinline)) void mid(int x) { fn(); fn = 0; }\n"
				"int main(int c, char **v) { mid(c); return 0; }\n";

static void wild_call_agrees(void)
{
	compare_with_gdb("gcc -g -O2 -DADDRESS=0", "c", null_call);
	compare_with_gdb("gcc -g -O0 -DADDRESS=0x1234567", "c", null_call);
}

static const char tail[] =
	"volatile int z;\n"
	"__attribute__((noinline)) int t3(int *p) { return *p + z; }\n"
	"__attribute__((noinline)) int t2(int *p) { z++; return t3(p); }\n"
	"__attribute__((noinline)) int t1(int *p) { z++; return t2(p); }\n"
	"__attribute__((noinline)) int t0(int *p) { int r = t1(p); return r + 1; }\n"
	"int main(int c, char **v) { return t0(0); }\n";

static void tail_calls_agree(void)
{
	compare_with_gdb("gcc -g -O2", "c", tail);
	compare_with_gdb("gcc -g -O2 -gdwarf-4", "c", tail);
	compare_with_gdb("gcc -O2", "c", tail);
}

static const char noreturn[] =
	"#include <stdlib.h>\n"
	"__attribute__((noinline, noreturn)) void die(int x) { if (x) abort(); exit(1); }\n"
	"__attribute__((noinline, noreturn)) static void g(int x) { die(x + 1); }\n"
	"int main(int c, char **v) { if (c) g(c); return 0; }\n";

static void noreturn_agrees(void)
{
	compare_with_gdb("gcc -g -O2", "c", noreturn);
	compare_with_gdb("gcc -g -O2 -fomit-frame-pointer -fno-plt", "c", noreturn);
}

static const char threads[] =
	"#include <pthread.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
	"pthread_barrier_t b;\n"
	"void deep(int n) { if (n) deep(n - 1); else { pthread_barrier_wait(&b); pause(); }\n"
	"__asm__ volatile(\"\"); }\n"
	"void *work(void *a) { deep((long)a % 10); return 0; }\n"
	"int main() { pthread_barrier_init(&b, 0, 41); for (long i = 0; i < 40; i++) {\n"
	"pthread_t t; pthread_create(&t, 0, work, (void *)i); }\n"
	"pthread_barrier_wait(&b); usleep(300000); abort(); }\n";

static void threads_agree(void)
{
	compare_with_gdb("gcc -g -O1 -pthread", "c", threads);
}

static const char exception[] =
	"#include <stdexcept>\n"
	"namespace ns { template <class T> struct A { virtual void f(T x) {\n"
	"throw std::runtime_error(\"x\"); } virtual ~A() {} }; }\n"
	"struct D { ~D() noexcept(true) { ns::A<int> a; a.f(1); } };\n"
	"int main() { D d; }\n";

static void exception_agrees(void)
{
	need("g++");
	compare_with_gdb("g++ -g -O1", "cc", exception);
}

static const char assembly[] =
	"__asm__(\".text\\n.globl f\\n.type f,@function\\nf: push %rbp\\nmov %rsp,%rbp\\n\"\n"
	"\"sub $32,%rsp\\ncall helper\\nleave\\nret\\n.size f,.-f\\n\"\n"
	"\".globl leaf\\n.type leaf,@function\\nleaf: xor %eax,%eax\\nmov (%rdi),%eax\\nret\\n\"\n"
	"\".size leaf,.-leaf\\n\");\n"
	"int f(int *); int leaf(int *);\n"
	"__attribute__((noinline)) int helper(int *p) { return leaf(p) + 1; }\n"
	"int main() { return f(0) + 1; }\n";

static void assembly_without_cfi(void)
{
	compare_with_gdb("gcc -g -O1", "c", assembly);
	check_frames("gcc -g -O1", assembly,
		     "leaf[registers] helper[plt] f[cfi] main[frame-pointer]", STROBE_STOP_MAIN);
}

static const char jit[] =
	"#include <sys/mman.h>\n#include <string.h>\n"
	"__attribute__((noinline)) void crash(void) { *(volatile int *)0 = 1; }\n"
	"int main() { unsigned char *m = mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n"
	"unsigned char c[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,\n"
	"0xff, 0xd0, 0x5d, 0xc3}; void *f = crash; memcpy(c + 6, &f, 8); memcpy(m, c, 18);\n"
	"memcpy(c + 6, &m, 8); memcpy(m + 256, c, 18);\n"
	"((void (*)(void))(m + 256))(); return 1; }\n";

static void jit_code(void)
{
	check_frames("gcc -g -O1", jit,
		     "crash[registers] ??[cfi] ??[frame-pointer] main[frame-pointer]",
		     STROBE_STOP_MAIN);
}

static const char smashed[] =
	"#include <string.h>\n"
	"__attribute__((noinline)) void vulnerable(const char *s) { char b[16];\n"
	"__builtin_memcpy(b, s, 64); __asm__ volatile(\"\" ::\"r\"(b) : \"memory\"); }\n"
	"int main() { char big[128]; memset(big, 'A', 128); vulnerable(big); return 0; }\n";

static void smashed_stack(void)
{
	check_frames("gcc -g -O0 -fno-stack-protector", smashed, "vulnerable[registers] ??[cfi]",
		     STROBE_STOP_LIMIT);
}

static const char coroutine[] =
	"#include <ucontext.h>\n#include <stdlib.h>\n"
	"static ucontext_t m, c; static char room[65536];\n"
	"void work(int a) { *(volatile int *)0 = a; }\n"
	"void co(void) { work(3); }\n"
	"int main() { getcontext(&c); c.uc_stack.ss_sp = room; c.uc_stack.ss_size = 65536;\n"
	"c.uc_link = &m; makecontext(&c, co, 0); swapcontext(&m, &c); return 0; }\n";

static void coroutine_ends(void)
{
	check_frames("gcc -g -O0", coroutine, "work[registers] co[cfi] __start_context[cfi]",
		     STROBE_STOP_LIMIT); // what follows depends on glibc's version
}

static void registers_of_callers(void)
{
	make_core("gcc -g -O0", "c", recursion);
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_stack *stack;
	open_core(&view, &symbols);
	CHECK_OK(strobe_stack_open(symbols, 0, NULL, &stack));
	size_t count = strobe_stack_frame_count(stack);
	uint64_t before = 0;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_frame *frame = strobe_stack_frame(stack, i);
		struct strobe_register reg;
		uint64_t value;
		CHECK(strobe_stack_register(stack, i, "pc", &reg));
		memcpy(&value, reg.bytes, 8);
		CHECK_EQUAL(value, frame->pc);
		CHECK(strobe_stack_register(stack, i, "rsp", &reg));
		memcpy(&value, reg.bytes, 8);
		CHECK(value >= before);
		CHECK(value <= frame->cfa);
		before = value;
		CHECK(strobe_stack_register(stack, i, "spl", &reg));
		CHECK_EQUAL(reg.size_bytes, 1);
		CHECK_EQUAL(reg.bytes[0], value & 0xff);
	}
	// In reverse, frames are unwound again from their checkpoints.
	for (size_t i = count; i-- > 0;) {
		struct strobe_register reg;
		CHECK(strobe_stack_register(stack, i, "rip", &reg));
		CHECK(memcmp(reg.bytes, &strobe_stack_frame(stack, i)->pc, 8) == 0);
	}
	struct strobe_register reg;
	CHECK(!strobe_stack_register(stack, 0, "r16", &reg));
	CHECK(!strobe_stack_register(stack, count, "rip", &reg));
	strobe_stack_close(stack);
	CHECK_ERROR(strobe_stack_open(symbols, 99, NULL, &stack), STROBE_ERROR_INVALID);
	struct strobe_stack_options options = {sizeof(options), 7, false};
	CHECK_OK(strobe_stack_open(symbols, 0, &options, &stack));
	CHECK_EQUAL(strobe_stack_frame_count(stack), 7);
	CHECK_EQUAL(strobe_stack_stop(stack), STROBE_STOP_LIMIT);
	strobe_stack_close(stack);
	options = (struct strobe_stack_options){sizeof(options), 0, true};
	CHECK_OK(strobe_stack_open(symbols, 0, &options, &stack));
	CHECK(strobe_stack_frame_count(stack) > count);
	CHECK_EQUAL(strobe_stack_stop(stack), STROBE_STOP_OUTERMOST);
	strobe_stack_close(stack);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
}

static void clean_up(void)
{
	if (made)
		CHECK_EQUAL(run("rm -rf %s", directory), 0);
}

CHECK_MAIN({"recursion agrees with gdb", recursion_agrees},
	   {"a signal handler on an alternate stack agrees with gdb", alternate_stack_agrees},
	   {"abort() in inlined functions agrees with gdb", inlined_agrees},
	   {"clang's code agrees with gdb", clang_agrees},
	   {"a call through NULL and through a wild pointer agrees with gdb", wild_call_agrees},
	   {"tail calls agree with gdb", tail_calls_agree},
	   {"noreturn last calls agree with gdb", noreturn_agrees},
	   {"forty threads agree with gdb", threads_agree},
	   {"a C++ exception that terminates agrees with gdb", exception_agrees},
	   {"assembly without call frame information", assembly_without_cfi},
	   {"code made at run time, by its frame pointers", jit_code},
	   {"a smashed stack shows the bad return address", smashed_stack},
	   {"a coroutine ends at its start", coroutine_ends},
	   {"registers of callers, limits and frames below main", registers_of_callers},
	   {"leaves nothing behind", clean_up})

// SPDX-License-Identifier: Apache-2.0
// How many places of a program can be armed, by which method, and does it still do what it should?
//
//   coverage SITES REPORT MODE SHARD/SHARDS PROGRAM ARG...
//
// becomes PROGRAM with its own process id, streams and arguments, after a process beside it has armed the sites (addresses of the ELF file,
// hexadecimal, one a line) of one shard. MODE: `single` arms and disarms each alone; `false` has conditions that are false,
// `record` records each hit, both armed all the while. What the agent refuses is given to uprobes. A line of JSON is appended to REPORT.
// bench/coverage.py runs it.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tracepoint/engine.h"
#include "tracepoint/program.h"

enum { MAX = 400000, KINDS = 64, DESCRIPTOR = 199 };
static struct probe_request requests[MAX];
static struct probe_answer answers[MAX], second[MAX];
static const char *names[KINDS];
static unsigned numbers[KINDS];

struct engines {
	void *agent, *uprobe;
};

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "%s\n", strobe_error_message(error));
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/** Where an address 0 of the ELF file is, in the process. */
static uint64_t base_of(pid_t pid, const char *program)
{
	char path[64], line[512], real[4096];
	Elf64_Ehdr header;
	uint64_t start, base = UINT64_MAX;
	FILE *file = fopen(program, "rb");
	if (!file || fread(&header, sizeof(header), 1, file) != 1 || !realpath(program, real))
		exit(2);
	fclose(file);
	if (header.e_type == ET_EXEC)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, real) && sscanf(line, "%" SCNx64, &start) == 1 && start < base)
			base = start;
	if (file)
		fclose(file);
	return base;
}

static const struct probe_program *condition(void)
{
	static const struct program_step steps[] = {
		{.op = OP_REGISTER, .a = 7}, {.op = OP_CONST}, {.op = OP_EQ}, {.op = OP_END}};
	static struct {
		struct probe_program head;
		struct program_step steps[4];
	} program = {{4, 2}, {{0}}};
	memcpy(program.steps, steps, sizeof(steps));
	return &program.head;
}

static size_t read_sites(const char *path, uint64_t base, const char *shard, bool conditional)
{
	unsigned index = 0, count = 1;
	uint64_t offset;
	size_t used = 0;
	FILE *file = fopen(path, "r");
	if (!file || sscanf(shard, "%u/%u", &index, &count) != 2)
		exit(2);
	for (uint64_t i = 0; used < MAX && fscanf(file, "%" SCNx64, &offset) == 1; i++)
		if (i % count == index) {
			requests[used] = (struct probe_request){
				.address = base + offset,
				.cookie = (uint32_t)used + 1,
				.condition = conditional ? condition() : NULL};
			used++;
		}
	fclose(file);
	return used;
}

static void count(const char *name)
{
	unsigned kind = 0;
	while (kind + 1 < KINDS && names[kind] && strcmp(names[kind], name) != 0)
		kind++;
	names[kind] = name;
	numbers[kind]++;
}

static void arm_all(const struct engines *engines, size_t sites)
{
	static uint32_t map[MAX];
	static struct probe_request left[MAX];
	size_t lacking = 0;
	must(agent_engine.arm(engines->agent, requests, sites, answers));
	for (size_t i = 0; i < sites; i++)
		if (!answers[i].probe) {
			map[lacking] = (uint32_t)i;
			left[lacking++] = requests[i];
		}
	if (lacking)
		must(uprobe_engine.arm(engines->uprobe, left, lacking, second));
	for (size_t i = 0; i < lacking; i++)
		if (second[i].probe)
			answers[map[i]] = second[i];
}

/** Each alone. Which are refused by jumps, and why, goes to standard error of the report's process. */
static void arm_each(const struct engines *engines, size_t sites)
{
	for (size_t i = 0; i < sites; i++) {
		must(agent_engine.arm(engines->agent, &requests[i], 1, &answers[i]));
		if (answers[i].probe) {
			agent_engine.disarm(engines->agent, &answers[i].probe, 1);
			continue;
		}
		must(uprobe_engine.arm(engines->uprobe, &requests[i], 1, &second[i]));
		if (second[i].probe)
			uprobe_engine.disarm(engines->uprobe, &second[i].probe, 1);
		fprintf(stderr, "%" PRIx64 " %s\n", requests[i].address, answers[i].why);
		if (second[i].probe)
			answers[i] = second[i];
	}
}

static void pass(void *context, const struct engine_hit *hit)
{
	(void)hit;
	++*(uint64_t *)context;
}

static void follow(const struct engines *engines)
{
	uint64_t hits = 0;
	for (bool ended = false, other; !ended;) {
		must(uprobe_engine.wait(engines->uprobe, 0, pass, &hits, &other));
		must(agent_engine.wait(engines->agent, 50, pass, &hits, &ended));
	}
}

static void report(const char *path, const struct engines *engines, size_t sites, double ms)
{
	char text[8192];
	struct engine_totals agent, uprobe;
	agent_engine.totals(engines->agent, 0, &agent);
	uprobe_engine.totals(engines->uprobe, 0, &uprobe);
	for (size_t i = 0; i < sites; i++)
		count(answers[i].probe ? answers[i].method : answers[i].why);
	int size = snprintf(text, sizeof(text),
			    "{\"sites\":%zu,\"ms\":%.1f,\"hits\":%" PRIu64 ",\"dropped\":%" PRIu64
			    ",\"uprobe_hits\":%" PRIu64 ",\"kinds\":{",
			    sites, ms, agent.hits, agent.dropped,
			    uprobe.hits + uprobe.condition_false);
	for (unsigned i = 0; i < KINDS && names[i]; i++)
		size += snprintf(text + size, sizeof(text) - (size_t)size, "%s\"%s\":%u",
				 i ? "," : "", names[i], numbers[i]);
	size += snprintf(text + size, sizeof(text) - (size_t)size, "}}\n");
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0 || write(file, text, (size_t)size) != size)
		exit(1);
	close(file);
}

static void watch(pid_t pid, char **argv, int gate)
{
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct engines engines;
	char byte, name[20];
	bool single = argv[3][0] == 's';
	if (read(gate, &byte, 1) != 1)
		exit(1);
	size_t sites = read_sites(argv[1], base_of(pid, argv[5]), argv[4], argv[3][0] == 'f');
	snprintf(name, sizeof(name), "%d", pid);
	must(strobe_view_open(name, NULL, &view));
	must(strobe_symbols_open(view, &symbols));
	must(agent_engine.open(pid, symbols, &engines.agent));
	must(uprobe_engine.open(pid, symbols, &engines.uprobe));
	double start = now_ms();
	if (single)
		arm_each(&engines, sites);
	else
		arm_all(&engines, sites);
	double ms = now_ms() - start;
	if (write(gate, &byte, 1) != 1)
		exit(1);
	if (!single)
		follow(&engines);
	report(argv[2], &engines, sites, ms);
	uprobe_engine.close(engines.uprobe);
	agent_engine.close(engines.agent);
}

/** Not a child of the program, and with no stream of it. */
static void go_aside(const char *path)
{
	char name[4096];
	if (fork() != 0)
		_exit(0);
	setsid();
	snprintf(name, sizeof(name), "%s.log", path);
	int log = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(1);
}

int main(int argc, char **argv)
{
	int sockets[2], status;
	char text[20];
	const char *gate = getenv("STROBE_COVERAGE_GATE"); // the library
	pid_t self = getpid();
	if (argc < 6 || !gate || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
		return 2;
	pid_t child = fork();
	if (child == 0) {
		close(sockets[0]);
		go_aside(argv[2]);
		watch(self, argv, sockets[1]);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (dup2(sockets[0], DESCRIPTOR) < 0)
		return 2;
	snprintf(text, sizeof(text), "%d", DESCRIPTOR);
	setenv("STROBE_GATE", text, 1);
	setenv("LD_PRELOAD", gate, 1);
	const char *called = getenv("STROBE_COVERAGE_NAME");
	char *program = argv[5];
	if (called)
		argv[5] = (char *)(uintptr_t)called;
	close(sockets[1]);
	execv(program, argv + 5);
	return 127;
}

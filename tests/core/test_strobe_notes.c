// SPDX-License-Identifier: Apache-2.0
// Strobe's own notes: what a view tells of them, whole and damaged.
#include "elf/strobe_note.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"
#include "view/build.h"

enum { PAGE = 4096, PID = 500, ORIG_RAX = 15, RDI = 14 };
static const uint64_t heap_at = 0x10000, shared_at = 0x20000, stack_at = 0x7ffd00000000;
static const uint64_t taken_ns = UINT64_C(1700000000000000000);
static char path[64];
static uint8_t page[PAGE];

static struct strobe_view *open_view(void)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(path, &options, &view));
	return view;
}

static bool warned(const struct strobe_view *view, const char *part)
{
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		if (strstr(strobe_view_warning(view, i), part))
			return true;
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		printf("# warning: %s\n", strobe_view_warning(view, i));
	return false;
}

static void add_text(struct core_writer *writer, const char *name, const char *text)
{
	core_writer_proc_file(writer, name, text, strlen(text));
}

static void add_thread(struct core_writer *writer, int tid, uint32_t flags, char state)
{
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	registers[CORE_WRITER_RIP] = 0x1234;
	registers[CORE_WRITER_RSP] = stack_at + 64;
	registers[ORIG_RAX] = 202; // futex
	registers[RDI] = heap_at;
	core_writer_thread(writer, tid, 0, registers);
	struct strobe_note_thread note = {
		.version = 1,
		.tid = tid,
		.flags = flags,
		.cpu = 3,
		.state = (uint8_t)state,
		.blocked = 0x4000,
		.pending = 2,
		.robust_list = 0x7f01,
		.robust_list_size = 24,
		.rseq_address = 0x7f02,
		.rseq_size = 32,
		.rseq_signature = 0x53053053,
	};
	core_writer_strobe(writer, NT_STROBE_THREAD, &note, sizeof(note), NULL, 0);
}

static void add_signal(struct core_writer *writer, int tid, int number)
{
	struct strobe_note_signal head = {tid, 0};
	uint8_t info[128] = {0};
	int code = SI_QUEUE, sender = 77, user = 1000;
	memcpy(info, &number, 4);
	memcpy(info + 8, &code, 4);
	memcpy(info + 16, &sender, 4);
	memcpy(info + 20, &user, 4);
	core_writer_strobe(writer, NT_STROBE_SIGNAL, &head, sizeof(head), info, sizeof(info));
}

static void add_proc_files(struct core_writer *writer)
{
	add_text(writer, "maps",
		 "00010000-00012000 rw-p 00000000 00:00 0                          [heap]\n"
		 "00020000-00022000 rw-s 00001000 00:2a 4711                       /dev/shm/ring "
		 "(deleted)\n"
		 "00030000-00031000 r--p 00000000 08:01 12      /tmp/new\\012line\n"
		 "7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0                  [stack]\n");
	add_text(writer, "status",
		 "Name:\tserver\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t500\nPPid:\t1\n"
		 "Uid:\t33\t34\t35\t36\nGid:\t43\t44\t45\t46\nGroups:\t33 100 \nVmRSS:\t 8 kB\n"
		 "ShdPnd:\t0000000000004000\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000402\n"
		 "CapInh:\t0\nCapPrm:\t400\nCapEff:\t400\nCapBnd:\t1ff\nCapAmb:\t0\n"
		 "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n");
	add_text(writer, "stat",
		 "500 (server) t 1 500 500 0 -1 0 0 0 0 0 150 50 0 0 20 0 2 0 5000 0 0 0");
	core_writer_proc_file(writer, "cmdline", "server\0--listen\0a b", 19);
	core_writer_proc_file(writer, "environ", "HOME=/\0EMPTY=\0PATH=/bin", 23);
	add_text(writer, "limits",
		 "Limit                     Soft Limit           Hard Limit           Units     \n"
		 "Max cpu time              unlimited            unlimited            seconds   \n"
		 "Max open files            1024                 524288               files     \n"
		 "Max nice priority         0                    0                    \n");
	add_text(writer, "cgroup",
		 "4:memory:/pods/x\n0::/system.slice/server.service\n1:cpu:/a/very/long/one/"
		 "behind\n");
	add_text(writer, "exe", "/usr/sbin/server (deleted)");
	add_text(writer, "cwd", "/srv");
	add_text(writer, "root", "/");
	add_text(writer, "oom_score_adj", "-500\n");
	add_text(writer, "ns/mnt", "mnt:[4026531841]");
	add_text(writer, "ns/net", "net:[4026531840]");
	add_text(writer, "task/500/stat",
		 "500 (main) t 1 500 500 0 -1 0 0 0 0 0 7 5 0 0 20 0 2 0 5000 0 0 0 0 0 0 0 0 0 0 "
		 "0 0 0 0 0 17 2 0 0 0");
	add_text(writer, "task/501/stat",
		 "501 (worker) t 1 500 500 0 -1 0 0 0 0 0 9 6 0 0 -50 0 2 0 5100 0 0 0 0 0 0 0 0 "
		 "0 0 0 0 0 0 0 17 1 49 1 0");
	add_text(writer, "task/501/status",
		 "Name:\tworker\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n");
}

static void add_all(struct core_writer *writer)
{
	struct strobe_note_range range = {shared_at, shared_at + PAGE};
	core_writer_capture(writer, taken_ns, 1500000, 0xab);
	add_proc_files(writer);
	core_writer_descriptor(writer, 7, S_IFSOCK | 0777, "socket:[99]",
			       "pos:\t0\nflags:\t02004002\n",
			       "tcp 127.0.0.1:80 <- 127.0.0.1:40312 ESTABLISHED");
	core_writer_descriptor(writer, 3, S_IFREG | 0644, "/var/log/server",
			       "pos:\t812\nflags:\t0102001\nmnt_id:\t24\n", "");
	core_writer_strobe(writer, NT_STROBE_NOT_ATOMIC, &range, sizeof(range), "shared", 7);
	core_writer_process(writer, PID, "server", "server --listen a");
	core_writer_file(writer, 0x30000, 0x31000, 0, "/tmp/other");
	add_thread(writer, PID,
		   STROBE_THREAD_IN_SYSCALL | STROBE_THREAD_SIGNALS_KNOWN |
			   STROBE_THREAD_ROBUST_KNOWN | STROBE_THREAD_RSEQ_KNOWN,
		   'S');
	core_writer_fault(writer, SIGSTOP, SI_USER, 0);
	add_signal(writer, 0, 40);
	add_thread(writer, 501, 0, 'R');
	add_signal(writer, 501, SIGUSR1);
	struct strobe_note_thread stuck = {.version = 1,
					   .tid = 502,
					   .flags = STROBE_THREAD_NOT_STOPPED,
					   .cpu = -1,
					   .state = 'D'};
	core_writer_strobe(writer, NT_STROBE_THREAD, &stuck, sizeof(stuck), NULL, 0);
	core_writer_segment(writer, heap_at, PAGE, PF_R | PF_W, page, PAGE);
	core_writer_segment(writer, heap_at + PAGE, PAGE, PF_R | PF_W, NULL, 0);
	core_writer_segment(writer, shared_at, 2 * PAGE, PF_R | PF_W, page, PAGE);
	core_writer_segment(writer, 0x40000, PAGE, PF_R, page, PAGE); // not in maps
	core_writer_segment(writer, stack_at, PAGE, PF_R | PF_W, page, PAGE);
}

static struct strobe_view *open_all(void)
{
	struct core_writer writer;
	core_writer_init(&writer);
	add_all(&writer);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	return open_view();
}

static void tells_how_it_was_taken(void)
{
	struct strobe_view *view = open_all();
	const struct strobe_capture *capture = strobe_view_capture(view);
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK_EQUAL(strobe_view_warning_count(view), 0);
	CHECK(capture);
	CHECK_STRING(capture->id, "abababababababababababababababab");
	CHECK_STRING(capture->method, "clone");
	CHECK_STRING(capture->contents, "changed");
	CHECK_EQUAL(capture->pause_ns, 1500000);
	CHECK_EQUAL(capture->time_ns, taken_ns);
	CHECK(!capture->redacted && !capture->redacted_matches && !capture->parent_id);
	CHECK_EQUAL(info->time_ns, taken_ns);
	CHECK(!info->time_is_file_time);
	CHECK_EQUAL(info->signal.number, 0); // it was not ended by what its first thread got
	CHECK_EQUAL(info->signal_tid, -1);
	CHECK_EQUAL(strobe_view_thread(view, 0)->signal.number, SIGSTOP);
	CHECK_STRING(info->source_kind, "snapshot");
	CHECK_STRING(info->source_maker, "strobe");
	CHECK_EQUAL(strobe_view_not_atomic_count(view), 1);
	CHECK_EQUAL(strobe_view_not_atomic(view, 0)->end, shared_at + PAGE);
	CHECK_STRING(strobe_view_not_atomic(view, 0)->why, "shared");
	strobe_view_close(view);
}

static void tells_the_process(void)
{
	struct strobe_view *view = open_all();
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK_EQUAL(info->pid, PID);
	CHECK_STRING(info->name, "server");
	CHECK_STRING(info->command, "server --listen a b");
	CHECK_STRING(strobe_view_argument(view, 2), "a b");
	CHECK(!strobe_view_argument(view, 3));
	CHECK_STRING(info->executable, "/usr/sbin/server");
	CHECK(info->executable_deleted);
	CHECK_STRING(info->working_directory, "/srv");
	CHECK_STRING(info->root, "/");
	CHECK_STRING(info->cgroup, "/system.slice/server.service");
	CHECK_EQUAL(info->start_time_ns, taken_ns - UINT64_C(1000000000000) + 50000000000);
	CHECK_EQUAL(info->user_ns, 1500000000);
	CHECK_EQUAL(info->system_ns, 500000000);
	CHECK_EQUAL(info->resident_bytes, 8192);
	CHECK_EQUAL(info->swapped_bytes, -1);
	CHECK_EQUAL(info->nice, 0);
	CHECK_EQUAL(info->oom_score_adjustment, -500);
	CHECK_EQUAL(info->umask, 022);
	CHECK_EQUAL(info->uid, 33);
	CHECK_EQUAL(info->state, 'S'); // as the main thread was, not as it was stopped
	CHECK_STRING(strobe_view_environment(view, 0), "HOME=/");
	CHECK_STRING(strobe_view_environment(view, 1), "EMPTY=");
	CHECK_STRING(strobe_view_environment(view, 2), "PATH=/bin");
	CHECK(!strobe_view_environment(view, 3));
	size_t size;
	CHECK(memcmp(strobe_view_proc_file(view, "cwd", &size), "/srv", 4) == 0);
	CHECK_EQUAL(size, 4);
	CHECK(!strobe_view_proc_file(view, "cw", NULL));
	CHECK_STRING(strobe_view_proc_file_name(view, 0), "maps");
	strobe_view_close(view);
}

static void tells_rights_and_limits(void)
{
	struct strobe_view *view = open_all();
	const struct strobe_credentials *credentials = strobe_view_credentials(view);
	const struct strobe_signal_actions *actions = strobe_view_signal_actions(view);
	CHECK(credentials && actions);
	CHECK_EQUAL(credentials->user_ids[3], 36);
	CHECK_EQUAL(credentials->group_ids[1], 44);
	CHECK_EQUAL(credentials->group_count, 2);
	CHECK_EQUAL(credentials->groups[1], 100);
	CHECK(credentials->capabilities_known);
	CHECK_EQUAL(credentials->effective, 0x400);
	CHECK_EQUAL(credentials->bounding, 0x1ff);
	CHECK_EQUAL(credentials->no_new_privileges, 1);
	CHECK_EQUAL(credentials->seccomp, 2);
	CHECK_EQUAL(credentials->seccomp_filters, 1);
	CHECK_EQUAL(actions->pending, 0x4000);
	CHECK_EQUAL(actions->ignored, 0x1000);
	CHECK_EQUAL(actions->caught, 0x402);
	CHECK_EQUAL(strobe_view_limit_count(view), 3);
	CHECK_STRING(strobe_view_limit(view, 0)->name, "Max cpu time");
	CHECK_EQUAL(strobe_view_limit(view, 0)->hard, UINT64_MAX);
	CHECK_EQUAL(strobe_view_limit(view, 1)->soft, 1024);
	CHECK_STRING(strobe_view_limit(view, 1)->unit, "files");
	CHECK(!strobe_view_limit(view, 2)->unit);
	CHECK(!strobe_view_limit(view, 3));
	CHECK_EQUAL(strobe_view_namespace_count(view), 2);
	CHECK_STRING(strobe_view_namespace(view, 0)->name, "mnt");
	CHECK_EQUAL(strobe_view_namespace(view, 0)->inode, 4026531841);
	strobe_view_close(view);
}

static void tells_the_threads(void)
{
	struct strobe_view *view = open_all();
	CHECK_EQUAL(strobe_view_thread_count(view), 3);
	const struct strobe_thread *thread = strobe_view_thread(view, 0);
	CHECK_STRING(thread->name, "main");
	CHECK_EQUAL(thread->state, 'S');
	CHECK_EQUAL(thread->cpu, 3);
	CHECK_EQUAL(thread->in_system_call, 1);
	CHECK_EQUAL(thread->system_call, 202);
	CHECK_STRING(strobe_system_call_name(thread->system_call), "futex");
	CHECK_EQUAL(thread->system_call_arguments[0], heap_at);
	CHECK(thread->signals_known && thread->robust_list_known && thread->rseq_known);
	CHECK_EQUAL(thread->blocked, 0x4000);
	CHECK_EQUAL(thread->pending, 2);
	CHECK_EQUAL(thread->robust_list, 0x7f01);
	CHECK_EQUAL(thread->robust_list_size_bytes, 24);
	CHECK_EQUAL(thread->rseq, 0x7f02);
	CHECK_EQUAL(thread->rseq_signature, 0x53053053);
	CHECK_STRING(thread->policy, "other");
	CHECK_EQUAL(thread->user_ns, 70000000);
	CHECK_EQUAL(thread->voluntary_switches, -1);
	thread = strobe_view_thread(view, 1);
	CHECK_STRING(thread->name, "worker");
	CHECK_EQUAL(thread->in_system_call, 0);
	CHECK(!thread->signals_known && !thread->robust_list_known && !thread->rseq_known);
	CHECK_STRING(thread->policy, "fifo");
	CHECK_EQUAL(thread->realtime_priority, 49);
	CHECK_EQUAL(thread->voluntary_switches, 42);
	CHECK_EQUAL(thread->involuntary_switches, 7);
	CHECK_EQUAL(thread->start_time_ns, taken_ns - UINT64_C(1000000000000) + 51000000000);
	thread = strobe_view_thread(view, 2);
	CHECK_EQUAL(thread->tid, 502);
	CHECK(thread->not_stopped && !thread->has_registers);
	CHECK_EQUAL(thread->state, 'D');
	CHECK_EQUAL(thread->cpu, -1);
	CHECK_EQUAL(strobe_view_register_count(view, 2), 0);
	CHECK_EQUAL(strobe_view_queued_signal_count(view), 2);
	CHECK_EQUAL(strobe_view_queued_signal(view, 0)->tid, 0);
	CHECK_STRING(strobe_view_queued_signal(view, 0)->signal.name, "SIG40");
	CHECK_EQUAL(strobe_view_queued_signal(view, 1)->tid, 501);
	CHECK_EQUAL(strobe_view_queued_signal(view, 1)->signal.sender_pid, 77);
	strobe_view_close(view);
}

static void tells_the_descriptors(void)
{
	struct strobe_view *view = open_all();
	bool known = false;
	CHECK_EQUAL(strobe_view_descriptor_count(view, &known), 2);
	CHECK(known);
	const struct strobe_descriptor *descriptor = strobe_view_descriptor(view, 0);
	CHECK_EQUAL(descriptor->fd, 3);
	CHECK_STRING(descriptor->type, "file");
	CHECK_STRING(descriptor->path, "/var/log/server");
	CHECK_EQUAL(descriptor->position, 812);
	CHECK_EQUAL(descriptor->flags, 0102001);
	CHECK(!descriptor->peer);
	descriptor = strobe_view_descriptor(view, 1);
	CHECK_STRING(descriptor->type, "socket");
	CHECK_STRING(descriptor->peer, "tcp 127.0.0.1:80 <- 127.0.0.1:40312 ESTABLISHED");
	CHECK_STRING(descriptor->info, "pos:\t0\nflags:\t02004002\n");
	strobe_view_close(view);
}

static void takes_mappings_from_maps(void)
{
	struct strobe_view *view = open_all();
	CHECK_EQUAL(strobe_view_mapping_count(view), 5);
	const struct strobe_mapping *mapping = strobe_view_mapping_at(view, heap_at);
	CHECK_STRING(mapping->path, "[heap]");
	CHECK_EQUAL(mapping->end, heap_at + 2 * PAGE); // one, though two PT_LOADs
	CHECK_EQUAL(mapping->present_bytes, PAGE);
	mapping = strobe_view_mapping_at(view, shared_at + PAGE);
	CHECK_EQUAL(mapping->start, shared_at);
	CHECK(mapping->permissions & STROBE_PERMISSION_SHARED);
	CHECK(mapping->deleted);
	CHECK_EQUAL(mapping->inode, 4711);
	CHECK_EQUAL(mapping->device_minor, 0x2a);
	CHECK_EQUAL(mapping->offset_bytes, PAGE);
	mapping = strobe_view_mapping_at(view, 0x30000);
	CHECK_STRING(mapping->path, "/tmp/new\nline");
	CHECK(!mapping->deleted);
	CHECK_EQUAL(mapping->device_major, 8);
	mapping = strobe_view_mapping_at(view, 0x40000); // in no line of maps: still shown
	CHECK(mapping && mapping->present_bytes == PAGE);
	strobe_view_close(view);
}

static void falls_back_on_segments(void)
{
	struct core_writer writer;
	core_writer_init(&writer);
	core_writer_capture(&writer, taken_ns, 1, 1);
	add_text(&writer, "maps", "no line of a map\n");
	core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, page, PAGE);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	struct strobe_view *view = open_view();
	CHECK(warned(view, "damaged: a line of its memory map"));
	CHECK_EQUAL(strobe_view_mapping_count(view), 1);
	CHECK(strobe_view_mapping_at(view, heap_at));
	strobe_view_close(view);
}

static void keeps_what_sources_need(void)
{
	struct core_writer writer;
	const struct strobe_note_extent extents[] = {
		{0x5000, 0x7000, STROBE_EXTENT_ZERO, 0},
		{0x1000, 0x3000, STROBE_EXTENT_AS_FILE, 0},
		{0x2000, 0x4000, STROBE_EXTENT_UNREADABLE, 0}, // overlaps the one before
		{0x9000, 0x9000, STROBE_EXTENT_ZERO, 0},       // empty
	};
	struct strobe_note_parent parent = {{1, 2, 3}};
	struct strobe_note_page_hashes hashes = {0, PAGE, 1, PAGE, 1};
	struct strobe_note_embedded embedded = {64, 128, STROBE_EMBEDDED_DEBUG, 0};
	core_writer_init(&writer);
	core_writer_capture(&writer, taken_ns, 1, 1);
	core_writer_strobe(&writer, NT_STROBE_EXTENTS, extents, sizeof(extents), NULL, 0);
	core_writer_strobe(&writer, NT_STROBE_PARENT, &parent, sizeof(parent), "/var/base", 10);
	core_writer_strobe(&writer, NT_STROBE_PAGE_HASHES, &hashes, sizeof(hashes), NULL, 0);
	core_writer_strobe(&writer, NT_STROBE_EMBEDDED, &embedded, sizeof(embedded),
			   "abcd\0/usr/lib/x", 16);
	core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, page, PAGE);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	struct strobe_view *view = open_view();
	CHECK(warned(view, "extents of which some are none"));
	CHECK_EQUAL(view->facts.extents.count, 3);
	CHECK(!view_facts_extent(&view->facts, 0xfff));
	CHECK_EQUAL(view_facts_extent(&view->facts, 0x2fff)->kind, STROBE_EXTENT_AS_FILE);
	CHECK_EQUAL(view_facts_extent(&view->facts, 0x3000)->kind, STROBE_EXTENT_UNREADABLE);
	CHECK(!view_facts_extent(&view->facts, 0x4000));
	CHECK_EQUAL(view_facts_extent(&view->facts, 0x6fff)->kind, STROBE_EXTENT_ZERO);
	CHECK(!view_facts_extent(&view->facts, 0x7000));
	CHECK(view->facts.parent.known && view->facts.parent.id[2] == 3);
	CHECK_STRING(strobe_view_capture(view)->parent_path, "/var/base");
	CHECK_STRING(strobe_view_capture(view)->parent_id, "01020300000000000000000000000000");
	CHECK_EQUAL(view->facts.page_hashes.page_count, 1);
	CHECK_EQUAL(view->facts.embedded.count, 1);
	CHECK_STRING(view->facts.embedded.items[0].build_id, "abcd");
	CHECK_STRING(view->facts.embedded.items[0].path, "/usr/lib/x");
	strobe_view_close(view);
}

static void names_what_is_not_in_the_file(void)
{
	struct core_writer writer;
	struct strobe_note_page_hashes hashes[] = {
		{0, 0, UINT64_MAX / 8, PAGE, 1}, // sizes overflow
		{1 << 20, 0, 1, PAGE, 1},
		{0, 0, 1, 100, 1},
	};
	struct strobe_note_embedded embedded = {UINT64_MAX - 3, 100, STROBE_EMBEDDED_DEBUG, 0};
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		core_writer_init(&writer);
		core_writer_strobe(&writer, NT_STROBE_PAGE_HASHES, &hashes[i], sizeof(hashes[i]),
				   NULL, 0);
		core_writer_strobe(&writer, NT_STROBE_EMBEDDED, &embedded, sizeof(embedded),
				   "\0/usr/lib/x", 12);
		core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, page, PAGE);
		core_writer_save(&writer, path);
		core_writer_fini(&writer);
		struct strobe_view *view = open_view();
		CHECK(warned(view, "page hashes that are not all in the file"));
		CHECK(warned(view, "the embedded file /usr/lib/x is not all in it"));
		CHECK_EQUAL(view->facts.page_hashes.page_count, 0);
		CHECK_EQUAL(view->facts.embedded.count, 0);
		strobe_view_close(view);
	}
}

/** Looks at all facts, as a reader would. */
static void exercise(const struct strobe_view *view)
{
	size_t seen = 0, size;
	const char *name;
	seen += strobe_view_capture(view) ? strlen(strobe_view_capture(view)->id) : 0;
	for (size_t i = 0; (name = strobe_view_proc_file_name(view, i)); i++)
		strobe_view_proc_file(view, name, &size), seen += size;
	for (size_t i = 0; (name = strobe_view_environment(view, i)); i++)
		seen += strlen(name);
	for (size_t i = 0; (name = strobe_view_argument(view, i)); i++)
		seen += strlen(name);
	for (size_t i = 0; i < strobe_view_not_atomic_count(view); i++)
		seen += strlen(strobe_view_not_atomic(view, i)->why);
	for (size_t i = 0; i < strobe_view_limit_count(view); i++)
		seen += strlen(strobe_view_limit(view, i)->name);
	for (size_t i = 0; i < strobe_view_descriptor_count(view, NULL); i++)
		if (strobe_view_descriptor(view, i)->info)
			seen += strlen(strobe_view_descriptor(view, i)->info);
	for (size_t i = 0; i < strobe_view_thread_count(view); i++)
		strobe_system_call_name(strobe_view_thread(view, i)->system_call);
	for (size_t i = 0; i < strobe_view_warning_count(view); i++)
		CHECK(!strchr(strobe_view_warning(view, i), '\n'));
	CHECK(seen != SIZE_MAX);
}

static void survives_notes_cut_short(void)
{
	struct core_writer whole;
	core_writer_init(&whole);
	add_all(&whole);
	size_t at = 0;
	while (at < whole.notes_size) { // each of Strobe's notes, at each length it may be cut to
		Elf64_Nhdr header;
		memcpy(&header, whole.notes + at, sizeof(header));
		const uint8_t *name = whole.notes + at + sizeof(header);
		const uint8_t *data = name + ((header.n_namesz + 3) & ~3u);
		at = (size_t)(data - whole.notes) + ((header.n_descsz + 3) & ~3u);
		if (strcmp((const char *)name, STROBE_NOTE_NAME) != 0)
			continue;
		for (size_t size = 0; size < header.n_descsz; size += 1 + size / 16) {
			struct core_writer writer;
			core_writer_init(&writer);
			core_writer_capture(&writer, taken_ns, 1, 1);
			core_writer_note(&writer, STROBE_NOTE_NAME, header.n_type, data, size);
			core_writer_segment(&writer, heap_at, PAGE, PF_R | PF_W, page, PAGE);
			core_writer_save(&writer, path);
			core_writer_fini(&writer);
			struct strobe_view *view = open_view();
			exercise(view);
			// The bytes of a file may end anywhere; of a siginfo, the head is used.
			bool whole_head = header.n_type == NT_STROBE_SIGNAL && size >= 32;
			if (header.n_type != NT_STROBE_PROC_FILE && !whole_head)
				CHECK(warned(view, "damaged"));
			strobe_view_close(view);
		}
	}
	core_writer_fini(&whole);
}

static void survives_flipped_bytes(void)
{
	struct core_writer writer;
	core_writer_init(&writer);
	add_all(&writer);
	core_writer_save(&writer, path);
	size_t notes = 64 + 56 * (writer.segment_count + 1), size = writer.notes_size;
	core_writer_fini(&writer);
	FILE *file = fopen(path, "r+be");
	CHECK(file);
	uint32_t random = 4711;
	for (int i = 0; i < 3000; i++) {
		random = random * 1664525 + 1013904223;
		long at = (long)(notes + (random >> 4) % size);
		fseek(file, at, SEEK_SET);
		int was = fgetc(file);
		fseek(file, at, SEEK_SET);
		fputc(was ^ (int)(1 + (random >> 24) % 255), file);
		fflush(file);
		struct strobe_view_options options = {.size = sizeof(options),
						      .no_debuginfod = true};
		struct strobe_view *view = NULL;
		CHECK_OK(strobe_view_open(path, &options, &view));
		exercise(view);
		strobe_view_close(view);
		fseek(file, at, SEEK_SET);
		fputc(was, file);
	}
	fclose(file);
}

static void knows_what_other_cores_tell(void)
{
	struct core_writer writer;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	core_writer_init(&writer);
	registers[ORIG_RAX] = 35;
	core_writer_thread(&writer, 1, 6, registers);
	registers[ORIG_RAX] = UINT64_MAX; // as an exception leaves it
	core_writer_thread(&writer, 2, 6, registers);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	struct strobe_view *view = open_view();
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK(!strobe_view_capture(view) && !strobe_view_credentials(view));
	CHECK(!strobe_view_signal_actions(view));
	CHECK_EQUAL(info->start_time_ns, -1);
	CHECK_EQUAL(info->nice, STROBE_NOT_KNOWN);
	CHECK_EQUAL(info->umask, -1);
	CHECK_STRING(info->source_kind, "core");
	CHECK_STRING(strobe_system_call_name(strobe_view_thread(view, 0)->system_call),
		     "nanosleep");
	CHECK_EQUAL(strobe_view_thread(view, 1)->in_system_call, 0);
	CHECK_EQUAL(strobe_view_thread(view, 0)->cpu, -1);
	CHECK(!strobe_view_thread(view, 0)->signals_known);
	CHECK(!strobe_system_call_name(-1));
	CHECK(!strobe_system_call_name(100000));
	CHECK_STRING(strobe_signal_name(64), "SIG64");
	CHECK(!strobe_signal_name(65));
	strobe_view_close(view);
}

static void remove_file(void)
{
	unlink(path);
}

static int run(void)
{
	static const struct check_case cases[] = {
		{"how a snapshot was taken is told", tells_how_it_was_taken},
		{"the process is told from the copies of /proc", tells_the_process},
		{"credentials, signal actions and limits are told", tells_rights_and_limits},
		{"threads are told, one that did not stop included", tells_the_threads},
		{"descriptors are told, sorted", tells_the_descriptors},
		{"mappings come from maps, where there is one", takes_mappings_from_maps},
		{"a maps of no use leaves the segments", falls_back_on_segments},
		{"extents, parent, hashes and embedded files are kept", keeps_what_sources_need},
		{"what a note places outside the file is named", names_what_is_not_in_the_file},
		{"notes cut short end well, and are told", survives_notes_cut_short},
		{"3,000 flipped bytes of notes end well", survives_flipped_bytes},
		{"of other cores is told what they have", knows_what_other_cores_tell},
	};
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	snprintf(path, sizeof(path), "/tmp/strobe-notes-%d", (int)getpid());
	atexit(remove_file);
	return run();
}

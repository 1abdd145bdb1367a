// SPDX-License-Identifier: Apache-2.0
#include "process/peers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "process/proc.h"
#include "process/sockets.h"

enum { OWNERS_SHOWN = 3 };

/** Who has an end of a pipe, or a socket. */
struct owners {
	unsigned count;	  // processes
	pid_t last;	  // the one counted last: all descriptors of a process come in a row
	struct text text; // "12 (cat), 13 (tee)"
};
/** A pipe, or a Unix socket's peer, whose owners are looked for. */
struct wanted {
	bool pipe;
	struct owners readers, writers; // of a socket: readers alone
};

struct search {
	struct facts *facts;
	pid_t pid;
	ARRAY(struct wanted) list;
	struct hash pipes, sockets; // inode -> index in `list` + 1
	ARRAY(uint32_t) peers;	    // of each descriptor: inode of the Unix socket's peer, 0 = none
	uint64_t until_ns;
	bool late, failed;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/** The number in "pipe:[123]". */
static bool parse_inode(const char *link, const char *kind, uint64_t *inode)
{
	size_t length = strlen(kind);
	char *end;
	if (strncmp(link, kind, length) != 0 || strncmp(link + length, ":[", 2) != 0)
		return false;
	*inode = strtoull(link + length + 2, &end, 10);
	return *end == ']' && *inode;
}

static void add_owner(struct owners *owners, pid_t pid)
{
	char name[32];
	cleanup_text struct text comm = {0};
	if (owners->last == pid)
		return;
	owners->last = pid;
	if (owners->count++ >= OWNERS_SHOWN)
		return;
	snprintf(name, sizeof(name), "%d/comm", (int)pid);
	if (proc_read(name, &comm) == 0 && comm.size && comm.data[comm.size - 1] == '\n')
		text_truncate(&comm, comm.size - 1);
	text_printf(&owners->text, "%s%d (%s)", owners->count > 1 ? ", " : "", (int)pid,
		    text_string(&comm));
}

/** A descriptor of some process. Permissions of the link say which way it is open (proc(5)). */
static void look_at_link(struct search *search, pid_t pid, int fd)
{
	char path[64], link[64];
	uint64_t inode;
	struct stat about;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	ssize_t size = readlink(path, link, sizeof(link) - 1);
	if (size <= 0)
		return;
	link[size] = '\0';
	bool pipe = parse_inode(link, "pipe", &inode);
	if (!pipe && !parse_inode(link, "socket", &inode))
		return;
	size_t index = (size_t)hash_get(pipe ? &search->pipes : &search->sockets, inode);
	if (!index)
		return;
	struct wanted *wanted = &search->list.items[index - 1];
	if (!pipe || (lstat(path, &about) == 0 && about.st_mode & S_IRUSR))
		add_owner(&wanted->readers, pid);
	if (pipe && lstat(path, &about) == 0 && about.st_mode & S_IWUSR)
		add_owner(&wanted->writers, pid);
}

static void look_at_process(struct search *search, pid_t pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *folder = opendir(path);
	const struct dirent *entry;
	while (folder && !search->late && (entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			look_at_link(search, pid, (int)strtol(entry->d_name, NULL, 10));
		search->late = now_ns() > search->until_ns;
	}
	if (folder)
		closedir(folder);
}

static void look_at_all(struct search *search, unsigned limit_ms)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	search->until_ns = now_ns() + UINT64_C(1000000) * limit_ms;
	look_at_process(search, search->pid); // first: likely, and never left out for time
	while (folder && !search->late && (entry = readdir(folder))) {
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid > 0 && pid != search->pid)
			look_at_process(search, (pid_t)pid);
	}
	if (folder)
		closedir(folder);
}

static bool want(struct search *search, uint64_t inode, bool pipe)
{
	struct hash *known = pipe ? &search->pipes : &search->sockets;
	if (hash_get(known, inode))
		return true;
	return array_push(&search->list, (struct wanted){.pipe = pipe}) &&
	       hash_put(known, inode, (void *)(uintptr_t)search->list.count);
}

/** Unix sockets' peers can be asked for in our own network namespace alone. */
static int open_diag(pid_t pid)
{
	char name[32];
	cleanup_text struct text own = {0}, its = {0};
	snprintf(name, sizeof(name), "%d/ns/net", (int)pid);
	if (proc_read_link("self/ns/net", &own) || proc_read_link(name, &its) ||
	    strcmp(text_string(&own), text_string(&its)) != 0)
		return -1;
	return sockets_open_diag();
}

/** Which pipes and sockets there are; sockets get their text in `texts`. */
static bool collect(struct search *search, struct hash *texts)
{
	unsigned families = 0;
	int diag = -1;
	bool good = true;
	for (size_t i = 0; good && i < search->facts->descriptors.count; i++) {
		const struct fact_descriptor *descriptor = &search->facts->descriptors.items[i];
		uint64_t inode;
		uint32_t peer = 0;
		if (parse_inode(descriptor->link, "pipe", &inode)) {
			good = want(search, inode, true);
		} else if (parse_inode(descriptor->link, "socket", &inode)) {
			// Of which family it is, only the descriptor would tell, and to look at that
			// holds the file open for a moment: the tables of all are asked.
			if (!families && diag < 0)
				diag = open_diag(search->pid);
			families = SOCKET_TCP | SOCKET_UDP | SOCKET_UNIX | SOCKET_NETLINK;
			good = hash_put(texts, inode, (char *)"");
			if (diag >= 0)
				peer = sockets_unix_peer(diag, (uint32_t)inode);
			if (peer)
				good = good && want(search, peer, false);
		}
		good = good && array_push(&search->peers, peer);
	}
	if (diag >= 0)
		close(diag);
	return good &&
	       (!families || sockets_describe(texts, search->pid, families, &search->facts->arena));
}

static void put_owners(struct text *text, const struct owners *owners)
{
	if (!owners->count)
		return;
	text_printf(text, "%sof %s", text->size ? " " : "", text_string(&owners->text));
	if (owners->count > OWNERS_SHOWN)
		text_printf(text, " and %u more", owners->count - OWNERS_SHOWN);
}

static void describe(struct search *search, struct fact_descriptor *descriptor, uint32_t peer,
		     const struct hash *texts)
{
	cleanup_text struct text text = {0};
	uint64_t inode;
	if (parse_inode(descriptor->link, "pipe", &inode)) {
		size_t index = (size_t)hash_get(&search->pipes, inode);
		const struct wanted *wanted = &search->list.items[index - 1];
		uint64_t flags = 0;
		bool writes = proc_field_number(descriptor->fdinfo, "flags", 8, &flags) &&
			      (flags & O_ACCMODE) != O_RDONLY;
		const struct owners *owners = writes ? &wanted->readers : &wanted->writers;
		if (owners->count)
			text_append(&text, "pipe");
		put_owners(&text, owners);
	} else if (parse_inode(descriptor->link, "socket", &inode)) {
		const char *known = hash_get(texts, inode);
		size_t index = peer ? (size_t)hash_get(&search->sockets, peer) : 0;
		text_append(&text, known ? known : "");
		if (index)
			put_owners(&text, &search->list.items[index - 1].readers);
	}
	if (text.size)
		descriptor->peer = arena_strdup(&search->facts->arena, text_string(&text));
	search->failed = search->failed || text.failed || !descriptor->peer;
}

bool peers_find(struct facts *facts, pid_t pid, unsigned limit_ms)
{
	struct search search = {.facts = facts, .pid = pid};
	struct hash texts = {0};
	search.failed = !collect(&search, &texts);
	if (!search.failed && search.list.count)
		look_at_all(&search, limit_ms);
	for (size_t i = 0; !search.failed && i < facts->descriptors.count; i++)
		describe(&search, &facts->descriptors.items[i], search.peers.items[i], &texts);
	for (size_t i = 0; i < search.list.count; i++) {
		text_fini(&search.list.items[i].readers.text);
		text_fini(&search.list.items[i].writers.text);
	}
	array_fini(&search.list);
	array_fini(&search.peers);
	hash_fini(&search.pipes);
	hash_fini(&search.sockets);
	hash_fini(&texts);
	return !search.failed;
}

// SPDX-License-Identifier: Apache-2.0
// The demo's victim: a small key-value server with sessions, a worker pool, a statistics thread and
// a logger. It serves until a bug in its session cache kills it; strobe then shows which. The bug
// is meant to stay.
//
// Protocol, one line a request:
// LOGIN user | SET key value [seconds] | GET key | AGAIN | COUNT | SEAL key rounds | QUIT

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4, BUCKETS = 64, SESSIONS = 32, USER_MAX = 16, KEY_MAX = 32, LINE = 512 };
enum { QUEUE = 64, LOG_LINES = 16, LATENCIES = 8 };

enum verb {
	VERB_LOGIN,
	VERB_SET,
	VERB_GET,
	VERB_AGAIN,
	VERB_COUNT,
	VERB_SEAL,
	VERB_QUIT,
	VERB_UNKNOWN
};
static const char *const verb_names[] = {"LOGIN", "SET", "GET", "AGAIN", "COUNT", "SEAL", "QUIT"};

enum access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_ADMIN = 4 };

struct entry {
	struct entry *next;
	char key[KEY_MAX];
	char *value;
	time_t expires; // 0 = never
	unsigned hits;
};

struct store {
	pthread_mutex_t lock;
	struct entry *buckets[BUCKETS];
	size_t count;
};

struct session {
	unsigned id;
	enum access access;
	char user[USER_MAX];
	struct entry *last; // what AGAIN repeats
	unsigned requests;
};

struct request {
	enum verb verb;
	char key[KEY_MAX];
	const char *value;
	unsigned seconds;
};

// A value's fingerprint, made slow on purpose, as those of passwords are.
struct seal {
	unsigned round, rounds;
	uint64_t state;
};

struct connection {
	int fd;
	struct session *session; // NULL before LOGIN
	char line[LINE];
	size_t used;
};

struct statistics {
	pthread_mutex_t lock;
	uint64_t requests[VERB_UNKNOWN + 1];
	uint64_t latency_us[LATENCIES]; // by powers of four
	double mean_us;
};

struct log {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	char lines[LOG_LINES][96];
	unsigned head, tail;
};

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	int descriptors[QUEUE];
	unsigned head, tail;
};

struct server {
	const char *name;
	struct store store;
	struct session sessions[SESSIONS];
	unsigned next_session;
	struct statistics statistics;
	struct log log;
	struct queue queue;
};

static struct server server = {
	.name = "sessiond",
	.store = {.lock = PTHREAD_MUTEX_INITIALIZER},
	.statistics = {.lock = PTHREAD_MUTEX_INITIALIZER},
	.log = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER},
	.queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER},
};

__attribute__((format(printf, 1, 2))) static void log_line(const char *format, ...)
{
	struct log *log = &server.log;
	va_list args;
	va_start(args, format);
	pthread_mutex_lock(&log->lock);
	vsnprintf(log->lines[log->head++ % LOG_LINES], sizeof(log->lines[0]), format, args);
	pthread_cond_signal(&log->filled);
	pthread_mutex_unlock(&log->lock);
	va_end(args);
}

static void *logger_main(void *argument)
{
	FILE *out = argument;
	struct log *log = &server.log;
	for (;;) {
		char line[96];
		pthread_mutex_lock(&log->lock);
		while (log->tail == log->head)
			pthread_cond_wait(&log->filled, &log->lock);
		memcpy(line, log->lines[log->tail++ % LOG_LINES], sizeof(line));
		pthread_mutex_unlock(&log->lock);
		fprintf(out, "%s\n", line);
	}
	return NULL;
}

static unsigned bucket_of(const char *key)
{
	unsigned hash = 5381;
	while (*key)
		hash = hash * 33 + (unsigned char)*key++;
	return hash % BUCKETS;
}

// The entry of `key`, or NULL; takes out what has expired on the way.
static struct entry *store_find(struct store *store, const char *key)
{
	time_t now = time(NULL);
	struct entry **link = &store->buckets[bucket_of(key)];
	while (*link) {
		struct entry *entry = *link;
		if (entry->expires && entry->expires <= now) {
			*link = entry->next;
			free(entry->value);
			free(entry);
			store->count--;
		} else if (strcmp(entry->key, key) == 0) {
			return entry;
		} else {
			link = &entry->next;
		}
	}
	return NULL;
}

static struct entry *store_set(struct store *store, const struct request *request)
{
	struct entry *entry = store_find(store, request->key);
	if (!entry) {
		unsigned bucket = bucket_of(request->key);
		entry = calloc(1, sizeof(*entry));
		memcpy(entry->key, request->key, sizeof(entry->key));
		entry->next = store->buckets[bucket];
		store->buckets[bucket] = entry;
		store->count++;
	}
	free(entry->value);
	entry->value = strdup(request->value);
	entry->expires = request->seconds ? time(NULL) + request->seconds : 0;
	return entry;
}

static struct session *session_open(const char *user)
{
	struct session *session = &server.sessions[server.next_session++ % SESSIONS];
	memset(session, 0, sizeof(*session));
	session->id = server.next_session;
	session->access = strcmp(user, "root") == 0 ? ACCESS_READ | ACCESS_WRITE | ACCESS_ADMIN
						    : ACCESS_READ | ACCESS_WRITE;
	for (size_t i = 0; i <= USER_MAX && user[i]; i++) // the bug: one too many
		session->user[i] = user[i];
	log_line("session %u: %s", session->id, user);
	return session;
}

static bool parse_request(char *line, struct request *request)
{
	char *rest = NULL;
	const char *word = strtok_r(line, " \r", &rest);
	const char *key = strtok_r(NULL, " \r", &rest);
	const char *seconds;
	request->verb = VERB_LOGIN;
	while (request->verb < VERB_UNKNOWN && (!word || strcmp(word, verb_names[request->verb])))
		request->verb++;
	snprintf(request->key, sizeof(request->key), "%s", key ? key : "");
	request->value = strtok_r(NULL, " \r", &rest);
	seconds = strtok_r(NULL, " \r", &rest);
	request->seconds = seconds ? (unsigned)atoi(seconds) : 0;
	return request->verb != VERB_UNKNOWN;
}

static void reply_entry(char *reply, size_t size, struct entry *entry)
{
	entry->hits++;
	snprintf(reply, size, "OK %s %s", entry->key, entry->value);
}

__attribute__((noinline)) static void stretch(struct seal *seal, const char *text)
{
	while (seal->round < seal->rounds) {
		for (const char *at = text; *at; at++)
			seal->state = (seal->state ^ (unsigned char)*at) * UINT64_C(1099511628211);
		seal->round++;
	}
}

// Works on a copy of the value: the others are not kept waiting.
static void reply_seal(char *reply, size_t size, const struct request *request)
{
	struct seal seal = {.state = UINT64_C(14695981039346656037)};
	char text[64] = "";
	pthread_mutex_lock(&server.store.lock);
	const struct entry *entry = store_find(&server.store, request->key);
	if (entry)
		snprintf(text, sizeof(text), "%s", entry->value);
	pthread_mutex_unlock(&server.store.lock);
	seal.rounds = request->value ? (unsigned)atoi(request->value) : 1;
	stretch(&seal, text);
	snprintf(reply, size, "OK %016lx", (unsigned long)seal.state);
}

static void execute(struct connection *connection, const struct request *request, char *reply,
		    size_t size)
{
	struct store *store = &server.store;
	struct session *session = connection->session;
	struct entry *entry = NULL;
	if (request->verb == VERB_LOGIN) {
		connection->session = session_open(request->key);
		snprintf(reply, size, "OK %u", connection->session->id);
		return;
	}
	if (!session) {
		snprintf(reply, size, "ERROR login first");
		return;
	}
	session->requests++;
	if (request->verb == VERB_SEAL) {
		reply_seal(reply, size, request);
		return;
	}
	pthread_mutex_lock(&store->lock);
	switch (request->verb) {
	case VERB_SET:
		entry = store_set(store, request);
		break;
	case VERB_GET:
		entry = store_find(store, request->key);
		break;
	case VERB_AGAIN:
		entry = session->last;
		break;
	default:
		break;
	}
	if (entry)
		reply_entry(reply, size, entry);
	else
		snprintf(reply, size, "OK %zu entries", store->count);
	pthread_mutex_unlock(&store->lock);
	session->last = entry;
}

static void count_request(enum verb verb, uint64_t elapsed_us)
{
	struct statistics *statistics = &server.statistics;
	unsigned slot = 0;
	while (slot + 1 < LATENCIES && elapsed_us >= UINT64_C(4) << (2 * slot))
		slot++;
	pthread_mutex_lock(&statistics->lock);
	statistics->requests[verb]++;
	statistics->latency_us[slot]++;
	statistics->mean_us += ((double)elapsed_us - statistics->mean_us) / 16;
	pthread_mutex_unlock(&statistics->lock);
}

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool serve_line(struct connection *connection, char *line)
{
	struct request request = {0};
	char reply[LINE] = "ERROR what?";
	uint64_t started_us = now_us();
	if (parse_request(line, &request))
		execute(connection, &request, reply, sizeof(reply));
	count_request(request.verb, now_us() - started_us);
	dprintf(connection->fd, "%s\n", reply);
	return request.verb != VERB_QUIT;
}

static void serve(struct connection *connection)
{
	for (;;) {
		size_t room = sizeof(connection->line) - 1 - connection->used;
		ssize_t got = read(connection->fd, connection->line + connection->used, room);
		if (got <= 0)
			return;
		connection->used += (size_t)got;
		connection->line[connection->used] = '\0';
		char *end;
		while ((end = strchr(connection->line, '\n'))) {
			*end = '\0';
			if (!serve_line(connection, connection->line))
				return;
			size_t size = (size_t)(end + 1 - connection->line);
			connection->used -= size;
			memmove(connection->line, end + 1, connection->used + 1);
		}
	}
}

static void *worker_main(void *argument)
{
	unsigned worker = (unsigned)(uintptr_t)argument;
	struct queue *queue = &server.queue;
	for (;;) {
		struct connection connection = {0};
		pthread_mutex_lock(&queue->lock);
		while (queue->tail == queue->head)
			pthread_cond_wait(&queue->filled, &queue->lock);
		connection.fd = queue->descriptors[queue->tail++ % QUEUE];
		pthread_mutex_unlock(&queue->lock);
		log_line("worker %u: descriptor %d", worker, connection.fd);
		serve(&connection);
		close(connection.fd);
	}
	return NULL;
}

static void *statistics_main(void *argument)
{
	struct statistics *statistics = argument;
	for (uint64_t total_before = 0;;) {
		uint64_t total = 0;
		pthread_mutex_lock(&statistics->lock);
		for (size_t i = 0; i <= VERB_UNKNOWN; i++)
			total += statistics->requests[i];
		pthread_mutex_unlock(&statistics->lock);
		if (total != total_before)
			log_line("%lu requests, mean %.1f us", (unsigned long)total,
				 statistics->mean_us);
		total_before = total;
		sleep(1);
	}
	return NULL;
}

static void start_thread(const char *name, void *(*run)(void *), void *argument)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, argument) != 0)
		abort();
	pthread_setname_np(thread, name);
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, QUEUE) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
		fprintf(stderr, "%s: %s\n", server.name, strerror(errno));
		exit(1);
	}
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(void)
{
	// Whoever may trace its user's processes may trace this one, also where Yama allows only
	// parents to; elsewhere the kernel does not know the request, and nothing is lost.
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	int listener = listen_on_loopback();
	start_thread("logger", logger_main, stderr);
	start_thread("statistics", statistics_main, &server.statistics);
	for (uintptr_t i = 0; i < WORKERS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "worker-%u", (unsigned)i);
		start_thread(name, worker_main, (void *)i);
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		struct queue *queue = &server.queue;
		pthread_mutex_lock(&queue->lock);
		queue->descriptors[queue->head++ % QUEUE] = fd;
		pthread_cond_signal(&queue->filled);
		pthread_mutex_unlock(&queue->lock);
	}
}

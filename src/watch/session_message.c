// SPDX-License-Identifier: Apache-2.0
#include "watch/session_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { NUMBER = 8 };

void session_put_number(struct text *out, uint64_t number)
{
	char bytes[NUMBER];
	memcpy(bytes, &number, sizeof(bytes)); // both ends are on one machine
	text_append_bytes(out, bytes, sizeof(bytes));
}

void session_put_string(struct text *out, const char *string)
{
	session_put_number(out, string ? strlen(string) : UINT64_MAX);
	if (string)
		text_append(out, string);
}

static void put_pairs(struct text *out, const struct strobe_pair *pairs, size_t count)
{
	session_put_number(out, count);
	for (size_t i = 0; i < count; i++) {
		session_put_string(out, pairs[i].name);
		session_put_string(out, pairs[i].value);
	}
}

static void put_metric(struct text *out, const struct strobe_tracepoint_metric *metric)
{
	session_put_string(out, metric->name);
	session_put_string(out, metric->type);
	session_put_string(out, metric->expression);
	session_put_string(out, metric->metric_namespace);
	session_put_string(out, metric->help);
	session_put_string(out, metric->unit);
	put_pairs(out, metric->labels, metric->label_count);
}

void session_put_tracepoint(struct text *out, const struct strobe_tracepoint *tracepoint)
{
	session_put_string(out, tracepoint->id);
	session_put_string(out, tracepoint->path);
	session_put_number(out, tracepoint->line);
	put_pairs(out, tracepoint->arguments, tracepoint->argument_count);
	session_put_number(out, tracepoint->watch_count);
	for (size_t i = 0; i < tracepoint->watch_count; i++)
		session_put_string(out, tracepoint->watches[i]);
	session_put_number(out, tracepoint->metric_count);
	for (size_t i = 0; i < tracepoint->metric_count; i++)
		put_metric(out, &tracepoint->metrics[i]);
}

void session_put_status(struct text *out, const struct strobe_tracepoint_status *status)
{
	session_put_string(out, status->id);
	session_put_string(out, status->path);
	session_put_number(out, status->line);
	session_put_string(out, status->method_name);
	session_put_string(out, status->state);
	session_put_string(out, status->error);
	session_put_number(out, status->moved_to);
	session_put_number(out, status->armed_count);
	for (size_t i = 0; i < status->armed_count; i++) {
		session_put_number(out, status->armed[i].address);
		session_put_string(out, status->armed[i].method);
		session_put_string(out, status->armed[i].inlined_in);
	}
	session_put_number(out, status->hits);
	session_put_number(out, status->fired);
	session_put_number(out, status->dropped);
	session_put_number(out, status->errors);
	session_put_number(out, status->cost_ns);
}

void session_put_info(struct text *out, const struct strobe_session_info *info)
{
	session_put_string(out, info->process_name);
	session_put_number(out, (uint64_t)info->pid);
	session_put_number(out, (uint64_t)info->time_ns);
	session_put_number(out, info->tracepoint_count);
	session_put_number(out, info->armed_count);
	session_put_number(out, info->hits);
	session_put_number(out, info->fired);
	session_put_number(out, info->dropped);
	session_put_number(out, info->cost_ns);
}

// Reading.

static bool take(struct session_reader *reader, void *ret, size_t size)
{
	if (reader->bad || reader->left < size) {
		reader->bad = true;
		return false;
	}
	memcpy(ret, reader->at, size);
	reader->at += size;
	reader->left -= size;
	return true;
}

uint64_t session_get_number(struct session_reader *reader)
{
	uint64_t ret = 0;
	return take(reader, &ret, sizeof(ret)) ? ret : 0;
}

static void *get_memory(struct session_reader *reader, size_t count, size_t size)
{
	void *ret = arena_alloc(reader->arena, (count + 1) * size);
	reader->bad |= !ret;
	return ret;
}

const char *session_get_string(struct session_reader *reader)
{
	uint64_t size = session_get_number(reader);
	if (reader->bad || size == UINT64_MAX)
		return NULL;
	if (size > reader->left || memchr(reader->at, 0, size)) {
		reader->bad = true;
		return NULL;
	}
	char *ret = arena_copy_string(reader->arena, reader->at, size);
	reader->bad |= !ret;
	reader->at += size;
	reader->left -= size;
	return ret;
}

size_t session_get_count(struct session_reader *reader, size_t size)
{
	uint64_t ret = session_get_number(reader);
	if (ret > reader->left / size)
		reader->bad = true;
	return reader->bad ? 0 : ret;
}

static const struct strobe_pair *get_pairs(struct session_reader *reader, size_t *count)
{
	size_t wanted = session_get_count(reader, 2 * NUMBER);
	struct strobe_pair *ret = get_memory(reader, wanted, sizeof(*ret));
	*count = 0;
	for (; ret && *count < wanted && !reader->bad; ++*count) {
		ret[*count].name = session_get_string(reader);
		ret[*count].value = session_get_string(reader);
		reader->bad |= !ret[*count].name || !ret[*count].value;
	}
	return ret;
}

static void get_metric(struct session_reader *reader, struct strobe_tracepoint_metric *ret)
{
	ret->name = session_get_string(reader);
	ret->type = session_get_string(reader);
	ret->expression = session_get_string(reader);
	ret->metric_namespace = session_get_string(reader);
	ret->help = session_get_string(reader);
	ret->unit = session_get_string(reader);
	ret->labels = get_pairs(reader, &ret->label_count);
}

void session_get_tracepoint(struct session_reader *reader, struct strobe_tracepoint *ret)
{
	*ret = (struct strobe_tracepoint){.size = sizeof(*ret)};
	ret->id = session_get_string(reader);
	ret->path = session_get_string(reader);
	ret->line = (unsigned)session_get_number(reader);
	ret->arguments = get_pairs(reader, &ret->argument_count);
	size_t count = session_get_count(reader, NUMBER);
	const char **watches = get_memory(reader, count, sizeof(*watches));
	for (; watches && ret->watch_count < count && !reader->bad; ret->watch_count++) {
		watches[ret->watch_count] = session_get_string(reader);
		reader->bad |= !watches[ret->watch_count];
	}
	ret->watches = watches;
	count = session_get_count(reader, 7 * NUMBER);
	struct strobe_tracepoint_metric *metrics = get_memory(reader, count, sizeof(*metrics));
	for (; metrics && ret->metric_count < count && !reader->bad; ret->metric_count++)
		get_metric(reader, &metrics[ret->metric_count]);
	ret->metrics = metrics;
}

void session_get_status(struct session_reader *reader, struct strobe_tracepoint_status *ret)
{
	*ret = (struct strobe_tracepoint_status){.id = session_get_string(reader)};
	ret->path = session_get_string(reader);
	ret->line = (unsigned)session_get_number(reader);
	ret->method_name = session_get_string(reader);
	ret->state = session_get_string(reader);
	ret->error = session_get_string(reader);
	ret->moved_to = (unsigned)session_get_number(reader);
	size_t count = session_get_count(reader, 3 * NUMBER);
	struct strobe_armed *armed = get_memory(reader, count, sizeof(*armed));
	for (; armed && ret->armed_count < count && !reader->bad; ret->armed_count++) {
		armed[ret->armed_count].address = session_get_number(reader);
		armed[ret->armed_count].method = session_get_string(reader);
		armed[ret->armed_count].inlined_in = session_get_string(reader);
	}
	ret->armed = armed;
	ret->hits = session_get_number(reader);
	ret->fired = session_get_number(reader);
	ret->dropped = session_get_number(reader);
	ret->errors = session_get_number(reader);
	ret->cost_ns = session_get_number(reader);
	reader->bad |= !ret->id || !ret->state;
}

void session_get_info(struct session_reader *reader, struct strobe_session_info *ret)
{
	*ret = (struct strobe_session_info){.process_name = session_get_string(reader)};
	ret->pid = (int)session_get_number(reader);
	ret->time_ns = (int64_t)session_get_number(reader);
	ret->tracepoint_count = session_get_number(reader);
	ret->armed_count = session_get_number(reader);
	ret->hits = session_get_number(reader);
	ret->fired = session_get_number(reader);
	ret->dropped = session_get_number(reader);
	ret->cost_ns = session_get_number(reader);
	reader->bad |= !ret->process_name;
}

// Packets.

bool session_take_packet(const char *packet, size_t size, size_t limit, struct text *message,
			 bool *more)
{
	struct session_packet head;
	if (size < sizeof(head) || size > sizeof(head) + SESSION_PACKET)
		return false;
	memcpy(&head, packet, sizeof(head));
	if (head.magic != SESSION_MAGIC || head.more > 1 ||
	    message->size + size - sizeof(head) > limit)
		return false;
	text_append_bytes(message, packet + sizeof(head), size - sizeof(head));
	*more = head.more;
	return !message->failed;
}

bool session_send(int socket, const struct text *message, size_t *sent)
{
	while (*sent < message->size) {
		size_t left = message->size - *sent;
		size_t size = left < SESSION_PACKET ? left : SESSION_PACKET;
		struct session_packet head = {SESSION_MAGIC, size < left};
		struct iovec parts[] = {{&head, sizeof(head)}, {message->data + *sent, size}};
		struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
		if (sendmsg(socket, &header, MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
		}
		*sent += size;
	}
	return true;
}

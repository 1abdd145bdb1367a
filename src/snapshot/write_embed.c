// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_embed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "elf/elf_image.h"
#include "elf/strobe_note.h"
#include "snapshot/write_layout.h"
#include "symbols/debug_files.h"
#include "view/view.h"

enum { PIECE_SIZE = 1 << 20 };

void embed_fini(struct embed *embed)
{
	for (size_t i = 0; i < embed->files.count; i++) {
		free(embed->files.items[i].path);
		free(embed->files.items[i].build_id);
		free(embed->files.items[i].local_path);
	}
	array_fini(&embed->files);
}

static bool is_known(const struct embed *embed, uint32_t kind, const char *local_path,
		     const char *build_id)
{
	for (size_t i = 0; i < embed->files.count; i++) {
		const struct embed_file *file = &embed->files.items[i];
		if (file->kind == kind && (strcmp(file->local_path, local_path) == 0 ||
					   (*build_id && strcmp(file->build_id, build_id) == 0)))
			return true;
	}
	return false;
}

static void add(struct embed *embed, uint32_t kind, const struct file *file, const char *path,
		bool borrowed)
{
	struct elf_image image;
	char build_id[ELF_BUILD_ID_TEXT] = "";
	const char *why;
	if (!file->data)
		return;
	if (elf_image_init(&image, file->data, file->size, &why) &&
	    !elf_image_build_id(&image, build_id))
		*build_id = '\0';
	if (is_known(embed, kind, file->path, build_id))
		return;
	struct embed_file item = {
		.kind = kind,
		.size = file->size,
		.path = strdup(path),
		.build_id = strdup(build_id),
		.local_path = strdup(file->path),
		.fd = borrowed ? file->fd : -1,
	};
	if (item.path && item.build_id && item.local_path && array_push(&embed->files, item))
		return;
	free(item.path);
	free(item.build_id);
	free(item.local_path);
	embed->short_of_memory = true;
}

static bool add_debug_file(void *context, enum debug_file_kind kind, const char *path)
{
	struct embed *embed = context;
	struct file *file;
	uint32_t as = kind == DEBUG_FILE_SEPARATE    ? STROBE_EMBEDDED_DEBUG
		      : kind == DEBUG_FILE_ALTERNATE ? STROBE_EMBEDDED_ALTERNATE
						     : STROBE_EMBEDDED_COMPANION;
	struct strobe_error *error = file_open(path, &file);
	if (error) {
		view_warn(embed->view, "not added: %s", strobe_error_message(error));
		strobe_error_free(error);
		return true;
	}
	add(embed, as, file, path, false);
	file_close(file);
	return !embed->short_of_memory;
}

struct strobe_error *embed_find(struct embed *embed, const struct strobe_view *view)
{
	struct strobe_symbols *symbols;
	*embed = (struct embed){.view = view};
	struct strobe_error *error = strobe_symbols_open(view, &symbols);
	if (error)
		return error;
	for (size_t i = 0; i < strobe_view_module_count(view); i++) {
		const struct strobe_module *module = strobe_view_module(view, i);
		const struct file *file = view_module_file(view, i);
		if (file)
			add(embed, STROBE_EMBEDDED_EXECUTABLE, file, module->path, true);
		else if (*module->path == '/')
			view_warn(view, "not added: %s: %s", module->path,
				  module->file_problem ? module->file_problem : "no file");
		symbols_debug_files(symbols, i, add_debug_file, embed);
	}
	strobe_symbols_close(symbols);
	return embed->short_of_memory ? error_no_memory() : NULL;
}

struct strobe_error *embed_add_notes(struct embed *embed, struct notes *notes)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < embed->files.count; i++) {
		struct embed_file *file = &embed->files.items[i];
		struct strobe_note_embedded note = {.size = file->size, .kind = file->kind};
		size_t id_size = strlen(file->build_id) + 1, path_size = strlen(file->path) + 1;
		char *names = malloc(id_size + path_size);
		if (!names)
			return error_no_memory();
		memcpy(names, file->build_id, id_size);
		memcpy(names + id_size, file->path, path_size);
		file->note = notes->items.count;
		error = notes_add(notes, NT_STROBE_EMBEDDED, &note, sizeof(note), names,
				  id_size + path_size);
		free(names);
	}
	return error;
}

uint64_t embed_settle(const struct embed *embed, struct notes *notes, uint64_t offset)
{
	for (size_t i = 0; i < embed->files.count; i++) {
		const struct embed_file *file = &embed->files.items[i];
		struct strobe_note_embedded *note = notes_data(notes, file->note);
		offset = (offset + PAGE_SIZE_BYTES - 1) & ~(uint64_t)(PAGE_SIZE_BYTES - 1);
		note->offset = offset;
		offset += file->size;
	}
	return offset;
}

static struct strobe_error *copy(const struct embed_file *file, int fd, uint8_t *buffer,
				 struct output *output)
{
	struct strobe_error *error = NULL;
	for (uint64_t at = 0; !error && at < file->size;) {
		uint64_t left = file->size - at;
		ssize_t got = pread(fd, buffer, left < PIECE_SIZE ? left : PIECE_SIZE, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(errno, "%s: cannot read", file->local_path);
		if (got == 0)
			return error_new(STROBE_ERROR_FORMAT,
					 "%s: became shorter while it was copied",
					 file->local_path);
		error = output_write(output, buffer, (size_t)got);
		at += (uint64_t)got;
	}
	return error;
}

struct strobe_error *embed_write(const struct embed *embed, const struct notes *notes,
				 struct output *output)
{
	struct strobe_error *error = NULL;
	uint8_t *buffer = embed->files.count ? malloc(PIECE_SIZE) : NULL;
	if (embed->files.count && !buffer)
		return error_no_memory();
	for (size_t i = 0; !error && i < embed->files.count; i++) {
		const struct embed_file *file = &embed->files.items[i];
		const struct strobe_note_embedded *note = notes_data(notes, file->note);
		int fd = file->fd >= 0 ? file->fd : open(file->local_path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			error = error_errno(errno, "%s: cannot open", file->local_path);
		if (!error)
			error = output_skip(output, note->offset - output->position);
		if (!error)
			error = copy(file, fd, buffer, output);
		if (fd >= 0 && file->fd < 0)
			close(fd);
	}
	free(buffer);
	return error;
}

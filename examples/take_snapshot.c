// SPDX-License-Identifier: Apache-2.0
// Takes two processes at one instant; writes them while they run on: take_snapshot PID PID FOLDER
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/snapshot.h>

/** A frozen copy on its way to the disk, which a thread of its own looks after. */
struct job {
	struct strobe_snapshot *snapshot;
	struct strobe_error *error;
	struct strobe_written written;
	char path[4096];
	pthread_t thread;
};

static void *write_later(void *argument)
{
	struct job *job = argument;
	struct strobe_write_options options = {.size = sizeof(options), .compress = true};
	struct strobe_view *view = NULL;
	job->error = strobe_snapshot_view(job->snapshot, NULL, &view);
	if (!job->error)
		job->error = strobe_snapshot_write(view, job->path, &options, &job->written);
	strobe_view_close(view);
	job->snapshot = strobe_snapshot_close(job->snapshot); // the clone's memory is given back
	return NULL;
}

int main(int argc, char **argv)
{
	struct job jobs[2] = {0};
	struct strobe_snapshot *snapshots[2];
	struct strobe_error *errors[2];
	if (argc != 4) {
		fprintf(stderr, "usage: take_snapshot PID PID FOLDER\n");
		return 2;
	}
	int pids[2] = {atoi(argv[1]), atoi(argv[2])}, status = 0;
	strobe_snapshot_take_all(pids, 2, NULL, snapshots, errors);
	// Both run again. What they were stays, for as long as it is wanted.
	for (int i = 0; i < 2; i++) {
		jobs[i] = (struct job){.snapshot = snapshots[i], .error = errors[i]};
		snprintf(jobs[i].path, sizeof(jobs[i].path), "%s/%d.core.zst", argv[3], pids[i]);
		if (!snapshots[i])
			continue;
		const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshots[i]);
		printf("%d: %zu threads, stopped %.3f ms, %s\n", info->pid, info->thread_count,
		       (double)info->pause_ns / 1e6, info->method_why ? info->method_why : "clone");
		if (pthread_create(&jobs[i].thread, NULL, write_later, &jobs[i]))
			abort();
	}
	// Here is where a program would go on with its own work.
	for (int i = 0; i < 2; i++) {
		if (snapshots[i])
			pthread_join(jobs[i].thread, NULL);
		if (jobs[i].error) {
			fprintf(stderr, "take_snapshot: %s\n", strobe_error_message(jobs[i].error));
			status = 1;
		} else {
			printf("%s: %llu bytes\n", jobs[i].path,
			       (unsigned long long)jobs[i].written.file_bytes);
		}
		strobe_error_free(jobs[i].error);
	}
	return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the record of a run goes: a file of its own in the folder `traces` of the state folder, mode 0600, the last SH_TRACE_RUNS
 * runs. A thread writes it, which knows a pipe and the folder and nothing else: a disk that hangs, is full or read-only costs lines
 * of the record, said in it where they are missing, and never the run a moment or its end.
 */
#ifndef SIMHOP_CLI_TRACE_FILE_H
#define SIMHOP_CLI_TRACE_FILE_H

#include "cli/options.h"
#include "cli/tracer.h"
#include "pairing/handshake.h"
#include "pairing/policy.h"

#define SH_TRACE_RUNS   8
#define SH_TRACE_FOLDER "traces"

struct sh_trace_file;

struct sh_trace_start {
    const struct sh_common *common;
    enum sh_role role;
    enum sh_proximity_policy policy;
    bool pair, calibrate;
};

/* Begins the record of a run, with its first line; NULL where that cannot be. start->common has to outlive it. */
struct sh_trace_file *sh_trace_file_open(const struct sh_trace_start *start);
/* NULL for NULL. */
struct sh_tracer *sh_trace_file_tracer(const struct sh_trace_file *file);
/* While no session runs: where the record is large or old it goes on in a file of its own, as that of a run that begins now. */
void sh_trace_file_renew(struct sh_trace_file *file);
/* The run ended with this cause. Waits a second at most for the last lines to be written. */
void sh_trace_file_close(struct sh_trace_file *file, enum sh_cause end);

/* ---- Reading ---- */

/* The numbers of the runs kept in a state folder, oldest first; at most SH_TRACE_RUNS, the newest. 0 if there are none. */
size_t sh_trace_files(const char *state, unsigned numbers[SH_TRACE_RUNS]);
/* STATE/traces/run-N.jsonl. false: too long. */
SH_MUST_USE bool sh_trace_file_path(const char *state, unsigned number, char *out, size_t size);

#endif

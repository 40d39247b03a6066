/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `simhop report`: one file for whoever helps: the records of the last runs, what doctor finds, counters. Nothing gets into it that
 * was not made for it: records are read and written anew, of doctor's words only those that name nothing, of the registry only
 * numbers (docs/report.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/output_form.h"
#include "cli/report.h"
#include "cli/trace_file.h"
#include "cli/verb.h"
#include "pairing/registry.h"

#define SAFE_VERSION "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-+_~ "

struct values {
    struct sh_doctor doctor; /* starts with struct sh_common */
    const char *output;
    bool no_doctor;
};

static const struct sh_option options[] = {
    {"output", 'o', SH_OPTION_TEXT, "FILE",
     "Where to write it, - for standard output (simhop-report-DATE-TIME.jsonl).",
     offsetof(struct values, output)},
    {"no-doctor", 0, SH_OPTION_FLAG, NULL, "Leave the checks of `simhop doctor` away.",
     offsetof(struct values, no_doctor)},
    {0},
};

struct writer {
    FILE *file;
    unsigned runs;
    uint64_t dropped; /* lines of the traces that are no records */
};

static void emit(const struct writer *writer, cJSON *object)
{
    char *line = object ? cJSON_PrintUnformatted(object) : NULL;
    if (line)
        fprintf(writer->file, "%s\n", line);
    cJSON_free(line);
    cJSON_Delete(object);
}

/* ---- The head ---- */

static void write_head(const struct writer *writer)
{
    /* In parentheses: a comma that is missing would join two of them. */
    static const char *const about[] = {
        ("What is in it: for each of the last runs of share and sync what the engines saw and "
         "decided (times, signal strengths, phases, links, causes, numbers of octets), what doctor "
         "finds without the words that name anything, counters of the registry."),
        ("What is not: names of devices, files and networks, addresses, codes, keys, tokens, "
         "activation codes, EID, ICCID, IMSI, passwords, contents. Devices are numbers that mean "
         "something within one run only."),
        ("simhop replay FILE runs the engines on it again. Read it before you send it; lines may "
         "be taken out."),
    };
    struct utsname machine;
    cJSON *head = cJSON_CreateObject();
    sh_json_text(head, "report", "simhop");
    sh_json_uint(head, "format", SH_REPORT_FORMAT);
    sh_json_text(head, "version", SIMHOP_VERSION);
    if (uname(&machine) == 0 && strspn(machine.release, SAFE_VERSION) == strlen(machine.release))
        sh_json_text(head, "kernel", machine.release);
    sh_json_int(head, "at", (int64_t)time(NULL));
    emit(writer, head);
    for (size_t i = 0; i < SH_COUNT(about); i++) {
        cJSON *line = cJSON_CreateObject();
        sh_json_text(line, "about", about[i]);
        emit(writer, line);
    }
}

/* ---- Doctor ---- */

/* What these say when all is well names nothing. */
static bool is_plain(const char *name, const struct sh_finding *finding)
{
    static const char *const plain[] = {"openssl", "random", "bus", "bluetooth-kernel",
                                        "bluetoothd"};
    for (size_t i = 0; i < SH_COUNT(plain); i++) {
        if (strcmp(plain[i], name) == 0)
            return finding->level == SH_FINE;
    }
    return false;
}

static void on_found(const char *name, const struct sh_finding *finding, void *user)
{
    static const char *const levels[] = {"ok", "warning", "problem"};
    cJSON *line = cJSON_CreateObject();
    sh_json_text(line, "check", name);
    sh_json_text(line, "result", levels[finding->level]);
    if (finding->cause != SH_OK)
        sh_json_text(line, "cause", sh_cause_info(finding->cause)->name);
    if (is_plain(name, finding))
        sh_json_text(line, "text", finding->text);
    emit(user, line);
}

/* ---- Counters ---- */

static enum sh_cause write_counts(const struct writer *writer, const char *state)
{
    SH_CLEANUP(sh_registry_closep) struct sh_registry *registry = NULL;
    sh_autofree struct sh_device *devices = NULL;
    sh_autofree struct sh_transfer *transfers = NULL;
    char path[4200];
    size_t linked = 0, held = 0;
    int n = snprintf(path, sizeof(path), "%s/registry.db", state);
    if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) != 0)
        return SH_OK; /* nothing was ever linked; a report makes no registry */
    SH_TRY(sh_registry_open(state, &registry));
    SH_TRY(sh_registry_list_devices(registry, (int64_t)time(NULL), &devices, &linked));
    SH_TRY(sh_registry_list_transfers(registry, &transfers, &held));
    cJSON *line = cJSON_CreateObject();
    sh_json_uint(line, "linked", linked);
    sh_json_uint(line, "transfers_held", held);
    emit(writer, line);
    return SH_OK;
}

/* ---- Runs ---- */

/* Only what is a record, and only as this program writes it: whoever has had the file in his hands, nothing else comes through. */
static void copy_line(struct writer *writer, const char *text, size_t n)
{
    struct sh_trace_record record;
    const char *why = NULL;
    char line[SH_TRACE_LINE_MAX + 1];
    if (sh_trace_decode(SH_BYTES(text, n), &record, &why) != SH_LINE_RECORD) {
        writer->dropped++;
        return;
    }
    n = sh_trace_encode(&record, line);
    fwrite(line, 1, n, writer->file);
}

static void copy_run(struct writer *writer, const char *state, unsigned number)
{
    char path[4200], text[SH_TRACE_LINE_MAX + 2];
    size_t octets = 0;
    /* waits: for the disk of the state folder */
    FILE *file = sh_trace_file_path(state, number, path, sizeof(path)) ? fopen(path, "re") : NULL;
    if (!file)
        return;
    while (octets < SH_TRACER_MAX && fgets(text, sizeof(text), file)) {
        size_t n = strlen(text);
        octets += n;
        copy_line(writer, text, n - (n > 0 && text[n - 1] == '\n'));
    }
    fclose(file);
    writer->runs++;
}

static void copy_runs(struct writer *writer, const char *state)
{
    unsigned numbers[SH_TRACE_RUNS];
    size_t count = sh_trace_files(state, numbers);
    for (size_t i = 0; i < count; i++)
        copy_run(writer, state, numbers[i]);
    if (writer->dropped == 0)
        return;
    cJSON *line = cJSON_CreateObject();
    sh_json_uint(line, "lines_left_out", writer->dropped);
    emit(writer, line);
}

/* ---- The file ---- */

static enum sh_cause write_report(struct writer *writer, struct values *v)
{
    write_head(writer);
    enum sh_cause cause = write_counts(writer, v->doctor.common.state);
    if (cause != SH_OK) { /* a registry that cannot be read is what doctor tells of */
        cJSON *line = cJSON_CreateObject();
        sh_json_text(line, "registry", sh_cause_info(cause)->name);
        emit(writer, line);
    }
    copy_runs(writer, v->doctor.common.state);
    if (v->no_doctor)
        return SH_OK;
    return sh_doctor_round(&v->doctor, on_found, writer);
}

static void default_name(char out[64])
{
    time_t now = time(NULL);
    struct tm parts;
    if (!localtime_r(&now, &parts) ||
        strftime(out, 64, "simhop-report-%Y%m%d-%H%M%S.jsonl", &parts) == 0)
        snprintf(out, 64, "simhop-report.jsonl");
}

static void say(struct sh_output *out, const char *path, const struct writer *writer, long octets)
{
    if (sh_output_is_json(out)) {
        cJSON *event = sh_json_event(out, "report");
        sh_json_text(event, "path", path);
        sh_json_uint(event, "runs", writer->runs);
        sh_json_int(event, "octets", octets);
        sh_json_emit(out, event);
        return;
    }
    sh_output_note(out, "%s: %u run%s, %ld octets. Read it before you send it.", path, writer->runs,
                   writer->runs == 1 ? "" : "s", octets);
}

static enum sh_cause to_file(const char *path, struct values *v, struct sh_output *out)
{
    struct writer writer = {.file = NULL};
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    writer.file = fdopen(fd, "w");
    if (!writer.file) {
        close(fd);
        unlink(path);
        return SH_ENV_NO_MEMORY;
    }
    enum sh_cause cause = write_report(&writer, v);
    long octets = ftell(writer.file);
    bool written = !ferror(writer.file);
    written = fclose(writer.file) == 0 && written;
    if (cause == SH_OK && !written)
        cause = sh_cause_of_errno(errno, path);
    if (cause != SH_OK) {
        unlink(path);
        return cause;
    }
    say(out, path, &writer, octets);
    return SH_OK;
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    struct values *v = values;
    char name[64];
    if (argc > 0)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: report takes options only", argv[0]);
    if (v->output && strcmp(v->output, "-") == 0) {
        struct writer writer = {.file = stdout};
        SH_TRY(write_report(&writer, v));
        return fflush(stdout) == 0 ? SH_OK : sh_cause_of_errno(errno, "standard output");
    }
    default_name(name);
    return to_file(v->output ? v->output : name, v, out);
}

const struct sh_verb sh_verb_report = {
    .name = "report",
    .usage = "[--output FILE] [options]",
    .summary = "Write a file for whoever helps, without anything secret",
    .text = "Puts into one file of JSON lines what the last runs of share and sync on this state\n"
            "folder recorded, what doctor finds, and counters. No name, address, code, key or\n"
            "content is in it. A file that is there already is left as it is.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};

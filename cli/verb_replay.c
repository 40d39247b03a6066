/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `simhop replay`: drives the engines with what a report recorded, to the same end or to another one. */
#include "cli/edge.h"
#include "cli/files.h"
#include "cli/output_form.h"
#include "cli/report.h"
#include "cli/rerun.h"
#include "cli/verb.h"

struct values {
    struct sh_common common;
    int64_t run;
};

static const struct sh_option options[] = {
    {"run", 0, SH_OPTION_NUMBER, "N", "Only the Nth run of the report, 1 being the oldest.",
     offsetof(struct values, run)},
    {0},
};

static const char *name_of(enum sh_cause cause)
{
    return cause == SH_OK ? "done" : sh_cause_info(cause)->name;
}

/* Without an end the engines go on, or have nothing to say about it. */
static const char *replayed_name(const struct sh_rerun_result *result)
{
    if (result->replayed != SH_OK || (result->same && result->complete))
        return name_of(result->replayed);
    return "no end";
}

static void say_json(struct sh_output *out, size_t number, const struct sh_rerun_result *result)
{
    cJSON *event = sh_json_event(out, "run");
    sh_json_uint(event, "run", number);
    sh_json_text(event, "role", result->role == SH_ANCHOR ? "anchor" : "secondary");
    sh_json_uint(event, "sessions", result->sessions);
    sh_json_uint(event, "records", result->records);
    cJSON_AddBoolToObject(event, "complete", result->complete && !result->full);
    sh_json_int(event, "lost", result->lost);
    sh_json_text(event, "recorded", result->complete ? name_of(result->recorded) : NULL);
    sh_json_text(event, "replayed",
                 result->complete || !result->same ? replayed_name(result) : NULL);
    sh_json_double(event, "recorded_at", (double)result->recorded_ms / 1000.0, 3);
    sh_json_double(event, "replayed_at", (double)result->replayed_ms / 1000.0, 3);
    cJSON_AddBoolToObject(event, "same", result->same);
    sh_json_text(event, "why", result->same ? NULL : result->why);
    cJSON *links = cJSON_AddObjectToObject(event, "links");
    for (int kind = 1; kind < (int)SH_COUNT(result->octets); kind++) {
        if (result->octets[kind] > 0)
            sh_json_int(links, sh_link_kind_name(kind), result->octets[kind]);
    }
    sh_json_int(event, "resumed", result->resumed);
    sh_json_emit(out, event);
}

static void say_text(struct sh_output *out, size_t number, const struct sh_rerun_result *result)
{
    const char *role = result->role == SH_ANCHOR ? "share" : "sync";
    double at = (double)result->replayed_ms / 1000.0;
    if (!result->same)
        sh_output_note(out, "Run %zu (%s): recorded %s, replayed %s at %.1f s: %s.", number, role,
                       result->complete ? name_of(result->recorded) : "no end",
                       replayed_name(result), at, result->why);
    else if (!result->complete)
        sh_output_note(out,
                       "Run %zu (%s): %zu records without an end: it was killed, or still ran.",
                       number, role, result->records);
    else
        sh_output_note(out, "Run %zu (%s): %s at %.1f s, as recorded.", number, role,
                       name_of(result->replayed), at);
    if (result->lost > 0 || result->full)
        sh_output_note(out,
                       "Run %zu: part of its record is missing; ends after that are taken as "
                       "they are.",
                       number);
}

static enum sh_cause replay_run(struct sh_report_run *run, size_t number, struct sh_output *out,
                                struct sh_rerun_result *ret_result)
{
    SH_TRY(sh_rerun(run->records, run->count, ret_result));
    if (sh_output_is_json(out))
        say_json(out, number, ret_result);
    else
        say_text(out, number, ret_result);
    return SH_OK;
}

/* The end of the last one; a run that parts from its record comes before that. */
static enum sh_cause replay_all(struct sh_report *report, size_t only, struct sh_output *out)
{
    struct sh_rerun_result result, parted = {.same = true};
    enum sh_cause last = SH_OK;
    size_t parted_number = 0;
    for (size_t i = 0; i < report->count; i++) {
        if (only > 0 && only != i + 1)
            continue;
        SH_TRY(replay_run(&report->runs[i], i + 1, out, &result));
        last = result.complete ? result.recorded : SH_OK;
        if (!result.same) {
            parted = result;
            parted_number = i + 1;
        }
    }
    sh_detail_clear();
    if (!parted.same)
        return sh_fail(SH_REPLAY_DIFFERS, "run %zu: recorded %s, replayed %s: %s", parted_number,
                       parted.complete ? name_of(parted.recorded) : "no end",
                       replayed_name(&parted), parted.why);
    return last == SH_OK ? SH_OK : sh_fail(last, "as the run that was recorded");
}

static enum sh_cause run(void *values, struct sh_output *out, int argc, char **argv)
{
    const struct values *v = values;
    SH_CLEANUP(sh_content_clear) struct sh_content content = {.p = NULL};
    SH_CLEANUP(sh_report_clear) struct sh_report report = {.count = 0};
    if (argc != 1)
        return sh_fail(SH_USAGE_BAD_OPTION, "replay takes one FILE, - for standard input");
    SH_TRY(sh_read_file(argv[0], SH_REPORT_MAX, &content));
    SH_TRY(sh_report_read(SH_BYTES(content.p, content.n), &report));
    if (v->run == 0 || (v->run > 0 && (uint64_t)v->run > report.count))
        return sh_fail(SH_USAGE_BAD_OPTION, "--run %d: the report has %zu", (int)v->run,
                       report.count);
    if (report.count == 0)
        return sh_fail(SH_USAGE_BAD_INPUT, "%s: no run is recorded in it", argv[0]);
    return replay_all(&report, v->run > 0 ? (size_t)v->run : 0, out);
}

const struct sh_verb sh_verb_replay = {
    .name = "replay",
    .usage = "FILE [options]",
    .summary = "Drive the engines with what a report recorded",
    .text =
        "Reads a report of `simhop report` (- for standard input), gives the engines what those\n"
        "of each run were given, over the time of the record, and says what they come to. The\n"
        "exit status is that of the last run; where the engines come to another end than was\n"
        "recorded, both are said, and it is 6 (replay.differs). No radio and no network is used.\n",
    .options = options,
    .values_size = sizeof(struct values),
    .run = run,
};

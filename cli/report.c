/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rerun.h"

#define FIRST_ROOM 256

void sh_report_clear(struct sh_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free(report->runs[i].records);
    *report = (struct sh_report){.count = 0};
}

static enum sh_cause bad(uint64_t number, const char *what)
{
    return sh_fail(SH_USAGE_BAD_INPUT, "line %" PRIu64 ": %s", number, what);
}

static bool is_version(const char *text)
{
    return strspn(text, "0123456789.") == strlen(text);
}

/* {"report":"simhop","format":1,"version":"0.1.0",...} */
static enum sh_cause read_head(struct sh_bytes line, struct sh_report *report)
{
    char text[SH_TRACE_LINE_MAX + 1];
    enum sh_cause cause = bad(1, "not the head of a report of simhop");
    if (line.n > SH_TRACE_LINE_MAX)
        return cause;
    memcpy(text, line.p, line.n);
    text[line.n] = '\0';
    cJSON *head = cJSON_ParseWithOpts(text, NULL, true);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(head, "report");
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(head, "format");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(head, "version");
    if (cJSON_IsString(name) && strcmp(name->valuestring, "simhop") == 0 && cJSON_IsNumber(format))
        cause = format->valueint == SH_REPORT_FORMAT
                    ? SH_OK
                    : bad(1, "a format of reports that this version does not know");
    if (cause != SH_OK || !cJSON_IsString(version) || !is_version(version->valuestring) ||
        !sh_strcopy(report->version, sizeof(report->version), version->valuestring))
        report->version[0] = '\0';
    cJSON_Delete(head);
    return cause;
}

static enum sh_cause add(struct sh_report *report, const struct sh_trace_record *record,
                         uint64_t number)
{
    if (record->kind == SH_TRACE_RUN) {
        if (report->count == SH_REPORT_RUNS)
            return bad(number, "more runs than a report may have");
        report->count++;
    }
    if (report->count == 0)
        return bad(number, "a record before the first run");
    struct sh_report_run *run = &report->runs[report->count - 1];
    if (run->count == SH_RERUN_RECORDS)
        return bad(number, "more records than a run may have");
    if (run->count == run->room) {
        size_t room = run->room > 0 ? run->room * 2 : FIRST_ROOM;
        struct sh_trace_record *more = realloc(run->records, room * sizeof(*more));
        if (!more)
            return SH_ENV_NO_MEMORY;
        run->records = more;
        run->room = room;
    }
    run->records[run->count++] = *record;
    return SH_OK;
}

static enum sh_cause read_line(struct sh_bytes line, uint64_t number, struct sh_report *report)
{
    struct sh_trace_record record;
    const char *why = NULL;
    if (number == 1)
        return read_head(line, report);
    switch (sh_trace_decode(line, &record, &why)) {
    case SH_LINE_RECORD:
        return add(report, &record, number);
    case SH_LINE_OTHER:
        report->passed_over++;
        return SH_OK;
    case SH_LINE_BAD:
        break;
    }
    return sh_fail(SH_USAGE_BAD_INPUT, "line %" PRIu64 ": %s%s", number,
                   strchr(why, ' ') ? "" : "no good value of ", why);
}

enum sh_cause sh_report_read(struct sh_bytes file, struct sh_report *ret_report)
{
    uint64_t number = 0;
    if (file.n > SH_REPORT_MAX)
        return sh_fail(SH_USAGE_BAD_INPUT, "larger than %u MiB", SH_REPORT_MAX >> 20);
    while (file.n > 0) {
        const uint8_t *end = memchr(file.p, '\n', file.n);
        size_t n = end ? (size_t)(end - file.p) : file.n;
        SH_TRY(read_line(SH_BYTES(file.p, n), ++number, ret_report));
        n += end != NULL;
        file = SH_BYTES(file.p + n, file.n - n);
    }
    return number > 0 ? SH_OK : bad(1, "not the head of a report of simhop");
}

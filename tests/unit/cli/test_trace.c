/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of a run: what a line may hold, the recorder's bounds, and reports that are not right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/report.h"
#include "cli/trace_file.h"
#include "system/clock.h"

/* ---- Lines ---- */

static enum sh_trace_line decode(const char *text, struct sh_trace_record *record)
{
    const char *why = NULL;
    enum sh_trace_line line = sh_trace_decode(SH_BYTES(text, strlen(text)), record, &why);
    if (line == SH_LINE_BAD)
        assert_non_null(why);
    return line;
}

static void every_kind_comes_back(void **state SH_UNUSED)
{
    static const int64_t extremes[] = {INT64_MIN, -1, 0, 1, 2, 5000, INT64_MAX};
    for (int kind = 0; kind < SH_TRACE_KINDS; kind++) {
        for (size_t i = 0; i < SH_COUNT(extremes); i++) {
            char line[SH_TRACE_LINE_MAX + 1], again[SH_TRACE_LINE_MAX + 1];
            struct sh_trace_record in = {
                .kind = (enum sh_trace_kind)kind, .at = 123456, .session = 7};
            struct sh_trace_record out;
            for (size_t v = 0; v < SH_TRACE_VALUES; v++)
                in.v[v] = extremes[i];
            size_t n = sh_trace_encode(&in, line);
            assert_int_equal(n, strlen(line));
            assert_int_equal(line[n - 1], '\n');
            /* Room for what a label of the report adds, and never cut. */
            assert_true(n < SH_TRACE_LINE_MAX / 2);
            line[n - 1] = '\0';
            assert_int_equal(decode(line, &out), SH_LINE_RECORD);
            assert_int_equal(out.kind, kind);
            assert_int_equal(out.at, 123456);
            assert_int_equal(out.session, 7);
            sh_trace_encode(&out, again);
            again[strlen(again) - 1] = '\0';
            assert_string_equal(again, line);
        }
    }
}

static void bad_lines(void **state SH_UNUSED)
{
    static const char *const bad[] = {
        "",
        "hello",
        "[]",
        "{\"e\":\"rssi\",\"t\":1.0}",
        "{\"e\":\"rssi\",\"t\":1.0,\"dbm\":-50.5}",
        "{\"e\":\"rssi\",\"t\":1.0,\"dbm\":-500}",
        "{\"e\":\"rssi\",\"t\":1.0,\"dbm\":\"-50\"}",
        "{\"e\":\"rssi\",\"t\":-1.0,\"dbm\":-50}",
        "{\"e\":\"rssi\",\"t\":1e300,\"dbm\":-50}",
        "{\"e\":\"rssi\",\"t\":1.0,\"s\":-1,\"dbm\":-50}",
        "{\"e\":\"rssi\",\"t\":1.0,\"DBM\":-50}",
        "{\"e\":\"end\",\"t\":1.0,\"cause\":\"no.such-cause\"}",
        "{\"e\":\"end\",\"t\":1.0,\"cause\":0}",
        "{\"e\":\"run\",\"t\":0}",
        "{\"e\":\"rssi\",\"t\":1.0,\"dbm\":-50} more",
    };
    struct sh_trace_record record;
    for (size_t i = 0; i < SH_COUNT(bad); i++)
        assert_int_equal(decode(bad[i], &record), SH_LINE_BAD);
    assert_int_equal(decode("{\"e\":\"of a newer version\",\"t\":1}", &record), SH_LINE_OTHER);
    assert_int_equal(decode("{\"check\":\"bus\"}", &record), SH_LINE_OTHER);
    assert_int_equal(
        decode("{\"e\":\"end\",\"t\":1.5,\"cause\":\"near.too-far\",\"x\":1}", &record),
        SH_LINE_RECORD);
    assert_int_equal(record.v[0], SH_NEAR_TOO_FAR);
    assert_int_equal(record.at, 1500);
}

/* ---- The recorder ---- */

struct lines {
    char *text;
    size_t n, room, count;
};

static void on_line(struct sh_bytes line, sh_ms at SH_UNUSED, void *user)
{
    struct lines *lines = user;
    if (lines->n + line.n + 1 > lines->room) {
        lines->room = 2 * (lines->n + line.n + 1);
        lines->text = realloc(lines->text, lines->room);
        assert_non_null(lines->text);
    }
    memcpy(lines->text + lines->n, line.p, line.n);
    lines->n += line.n;
    lines->text[lines->n] = '\0';
    lines->count++;
}

static const struct sh_tracer_ops ops = {.line = on_line};

static unsigned count_of(const struct lines *lines, const char *what)
{
    unsigned n = 0;
    for (const char *at = lines->text; at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void its_room_is_bounded_and_its_end_is_told(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    assert_non_null(tracer);
    for (sh_ms now = 0; now < 100000; now++)
        SH_TRACE(tracer, now, 1, RSSI, -50);
    SH_TRACE(tracer, 100000, 1, ENDED, SH_NEAR_TOO_FAR, SH_BY_HERE);
    SH_TRACE(tracer, 100001, 0, END, SH_NEAR_TOO_FAR);
    sh_tracer_free(tracer);
    assert_in_range(lines.n, SH_TRACER_MAX - 8192, SH_TRACER_MAX);
    assert_int_equal(count_of(&lines, "\"e\":\"full\""), 1);
    assert_int_equal(count_of(&lines, "\"e\":\"end\""), 1);
    assert_int_equal(count_of(&lines, "\"e\":\"ended\""), 1);
    free(lines.text);
}

static void begun_anew_it_has_its_room_again(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    assert_false(sh_tracer_is_old(tracer, 1000));
    assert_true(sh_tracer_is_old(tracer, SH_TRACE_TIME_MAX));
    for (sh_ms now = 0; !sh_tracer_is_old(tracer, now); now++)
        SH_TRACE(tracer, now, 1, RSSI, -50);
    assert_in_range(lines.n, SH_TRACER_MAX / 2, SH_TRACER_MAX / 2 + SH_TRACE_LINE_MAX);
    assert_int_equal(sh_tracer_session(tracer), 1);
    sh_tracer_renew(tracer, 3600000);
    assert_false(sh_tracer_is_old(tracer, 3600000));
    assert_int_equal(sh_tracer_session(tracer), 1);
    SH_TRACE(tracer, 3601000, 0, PHASE, 1);
    sh_tracer_free(tracer);
    assert_int_equal(count_of(&lines, "\"e\":\"phase\",\"t\":1.000"), 1);
    free(lines.text);
}

static void an_address_becomes_a_number(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    struct sh_traced_advert one = {.address = "11:22:33:44:55:66", .dbm = -50}, other = one;
    other.address = "66:55:44:33:22:11";
    sh_tracer_heard(tracer, 100, &one);
    sh_tracer_heard(tracer, 200, &other);
    sh_tracer_heard(tracer, 300, &one);
    assert_int_equal(lines.count, 0); /* decides nothing yet */
    sh_tracer_pick(tracer, 400, other.address);
    sh_tracer_free(tracer);
    assert_int_equal(count_of(&lines, "\"from\":1"), 2);
    assert_int_equal(count_of(&lines, "\"from\":2"), 2);
    assert_null(strstr(lines.text, "11:22"));
    assert_null(strstr(lines.text, "66:55"));
    free(lines.text);
}

static void what_was_heard_long_ago_is_only_counted(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    const struct sh_traced_advert advert = {.address = "a", .dbm = -90};
    for (sh_ms now = 0; now < 3600000; now += 1000)
        sh_tracer_heard(tracer, now, &advert);
    SH_TRACE(tracer, 3600000, 0, SEARCH_OVER, SH_NEAR_TOO_FAR);
    sh_tracer_free(tracer);
    assert_in_range(count_of(&lines, "\"e\":\"heard\""), 39, 41);
    assert_int_equal(count_of(&lines, "\"e\":\"passed\""), 1);
    free(lines.text);
}

static void the_last_movement_is_told(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    for (sh_ms now = 1000; now < 11000; now++)
        SH_TRACE(tracer, now, 1, MOVED, (int64_t)now, 0, 0);
    SH_TRACE(tracer, 12000, 1, OVER, SH_OK);
    sh_tracer_free(tracer);
    assert_in_range(count_of(&lines, "\"e\":\"moved\""), 20, 22);
    assert_int_equal(count_of(&lines, "\"t\":10.999"), 1);
    free(lines.text);
}

static void an_absence_is_told_before_what_follows(void **state SH_UNUSED)
{
    struct lines lines = {.text = NULL};
    struct sh_tracer *tracer = sh_tracer_new(&ops, &lines, 0);
    sh_tracer_alive(tracer, 1000);
    SH_TRACE(tracer, 9000, 0, PHASE, 1);
    sh_tracer_free(tracer);
    assert_int_equal(count_of(&lines, "\"e\":\"absent\",\"t\":9.000,\"ms\":8000"), 1);
    assert_true(strstr(lines.text, "absent") < strstr(lines.text, "phase"));
    free(lines.text);
}

static void without_one_nothing_is_recorded(void **state SH_UNUSED)
{
    SH_TRACE(NULL, 1, 0, PHASE, 1);
    sh_tracer_alive(NULL, 1);
    sh_tracer_pick(NULL, 1, "a");
    assert_int_equal(sh_tracer_session(NULL), 0);
    sh_tracer_free(NULL);
}

/* ---- Files ---- */

#define PATIENCE_S 60 /* only ends what hangs */

static void a_long_run_has_a_file_after_the_other(void **state SH_UNUSED)
{
    char folder[] = "/tmp/simhop-trace.XXXXXX", path[4200];
    unsigned numbers[SH_TRACE_RUNS];
    assert_non_null(mkdtemp(folder));
    const struct sh_common common = {.state = folder, .radio = "sim:x"};
    const struct sh_trace_start start = {.common = &common, .role = SH_ANCHOR};
    struct sh_trace_file *file = sh_trace_file_open(&start);
    assert_non_null(file);
    struct sh_tracer *tracer = sh_trace_file_tracer(file);
    sh_trace_file_renew(file); /* not yet */
    for (sh_ms now = sh_now(); !sh_tracer_is_old(tracer, now);)
        SH_TRACE(tracer, now, 1, RSSI, -50);
    sh_trace_file_renew(file);
    assert_ptr_equal(sh_trace_file_tracer(file), tracer);
    sh_trace_file_close(file, SH_OK);
    size_t count = 0;
    /* The thread of the first one is not waited for by anybody else. */
    for (unsigned i = 0; i < PATIENCE_S * 100 && count < 2; i++) {
        count = sh_trace_files(folder, numbers);
        usleep(10000);
    }
    assert_int_equal(count, 2);
    for (unsigned number = 1; number <= 2; number++) {
        assert_true(sh_trace_file_path(folder, number, path, sizeof(path)));
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/" SH_TRACE_FOLDER, folder);
    rmdir(path);
    rmdir(folder);
}

/* ---- Reports ---- */

#define HEAD "{\"report\":\"simhop\",\"format\":1,\"version\":\"0.1.0\"}\n"
#define RUN                                                                                        \
    "{\"e\":\"run\",\"t\":0,\"role\":\"secondary\",\"at\":1,\"major\":0,\"minor\":1,\"patch\":0,"  \
    "\"radio\":\"sim\",\"policy\":\"normal\",\"pair\":false,\"calibrate\":false}\n"

static enum sh_cause read_text(const char *text, struct sh_report *report)
{
    *report = (struct sh_report){.count = 0};
    return sh_report_read(SH_BYTES(text, strlen(text)), report);
}

static void a_report_is_read(void **state SH_UNUSED)
{
    struct sh_report report;
    assert_int_equal(read_text(HEAD "{\"about\":\"x\"}\n" RUN
                                    "{\"e\":\"end\",\"t\":2,\"cause\":\"ok\"}\n" RUN,
                               &report),
                     SH_OK);
    assert_int_equal(report.count, 2);
    assert_int_equal(report.runs[0].count, 2);
    assert_int_equal(report.passed_over, 1);
    assert_string_equal(report.version, "0.1.0");
    sh_report_clear(&report);
}

static void bad_reports_name_their_line(void **state SH_UNUSED)
{
    static const struct {
        const char *text, *detail;
    } bad[] = {
        {"", "line 1: "},
        {"{}\n", "line 1: "},
        {"{\"report\":\"simhop\",\"format\":2}\n", "line 1: a format"},
        {HEAD "\n", "line 2: "},
        {HEAD RUN "{\"e\":\"rssi\",\"t\":1}\n", "line 3: no good value of dbm"},
        {HEAD "{\"e\":\"end\",\"t\":2,\"cause\":\"ok\"}\n", "line 2: a record before"},
    };
    struct sh_report report;
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        assert_int_equal(read_text(bad[i].text, &report), SH_USAGE_BAD_INPUT);
        assert_ptr_equal(strstr(sh_detail(), bad[i].detail), sh_detail());
        sh_report_clear(&report);
    }
}

static void a_report_has_limits(void **state SH_UNUSED)
{
    size_t n = sizeof(HEAD) - 1, room = n + (SH_REPORT_RUNS + 2) * sizeof(RUN);
    char *text = malloc(room);
    struct sh_report report;
    assert_non_null(text);
    memcpy(text, HEAD, sizeof(HEAD));
    for (unsigned i = 0; i <= SH_REPORT_RUNS; i++, n += sizeof(RUN) - 1)
        memcpy(text + n, RUN, sizeof(RUN));
    assert_int_equal(read_text(text, &report), SH_USAGE_BAD_INPUT);
    sh_report_clear(&report);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(its_room_is_bounded_and_its_end_is_told),
        cmocka_unit_test(begun_anew_it_has_its_room_again),
        cmocka_unit_test(an_address_becomes_a_number),
        cmocka_unit_test(what_was_heard_long_ago_is_only_counted),
        cmocka_unit_test(the_last_movement_is_told),
        cmocka_unit_test(an_absence_is_told_before_what_follows),
        cmocka_unit_test(without_one_nothing_is_recorded),
        cmocka_unit_test(a_long_run_has_a_file_after_the_other),
        cmocka_unit_test(a_report_is_read),
        cmocka_unit_test(bad_reports_name_their_line),
        cmocka_unit_test(a_report_has_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

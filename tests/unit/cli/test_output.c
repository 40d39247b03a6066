/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Output into memory with a clock of ours; JSON lines are read back with cJSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/events.h"
#include "cli/output_form.h"
#include "cli/safe.h"

struct screen {
    struct sh_output *out;
    FILE *files[2];
    char *texts[2]; /* standard output, standard error */
    size_t sizes[2];
    sh_ms now;
};

static sh_ms test_now(void *user)
{
    return ((struct screen *)user)->now;
}

static struct screen *open_screen(bool json, bool terminal, unsigned columns)
{
    struct screen *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    for (int i = 0; i < 2; i++) {
        s->files[i] = open_memstream(&s->texts[i], &s->sizes[i]);
        assert_non_null(s->files[i]);
    }
    s->now = 1000000;
    struct sh_output_target target = {
        .out = s->files[0],
        .err = s->files[1],
        .json = json,
        .terminal = terminal,
        .columns = columns,
        .now = test_now,
        .user = s,
    };
    s->out = sh_output_new_on(&target);
    assert_non_null(s->out);
    return s;
}

static const char *shown(struct screen *s)
{
    fflush(s->files[0]);
    return s->texts[0];
}

static const char *errors(struct screen *s)
{
    fflush(s->files[1]);
    return s->texts[1];
}

static void close_screen(struct screen *s)
{
    sh_output_free(s->out);
    for (int i = 0; i < 2; i++) {
        fclose(s->files[i]);
        free(s->texts[i]);
    }
    free(s);
}

/* Line n (from 0) as an object, NULL if there are not so many. Asserts that it is whole JSON. */
static cJSON *line(struct screen *s, unsigned n)
{
    const char *p = shown(s);
    for (; n; n--) {
        p = strchr(p, '\n');
        if (!p)
            return NULL;
        p++;
    }
    const char *end = strchr(p, '\n');
    if (!end)
        return NULL;
    const char *parsed = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(p, (size_t)(end - p), &parsed, false);
    assert_non_null(object);
    assert_ptr_equal(parsed, end);
    assert_true(cJSON_IsObject(object));
    return object;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsString(value));
    return value->valuestring;
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static bool is_null(const cJSON *object, const char *key)
{
    return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, key));
}

static unsigned line_count(struct screen *s)
{
    unsigned n = 0;
    for (const char *p = shown(s); *p; p++)
        n += *p == '\n';
    return n;
}

/* ---- JSON ---- */

static void each_event_is_a_line_with_its_fields(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    s->now += 1234;
    sh_output_phase(s->out, SH_PHASE_MEASURE, "secondary", "phone");
    sh_output_code(s->out, "012345", "tablet");
    sh_output_code_wanted(s->out, "phone", 2);
    sh_output_proximity(s->out, &(struct sh_out_proximity){.metres = 0.42,
                                                           .confidence_percent = 95,
                                                           .samples = 17,
                                                           .accept = true,
                                                           .backend = "rssi"});
    sh_output_proximity(s->out, &(struct sh_out_proximity){
                                    .metres = 0.42, .advice = SH_ADVICE_MOVE, .backend = "rssi"});
    sh_output_link(s->out, "lan", "failed", SH_LINK_REFUSED);
    sh_output_link(s->out, "ble", "up", SH_OK);
    sh_output_note(s->out, "%s", "two\nlines");

    cJSON *e = line(s, 0);
    assert_string_equal(text_of(e, "event"), "phase");
    assert_float_equal(number_of(e, "t"), 1.234, 1e-9);
    assert_string_equal(text_of(e, "phase"), "measure");
    assert_string_equal(text_of(e, "role"), "secondary");
    assert_string_equal(text_of(e, "peer"), "phone");
    cJSON_Delete(e);
    e = line(s, 1);
    assert_string_equal(text_of(e, "event"), "code");
    assert_string_equal(text_of(e, "code"), "012345");
    cJSON_Delete(e);
    e = line(s, 2);
    assert_string_equal(text_of(e, "event"), "code-wanted");
    assert_int_equal((int)number_of(e, "attempt"), 2);
    cJSON_Delete(e);
    e = line(s, 3);
    assert_string_equal(text_of(e, "event"), "proximity");
    assert_float_equal(number_of(e, "metres"), 0.42, 1e-9);
    assert_float_equal(number_of(e, "confidence"), 0.95, 1e-9);
    assert_int_equal((int)number_of(e, "samples"), 17);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(e, "accept")));
    assert_string_equal(text_of(e, "advice"), "none");
    assert_string_equal(text_of(e, "backend"), "rssi");
    cJSON_Delete(e);
    e = line(s, 4); /* at once, though the last one was just now: the advice is another */
    assert_string_equal(text_of(e, "advice"), "move-it");
    cJSON_Delete(e);
    e = line(s, 5);
    assert_string_equal(text_of(e, "event"), "link");
    assert_string_equal(text_of(e, "link"), "lan");
    assert_string_equal(text_of(e, "state"), "failed");
    assert_string_equal(text_of(e, "cause"), "link.refused");
    cJSON_Delete(e);
    e = line(s, 6);
    assert_true(is_null(e, "cause"));
    cJSON_Delete(e);
    e = line(s, 7);
    assert_string_equal(text_of(e, "event"), "note");
    assert_string_equal(text_of(e, "text"), "two\nlines");
    cJSON_Delete(e);
    assert_null(line(s, 8));
    close_screen(s);
}

static void no_distance_is_null(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    sh_output_proximity(s->out, &(struct sh_out_proximity){.metres = NAN, .backend = "rssi"});
    cJSON *e = line(s, 0);
    assert_true(is_null(e, "metres"));
    cJSON_Delete(e);
    close_screen(s);
}

/* What was learned here, and what the other device has kept or why it has not. */
static void levels_at_one_metre(void **state)
{
    (void)state;
    const struct sh_calibrated level = {-61.26, 4.256, 150, 40};
    struct screen *s = open_screen(true, false, 0), *t = open_screen(false, false, 0);
    for (int i = 0; i < 2; i++) {
        struct sh_output *out = i ? t->out : s->out;
        sh_output_calibration(out, "tab\nlet", &level, false);
        sh_output_calibration(out, "tab\nlet", &level, true);
        sh_output_peer_calibration(out, "phone", &level, SH_OK);
        sh_output_peer_calibration(out, "phone", NULL, SH_CALIBRATE_NOT_WANTED);
    }
    for (unsigned n = 0; n < 3; n++) {
        cJSON *e = line(s, n);
        assert_string_equal(text_of(e, "event"), n < 2 ? "calibration" : "peer-calibration");
        assert_string_equal(text_of(e, "peer"), n < 2 ? "tab\nlet" : "phone");
        assert_float_equal(number_of(e, "level"), -61.3, 0.001);
        assert_float_equal(number_of(e, "spread"), 4.26, 0.001);
        assert_float_equal(number_of(e, "samples"), 150, 0.001);
        assert_float_equal(number_of(e, "positions"), 40, 0.001);
        const cJSON *final = cJSON_GetObjectItemCaseSensitive(e, "final");
        assert_true(n == 0 ? cJSON_IsFalse(final) : n == 1 ? cJSON_IsTrue(final) : !final);
        assert_true(n < 2 || is_null(e, "cause"));
        cJSON_Delete(e);
    }
    cJSON *e = line(s, 3);
    assert_true(is_null(e, "level"));
    assert_string_equal(text_of(e, "cause"), "calibrate.not-wanted");
    cJSON_Delete(e);
    assert_non_null(strstr(shown(t), "So far, tab"));
    assert_non_null(
        strstr(shown(t), "let: -61.3 dBm, spread 4.3 dB, 150 samples in 40 positions\n"));
    assert_non_null(strstr(shown(t), "At one metre, tab"));
    assert_null(strstr(shown(t), "tab\nlet"));
    assert_non_null(strstr(shown(t), "phone has kept its own level too: -61.3 dBm\n"));
    close_screen(s);
    close_screen(t);
}

static void a_cause_goes_to_both_places(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    sh_output_cause(s->out, SH_OK);
    assert_false(sh_output_cause_was_said(s->out));
    assert_int_equal(sh_fail(SH_STORE_NO_SPACE, "/mnt/\033[31mx: 3 MiB free"), SH_STORE_NO_SPACE);
    sh_output_cause(s->out, SH_STORE_NO_SPACE);
    assert_true(sh_output_cause_was_said(s->out));
    assert_int_equal(line_count(s), 1);
    cJSON *e = line(s, 0);
    const struct sh_cause_info *info = sh_cause_info(SH_STORE_NO_SPACE);
    assert_string_equal(text_of(e, "event"), "cause");
    assert_string_equal(text_of(e, "cause"), "store.no-space");
    assert_string_equal(text_of(e, "category"), "environment");
    assert_string_equal(text_of(e, "message"), info->message);
    assert_string_equal(text_of(e, "next"), info->next);
    assert_string_equal(text_of(e, "detail"), "/mnt/\033[31mx: 3 MiB free");
    cJSON_Delete(e);
    char expected[512];
    snprintf(expected, sizeof(expected),
             "simhop: %s (store.no-space)\n  /mnt/?[31mx: 3 MiB free\n  Next: %s\n", info->message,
             info->next);
    assert_string_equal(errors(s), expected);
    close_screen(s);
}

static void done_has_items_links_and_exact_sizes(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    const struct sh_out_item items[] = {
        {.name = "big", .size = UINT64_C(9007199254740993), .sha256 = "ab", .path = "/o/big"},
        {.name = "lines", .size = 0, .sha256 = "cd", .path = NULL},
    };
    sh_output_done(s->out, &(struct sh_out_done){.items = items,
                                                 .item_count = 2,
                                                 .links = {{"ble", 65536}, {"lan", 7}},
                                                 .link_count = 2,
                                                 .resumed = 5,
                                                 .seconds = 1.5});
    assert_non_null(strstr(shown(s), "\"size\":9007199254740993,"));
    cJSON *e = line(s, 0);
    assert_string_equal(text_of(e, "event"), "done");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(e, "items");
    assert_int_equal(cJSON_GetArraySize(list), 2);
    assert_string_equal(text_of(cJSON_GetArrayItem(list, 0), "name"), "big");
    assert_string_equal(text_of(cJSON_GetArrayItem(list, 0), "sha256"), "ab");
    assert_string_equal(text_of(cJSON_GetArrayItem(list, 0), "path"), "/o/big");
    assert_true(is_null(cJSON_GetArrayItem(list, 1), "path"));
    const cJSON *links = cJSON_GetObjectItemCaseSensitive(e, "links");
    assert_int_equal((int)number_of(links, "ble"), 65536);
    assert_int_equal((int)number_of(links, "lan"), 7);
    assert_int_equal((int)number_of(e, "resumed"), 5);
    assert_float_equal(number_of(e, "seconds"), 1.5, 1e-9);
    cJSON_Delete(e);
    close_screen(s);
}

static void done_tells_a_person_what_was_here(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, false, 0);
    const struct sh_out_item items[] = {{.name = "big", .size = 20971520, .path = "/o/big"}};
    sh_output_done(s->out, &(struct sh_out_done){.items = items,
                                                 .item_count = 1,
                                                 .links = {{"lan", 1048576}},
                                                 .link_count = 1,
                                                 .resumed = 19922944,
                                                 .seconds = 1.5});
    assert_non_null(
        strstr(shown(s), "\n  over lan: 1.0 MiB\n  19.0 of 20.0 MiB were here already\n"));
    close_screen(s);
}

static void foreign_names_stay_json_and_reach_no_terminal(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    sh_output_code_wanted(s->out,
                          "a\"b\\c\n\x01\x7f\xc2\x9b\xe2\x80\xae\xff \xc3\xa4\xf0\x9f\x93\xb1", 1);
    for (const char *p = shown(s); *p; p++)
        assert_true((unsigned char)*p >= 0x20 || p[1] == '\0');
    assert_null(strchr(shown(s), '\x7f'));
    assert_null(strstr(shown(s), "\xc2\x9b"));
    assert_null(strstr(shown(s), "\xe2\x80\xae"));
    cJSON *e = line(s, 0);
    assert_string_equal(text_of(e, "peer"), "a\"b\\c\n\x01\x7f\xc2\x9b\xe2\x80\xae\xef\xbf\xbd"
                                            " \xc3\xa4\xf0\x9f\x93\xb1");
    cJSON_Delete(e);
    close_screen(s);
}

static void progress(struct screen *s, const char *item, uint64_t verified, uint64_t total)
{
    sh_output_progress(s->out, &(struct sh_out_progress){.item = item,
                                                         .verified = verified,
                                                         .total = total,
                                                         .link = "lan",
                                                         .rate = 48.0 * 1048576,
                                                         .eta = NAN});
}

static void progress_is_at_most_five_a_second_and_the_last(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    for (unsigned i = 0; i <= 1000; i++) { /* ten seconds, each 10 ms, then all at once */
        progress(s, "big", i * 100, 100000);
        s->now += i < 990 ? 10 : 0;
    }
    progress(s, "big", 100000, 100000); /* said before */
    double times[64];
    unsigned n = 0, ends = 0;
    uint64_t before = 0;
    for (cJSON *e = line(s, 0); e; e = line(s, n)) {
        assert_string_equal(text_of(e, "event"), "progress");
        assert_string_equal(text_of(e, "item"), "big");
        assert_string_equal(text_of(e, "link"), "lan");
        assert_true(is_null(e, "eta"));
        assert_int_equal((int)number_of(e, "total"), 100000);
        assert_true((uint64_t)number_of(e, "verified") >= before);
        before = (uint64_t)number_of(e, "verified");
        ends += before == 100000;
        assert_in_range(n, 0, SH_COUNT(times) - 1);
        times[n++] = number_of(e, "t");
        if (n > 5)
            assert_true(times[n - 1] - times[n - 6] >= 1.0);
        cJSON_Delete(e);
    }
    assert_in_range(n, 30, 51);
    assert_int_equal(ends, 1);
    close_screen(s);
}

static void items_are_limited_one_by_one_and_nothing_held_back_is_lost(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    progress(s, "a", 0, 10);
    progress(s, "b", 0, 10);
    progress(s, "a", 4, 10);
    progress(s, "empty", 0, 0);
    assert_int_equal(line_count(s), 3);
    sh_output_cause(s->out, SH_CONNECT_LOST);
    assert_int_equal(line_count(s), 5);
    cJSON *e = line(s, 3);
    assert_string_equal(text_of(e, "item"), "a");
    assert_int_equal((int)number_of(e, "verified"), 4);
    cJSON_Delete(e);
    close_screen(s);
}

/* ---- Text ---- */

static void the_code_is_unmistakable(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, false, 0);
    sh_output_code(s->out, "123456", "tablet");
    assert_non_null(strstr(shown(s), "Code for tablet:  123 456\n"));
    close_screen(s);
}

static void foreign_names_cannot_drive_the_terminal(void **state)
{
    (void)state;
    static const char evil[] = "x\033]0;owned\a\r\n\xc2\x9b"
                               "2J\xe2\x80\xae\xff";
    struct screen *s = open_screen(false, true, 80);
    sh_output_phase(s->out, SH_PHASE_CONNECT, "anchor", evil);
    sh_output_code_wanted(s->out, evil, 1);
    sh_output_note(s->out, "%s", evil);
    progress(s, evil, 10, 10);
    const struct sh_out_item item = {.name = evil, .size = 1, .sha256 = "", .path = evil};
    sh_output_done(s->out, &(struct sh_out_done){.items = &item, .item_count = 1});
    assert_int_equal(sh_fail(SH_STORE_IO_ERROR, "%s", evil), SH_STORE_IO_ERROR);
    sh_output_cause(s->out, SH_STORE_IO_ERROR);
    sh_output_log(s->out, evil);
    const char *const texts[] = {shown(s), errors(s)};
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(strstr(texts[i], "x?]0;owned????2J??"));
        assert_null(strchr(texts[i], '\033'));
        assert_null(strchr(texts[i], '\a'));
        assert_null(strstr(texts[i], "\xc2\x9b"));
        assert_null(strstr(texts[i], "\xe2\x80\xae"));
    }
    close_screen(s);
}

static void meter(struct screen *s, double metres, bool accept, bool final)
{
    sh_output_proximity(s->out,
                        &(struct sh_out_proximity){.metres = metres,
                                                   .accept = accept,
                                                   .advice = accept          ? SH_ADVICE_NONE
                                                             : isnan(metres) ? SH_ADVICE_WAIT
                                                                             : SH_ADVICE_CLOSER,
                                                   .final = final,
                                                   .samples = 5,
                                                   .backend = "rssi"});
}

/* What the person can do stands beside the distance. */
static void the_meter_says_what_would_help(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, false, 0);
    static const enum sh_proximity_advice advice[] = {SH_ADVICE_WAIT, SH_ADVICE_HOLD,
                                                      SH_ADVICE_MOVE, SH_ADVICE_CLOSER};
    static const char *const words[] = {"m  no signal yet\n", "m  hold on\n",
                                        "m  move it a little\n", "m  come closer\n"};
    for (size_t i = 0; i < SH_COUNT(advice); i++) {
        struct sh_out_proximity line = {.metres = 0.9, .advice = advice[i], .backend = "rssi"};
        sh_output_proximity(s->out, &line);
        sh_output_proximity(s->out, &line); /* nothing new */
        assert_int_equal(line_count(s), i + 1);
        assert_non_null(strstr(shown(s), words[i]));
    }
    close_screen(s);
}

static void the_meter_says_a_line_when_the_verdict_changes(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, false, 0);
    for (int i = 0; i < 19; i++, s->now += 100)
        meter(s, 3.0, false, false);
    assert_int_equal(line_count(s), 1);
    meter(s, 0.4, true, false);
    assert_int_equal(line_count(s), 2);
    assert_non_null(strstr(shown(s), "Distance  [----------]  3.0 m  come closer\n"));
    assert_non_null(strstr(shown(s), "Distance  [#####-----]  0.4 m  near\n"));
    for (int i = 0; i < 39; i++, s->now += 100)
        meter(s, 0.4, true, false);
    assert_int_equal(line_count(s), 3); /* after two seconds */
    meter(s, 0.4, true, true);
    assert_int_equal(line_count(s), 4);
    close_screen(s);
}

static void on_a_terminal_the_meter_stays_on_one_line(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, true, 80);
    for (int i = 0; i < 30; i++, s->now += 300)
        meter(s, NAN, false, false);
    meter(s, 0.1, true, true);
    assert_int_equal(line_count(s), 1);
    /* the shorter line has wiped the longer one */
    const char *last = strrchr(shown(s), '\r') + 1;
    assert_int_equal(strncmp(last, "Distance  [##########]  0.1 m  near ", 36), 0);
    close_screen(s);
}

static void other_lines_do_not_run_into_the_bar(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, true, 80);
    progress(s, "big", UINT64_C(13222543), UINT64_C(20971520));
    assert_string_equal(shown(s), "\rbig  [#######>....]  63 %  12.6 of 20.0 MiB  48 MiB/s  lan");
    sh_output_link(s->out, "lan", "down", SH_OK);
    assert_non_null(strstr(shown(s), "lan\nLink lan: down\n"));
    close_screen(s);
}

static void the_bar_keeps_within_the_terminal(void **state)
{
    (void)state;
    for (unsigned columns = 20; columns < 100; columns++) {
        struct screen *s = open_screen(false, true, columns);
        progress(s, "\xe6\xbc\xa2\xe5\xad\x97 a rather long name of an item", 5, 10);
        const char *p = shown(s) + 1;
        unsigned used = 0;
        while (*p)
            used += sh_char_columns(sh_utf8_next(&p));
        assert_in_range(used, 10, columns - 1);
        close_screen(s);
    }
}

static void without_a_terminal_each_tenth_is_a_line(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, false, 0);
    for (unsigned i = 0; i <= 200; i++, s->now += 300)
        progress(s, "big", i, 200);
    assert_int_equal(line_count(s), 11);
    assert_null(strchr(shown(s), '\r'));
    assert_non_null(strstr(shown(s), "100 %"));
    close_screen(s);
}

static void hundred_percent_is_the_end_only(void **state)
{
    (void)state;
    struct screen *s = open_screen(false, true, 80);
    progress(s, "huge", UINT64_C(99999999999999999), UINT64_C(100000000000000000));
    assert_non_null(strstr(shown(s), " 99 %"));
    close_screen(s);
}

/* A sleep ends nothing, so it is a note; its cause is there for scripts. */
static void a_sleep_has_its_cause(void **state)
{
    (void)state;
    struct screen *s = open_screen(true, false, 0);
    sh_events_slept(s->out, 61000);
    cJSON *object = line(s, 0);
    assert_string_equal(text_of(object, "event"), "note");
    assert_string_equal(text_of(object, "cause"), "session.suspended");
    assert_string_equal(text_of(object, "text"),
                        "This machine was asleep. For 61 s; the transfer goes on.");
    cJSON_Delete(object);
    sh_events_slept(s->out, 0); /* not known for how long */
    object = line(s, 1);
    assert_string_equal(text_of(object, "text"), "This machine was asleep. The transfer goes on.");
    cJSON_Delete(object);
    assert_string_equal(errors(s), "");
    close_screen(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_a_line_with_its_fields),
        cmocka_unit_test(no_distance_is_null),
        cmocka_unit_test(levels_at_one_metre),
        cmocka_unit_test(a_cause_goes_to_both_places),
        cmocka_unit_test(done_has_items_links_and_exact_sizes),
        cmocka_unit_test(done_tells_a_person_what_was_here),
        cmocka_unit_test(foreign_names_stay_json_and_reach_no_terminal),
        cmocka_unit_test(progress_is_at_most_five_a_second_and_the_last),
        cmocka_unit_test(items_are_limited_one_by_one_and_nothing_held_back_is_lost),
        cmocka_unit_test(the_code_is_unmistakable),
        cmocka_unit_test(foreign_names_cannot_drive_the_terminal),
        cmocka_unit_test(the_meter_says_a_line_when_the_verdict_changes),
        cmocka_unit_test(the_meter_says_what_would_help),
        cmocka_unit_test(on_a_terminal_the_meter_stays_on_one_line),
        cmocka_unit_test(other_lines_do_not_run_into_the_bar),
        cmocka_unit_test(the_bar_keeps_within_the_terminal),
        cmocka_unit_test(without_a_terminal_each_tenth_is_a_line),
        cmocka_unit_test(hundred_percent_is_the_end_only),
        cmocka_unit_test(a_sleep_has_its_cause),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}

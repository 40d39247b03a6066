/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/air_parse.h"
#include "proto/log.h"
#include "proto/msg.h"

/* ---- parsing ---- */

static unsigned bad_lines;
static char last_bad[300];

static void count_bad(struct sh_bytes line, void *user SH_UNUSED)
{
    bad_lines++;
    size_t n = SH_MIN(line.n, sizeof(last_bad) - 1);
    memcpy(last_bad, line.p, n);
    last_bad[n] = '\0';
}

static struct sh_bytes text_of(const char *text)
{
    return SH_BYTES(text, strlen(text));
}

static bool near_to(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void parses_air(void **state SH_UNUSED)
{
    struct sh_air air;
    bad_lines = 0;
    sh_air_parse_air(text_of("# all keys\n\nseed 18446744073709551615\n  exponent\t1.5 \r\n"
                             "tx1m -62.5\nshadow 0\nfade 3\nsigma 0.5\ninterval 20\nsample 25\n"
                             "ble_rate 0\nlan_rate 5000000"),
                     count_bad, NULL, &air);
    assert_int_equal(bad_lines, 0);
    assert_true(air.seed == UINT64_MAX);
    assert_true(near_to(air.exponent, 1.5) && near_to(air.tx1m_dbm, -62.5));
    assert_true(near_to(air.shadow_db, 0) && near_to(air.fade_db, 3) && near_to(air.sigma_db, 0.5));
    assert_int_equal(air.interval_ms, 20);
    assert_int_equal(air.sample_ms, 25);
    assert_int_equal(air.ble_rate, 0);
    assert_int_equal(air.lan_rate, 5000000);
    sh_air_parse_air(text_of(""), count_bad, NULL, &air);
    assert_memory_equal(&air, &sh_air_default, sizeof(air));
}

static void refuses_bad_air(void **state SH_UNUSED)
{
    static const char *const bad[] = {
        "seed",        "seed 1 2",     "seed -1",       "seed 18446744073709551616",
        "seed x",      "seed 1x",      "exponent nan",  "exponent inf",
        "exponent -1", "exponent 11",  "exponent 0..1", "interval 9",
        "interval 0",  "sample 4",     "sample 1e2",    "ble_rate -5",
        "color blue",  "Exponent 2",   "tx1m 21",       "sigma 31",
        "a b c d e f", "ble_rate +10", "tx1m\x01 -59",
    };
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        struct sh_air air;
        bad_lines = 0;
        sh_air_parse_air(text_of(bad[i]), count_bad, NULL, &air);
        if (bad_lines != 1)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(last_bad, bad[i]);
        assert_memory_equal(&air, &sh_air_default, sizeof(air));
    }
    /* A bad line in the midst of good ones, one with a NUL, one that is too long. */
    struct sh_air air;
    static const char mixed[] = "fade 1\nsigma\0 2\nshadow 3\n";
    char long_line[600];
    bad_lines = 0;
    sh_air_parse_air(SH_BYTES(mixed, sizeof(mixed) - 1), count_bad, NULL, &air);
    assert_int_equal(bad_lines, 1);
    assert_true(near_to(air.fade_db, 1) && near_to(air.sigma_db, 2.0) && near_to(air.shadow_db, 3));
    memset(long_line, ' ', sizeof(long_line));
    memcpy(long_line, "fade 7", 6);
    memcpy(long_line + 500, "\nsigma 9\n", 9);
    sh_air_parse_air(SH_BYTES(long_line, sizeof(long_line)), count_bad, NULL, &air);
    assert_true(near_to(air.fade_db, sh_air_default.fade_db) && near_to(air.sigma_db, 9));
}

static void parses_positions(void **state SH_UNUSED)
{
    static struct sh_air_positions positions;
    bad_lines = 0;
    sh_air_parse_positions(text_of("anchor 0 0\n#tablet 1 1\ntablet 1.5 -2e1\nanchor 3 4\n"),
                           count_bad, NULL, &positions);
    assert_int_equal(bad_lines, 0);
    assert_int_equal(positions.count, 2);
    assert_string_equal(positions.device[0].name, "anchor");
    assert_true(near_to(positions.device[0].at.x, 3) && near_to(positions.device[0].at.y, 4));
    assert_true(near_to(positions.device[1].at.y, -20));
    static const char *const bad[] = {"anchor",       "anchor 1",     "anchor 1 2 3",
                                      ".hidden 1 1",  "a/b 1 1",      "anchor nan 1",
                                      "anchor 1 inf", "anchor 1e7 0", "Zo\xc3\xab 1 1"};
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        bad_lines = 0;
        sh_air_parse_positions(text_of(bad[i]), count_bad, NULL, &positions);
        if (bad_lines != 1 || positions.count != 0)
            fail_msg("taken: %s", bad[i]);
    }
    /* A name may have 63 characters; of devices 256 count. */
    char text[300 * 16] = "";
    memset(text, 'n', 64);
    strcpy(text + 63, " 1 1\n");
    bad_lines = 0;
    sh_air_parse_positions(text_of(text), count_bad, NULL, &positions);
    assert_int_equal(positions.count, 1);
    memset(text, 'n', 64);
    strcpy(text + 64, " 1 1\n");
    sh_air_parse_positions(text_of(text), count_bad, NULL, &positions);
    assert_int_equal(positions.count, 0);
    text[0] = '\0';
    for (unsigned i = 0; i < 300; i++)
        sprintf(text + strlen(text), "d%u %u 0\n", i, i);
    bad_lines = 0;
    sh_air_parse_positions(text_of(text), count_bad, NULL, &positions);
    assert_int_equal(positions.count, SH_AIR_DEVICES);
    assert_int_equal(bad_lines, 300 - SH_AIR_DEVICES);
}

static void parses_faults(void **state SH_UNUSED)
{
    static struct sh_air_faults faults;
    bad_lines = 0;
    sh_air_parse_faults(text_of("cut ble\nblackhole ble after 1000\ndelay ble 20\nrate ble 500\n"
                                "drop advert 12.5\ncut lan after 77\nblackhole connect\n"
                                "drop message:pake-share-p 100\ncut message:hello after 3\n"),
                        count_bad, NULL, &faults);
    assert_int_equal(bad_lines, 0);
    const struct sh_fault *ble = &faults.target[SH_FAULT_BLE];
    assert_true(ble->cut && ble->cut_after == 0);
    assert_true(ble->blackhole && ble->blackhole_after == 1000);
    assert_int_equal(ble->delay_ms, 20);
    assert_int_equal(ble->rate, 500);
    assert_true(near_to(faults.target[SH_FAULT_ADVERT].drop, 0.125));
    assert_true(faults.target[SH_FAULT_LAN].cut);
    assert_int_equal(faults.target[SH_FAULT_LAN].cut_after, 77);
    assert_true(faults.target[SH_FAULT_CONNECT].blackhole);
    assert_true(near_to(faults.message[SH_MSG_PAKE_SHARE_P].drop, 1.0));
    assert_int_equal(faults.message[SH_MSG_HELLO].cut_after, 3);
    static const char *const bad[] = {
        "cut",           "cut moon",          "cut ble after",     "cut ble after x",
        "cut ble for 3", "cut ble after 1 2", "delay ble",         "delay ble -1",
        "delay ble 1.5", "drop ble 101",      "drop ble -1",       "drop ble nan",
        "rate ble",      "burn ble 1",        "cut message:",      "cut message:nonsense",
        "cut message",   "drop ble 5 5",      "delay ble 9999999", "blackhole ble x",
    };
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        static const struct sh_air_faults none;
        bad_lines = 0;
        sh_air_parse_faults(text_of(bad[i]), count_bad, NULL, &faults);
        if (bad_lines != 1 || memcmp(&faults, &none, sizeof(none)) != 0)
            fail_msg("taken: %s", bad[i]);
    }
}

/* ---- the folder ---- */

static char folder[64];

static int make_folder(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state SH_UNUSED)
{
    static const char *const names[] = {"positions", "air", "faults"};
    char path[128];
    for (size_t i = 0; i < SH_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static double apart(const struct sh_air_files *files, const char *a, const char *b)
{
    struct sh_position one, two, one_again, two_again;
    sh_air_files_places(files, a, b, &one, &two);
    /* Both ends see the same two places. */
    sh_air_files_places(files, b, a, &two_again, &one_again);
    assert_memory_equal(&one, &one_again, sizeof(one));
    assert_memory_equal(&two, &two_again, sizeof(two));
    return sh_air_metres(one, two);
}

static void defaults_and_places(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    assert_memory_equal(sh_air_files_air(files), &sh_air_default, sizeof(struct sh_air));
    assert_true(near_to(apart(files, "a", "b"), 0.25));
    put("positions", "a 10 10\nc 10 13\n");
    sh_air_files_refresh(files, 1000);
    assert_true(near_to(apart(files, "a", "b"), 0.25));
    assert_true(near_to(apart(files, "a", "c"), 3.0));
    struct sh_fault fault = sh_air_files_fault(files, SH_FAULT_BLE);
    assert_false(fault.cut || fault.blackhole);
    sh_air_files_close(files);
    sh_air_files_close(NULL);
}

static void no_such_folder(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    assert_int_equal(sh_air_files_open("/nonexistent", &files), SH_ENV_NO_RADIO);
    assert_non_null(strstr(sh_detail(), "/nonexistent"));
    assert_int_equal(sh_air_files_open("/dev/null", &files), SH_ENV_NO_RADIO);
    assert_null(files);
}

/* A whole change counts at the next look, looks are 40 ms apart, so within 100 ms. */
static void change_counts(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    put("positions", "a 0 0\nb 1 0\n");
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    sh_air_files_refresh(files, 1000);
    assert_true(near_to(apart(files, "a", "b"), 1.0));
    put("positions", "a 0 0\nb 5 0\n"); /* of the same size, within the same tick of the clock */
    sh_air_files_refresh(files, 1039);
    assert_true(near_to(apart(files, "a", "b"), 1.0));
    sh_air_files_refresh(files, 1040);
    assert_true(near_to(apart(files, "a", "b"), 5.0));
    put("faults", "cut ble\n");
    put("air", "seed 7\n");
    sh_air_files_refresh(files, 1100);
    assert_true(sh_air_files_fault(files, SH_FAULT_BLE).cut);
    assert_int_equal(sh_air_files_air(files)->seed, 7);
    assert_int_equal(remove_folder(NULL), 0);
    sh_air_files_refresh(files, 1150);
    sh_air_files_refresh(files, 1200);
    assert_false(sh_air_files_fault(files, SH_FAULT_BLE).cut);
    assert_true(near_to(apart(files, "a", "b"), 0.25));
    assert_int_equal(mkdir(folder, 0700), 0);
    sh_air_files_close(files);
}

/* What a shell leaves for a moment between truncating and writing is not taken. */
static void half_written(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    put("positions", "a 0 0\nb 3 0\n");
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    put("positions", "");
    sh_air_files_refresh(files, 1000);
    assert_true(near_to(apart(files, "a", "b"), 3.0));
    put("positions", "a 0 0\nb 1");
    sh_air_files_refresh(files, 1045);
    assert_true(near_to(apart(files, "a", "b"), 3.0));
    put("positions", "a 0 0\nb 12 0\n");
    sh_air_files_refresh(files, 1090);
    assert_true(near_to(apart(files, "a", "b"), 12.0));
    /* What stays so counts after all. */
    put("positions", "a 0 0\nb 4 0");
    sh_air_files_refresh(files, 1135);
    assert_true(near_to(apart(files, "a", "b"), 12.0));
    sh_air_files_refresh(files, 1180);
    assert_true(near_to(apart(files, "a", "b"), 4.0));
    sh_air_files_close(files);
}

static unsigned logged;

static void count_log(const char *line, void *user SH_UNUSED)
{
    logged++;
    assert_non_null(strstr(line, "nonsense"));
}

static void bad_line_logged_once(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    sh_log_set(count_log, NULL);
    logged = 0;
    put("air", "nonsense 1\nseed 3\n");
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    assert_int_equal(logged, 1);
    put("air", "nonsense 1\nseed 4\n");
    sh_air_files_refresh(files, 1000);
    assert_int_equal(sh_air_files_air(files)->seed, 4);
    assert_int_equal(logged, 1);
    put("air", "nonsense 2\nseed 4\n");
    sh_air_files_refresh(files, 2000);
    assert_int_equal(logged, 2);
    sh_log_set(NULL, NULL);
    sh_air_files_close(files);
}

/* Neither a FIFO nor a folder nor a huge file of that name does harm. */
static void odd_files(void **state SH_UNUSED)
{
    struct sh_air_files *files = NULL;
    char path[128];
    snprintf(path, sizeof(path), "%s/positions", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/air", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/faults", folder);
    put("faults", "cut ble\n");
    assert_int_equal(truncate(path, 1 << 30), 0);
    assert_int_equal(sh_air_files_open(folder, &files), SH_OK);
    sh_air_files_refresh(files, 1000);
    assert_true(near_to(apart(files, "a", "b"), 0.25));
    assert_true(sh_air_files_fault(files, SH_FAULT_BLE).cut);
    sh_air_files_close(files);
    snprintf(path, sizeof(path), "%s/air", folder);
    assert_int_equal(rmdir(path), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_air),       cmocka_unit_test(refuses_bad_air),
        cmocka_unit_test(parses_positions), cmocka_unit_test(parses_faults),
        IN_FOLDER(defaults_and_places),     cmocka_unit_test(no_such_folder),
        IN_FOLDER(change_counts),           IN_FOLDER(half_written),
        IN_FOLDER(bad_line_logged_once),    IN_FOLDER(odd_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/options.h"

struct values {
    struct sh_common common;
    bool once;
    const char *bundle;
    struct sh_list items;
    int64_t code_fd;
};

#define ROW(name, letter, kind, placeholder, field)                                                \
    {                                                                                              \
        name, letter, SH_OPTION_##kind, placeholder, "Help.", offsetof(struct values, field)       \
    }

static const struct sh_option rows[] = {
    ROW("once", 0, FLAG, NULL, once),
    ROW("bundle", 'o', TEXT, "FILE", bundle),
    ROW("item", 0, LIST, "NAME=FILE", items),
    ROW("code-fd", 0, NUMBER, "N", code_fd),
    {0},
};

/* Parses the words after the verb; the values stay in the state for a test to look at. */
struct state {
    struct values values;
    char *argv[32];
    char words[32][256];
    int count;
};

static enum sh_cause parse(struct state *s, int n, const char *const *words)
{
    sh_options_clear(rows, &s->values);
    memset(s, 0, sizeof(*s));
    strcpy(s->words[0], "share");
    s->argv[0] = s->words[0];
    for (int i = 0; i < n; i++) {
        strcpy(s->words[i + 1], words[i]);
        s->argv[i + 1] = s->words[i + 1];
    }
    s->count = -1;
    sh_detail_clear();
    return sh_options_parse(rows, n + 1, s->argv, &s->values, &s->count);
}

#define PARSE(s, ...)                                                                              \
    parse(s, (int)SH_COUNT(((const char *const[]){__VA_ARGS__})),                                  \
          (const char *const[]){__VA_ARGS__})

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct state));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    struct state *s = *state;
    sh_options_clear(rows, &s->values);
    free(s);
    return 0;
}

static void values_are_taken_in_every_form(void **state)
{
    struct state *s = *state;
    assert_int_equal(PARSE(s, "first", "--once", "--bundle", "a b", "--item=x=/y", "second",
                           "--item", "z=-", "--code-fd=3", "-v", "--name", "tablet"),
                     SH_OK);
    assert_true(s->values.once);
    assert_true(s->values.common.verbose);
    assert_false(s->values.common.json);
    assert_string_equal(s->values.bundle, "a b");
    assert_int_equal(s->values.items.count, 2);
    assert_string_equal(s->values.items.values[0], "x=/y");
    assert_string_equal(s->values.items.values[1], "z=-");
    assert_int_equal(s->values.code_fd, 3);
    assert_string_equal(s->values.common.name, "tablet");
    assert_int_equal(s->count, 2);
    assert_string_equal(s->argv[1], "first");
    assert_string_equal(s->argv[2], "second");
}

static void letters_take_values_too(void **state)
{
    struct state *s = *state;
    assert_int_equal(PARSE(s, "-o", "one"), SH_OK);
    assert_string_equal(s->values.bundle, "one");
    assert_int_equal(PARSE(s, "-otwo"), SH_OK);
    assert_string_equal(s->values.bundle, "two");
}

static void numbers_not_given_are_minus_one(void **state)
{
    struct state *s = *state;
    assert_int_equal(PARSE(s, "--once"), SH_OK);
    assert_int_equal(s->values.code_fd, -1);
    assert_int_equal(s->values.common.deadline_s, -1);
    assert_int_equal(PARSE(s, "--deadline", "0"), SH_OK);
    assert_int_equal(s->values.common.deadline_s, 0);
    assert_int_equal(PARSE(s, "--deadline", "2147483647"), SH_OK);
    assert_int_equal(s->values.common.deadline_s, INT32_MAX);
}

static void after_two_dashes_and_a_lone_dash_nothing_is_an_option(void **state)
{
    struct state *s = *state;
    assert_int_equal(PARSE(s, "-", "--", "--once", "-v"), SH_OK);
    assert_int_equal(s->count, 3);
    assert_string_equal(s->argv[1], "-");
    assert_string_equal(s->argv[2], "--once");
    assert_false(s->values.once);
}

static void what_is_wrong_is_refused_and_named(void **state)
{
    struct state *s = *state;
    static const struct {
        const char *words[3];
        const char *named;
    } cases[] = {
        {{"--frobnicate"}, "--frobnicate"},
        {{"-x"}, "-x"},
        {{"--onc"}, "--onc"},
        {{"--oncee"}, "--oncee"},
        {{"--once=1"}, "--once=1"},
        {{"-vv"}, "-vv"},
        {{"--bundle"}, "--bundle"},
        {{"--code-fd", "x"}, "--code-fd x"},
        {{"--code-fd", ""}, "--code-fd"},
        {{"--code-fd", "-1"}, "--code-fd -1"},
        {{"--code-fd", " 1"}, "--code-fd"},
        {{"--code-fd", "1x"}, "--code-fd 1x"},
        {{"--code-fd", "2147483648"}, "--code-fd 2147483648"},
        {{"--code-fd", "99999999999999999999"}, "--code-fd 9999"},
        {{"--radio", "zigbee"}, "--radio zigbee"},
        {{"--radio", "sim:"}, "--radio"},
        {{"--links", ""}, "--links"},
        {{"--links", "ble,"}, "--links"},
        {{"--links", "ble,ble"}, "--links ble,ble"},
        {{"--links", "ble,carrier-pigeon"}, "carrier-pigeon"},
        {{"--name", ""}, "--name"},
        {{"--name", "a\033[2Jb"}, "--name"},
        {{"--name", "\xff"}, "--name"},
        {{"--name", "12345678901234567890123456789012345678901234567890123456789012345"}, "--name"},
        {{"--state", ""}, "--state"},
    };
    for (size_t i = 0; i < SH_COUNT(cases); i++) {
        int n = cases[i].words[1] ? 2 : 1;
        assert_int_equal(parse(s, n, cases[i].words), SH_USAGE_BAD_OPTION);
        assert_non_null(strstr(sh_detail(), cases[i].named));
        assert_int_equal(s->count, -1);
    }
}

static void right_ones_of_these_are_taken(void **state)
{
    struct state *s = *state;
    assert_int_equal(PARSE(s, "--radio", "bluez", "--links", "lan,ble,wifi-direct", "--name",
                           "1234567890123456789012345678901234567890123456789012345678901234"),
                     SH_OK);
    assert_int_equal(PARSE(s, "--radio", "sim:/a/b", "--links=ble"), SH_OK);
    assert_string_equal(s->values.common.radio, "sim:/a/b");
}

static void lists_are_capped(void **state)
{
    struct state *s = *state;
    const int n = SH_LIST_MAX + 1;
    char **argv = calloc((size_t)n + 2, sizeof(*argv));
    char word[] = "--item=a=b";
    int count = 0;
    assert_non_null(argv);
    for (int i = 0; i <= n; i++)
        argv[i] = word;
    assert_int_equal(sh_options_parse(rows, n, argv, &s->values, &count), SH_OK);
    assert_int_equal(s->values.items.count, SH_LIST_MAX);
    sh_options_clear(rows, &s->values);
    assert_int_equal(sh_options_parse(rows, n + 1, argv, &s->values, &count), SH_USAGE_BAD_OPTION);
    free(argv);
}

static void state_and_name_have_defaults(void **state)
{
    struct state *s = *state;
    char host[256] = "";
    setenv("XDG_STATE_HOME", "/xdg", 1);
    assert_int_equal(PARSE(s, "--once"), SH_OK);
    assert_string_equal(s->values.common.state, geteuid() == 0 ? "/var/lib/simhop" : "/xdg/simhop");
    gethostname(host, sizeof(host) - 1);
    assert_int_equal(strncmp(s->values.common.name, host, strlen(s->values.common.name)), 0);
    assert_in_range(strlen(s->values.common.name), 1, 64);
    assert_int_equal(PARSE(s, "--state", "/here"), SH_OK);
    assert_string_equal(s->values.common.state, "/here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_taken_in_every_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(letters_take_values_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_not_given_are_minus_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_two_dashes_and_a_lone_dash_nothing_is_an_option,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_refused_and_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(right_ones_of_these_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_capped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(state_and_name_have_defaults, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}

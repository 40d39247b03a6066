/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much nearness counts: the wish of a person within the limits of the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pairing/policy.h"

static enum sh_cause read_text(const char *text, struct sh_policy_limits *limits)
{
    *limits = (struct sh_policy_limits){0};
    return sh_policy_read(SH_BYTES(text, strlen(text)), limits);
}

static void files(void **state SH_UNUSED)
{
    static const struct {
        const char *text;
        bool has_least;
        enum sh_proximity_policy least;
    } good[] = {
        {"", false, SH_POLICY_NORMAL},
        {"# nothing\n\n", false, SH_POLICY_NORMAL},
        {"proximity-least strict", true, SH_POLICY_STRICT},
        {"  proximity-least\tnormal \r\n# end", true, SH_POLICY_NORMAL},
    };
    struct sh_policy_limits limits;
    for (size_t i = 0; i < SH_COUNT(good); i++) {
        assert_int_equal(read_text(good[i].text, &limits), SH_OK);
        assert_int_equal(limits.has_least, good[i].has_least);
        assert_int_equal(limits.least, good[i].least);
    }
}

static void files_that_are_wrong(void **state SH_UNUSED)
{
    static const struct {
        const char *text, *detail;
    } bad[] = {
        {"\nproximity-least\n", "line 2: "},
        {"proximity-least off-with-consent", "line 1: "},
        {"proximity-least strict normal", "line 1: "},
        {"proximity-least stric", "line 1: "},
        {"proximity strict", "line 1: there is no such key"},
        {"proximity-least strict\n\nproximity-least normal\n", "line 3: "},
    };
    struct sh_policy_limits limits;
    char longest[700];
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        assert_int_equal(read_text(bad[i].text, &limits), SH_USAGE_BAD_CONFIG);
        assert_non_null(strstr(sh_detail(), bad[i].detail));
        assert_false(limits.has_least);
    }
    memset(longest, '#', sizeof(longest));
    assert_int_equal(sh_policy_read(SH_BYTES(longest, sizeof(longest)), &limits),
                     SH_USAGE_BAD_CONFIG);
}

static void choices(void **state SH_UNUSED)
{
    static const struct {
        const char *wish, *file;
        enum sh_cause cause;
        enum sh_proximity_policy policy;
    } rows[] = {
        {NULL, "", SH_OK, SH_POLICY_NORMAL},
        {"normal", "", SH_OK, SH_POLICY_NORMAL},
        {"strict", "", SH_OK, SH_POLICY_STRICT},
        {"off-with-consent", "", SH_OK, SH_POLICY_OFF},
        {"off", "", SH_USAGE_BAD_OPTION, SH_POLICY_NORMAL},
        {"", "", SH_USAGE_BAD_OPTION, SH_POLICY_NORMAL},
        {NULL, "proximity-least normal", SH_OK, SH_POLICY_NORMAL},
        {"strict", "proximity-least normal", SH_OK, SH_POLICY_STRICT},
        {"off-with-consent", "proximity-least normal", SH_REFUSED_POLICY, SH_POLICY_NORMAL},
        {NULL, "proximity-least strict", SH_OK, SH_POLICY_STRICT},
        {"strict", "proximity-least strict", SH_OK, SH_POLICY_STRICT},
        {"normal", "proximity-least strict", SH_REFUSED_POLICY, SH_POLICY_NORMAL},
        {"off-with-consent", "proximity-least strict", SH_REFUSED_POLICY, SH_POLICY_NORMAL},
    };
    for (size_t i = 0; i < SH_COUNT(rows); i++) {
        struct sh_policy_limits limits;
        enum sh_proximity_policy policy = SH_POLICY_NORMAL;
        assert_int_equal(read_text(rows[i].file, &limits), SH_OK);
        assert_int_equal(sh_policy_choose(rows[i].wish, &limits, &policy), rows[i].cause);
        assert_int_equal(policy, rows[i].policy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(files_that_are_wrong),
        cmocka_unit_test(choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
